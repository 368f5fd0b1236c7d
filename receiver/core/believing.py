"""The rungs that doubt an alert: there only where sources can be asked about it."""

from receiver.core.cases import Case
from receiver.core.decisions import Gate, Reason, Scalar
from receiver.core.durations import show_duration
from receiver.core.policies import WhenSilenced, shown
from receiver.core.sightings import HUMAN_AFTER, Belief, is_between
from receiver.core.sources import Hush, Quiet
from receiver.core.times import clock_time, stamp


def silenced(case: Case) -> Gate | None:
    """Alertmanager keeps the alert to itself now: somebody said "don't act"."""
    belief = case.facts.belief
    if belief is None:
        return None
    quiet, acts = belief.consensus.quiet, case.ruling.silenced is WhenSilenced.ACT
    saw: dict[str, Scalar] = {"silenced": case.ruling.silenced.value, **_saw(quiet)}
    if quiet is None or not quiet.holds(case.now):
        return Gate(Reason.SILENCED, "no source says that it is silenced or muted", saw)
    detail = _words(case, quiet)
    if acts:
        detail += f"; policy {case.ruling.name} acts all the same"
    return Gate(Reason.SILENCED, detail, saw, applies=not acts, until=quiet.ends_at)


def _words(case: Case, quiet: Quiet) -> str:
    if quiet.how is Hush.MUTED:
        return f"it is muted by the time interval {shown(quiet.id)} of its route in Alertmanager"
    by = f" by {shown(quiet.author)}" if quiet.author else ""
    end = f" until {clock_time(quiet.ends_at, case.now)}" if quiet.ends_at else ""
    why = f": {shown(quiet.comment, 200)}" if quiet.comment else ""
    return f"it is silenced in Alertmanager{by}{end} (silence {shown(quiet.id)}){why}"


def _saw(quiet: Quiet | None) -> dict[str, Scalar]:
    if quiet is None:
        return {"how": None, "id": None, "author": None, "comment": None, "ends_at": None}
    return {
        "how": quiet.how.value,
        "id": quiet.id,
        "author": quiet.author,
        "comment": quiet.comment,
        "ends_at": stamp(quiet.ends_at),
    }


def unconfirmed(case: Case) -> Gate | None:
    """Nobody has said lately that the alert still fires: a wrong yes burns money."""
    belief = case.facts.belief
    if belief is None:
        return None
    doubt = _doubt(case, belief)
    since = min(belief.held_since or case.now, case.now)
    waits = case.now < since + HUMAN_AFTER
    saw: dict[str, Scalar] = {
        "confirmed_at": stamp(belief.confirmed_at),
        "confirmed_by": belief.confirmed_by,
        "confirm_within_seconds": belief.confirm_within.total_seconds(),
        "listed_by": ", ".join(belief.consensus.listed_by),
        "missed_by": ", ".join(belief.consensus.missed_by),
        "missed_since": stamp(belief.consensus.missed_since),
        "held_since": stamp(belief.held_since),
        "asks": doubt is not None and not waits,
    }
    if doubt is None:
        ago = show_duration(abs(case.now - belief.confirmed_at))
        detail = f"{belief.confirmed_by} said {ago} ago that it fires"
        return Gate(Reason.UNCONFIRMED, detail, saw)
    until = since + HUMAN_AFTER if waits else None
    asked = "the sources are asked now"
    if not waits:
        asked = (
            f"that has held it since {clock_time(since, case.now)}: a human must look at the "
            "sources, or order a run with retrain"
        )
    return Gate(
        Reason.UNCONFIRMED, f"{doubt}; {asked}", saw, applies=True, until=until, asks=not waits
    )


def _doubt(case: Case, belief: Belief) -> str | None:
    """Why the alert is not believed, None if it is."""
    consensus, heard = belief.consensus, belief.confirmed_at
    missed = consensus.missed_since
    if missed is not None and not is_between(missed, heard, case.now):
        names, when = ", ".join(consensus.missed_by), clock_time(missed, case.now)
        return f"since {when} {names} does not list it any more"
    # Either side of it: a clock that went back says nothing about the alert.
    age = abs(case.now - heard)
    if age >= belief.confirm_within:
        never = "" if consensus.listed_by or consensus.missed_by else "; no source ever listed it"
        return (
            f"{belief.confirmed_by} said last {show_duration(age)} ago that it fires, longer ago "
            f"than {show_duration(belief.confirm_within)}{never}"
        )
    quiet = consensus.quiet
    if quiet is not None and not quiet.holds(case.now) and _respected(case):
        return f"its silence ended at {clock_time(quiet.ends_at, case.now)}, and may go on"
    return None


def _respected(case: Case) -> bool:
    return case.ruling.silenced is WhenSilenced.HOLD
