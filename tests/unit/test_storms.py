"""Storms: who fired together, and when it is calm again."""

from datetime import timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.core.storms import Gathering, Onset, Storm, calm_models, gather
from tests.fakes import NOON

MINUTE = timedelta(minutes=1)
STORM = Storm(2, within=10 * MINUTE, wait=2 * MINUTE, calm=5 * MINUTE)


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
        ([(0, 26), (1, 27), (2, 28)], 3, 31),
        ([0, 1, (2, 25)], 2, None),  # long enough ago: it is calm
        ([0, (1, 10), (2, 20)], 1, None),
    ],
)
def test_who_fires_together_and_when_it_is_calm(onsets, count, calm):
    """Half an hour later: near in time, and firing now or until a moment ago."""
    told = [onset(*one) if isinstance(one, tuple) else onset(one) for one in onsets]

    gathering = gather(told, told[0].began_at, STORM, NOON + 30 * MINUTE)

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


def test_all_at_once_are_as_calm_as_one_by_one():
    """`calm_models` finds at once whom `gather` would find one after the other."""
    random = Random(7)  # noqa: S311  the same world each time
    storm = Storm(2, timedelta(minutes=3), timedelta(0), timedelta(minutes=5))
    for _ in range(200):
        onsets = {}
        for number in range(random.randrange(9)):
            began = NOON - timedelta(minutes=random.randrange(20))
            ended = random.choice((None, NOON - timedelta(minutes=random.randrange(9))))
            onsets[f"m{number}"] = Onset(began, ended)

        one_by_one = {
            name
            for name, one in onsets.items()
            if gather(onsets.values(), one.began_at, storm, NOON).count <= storm.models
        }
        assert calm_models(onsets, storm, NOON) == one_by_one
