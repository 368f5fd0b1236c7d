"""The page's words for states and reasons, and how it shows strangers' text."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from receiver.core.durations import show_duration

LONGEST_LINK = 4096


class Sign(NamedTuple):
    """A word with an icon: colour alone says nothing to many people.

    Attributes:
        meaning: What it says in a sentence, for whoever does not know the word: beside the chip,
            and on the page of the words.

    """

    icon: str
    words: str
    meaning: str = ""


STATES: Mapping[str, Sign] = {
    "attention": Sign("!", "Needs you", "A human must answer or look before it can go on."),
    "waiting": Sign(
        "↻", "Waits for its target", "A run was ordered; its target started nothing yet."
    ),
    "running": Sign("▶", "Retraining", "A run goes on, or may: it is being sent or looked up."),
    "paused": Sign("Ⅱ", "Paused", "An operator holds it back; what fires is not forgotten."),
    "held": Sign("◷", "Fires, held", "An alert fires; a rung holds the run back for now."),
    "firing": Sign("●", "Fires", "An alert fires, and is decided within a minute."),
    "quiet": Sign("✓", "Quiet", "No alert of it fires."),
}

MODES: Mapping[str, Sign] = {
    "auto": Sign("▶", "retrains by itself"),
    "approve": Sign("?", "asks first"),
    "observe": Sign("◌", "only observes"),
}

DISPATCH_STATES: Mapping[str, Sign] = {
    "pending": Sign("…", "waits to be sent", "Stored, and sent or tried again at its time."),
    "sending": Sign("→", "is being sent", "Its target is being asked to start the run."),
    "unknown": Sign("?", "is being looked up", "The run may exist: it is looked for by its id."),
    "running": Sign("▶", "runs", "Its target runs it, and it is followed to its end."),
    "succeeded": Sign("✓", "succeeded", "The run ended well; its effect is another matter."),
    "failed": Sign("✗", "failed", "The run ended badly at its target."),
    "cancelled": Sign("⊘", "was cancelled", "The run was ended or skipped at its target."),
    "refused": Sign("✗", "was refused", "Its target said no for good: no run was started."),
    "parked": Sign("!", "is parked", "Whether it ran is not known: a human looks."),
    "superseded": Sign("↷", "was superseded", "It was not needed any more before it was sent."),
    "abandoned": Sign("⊘", "was abandoned", "An operator gave it up here."),
}

EFFECTS: Mapping[str, Sign] = {
    "recovered": Sign("✓", "the model recovered"),
    "no_effect": Sign("✗", "no effect"),
    "rejected": Sign("✗", "rejected by the run itself"),
    "settling": Sign("…", "settling"),
    "unknown": Sign("?", "nobody knows: its alert was not confirmed since"),
    "unclear": Sign("?", "nothing fired at its end"),
    "failed": Sign("✗", "failed"),
    "cancelled": Sign("⊘", "cancelled"),
}

HOLDS: Mapping[str, Sign] = {
    "paused": Sign("Ⅱ", "paused"),
    "silenced": Sign("∅", "silenced"),
}

OUTCOMES: Mapping[str, Sign] = {
    "trigger": Sign("▶", "a run was ordered"),
    "hold": Sign("◷", "held for now"),
    "skip": Sign("·", "nothing to do"),
    "note": Sign("✎", "noted"),
}


ORIGINS: Mapping[str, str] = {
    "alertmanager": "an alert",
    "poll": "an alert that was asked for",
    "timer": "an alert, when its hold ended",
    "operator": "an operator",
}
"""Who ordered a run, by the source of the decision."""


def sign(signs: Mapping[str, Sign], word: str) -> Sign:
    """The sign of a word; one that is newer than this page speaks for itself."""
    return signs.get(word) or Sign("•", plain(word))


def plain(word: str) -> str:
    """`in_flight` as people say it."""
    return word.replace("_", " ")


def visible(value: object) -> str:
    """Strangers' text with what a browser would obey (bidi) or swallow (controls) made visible.

    Line ends and tabs stay: the page shows them as they are meant.
    """
    return "".join(
        each
        if each.isprintable() or each in "\n\t"
        else each.encode("unicode_escape").decode("ascii")
        for each in str(value)
    )


def web_link(url: object) -> str | None:
    """A stranger's URL if it is one that a browser may follow: http or https, whole and plain."""
    if not isinstance(url, str) or len(url) > LONGEST_LINK or not url.isprintable():
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in {"http", "https"} and parts.netloc and " " not in url else None


def number(value: float | None) -> str:
    """A measured value, as short as it can be read."""
    return "no value" if value is None else f"{value:.4g}"


def ago(moment: datetime, now: datetime) -> str:
    """How far away a moment is: `3h12m ago`, `in 40m`."""
    if abs((now - moment).total_seconds()) < 1:
        return "now"
    span = show_duration(abs(now - moment))
    return f"{span} ago" if moment < now else f"in {span}"


def clock(moment: datetime, now: datetime) -> str:
    """The time of day in UTC, with the date unless it is today's."""
    form = "%H:%M" if moment.date() == now.date() else "%d %b %H:%M"
    if moment.year != now.year:
        form = "%Y-%m-%d %H:%M"
    return moment.strftime(form)


def segment(name: str) -> str:
    """A name as one segment of an address, whatever it holds: Jinja's own filter leaves `/`."""
    return quote(name, safe="")


def pretty(value: object) -> str:
    """JSON for people."""
    return json.dumps(value, indent=2, ensure_ascii=False)
