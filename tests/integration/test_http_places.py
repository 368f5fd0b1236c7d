"""A place that says a great deal, as that of an HTTP target, is remembered like others."""

from datetime import timedelta
from hashlib import sha256

from receiver.core.dispatches import Dispatch
from receiver.core.targets import TargetKind
from receiver.flows.transitions import place_of
from tests.fakes import NOON


def long(seed):
    """A place with 40,000 characters that no database packs into fewer."""
    text = "".join(sha256(f"{seed} {part}".encode()).hexdigest() for part in range(625))
    return Dispatch(
        id="0" * 26,
        model="42",
        policy="drift",
        target="api",
        kind=TargetKind.HTTP,
        place={"base_url": "https://api.example", "api": text},
        inputs={},
        created_at=NOON,
        due_at=NOON,
        cooldown=timedelta(hours=6),
        settle=timedelta(hours=1),
        decision_id=1,
    )


def test_an_id_that_was_seen_there_is_remembered(store):
    """PostgreSQL indexes no text of more than 2,704 bytes."""
    one, other = place_of(long(1)), place_of(long(2))

    with store.begin() as tx:
        tx.remember_id_shown(one, tx.now())
        tx.remember_id_shown(one, tx.now())

    with store.begin() as tx:
        assert tx.shows_ids(one)
        assert not tx.shows_ids(other)
