"""The optional rungs between `cooldown` and `observed`; a policy without the keys skips one."""

from dataclasses import replace
from datetime import datetime

from receiver.core.approvals import Approval
from receiver.core.budgets import own_end
from receiver.core.cases import Case
from receiver.core.decisions import Gate, Reason, Scalar
from receiver.core.durations import show_duration
from receiver.core.models import latest_of
from receiver.core.policies import Mode
from receiver.core.restraints import Restraints
from receiver.core.storms import Storm
from receiver.core.times import clock_time, stamp


def window(case: Case) -> Gate | None:
    """Allowed hours by weekday and time zone."""
    hours, known = case.ruling.window, case.facts.restraints
    if hours is None or known is None:
        return None
    saw: dict[str, Scalar] = {"hours": str(hours)}
    if hours.is_open(case.now):
        return Gate(Reason.WINDOW, f"runs may start now: {hours}", {**saw, "opens_at": None})
    opens_at = hours.opens_at(case.now)
    detail = f"runs may start {hours}: that begins at {clock_time(opens_at, case.now)}"
    saw["opens_at"] = stamp(opens_at)
    return Gate(Reason.WINDOW, detail, saw, applies=True, until=opens_at)


def storm(case: Case) -> Gate | None:
    """Many models begin to fire together: suspect their data first."""
    settings, known = case.ruling.storm, case.facts.restraints
    if settings is None or known is None or case.alert.is_test:
        return None
    began = known.episode_started_at or case.now
    saw: dict[str, Scalar] = {
        "episode_started_at": stamp(began),
        "released_at": stamp(known.released_at),
        "models": settings.models,
        "gathered": known.gathering.count,
        "calm_at": stamp(known.gathering.calm_at),
        "within_seconds": settings.within.total_seconds(),
        "wait_seconds": settings.wait.total_seconds(),
        "calm_seconds": settings.calm.total_seconds(),
        **_answer(known),
    }
    if known.released_at is not None and began <= known.released_at:
        when = clock_time(known.released_at, case.now)
        detail = f"the models that fired by {when} were released"
        return Gate(Reason.STORM, detail, {**saw, "asks": False})
    seen_at = began + settings.wait
    if case.now < seen_at:
        detail = f"at {clock_time(seen_at, case.now)} it is seen whether many models fire together"
        return Gate(Reason.STORM, detail, {**saw, "asks": False}, applies=True, until=seen_at)
    return _gathered(case, settings, known, saw)


def _gathered(case: Case, settings: Storm, known: Restraints, saw: dict[str, Scalar]) -> Gate:
    many, count = known.gathering, known.gathering.count
    within, policy = show_duration(settings.within), case.ruling.name
    detail = f"{count} of at most {settings.models} models of policy {policy} fire together"
    if count > settings.models:
        calm = f" (calm at {clock_time(many.calm_at, case.now)})" if many.calm_at else ""
        detail = (
            f"{count} models of policy {policy} began to fire within {within} of each other, more "
            f"than {settings.models}{calm}: suspect the data; release the policy to let all of "
            f"them go; {_asked(known)}"
        )
    holds = count > settings.models
    return _asking(Reason.STORM, detail, saw, known, applies=holds, until=many.calm_at)


def exhausted(case: Case) -> Gate | None:
    """Retrained so often in this episode, and it still fires: a human must look."""
    attempts, known = case.ruling.attempts, case.facts.restraints
    if attempts is None or known is None:
        return None
    runs = known.runs
    spent = runs.count >= attempts
    times = "once" if runs.count == 1 else f"{runs.count} times"
    since = clock_time(known.episode_started_at, case.now)
    detail = f"{runs.count} of {attempts} runs of this episode are used"
    if spent:
        detail = f"retrained {times} since {since} ({runs.without_effect} ended well, without "
        detail += f"effect) and it still fires: {_asked(known)}"
    saw = {
        "runs": runs.count,
        "without_effect": runs.without_effect,
        "attempts": attempts,
        "episode_started_at": stamp(known.episode_started_at),
        **_answer(known),
    }
    return _asking(Reason.EXHAUSTED, detail, saw, known, applies=spent)


