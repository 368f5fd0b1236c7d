"""Small values: names, times, ids, inputs, cooldowns, waits."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.core import cooldowns
from receiver.core.dispatches import next_attempt, next_look
from receiver.core.ids import EPOCH, moment_of, time_id
from receiver.core.inputs import fill_inputs, fill_place
from receiver.core.models import Model
from receiver.core.policies import NoIdentity, fill, identify, shown, template_parts
from receiver.core.regexes import Regex
from receiver.core.runs import next_poll
from receiver.core.times import clock_time, parse_time, stamp
from tests.examples import DRIFT, PIPELINE, alert, observing, policy_set
from tests.fakes import NOON

moments = st.timedeltas(timedelta(0), timedelta(days=40_000)).map(
    lambda span: datetime(1990, 1, 1, tzinfo=UTC) + span
)

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        ({}, "user_id that names the model is missing"),
        ({"user_id": ""}, "user_id that names the model is missing"),
        ({"user_id": "a b"}, "does not match"),
        ({"user_id": "x" * 41}, "does not match"),
        ({"user_id": "-42"}, "not a valid name"),
    ],
)
def test_labels_that_name_no_model_are_explained(labels, complaint):
    """Which label, and why."""
    with pytest.raises(NoIdentity, match=complaint):
        identify(DRIFT, labels)


def test_a_template_takes_any_label_name_and_nothing_fancier():
    """UTF-8 label names too; no attributes, indexes, conversions or formats."""
    assert fill("{model.name}-{a}", {"model.name": "x", "a": "1"}) == "x-1"
    assert fill("{{literal}}", {}) == "{literal}"
    for fancy in ("{a!r}", "{a:>10}"):
        with pytest.raises(ValueError, match="plain fields"):
            template_parts(fancy)


def test_a_strangers_text_is_shown_escaped_and_short():
    """Control and bidi characters can't play tricks in a sentence."""
    assert shown("a\n\u202e") == "'a\\n\\u202e'"
    assert len(shown("x" * 1000)) < 80


@pytest.mark.parametrize(
    ("value", "sent"), [(0.5, 0.5), (None, None), (float("inf"), None), (float("nan"), None)]
)
def test_a_number_is_sent_if_it_is_one(value, sent):
    """A missing or non-finite number is left out."""
    inputs = fill_inputs(PIPELINE, {"user_id": "42"}, value=value, alertname="HighModelMAE")

    assert inputs.get("drift_score") == sent


@pytest.mark.parametrize("name", ["", "a b", "$(x)", "x" * 101, "a\n"])
def test_an_odd_alertname_is_not_sent(name):
    """It is a stranger's text."""
    assert "reason" not in fill_inputs(PIPELINE, {"user_id": "42"}, value=None, alertname=name)


def test_a_place_may_use_identity_labels():
    """One namespace per tenant, for example."""
    assert fill_place(PIPELINE, {"user_id": "42"})["namespace"] == "kubeflow-42"


@given(moments, st.binary(min_size=10, max_size=10))
def test_ids_are_26_lower_case_characters_that_sort_by_time(moment, entropy):
    """Whatever the random part, a millisecond later is behind."""
    first = time_id(moment, entropy)
    later = time_id(moment + timedelta(milliseconds=1), bytes(10))

    assert len(first) == 26
    assert first == first.lower()
    assert first.isalnum()
    assert first < later
    assert moment_of(first) == moment - (moment - EPOCH) % timedelta(milliseconds=1)


@pytest.mark.parametrize("text", ["not one of ours, surely", "z" * 26])
def test_an_id_that_is_none_of_ours_tells_no_time(text):
    """A letter that there is not, a year that there is not."""
    assert moment_of(text) is None


@given(moments)
def test_a_written_time_is_read_as_the_same(moment):
    """To the microsecond, in UTC."""
    assert parse_time(stamp(moment)) == moment


@pytest.mark.parametrize("text", ["yesterday", "2026-11-22", "0001-01-01T00:00:00+23:59", ""])
def test_what_is_no_time_is_refused(text):
    """RFC 3339 with an offset, inside the calendar."""
    with pytest.raises(ValueError, match=r"not a time|outside|\S"):
        parse_time(text)


def test_times_in_sentences_have_a_date_unless_it_is_todays():
    """An operator at night must not take yesterday for today."""
    east = NOON.astimezone(timezone(timedelta(hours=5)))

    assert stamp(None) is None
    assert clock_time(NOON, NOON) == "12:00 UTC"
    assert clock_time(NOON, NOON + timedelta(days=1)) == "2026-11-22 12:00 UTC"
    assert clock_time(None, NOON) == "an unknown time"
    assert parse_time(stamp(east.astimezone(UTC))) == NOON


def test_patterns_are_alike_if_they_are_written_alike():
    """Policies can be compared."""
    assert Regex("a+") == Regex("a+")
    assert Regex("a+") != Regex("a*")
    assert len({Regex("a+"), Regex("a+")}) == 1


def test_the_cooldown_is_never_shortened_by_what_comes_later():
    """Whichever end is later counts."""
    taken = cooldowns.take(Model("m"), timedelta(hours=6), NOON)

    assert cooldowns.settle(taken, MINUTE, NOON).cooldown_until == NOON + timedelta(hours=6)
    assert cooldowns.take(taken, MINUTE, NOON).cooldown_until == NOON + timedelta(hours=6)


def test_a_back_off_grows_up_to_the_cooldown():
    """1m, 2m, 4m, then no longer than the cooldown."""
    model, waits = Model("m"), []
    for _ in range(5):
        model = cooldowns.back_off(model, None, 5 * MINUTE, NOON)
        waits.append((model.backoff_until - NOON) / MINUTE)

    assert waits == [1, 2, 4, 5, 5]


def test_waits_grow_and_are_bounded():
    """For an unavailable target, a look-up and a poll."""
    attempts = [(next_attempt(n, None, NOON) - NOON) / SECOND for n in (1, 2, 3, 7, 100)]
    looks = [(next_look(n, NOON, timedelta(hours=1)) - NOON) / SECOND for n in (0, 1, 4, 5, 50)]
    polls = [
        (next_poll(NOON - timedelta(seconds=s), NOON) - NOON) / SECOND for s in (0, 100, 9999)
    ]

    assert attempts == [5, 10, 20, 300, 300]
    assert looks == [1, 2, 16, 30, 30]
    assert polls == [2, 10, 60]
    assert next_look(5, NOON, SECOND) == NOON + SECOND


def test_an_observing_policy_is_otherwise_the_same():
    """The examples' own helper changes nothing but the mode."""
    assert observing().cooldown == DRIFT.cooldown


def test_an_alert_without_a_model_has_no_named_policy_and_identity():
    """What follows from a decision may ask for policy and model only below `invalid`."""
    nameless = policy_set().match(alert("a b"))

    assert nameless.policy is DRIFT
    with pytest.raises(ValueError, match="must be asked first"):
        _ = nameless.named
