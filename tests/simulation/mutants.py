"""Bugs put back on purpose: known ways to get this wrong, each made by changing one part."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from receiver.core.dispatches import Dispatch, DispatchError, Failure
from receiver.core.ladder import LADDER
from receiver.core.ports import Dispatcher
from receiver.core.reports import Report
from receiver.core.runs import Absent, Look, NotSeen, Run, RunStatus
from receiver.flows import deciding
from receiver.flows.intake import taking_in
from receiver.flows.intake.committer import Committer
from receiver.flows.intake.taking_in import Arrival, Receipt
from receiver.flows.worker import dispatching, following, reconciling
from receiver.store.dispatch_rows import DispatchRows
from receiver.store.store import StoreUnavailable, Tx
from receiver.store.tables import dispatches
from tests.simulation.belief_mutants import (
    any_listing_kept,
    asks_nobody,
    deadline_trusted,
    empty_listing_believed,
    in_a_storm,
    limit_that_starves,
    of_pauses_ahead,
    of_two_budgets,
    pause_trusted,
    quiet_trusted,
    resume_releases,
    silenced_ignored,
    unconfirmed_ignored,
    untold_ignored,
)
from tests.simulation.change_mutants import (
    credential_moves_along,
    credential_stays_behind,
    empty_file_opens,
    empty_file_overwrites,
    of_a_clock_ahead,
    of_renames,
    rename_forgets_pause,
    since_by_ids,
    until_by_ids,
)
from tests.simulation.parts import Parts, Step
from tests.simulation.plans import HOUR, Plan, calm, draw, of_moving_targets
from tests.simulation.restraint_mutants import (
    approved_for_good,
    attempts_forgotten,
    budget_in_memory,
    closed_after_all,
    of_hours_that_close,
    room_untold,
    storm_without_wait,
)
from tests.simulation.stores import Interrupted
from tests.simulation.world import World

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Mutant:
    """One bug.

    Attributes:
        make: Changes the parts of a process, or a module's function.
        first: Where the hunt for it begins: a seed that caught it once, to save time.
        plan: What a history is like in which it shows.

    """

    name: str
    make: Callable[[Patch], Parts]
    first: int = 0
    plan: Callable[[int], Plan] = draw


class Changed:
    """A dispatcher with something changed."""

    def __init__(self, real: Dispatcher) -> None:
        self._real = real
        self.lookup_window = real.lookup_window
        self.run_timeout = real.run_timeout
        self.always_shows_id = real.always_shows_id

    def start(self, dispatch: Dispatch) -> Run:
        return self._real.start(dispatch)

    def find(self, dispatch: Dispatch, known: Dispatch | None = None) -> Look:
        return self._real.find(dispatch, known)

    def poll(self, dispatch: Dispatch) -> RunStatus:
        return self._real.poll(dispatch)

    def read_report(self, dispatch: Dispatch) -> Report | None:
        return self._real.read_report(dispatch)


class Blind(Changed):
    """Takes doubt for certainty."""

    def start(self, dispatch: Dispatch) -> Run:
        try:
            return super().start(dispatch)
        except DispatchError as error:
            raise DispatchError(str(error), Failure.UNAVAILABLE) from error


class Hasty(Changed):
    """Takes absence for proof at once."""

    def __init__(self, real: Dispatcher) -> None:
        super().__init__(real)
        self.lookup_window = timedelta(0)


class Trusting(Changed):
    """Believes a listing that nobody has seen working."""

    def find(self, dispatch: Dispatch, known: Dispatch | None = None) -> Look:
        look = super().find(dispatch, known)
        return Absent() if isinstance(look, NotSeen) else look


def listing_trusted(_patch: Patch) -> Parts:
    """A broken listing that shows nothing is taken for proof."""
    return Parts(client=Trusting)


def first_404_believed(patch: Patch) -> Parts:
    """A run is given up as soon as its target does not know it once."""
    patch.setattr(following, "is_gone", lambda _times, _missing_for: True)
    return Parts()


def cooldown_in_memory(_patch: Patch) -> Parts:
    """A restart forgets every cooldown."""

    def forget(store: Interrupted) -> None:
        with store._engine.begin() as db:
            db.execute(text("UPDATE models SET cooldown_until = NULL"))

    return Parts(on_start=forget)


def check_then_act(_patch: Patch) -> Parts:
    """Facts are read before the lock, and nothing in the database stands behind."""

    def change(store: Interrupted, world: World) -> None:
        real = store.begin

        @contextmanager
        def begin() -> Iterator[Tx]:
            with store._engine.connect() as db:
                db.execute(text("DROP INDEX IF EXISTS ux_dispatches_live_model"))
            with Interrupted.begin(store) as tx:
                names = [str(name) for name in tx._db.scalars(text("SELECT name FROM models"))]
                before = tx.lock_models(names)
            if world.hub.running is not None and not world.healing:
                world.hub.pause(world.random.choice((0.0, 0.2, 2.0)))
            with real() as tx:
                read = tx.lock_models
                tx.lock_models = lambda names: {
                    **read(names),
                    **{name: before[name] for name in names if name in before},
                }
                yield tx

        store.begin = begin

    return Parts(store=change)


def blind_retry(_patch: Patch) -> Parts:
    """A lost answer is treated like a refused connection."""
    return Parts(client=Blind)


def no_grace(_patch: Patch) -> Parts:
    """The window is shorter than the target's listing lag."""
    return Parts(client=Hasty)


