"""Storms: who fired together, and when it is calm again."""

from datetime import timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.core.storms import Gathering, Onset, Onsets, Storm
from tests.fakes import NOON

MINUTE = timedelta(minutes=1)
STORM = Storm(2, within=10 * MINUTE, wait=2 * MINUTE, calm=5 * MINUTE)


def gather(onsets, began_at, storm, now):
    """The rule by its words: everybody is looked at, `onsets` has the model itself."""
    near = [one for one in onsets if abs(one.began_at - began_at) <= storm.within]
    firing = sum(one.emptied_at is None for one in near)
    ends = sorted(one.emptied_at + storm.calm for one in near if one.emptied_at is not None)
    ceasing = [end for end in ends if end > now]
    count = firing + len(ceasing)
    calm = ceasing[count - storm.models - 1] if firing <= storm.models < count else None
    return Gathering(count, calm)


def onset(minute, ended=None):
    return Onset(NOON + minute * MINUTE, None if ended is None else NOON + ended * MINUTE)


@pytest.mark.parametrize(
    ("onsets", "count", "calm"),
    [
        ([0], 1, None),
        ([0, 5, 10], 3, None),
        ([0, -10, 10], 3, None),
        ([0, 11], 1, None),
        ([0, -11], 1, None),
        ([0, 1, 2], 3, None),
        ([0, 1, (2, 28)], 3, 33),
        ([0, (1, 27), (2, 28)], 3, 32),
        ([0, 1, 2, (3, 28)], 4, None),
        ([0, (1, 26), (2, 27), (3, 28)], 4, 32),
        ([0, 1, (2, 25)], 2, None),  # long enough ago: it is calm
        ([0, (1, 10), (2, 20)], 1, None),
    ],
)
def test_who_fires_together_and_when_it_is_calm(onsets, count, calm):
    """Half an hour later: near in time, and firing now or until a moment ago."""
    told = [onset(*one) if isinstance(one, tuple) else onset(one) for one in onsets]

    known = Onsets({str(n): one for n, one in enumerate(told[1:])}, STORM, NOON + 30 * MINUTE)
    gathering = known.around("itself", told[0].began_at)

    expected = None if calm is None else NOON + calm * MINUTE
    assert gathering == Gathering(count, expected)


@settings(deadline=None)
@given(
    ends=st.lists(st.none() | st.integers(0, 60), min_size=1, max_size=8),
    most=st.integers(1, 4),
)
def test_it_is_calm_when_it_was_said_to_be(ends, most):
    """If nothing else happens, and not before."""
    storm = Storm(most, within=MINUTE, wait=MINUTE, calm=5 * MINUTE)
    now = NOON + 60 * MINUTE
    onsets = [onset(0, end) for end in ends]

    told = gather(onsets, NOON, storm, now)

    later = [now + n * MINUTE for n in range(10)]
    calm = next((at for at in later if gather(onsets, NOON, storm, at).count <= most), None)
    assert (told.calm_at or now if told.count <= most or told.calm_at else None) == calm


def worlds(count):
    """Models that began, and perhaps ceased, to fire in the last twenty minutes."""
    random = Random(7)  # noqa: S311  the same worlds each time
    for _ in range(count):
        yield {
            f"m{number}": Onset(
                NOON - random.randrange(20) * MINUTE,
                random.choice((None, NOON - random.randrange(9) * MINUTE)),
            )
            for number in range(random.randrange(9))
        }


CLOSE = Storm(2, within=3 * MINUTE, wait=0 * MINUTE, calm=5 * MINUTE)


def test_what_is_sorted_once_tells_of_each_what_the_rule_says():
    """Also of one that fires anew, or that nobody knew."""
    seen = set()
    for onsets in worlds(300):
        known = Onsets(onsets, CLOSE, NOON)
        for name in [*onsets, "new"]:
            for began in (NOON, onsets.get(name, Onset(NOON)).began_at):
                with_itself = {**onsets, name: Onset(began)}.values()
                told = known.around(name, began)
                assert told == gather(with_itself, began, CLOSE, NOON)
                seen.add((told.count > CLOSE.models, told.calm_at is not None))
    assert len(seen) == 3, "no storm without an end, no calm to come, or nobody alone"


def test_all_at_once_are_as_calm_as_one_by_one():
    """Those that were not named, and those that ceased long ago, are none of them."""
    for onsets in worlds(200):
        one_by_one = set()
        for name, one in onsets.items():
            fires = one.emptied_at is None or one.emptied_at + CLOSE.calm > NOON
            others = {**onsets, name: Onset(one.began_at)}.values()
            if fires and gather(others, one.began_at, CLOSE, NOON).count <= CLOSE.models:
                one_by_one.add(name)
        known = Onsets(onsets, CLOSE, NOON)
        assert known.calm_models(onsets) == one_by_one
        assert known.calm_models(["m0", "m1"]) == one_by_one & {"m0", "m1"}
