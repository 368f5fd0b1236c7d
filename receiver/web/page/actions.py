"""The actions offered to an operator, each with its consequence now."""

from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import quote

from receiver.core.dispatches import ATTENTION, LIVE, Dispatch, DispatchState
from receiver.core.durations import show_duration
from receiver.core.explaining import explain
from receiver.core.models import Pause, PauseScope
from receiver.core.times import clock_time
from receiver.web.page.overview import Close
from receiver.web.page.policies_page import Wide


@dataclass(frozen=True, slots=True)
class Offer:
    """One act.

    Attributes:
        action: Where the form goes.
        back: Where its result is shown.
        consequences: One sentence each.
        blocked: Why it can't be done now; None if it can.
        lengths: Whether it is asked how long.
        leaves: Whether the page that it was called from is gone afterwards.

    """

    title: str
    button: str
    action: str
    back: str
    consequences: tuple[str, ...] = ()
    blocked: str | None = None
    lengths: bool = False
    leaves: bool = False


def retrain(close: Close) -> Offer:
    """Order one run now."""
    it, name = close.it, close.it.model.name
    policy = close.policy_set.policy(it.model.policy)
    offer = _about_model(name, f"Retrain {name} now", "Order one run", "retrain")
    if policy is None:
        return replace(offer, blocked=it.explained.detail)
    if it.model.in_flight and it.model.latest is not None:
        latest = it.model.latest
        return replace(offer, blocked=f"dispatch {latest.id} is {latest.state}: one at a time")
    overruled = [gate.detail for gate in it.explained.gates if gate.applies]
    return replace(
        offer,
        consequences=(
            f"One run at {policy.target} is ordered now.",
            *(f"It goes past this: {detail}." for detail in overruled),
            (
                f"After it the model is in cooldown for {show_duration(policy.cooldown)} from the "
                f"send, and at least {show_duration(policy.settle)} from the run's end."
            ),
        ),
    )


def pause(close: Close) -> Offer:
    """Hold one model back."""
    name = close.it.model.name
    offer = _about_model(name, f"Pause {name}", "Pause", "pause")
    return replace(offer, lengths=True, consequences=_pausing(f"of {name}"))


def resume(close: Close) -> Offer:
    """Lift a model's pause."""
    it, name = close.it, close.it.model.name
    others = [p for p in close.pauses if (p.scope, p.name) != (PauseScope.MODEL, name)]
    then = explain(
        it.model,
        it.alerts,
        others,
        close.policy_set,
        close.now,
        restraints=it.restraints,
        belief=it.belief,
    )
    offer = _about_model(name, f"Resume {name}", "Resume", "resume")
    return replace(offer, consequences=(f"Then: {then.detail}.",))


def forget(close: Close) -> Offer:
    """Forget a model that is no more."""
    it, name = close.it, close.it.model.name
    offer = _about_model(name, f"Forget {name}", "Forget", "forget")
    latest = it.model.latest
    if it.alerts:
        return replace(offer, blocked="an alert of it still fires")
    if latest is not None and (latest.live or latest.state is DispatchState.PARKED):
        return replace(offer, blocked=f"dispatch {latest.id} is {latest.state}")
    return replace(
        offer,
        back="/",
        leaves=True,
        consequences=(
            "It is gone from every list, with its pause and its cooldown.",
            "The log and its dispatches stay as long as retention keeps them.",
            "An alert that names it makes it known again, and starts anew.",
        ),
    )


def approve(close: Close) -> Offer:
    """Say yes to what a rung asks."""
    offer = _answering(close, "Approve", "approve")
    return replace(
        offer,
        consequences=(
            f"It asks: {close.it.explained.detail}.",
            "One run is ordered as soon as nothing else holds the model.",
        ),
    )


def reject(close: Close) -> Offer:
    """Say no to what a rung asks."""
    offer = _answering(close, "Reject", "reject")
    return replace(
        offer,
        consequences=(
            f"It asks: {close.it.explained.detail}.",
            "No alert and no timer starts a run until this episode is over.",
            "An operator can still order one.",
        ),
    )


def _answering(close: Close, button: str, act: str) -> Offer:
    name = close.it.model.name
    offer = _about_model(name, f"{button} a run of {name}", button, act)
    if close.it.asked is None:
        return replace(offer, blocked="nothing is asked about it; an operator can retrain it")
    return offer


