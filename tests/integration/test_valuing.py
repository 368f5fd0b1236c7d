"""Where a run's number comes from: the annotation that the policy names, or Prometheus."""

from dataclasses import replace
from datetime import timedelta

import pytest

from receiver.core.alerts import Alert
from receiver.core.sources import Listed
from receiver.flows.worker import rechecking
from tests.asking import FakeSource
from tests.examples import DRIFT, alert, policy_set
from tests.fakes import NOON, unavailable

NUMBERLESS = alert(value=None)


def evaluated(one: Alert, value: float | None) -> Listed:
    """An alert as Prometheus shows it: without what Alertmanager's side added."""
    labels = {name: text for name, text in one.labels.items() if name != "cluster"}
    return Listed("", labels, NOON, value=value)


class FakePrometheus(FakeSource):
    """Shows these alerts, and counts how often it was asked."""

    def __init__(self, *listed: Listed) -> None:
        super().__init__()
        self._alerts = {str(number): one for number, one in enumerate(listed)}


def inputs(history):
    return history.target.inputs


def test_prometheus_is_asked_for_the_number_of_an_alert_that_carries_none(history):
    """At the moment of the send; labels that were added on the way do not matter."""
    history.prometheus = FakePrometheus(
        evaluated(alert("7"), 0.9), evaluated(NUMBERLESS, 0.62), evaluated(alert(name="Other"), 3)
    )
    history.deliver(alert(value=None, cluster="eu"))

    history.send()

    assert inputs(history) == {"user_id": "42", "drift_score": 0.62, "reason": "HighModelMAE"}
    assert history.dispatches()[0].inputs == inputs(history)


def test_whose_alert_has_a_number_asks_nobody(history):
    """Nor does a target that sends none."""
    history.prometheus = FakePrometheus(evaluated(NUMBERLESS, 0.9))
    history.deliver(alert(value=0.62))

    history.send()

    assert (inputs(history)["drift_score"], history.prometheus.answers) == (0.62, 0)


@pytest.mark.parametrize(
    "shown",
    [
        [],
        [evaluated(NUMBERLESS, None)],
        [evaluated(NUMBERLESS, 0.1), evaluated(NUMBERLESS, 0.2)],
        [evaluated(alert("7"), 0.9)],
    ],
    ids=["nothing", "no number", "two that may be it", "another model's"],
)
def test_what_prometheus_can_not_tell_is_left_out(history, shown):
    """A wrong number is worse than none."""
    history.prometheus = FakePrometheus(*shown)
    history.deliver(NUMBERLESS)

    history.send()

    assert inputs(history) == {"user_id": "42", "reason": "HighModelMAE"}


def test_a_prometheus_that_is_down_holds_no_run_up(history):
    """The run is sent without the number, as where nobody is asked."""
    history.prometheus = FakePrometheus()
    history.prometheus.down = "it does not answer"
    history.deliver(NUMBERLESS)

    history.send()

    assert inputs(history) == {"user_id": "42", "reason": "HighModelMAE"}


def test_later_attempts_send_what_the_first_one_sent(history):
    """A run with these inputs may be there: another number would make it another run."""
    history.target.accidents = [unavailable]
    history.deliver(NUMBERLESS)
    history.send()
    history.prometheus = FakePrometheus(evaluated(NUMBERLESS, 0.62))
    history.clock.pass_(timedelta(minutes=10))

    history.send()

    assert inputs(history) == {"user_id": "42", "reason": "HighModelMAE"}


def test_a_policy_says_which_annotation_has_the_number(history):
    """Decision, firing set and run have it, and the timer does not lose it."""
    history.policy_set = policy_set(replace(DRIFT, value_annotation="mae"))
    told = replace(alert(value=0.1), numbers={"mae": 0.62})

    history.deliver(told)
    history.send()
    rechecking.recheck(history.store, history.policy_set, ["42"])

    assert inputs(history)["drift_score"] == 0.62
    assert {decision.value for decision in history.log()} == {0.62}
    assert history.firing()[0].value == 0.62