def budget(case: Case) -> Gate | None:
    """Limits of runs or money; a spent one may ask a human."""
    known = case.facts.restraints
    if not case.ruling.limits or known is None:
        return None
    over = [usage for usage in known.spent if usage.is_spent]
    saw: dict[str, Scalar] = {}
    for usage in known.spent:
        saw[str(usage.limit)] = usage.used
        saw[f"{usage.limit}: free at"] = stamp(usage.frees_at)
    saw |= _answer(known)
    if not over:
        fullest = max(known.spent, key=lambda usage: usage.share, default="no limit counts it")
        return Gate(Reason.BUDGET, f"there is room: {fullest}", {**saw, "asks": False})
    used = ", ".join(str(usage) for usage in over)
    ends = [usage.frees_at for usage in over]
    until = None if None in ends else latest_of(*ends)
    free = f"at {clock_time(until, case.now)}" if until else "when a run ends"
    detail = f"the budget is used up: {used}; there is room again {free}"
    if all(usage.limit.asks for usage in over):
        detail += f", or now: {_asked(known)}"
        gate = _asking(Reason.BUDGET, detail, saw, known, applies=True, until=until)
    else:
        gate = Gate(Reason.BUDGET, detail, {**saw, "asks": False}, applies=True, until=until)
    return replace(gate, own_end=own_end(known.spent) if gate.applies else None)


def approval(case: Case) -> Gate | None:
    """Ask a human before each run; a rejection holds until the episode ends."""
    policy, known = case.ruling, case.facts.restraints
    if known is None or case.alert.is_test:
        return None
    if policy.mode is not Mode.APPROVE and not known.rejected:
        return None
    given = known.approval
    saw: dict[str, Scalar] = {
        "mode": policy.mode.value,
        "expiry_seconds": policy.approval_expiry.total_seconds(),
        **_answer(known),
    }
    if given is not None and given.approved is not None:
        length = "" if given.approved else " until the episode ends"
        detail = f"{given.answer} by {given.actor}{length}: {given.comment}"
        return _asking(Reason.APPROVAL, detail, saw, known, applies=True)
    open_ = given is not None and given.rung == Reason.APPROVAL.value
    until = given.expires_at if given and open_ else case.now + policy.approval_expiry
    end = clock_time(until, case.now)
    detail = f"policy {policy.name} asks before each run: approve or reject it before {end}"
    saw["asks"] = True
    return Gate(Reason.APPROVAL, detail, saw, applies=True, until=until, asks=True)


def _asking(
    rung: Reason,
    detail: str,
    saw: dict[str, Scalar],
    known: Restraints,
    *,
    applies: bool,
    until: datetime | None = None,
) -> Gate:
    """A gate that an approval opens; it asks unless a human has answered."""
    holds = applies and not known.approved
    asks = holds and not known.rejected
    until = until if holds else None
    return Gate(rung, detail, {**saw, "asks": asks}, applies=holds, until=until, asks=asks)


def _asked(known: Restraints) -> str:
    """What a human said to one more run, or can say."""
    given = known.approval
    if given is None or given.approved is None:
        return "a human must look; approve one more run, or reject it"
    return f"{given.actor} {given.answer} one more run: {given.comment}"


def _answer(known: Restraints) -> dict[str, Scalar]:
    given: Approval | None = known.approval
    if given is None:
        return {"asked_at": None, "asked_by": None, "expires_at": None, "answer": None}
    return {
        "asked_at": stamp(given.asked_at),
        "asked_by": given.rung,
        "expires_at": stamp(given.expires_at),
        "answer": given.answer,
        "actor": given.actor,
        "comment": given.comment,
    }
