"""Bugs put back on purpose in what is believed, in what is mended, and in who is let go."""

from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta
from itertools import islice
from typing import Any

import pytest

from receiver.core import sightings
from receiver.core.budgets import Counted, Limit, Scope
from receiver.core.ladder import LADDER, Rung
from receiver.core.sightings import Sighting
from receiver.core.sources import SourceRecord
from receiver.core.storms import Storm
from receiver.flows import deciding
from receiver.flows.intake import taking_in
from receiver.flows.operator import controls
from receiver.flows.worker import loops, mending, polling, rechecking
from receiver.store.views.holds import HoldReads
from tests.simulation.parts import Parts, Step
from tests.simulation.plans import HOUR, Plan, calm
from tests.simulation.rungs import Rungs

Patch = pytest.MonkeyPatch


def without(patch: Patch, name: str) -> Parts:
    """A rung is missing from the ladder."""
    for flow in (taking_in, rechecking):
        patch.setattr(flow, "decide_alert", shortened(flow.decide_alert, name))
    return Parts()


def shortened(decide: Any, name: str) -> Any:
    """Decide without that rung."""

    def decide_alert(unit: Any, one: Any, origin: Any, ladder: Sequence[Rung] = LADDER) -> Any:
        rungs = tuple(rung for rung in ladder if rung.__name__ != name)
        return decide(unit, one, origin, rungs)

    return decide_alert


def silenced_ignored(patch: Patch) -> Parts:
    """A silence stops no run."""
    return without(patch, "silenced")


def quiet_trusted(patch: Patch) -> Parts:
    """What a source said last holds an alert as silenced, however long ago that was."""
    patch.setattr(Sighting, "was_heard", lambda _sighting, _now, _within: True)
    return Parts()


def any_listing_kept(patch: Patch) -> Parts:
    """What a source lists of another beginning outlives a `resolved` of its own cluster, too."""
    patch.setattr(deciding, "of_other_clusters", lambda firings, _speak_for, _url: firings)
    return Parts()


def unconfirmed_ignored(patch: Patch) -> Parts:
    """What was said once is believed for as long as nobody says otherwise."""
    return without(patch, "unconfirmed")


def empty_listing_believed(patch: Patch) -> Parts:
    """One answer without an alert ends it, also of a source that was just restarted."""
    patch.setattr(sightings, "ENOUGH", 1)
    patch.setattr(SourceRecord, "is_steady", lambda _record, _now: True)
    return Parts()


def untold_ignored(patch: Patch) -> Parts:
    """What a source lists and nobody told us of is left to deliveries."""
    patch.setattr(polling, "_take_untold", lambda *_: [])
    return Parts()


def asks_nobody(_patch: Patch) -> Parts:
    """The sources' loops are not begun."""

    def lanes(real: dict[str, Step]) -> dict[str, Step]:
        return {name: step for name, step in real.items() if not name.startswith("ask")}

    return Parts(lanes=lanes)


def deadline_trusted(patch: Patch) -> Parts:
    """What a clock that was ahead has stored stays as it is."""
    patch.setattr(loops, "mend", lambda _store, _policy_set, _watch: None)
    return Parts()


def pause_trusted(patch: Patch) -> Parts:
    """A pause holds until a clock that was ahead said that it ends."""
    patch.setattr(mending, "mend_pause", lambda pause, _now: pause)
    return Parts()


def of_pauses_ahead(seed: int) -> Plan:
    """Operators pause and resume while the clock is ahead now and then."""
    return calm(seed, models=4, ends=8 * HOUR, acts=60, aheads=4)


def limit_that_starves(patch: Patch) -> Parts:
    """Of the alerts that wait for a budget's room one page is looked at, whosever they are."""
    real = HoldReads.held_by

    def held_by(reads: HoldReads, rung: Any, policies: Collection[str]) -> Iterator[Any]:
        page = list(islice(real(reads, rung, {*policies, "mae", "r2"}), 1))
        return iter([held for held in page if held.policy in policies])

    patch.setattr(HoldReads, "held_by", held_by)
    return Parts()


def of_two_budgets(seed: int) -> Plan:
    """The first policy's budget is spent for longer than the second's."""
    spans = (timedelta(hours=12), timedelta(hours=2))
    first, second = (Rungs(limits=(Limit(Scope.POLICY, Counted.RUNS, 1, one),)) for one in spans)
    return calm(seed, models=4, ends=8 * HOUR, split=True, rungs=(first, second))


def in_a_storm(seed: int) -> Plan:
    """Operators pause and resume while a storm holds the models."""
    storm = Storm(1, timedelta(hours=2), timedelta(minutes=2), timedelta(hours=1))
    rungs = (Rungs(storm=storm), Rungs())
    return calm(seed, models=4, ends=6 * HOUR, rungs=rungs, acts=24, gales=2)


def resume_releases(patch: Patch) -> Parts:
    """To lift a pause lets a storm's models go as well."""
    real = controls.resume

    def resume(store: Any, policy_set: Any, *act: Any, **named: Any) -> int:
        decided = real(store, policy_set, *act, **named)
        stormy = [policy.name for policy in policy_set.policies if policy.storm]
        with store.begin() as tx:
            for name in stormy:
                tx.release_storm(name, tx.now())
            tx.free_stormed(stormy)
        return decided

    patch.setattr(controls, "resume", resume)
    return Parts()
