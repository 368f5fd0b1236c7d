"""The test alert of `doctor` is a real rule's, with nothing that would help it on its way."""

import pytest

from receiver.lint.chain import Chain
from receiver.lint.gathering import Sources, gather
from receiver.lint.sampling import sample
from tests.lint.worlds import RECEIVER, RULES


@pytest.fixture
def sampled(tmp_path):
    def sampled(rules, **given):
        (tmp_path / "receiver.yaml").write_text(RECEIVER)
        (tmp_path / "rules.yml").write_text(rules)
        chain = gather(Sources(tmp_path / "receiver.yaml", rules=[str(tmp_path / "rules.yml")]))
        assert isinstance(chain, Chain)
        return sample(chain, given)

    return sampled


def test_it_has_the_rules_labels_and_no_others(sampled):
    """No `action` that the rule lacks: with it the test arrived where real alerts did not."""
    assert sampled(RULES) == (
        "HighModelMAE",
        {"alertname": "HighModelMAE", "severity": "warning", "user_id": "retrain-test"},
    )


def test_what_the_expression_sets_is_there(sampled):
    """An equality in a selector is a label of the alert."""
    rules = RULES.replace("max by (user_id) (model_mae_score)", 'm{job="a"}')

    assert sampled(rules)[1]["job"] == "a"


def test_what_the_expression_drops_is_not(sampled):
    """A test must not arrive where a real alert would be invalid."""
    assert "user_id" not in sampled(RULES.replace("max by (user_id)", "max"))[1]


def test_what_is_given_is_taken(sampled):
    """For labels that only the series know."""
    assert sampled(RULES, namespace="ml", user_id="7")[1]["user_id"] == "7"


def test_without_a_rule_there_is_none(sampled):
    """No policy takes it, so it says nothing about ours."""
    assert sampled(RULES.replace("alert: ", "alert: X")) is None