class Polite(Committer):
    """Says yes before anything is stored."""

    def submit(self, arrival: Arrival) -> Future[Receipt]:
        super().submit(arrival)
        answer: Future[Receipt] = Future()
        answer.set_result(Receipt("", ()))
        return answer


def acknowledged_early(_patch: Patch) -> Parts:
    """The 2xx does not wait for the commit."""

    def committer(store: Interrupted) -> Committer:
        def take_in(arrivals: Sequence[Arrival]) -> list[Receipt]:
            try:
                return taking_in.take_in(store, arrivals)
            except StoreUnavailable:
                return [Receipt("", ()) for _ in arrivals]

        return Polite(take_in)

    return Parts(committer=committer)


def timer_off(_patch: Patch) -> Parts:
    """What is held is forgotten until Alertmanager speaks again."""

    def lanes(real: dict[str, Step]) -> dict[str, Step]:
        return {name: step for name, step in real.items() if name != "timer"}

    return Parts(lanes=lanes)


def short_lease(patch: Patch) -> Parts:
    """A lease ends during the call, and nobody checks whose claim it is."""
    for flow in (dispatching, following):
        patch.setattr(flow, "LEASE", timedelta(seconds=2))
    patch.setattr(DispatchRows, "save_dispatch", save_without_claim)
    real = DispatchRows.begin_attempt

    def begin_attempt(tx: DispatchRows, dispatch: Dispatch, at: datetime) -> None:
        where = f"dispatch_id = '{dispatch.id}' AND number = {dispatch.attempt}"
        tx._db.execute(text(f"DELETE FROM attempts WHERE {where}"))  # noqa: S608  our own id
        real(tx, dispatch, at)

    patch.setattr(DispatchRows, "begin_attempt", begin_attempt)
    return Parts()


def save_without_claim(
    tx: DispatchRows, dispatch: Dispatch, *, at: datetime, actor: Any = None, moved: bool = True
) -> bool:
    """Write, whoever holds the claim now."""
    claim = dispatches.c.claim
    newest = tx._db.scalar(
        dispatches.select().with_only_columns(claim).where(dispatches.c.id == dispatch.id)
    )
    return SAVE(tx, replace(dispatch, claim=newest), at=at, actor=actor, moved=moved)


SAVE = DispatchRows.save_dispatch


