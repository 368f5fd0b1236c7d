"""The ladder: the rungs in their order; the first that applies decides."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from receiver.core import believing, restraining
from receiver.core.alerts import AlertStatus
from receiver.core.cases import Case
from receiver.core.decisions import OUTCOMES, Gate, Outcome, Reason, Scalar
from receiver.core.dispatches import DispatchState
from receiver.core.durations import show_duration
from receiver.core.models import LatestDispatch, latest_of
from receiver.core.policies import Mode
from receiver.core.runs import note_in
from receiver.core.target_health import trouble
from receiver.core.times import clock_time, stamp


@dataclass(frozen=True, slots=True)
class Finding:
    """Where an alert stopped on the ladder, and every rung up to there."""

    reason: Reason
    detail: str
    next_check_at: datetime | None
    gates: tuple[Gate, ...]
    asks: bool = False
    own_end: datetime | None = None

    @property
    def outcome(self) -> Outcome:
        """What to do; follows from the reason, so the two cannot disagree."""
        return OUTCOMES[self.reason]


def decide(case: Case, ladder: Sequence["Rung"] | None = None) -> Finding:
    """Say what becomes of one alert. The first rung that applies wins."""
    gates: list[Gate] = []
    for gate in climb(case, LADDER if ladder is None else ladder):
        gates.append(gate)
        if gate.applies:
            seen = tuple(gates)
            return Finding(gate.rung, gate.detail, gate.until, seen, gate.asks, gate.own_end)
    raise AssertionError("the last rung always applies")


def climb(case: Case, ladder: Sequence["Rung"]) -> Iterator[Gate]:
    """Every rung's answer, in order, whether or not an earlier one applies.

    A rung that the policy does not use is not there.
    """
    return (gate for rung in ladder if (gate := rung(case)) is not None)


def _unmatched(case: Case) -> Gate:
    policy = case.policy.name if case.policy else None
    # An alert whose labels can't be read may belong to any policy: the next rung names its fault.
    whole = bool(case.alert.labels) and not case.alert.cut
    readable = whole or case.facts.problem is None
    detail = f"policy {policy} matches" if policy else "no policy matches these labels"
    saw = {"policy": policy, "readable": readable}
    return Gate(Reason.UNMATCHED, detail, saw, applies=policy is None and readable)


READABLE = Gate(Reason.INVALID, "the alert is readable", {"problem": None})
FIRES = Gate(Reason.RESOLVED, "it fires", {"ends_at": None})
"""What nearly every alert is told by these rungs; made once."""


def _invalid(case: Case) -> Gate:
    problem = case.facts.problem
    if problem is None:
        return READABLE
    detail = f"this alert can't be understood: {problem}"
    return Gate(Reason.INVALID, detail, {"problem": problem}, applies=True)


def _resolved(case: Case) -> Gate:
    ended = case.alert.ends_at
    applies = case.alert.status is AlertStatus.RESOLVED
    if ended is None and not applies:
        return FIRES
    when = f" at {clock_time(ended, case.now)}" if ended else ""
    detail = f"the alert ended{when}; a resolved alert starts nothing" if applies else "it fires"
    return Gate(Reason.RESOLVED, detail, {"ends_at": stamp(ended)}, applies=applies)


def _duplicate(case: Case) -> Gate:
    window, before = case.ruling.dedup_window, case.facts.decided_at
    # Either side of it: a clock that went back a little must not make a copy look new.
    age = None if before is None else abs(case.now - before)
    applies = age is not None and age < window
    if age is None:
        detail = "this delivery is new"
    else:
        detail = (
            f"the same delivery was decided {show_duration(age)} ago; "
            f"repeats within {show_duration(window)} count once"
        )
    saw = {"decided_at": stamp(before), "dedup_window_seconds": window.total_seconds()}
    return Gate(Reason.DUPLICATE, detail, saw, applies=applies)


def _stale(case: Case) -> Gate:
    resolved = case.facts.resolved_at
    until = None
    if resolved is not None:
        until = case.facts.stale_until or case.now + case.ruling.dedup_window
    if until is None:
        detail = "it was not resolved before"
    else:
        detail = (
            f"the same alert was reported resolved at {clock_time(resolved, case.now)}: a late "
            f"copy or a re-fire; decided at {clock_time(until, case.now)} if it still fires"
        )
    saw = {
        "resolved_at": stamp(resolved),
        "stale_until": stamp(case.facts.stale_until),
        "dedup_window_seconds": case.ruling.dedup_window.total_seconds(),
    }
    return Gate(Reason.STALE, detail, saw, applies=resolved is not None, until=until)


def _paused(case: Case) -> Gate:
    pause = case.facts.pause
    if pause is None or not pause.holds(case.now):
        return Gate(Reason.PAUSED, "no pause is in force", {"paused_until": None})
    what = f"{pause.scope} {pause.name}".strip()
    end = f"until {clock_time(pause.until, case.now)}" if pause.until else "until resumed"
    detail = f"{what} is paused {end} by {pause.actor}: {pause.comment}"
    saw = {
        "paused_until": stamp(pause.until),
        "scope": pause.scope.value,
        "name": pause.name,
        "actor": pause.actor,
        "comment": pause.comment,
        "since": stamp(pause.since),
    }
    return Gate(Reason.PAUSED, detail, saw, applies=True, until=pause.until)


def _in_flight(case: Case) -> Gate:
    latest = case.facts.latest
    if latest is None or not latest.live:
        detail = "nothing of this model is in flight"
        return Gate(Reason.IN_FLIGHT, detail, {"dispatch_id": None, "state": None})
    detail = _waiting(case, latest) if latest.is_waiting else _on_its_way(case, latest)
    saw = {"dispatch_id": latest.id, "state": latest.state.value, "run_id": latest.run_id}
    return Gate(Reason.IN_FLIGHT, detail, saw, applies=True)


def _on_its_way(case: Case, latest: LatestDispatch) -> str:
    """A first attempt waits since it was ordered; what was sent is as it is since then."""
    began = latest.created_at if latest.state is DispatchState.PENDING else latest.sent_at
    run = f" as run {latest.run_id}" if latest.run_id else ""
    since = f" since {clock_time(began, case.now)}" if began else ""
    running = latest.state is DispatchState.RUNNING
    note = note_in(latest.detail, latest.run_id) if running else ""
    return f"dispatch {latest.id} is {latest.state}{run}{since}{': ' if note else ''}{note}"


def _waiting(case: Case, latest: LatestDispatch) -> str:
    """Nothing runs, and why: what the target does, since when, and when it is asked again."""
    since = f" since {clock_time(latest.failing_since, case.now)}" if latest.failing_since else ""
    sending = latest.state is DispatchState.SENDING
    again = "now" if sending else f"at {clock_time(latest.due_at, case.now)}"
    ordered = clock_time(latest.created_at, case.now)
    return (
        f"dispatch {latest.id} is {latest.state}: ordered {ordered}; {trouble(latest.detail)}"
        f"{since}; tried again {again}: {latest.detail}"
    )


def _cooldown(case: Case) -> Gate:
    facts, observing = case.facts, case.ruling.mode is Mode.OBSERVE
    until = latest_of(
        facts.cooldown_until, facts.backoff_until, facts.observed_until if observing else None
    )
    applies = until is not None and case.now < until
    saw = {
        "cooldown_until": stamp(facts.cooldown_until),
        "backoff_until": stamp(facts.backoff_until),
        "observed_until": stamp(facts.observed_until),
        "mode": case.ruling.mode.value,
    }
    if until is None or not applies:
        return Gate(Reason.COOLDOWN, "no cooldown is left", saw)
    left = show_duration(until - case.now)
    detail = f"in cooldown for another {left}: {_cause(case, until)}"
    return Gate(Reason.COOLDOWN, detail, saw, applies=True, until=until)


def _cause(case: Case, until: datetime) -> str:
    facts, latest = case.facts, case.facts.latest
    if until not in {facts.cooldown_until, facts.backoff_until}:
        return "an observed trigger took it"
    if latest is None:
        return "an earlier run took it"
    run = f"run {latest.run_id}" if latest.run_id else f"dispatch {latest.id}"
    if facts.backoff_until == until:
        return f"the target refused dispatch {latest.id}; it is tried again then"
    if latest.ended_at is not None:
        return f"{run} ended at {clock_time(latest.ended_at, case.now)}"
    if latest.sent_at is not None:
        return f"{run} was sent at {clock_time(latest.sent_at, case.now)}"
    return f"dispatch {latest.id} is {latest.state}"


def _observed(case: Case) -> Gate:
    observing = case.ruling.mode is Mode.OBSERVE
    applies = observing or case.alert.is_test
    saw: dict[str, Scalar] = {"mode": case.ruling.mode.value, "retrain_test": case.alert.is_test}
    if not applies:
        return Gate(Reason.OBSERVED, "the policy acts", saw)
    why = f"policy {case.ruling.name} only observes" if observing else "it is a test alert"
    until = case.now + case.ruling.cooldown if observing else None
    detail = f"it would have triggered, but {why}"
    return Gate(Reason.OBSERVED, detail, saw, applies=True, until=until)


def _triggered(case: Case) -> Gate:
    detail = f"nothing holds it back: one run at {case.ruling.target} is ordered"
    return Gate(Reason.TRIGGERED, detail, {"target": case.ruling.target}, applies=True)


Rung: TypeAlias = Callable[[Case], Gate | None]

HOLDS: tuple[Rung, ...] = (
    _paused,
    _in_flight,
    _cooldown,
    believing.silenced,
    believing.unconfirmed,
    restraining.window,
    restraining.storm,
    restraining.exhausted,
    restraining.budget,
    restraining.approval,
    _observed,
    _triggered,
)
"""From `paused` on: what `explain` shows."""

LADDER: tuple[Rung, ...] = (_unmatched, _invalid, _resolved, _duplicate, _stale, *HOLDS)
"""For what a notification brings."""

TIMER_LADDER: tuple[Rung, ...] = (_unmatched, _invalid, *HOLDS)
"""For an alert of the firing set whose hold ended: its policy is found anew."""