def pause_many(wide: Wide) -> Offer:
    """Hold back a policy, or everything."""
    offer = _about_many(wide, "Pause", "pause")
    whose = f"by policy {wide.name}" if wide.name else "of any model"
    replaced: tuple[str, ...] = ()
    if wide.pause is not None:
        replaced = (f"It takes the place of this pause: {_shown(wide.pause, wide.now)}.",)
    fires = (_models(wide.firing, "fires", "fire") + " now.",) if wide.firing else ()
    return replace(offer, lengths=True, consequences=(*replaced, *_pausing(whose), *fires))


def resume_many(wide: Wide) -> Offer:
    """Lift the pause of a policy, or of everything."""
    offer = _about_many(wide, "Resume", "resume")
    if wide.pause is None:
        return replace(offer, blocked="it is not paused")
    stormed: tuple[str, ...] = ()
    if wide.stormed:
        held = _models(wide.stormed, "is", "are")
        stormed = (f"{held} still held by a storm: Release lets them go.",)
    return replace(
        offer,
        consequences=(
            f"It ends this pause: {_shown(wide.pause, wide.now)}.",
            "Every alert that still fires is decided at once; other pauses stay.",
            *stormed,
        ),
    )


def release_many(wide: Wide) -> Offer:
    """Let the models go that a storm of a policy holds, or of any."""
    offer = _about_many(wide, "Release", "release")
    if not wide.stormed:
        return replace(offer, blocked="no storm holds its models")
    held = _models(wide.stormed, "that a storm holds is", "that a storm holds are")
    runs = "1 run" if wide.stormed == 1 else f"{wide.stormed} runs"
    return replace(
        offer,
        consequences=(
            f"{held} released.",
            f"That may order up to {runs}; pauses, cooldowns and budgets hold as before.",
        ),
    )


def reject_many(wide: Wide) -> Offer:
    """Say no to all that a policy's rungs ask."""
    offer = _about_many(wide, "Reject all of", "reject")
    if not wide.asking:
        return replace(offer, blocked="nothing is asked about a model of this policy")
    return replace(
        offer,
        button="Reject all",
        consequences=(
            f"{_models(wide.asking, 'asks', 'ask')} now; all of them are answered no.",
            "No alert and no timer starts a run of them until their episode is over.",
            "An operator can still order one.",
        ),
    )


def _about_many(wide: Wide, button: str, act: str) -> Offer:
    what = f"policy {wide.name}" if wide.name else "everything"
    query = f"?policy={quote(wide.name, safe='')}" if wide.name else ""
    action = f"/ui/acts/{act}{query}"
    return Offer(title=f"{button} {what}", button=button, action=action, back="/ui/policies")


def _shown(pause: Pause, now: datetime) -> str:
    end = f"until {clock_time(pause.until, now)}" if pause.until else "until resumed"
    return f"{end} by {pause.actor}: {pause.comment}"


def _models(count: int, one: str, many: str) -> str:
    return f"1 model {one}" if count == 1 else f"{count} models {many}"


def retry(row: Dispatch) -> Offer:
    """Look for the run of a dispatch once more, else send it again."""
    state = row.state
    blocked = None if state in ATTENTION else f"it is {state}: only what waits for you is retried"
    return replace(
        _about_dispatch(row, "Retry", "retry"),
        blocked=blocked,
        consequences=(
            f"{row.target} is asked first whether a run of this dispatch is there.",
            "Only if none is, it is sent once more.",
            f"It is {state}: {row.detail}",
        ),
    )


def abandon(row: Dispatch) -> Offer:
    """Give a dispatch up on our side."""
    state = row.state
    blocked = None if state in LIVE | ATTENTION else f"it has ended: it is {state}"
    return replace(
        _about_dispatch(row, "Abandon", "abandon"),
        blocked=blocked,
        consequences=(
            f"We stop looking after it. {row.target} is not told.",
            "A run that goes on there is not stopped.",
            "The cooldown that it took stays.",
        ),
    )


def _pausing(whose: str) -> tuple[str, ...]:
    return (
        (
            f"Until it ends no alert and no timer starts a run {whose}; all is still decided and "
            "recorded."
        ),
        "What is ordered but not sent yet waits; a run that goes on is not stopped.",
        "An operator can still order a run.",
        "When it ends, what still fires is decided at once.",
    )


def _about_model(name: str, title: str, button: str, act: str) -> Offer:
    back = f"/ui/models/{quote(name, safe='')}"
    return Offer(title=title, button=button, action=f"{back}/{act}", back=back)


def _about_dispatch(row: Dispatch, button: str, act: str) -> Offer:
    back = f"/ui/dispatches/{quote(row.id, safe='')}"
    title = f"{button} the dispatch of {row.model}"
    return Offer(title=title, button=button, action=f"{back}/{act}", back=back)