def resolved_clears(patch: Patch) -> Parts:
    """A resolved alert ends the cooldown."""
    real = deciding._resolve

    def resolve(unit: Any, matched: Any, origin: Any) -> str:
        others: str = real(unit, matched, origin)
        if matched.identity is not None:
            model = unit.models[matched.identity.model]
            unit.update(replace(model, cooldown_until=None))
        return others

    patch.setattr(deciding, "_resolve", resolve)
    return Parts()


def stale_fires(patch: Patch) -> Parts:
    """A late copy of something resolved counts at once."""
    rungs = tuple(rung for rung in LADDER if rung.__name__ != "_stale")
    real = taking_in.decide_alert
    patch.setattr(
        taking_in, "decide_alert", lambda unit, one, origin: real(unit, one, origin, rungs)
    )
    return Parts()


def wall_clock_trusted(patch: Patch) -> Parts:
    """The look-up window is over when the wall clock says so."""

    def waited(_watch: Any, dispatch: Dispatch, now: datetime) -> timedelta:
        return now - (dispatch.doubt_since or now)

    patch.setattr(reconciling.DoubtTimer, "waited", waited)
    return Parts()


def retrained_on_resolved(patch: Patch) -> Parts:
    """Once ordered, it is sent, also if everything was resolved meanwhile."""
    patch.setattr(dispatching, "_why_gone", lambda _unit, _dispatch: None)
    return Parts()


def without_tokens(seed: int) -> Plan:
    """What is ordered waits for the target's token, often until nothing fires any more."""
    return calm(seed, models=4, ends=8 * HOUR, token_faults=30, sources=0)


FIRST = {
    cooldown_in_memory: 1,
    check_then_act: 2,
    short_lease: 6,
    wall_clock_trusted: 8,
    retrained_on_resolved: 6,
    budget_in_memory: 15,
    room_untold: 14,
    approved_for_good: 13,
    closed_after_all: 8,
    attempts_forgotten: 58,
    storm_without_wait: 3,
    listing_trusted: 2,
    silenced_ignored: 1,
    quiet_trusted: 2,
    any_listing_kept: 112,
    unconfirmed_ignored: 1,
    untold_ignored: 1,
    deadline_trusted: 6,
    rename_forgets_pause: 3,
    credential_moves_along: 1,
    credential_stays_behind: 1,
}

PLANS = {
    limit_that_starves: of_two_budgets,
    pause_trusted: of_pauses_ahead,
    closed_after_all: of_hours_that_close,
    resume_releases: in_a_storm,
    retrained_on_resolved: without_tokens,
    rename_forgets_pause: of_renames,
    credential_moves_along: of_moving_targets,
    credential_stays_behind: of_moving_targets,
    empty_file_opens: without_tokens,
    empty_file_overwrites: without_tokens,
    since_by_ids: of_a_clock_ahead,
    until_by_ids: of_a_clock_ahead,
}

MUTANTS = tuple(
    Mutant(make.__name__, make, FIRST.get(make, 0), PLANS.get(make, draw))
    for make in (
        cooldown_in_memory,
        check_then_act,
        blind_retry,
        no_grace,
        acknowledged_early,
        timer_off,
        short_lease,
        resolved_clears,
        stale_fires,
        wall_clock_trusted,
        retrained_on_resolved,
        budget_in_memory,
        room_untold,
        approved_for_good,
        closed_after_all,
        attempts_forgotten,
        storm_without_wait,
        listing_trusted,
        first_404_believed,
        silenced_ignored,
        quiet_trusted,
        any_listing_kept,
        unconfirmed_ignored,
        empty_listing_believed,
        untold_ignored,
        asks_nobody,
        deadline_trusted,
        pause_trusted,
        limit_that_starves,
        resume_releases,
        rename_forgets_pause,
        credential_moves_along,
        credential_stays_behind,
        empty_file_opens,
        empty_file_overwrites,
        since_by_ids,
        until_by_ids,
    )
)
