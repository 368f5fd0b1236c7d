"""The buttons below a message in a chat: answers to what it asks, and where to look."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from receiver.announcers.act_links import SentLink
from receiver.core.act_links import LinkAct
from receiver.core.announcements import Announcement, Kind
from receiver.core.times import stamp

TITLES: Mapping[Kind, str] = {
    Kind.TRIGGERED: "Retraining {} was ordered",
    Kind.PARKED: "A run of {} needs you: its dispatch is parked",
    Kind.REFUSED: "A run of {} was refused by its target",
    Kind.APPROVAL: "{} waits for your approval",
    Kind.EXHAUSTED: "Retraining does not help {}: a human must look",
    Kind.TARGET_FAILING: "The target of {} fails: nothing is started there",
    Kind.RECOVERED: "{} has recovered",
}

ANSWERS: Mapping[LinkAct, str] = {
    LinkAct.APPROVE: "Approve …",
    LinkAct.REJECT: "Reject …",
    LinkAct.RELEASE: "Release the storm …",
}
"""With dots, for a page asks once more."""

LONGEST_ADDRESS = 2000
"""Slack takes 3,000 characters; a whole card of Teams has 28 KB."""


@dataclass(frozen=True, slots=True)
class Button:
    """A link with its words."""

    words: str
    url: str


def buttons_of(
    announcement: Announcement, external_url: str | None, links: Sequence[SentLink]
) -> list[Button]:
    """The answers first, then the run and the model."""
    found = [Button(ANSWERS[link.act], link.url) for link in links]
    run_url = announcement.data.get("run_url")
    if isinstance(run_url, str) and run_url.startswith(("https://", "http://")):
        found.append(Button("The run", run_url))
    if external_url:
        page = f"{external_url}/ui/models/{quote(announcement.model, safe='')}"
        found.append(Button("The model", page))
    return [button for button in found if len(button.url) <= LONGEST_ADDRESS]


def about(announcement: Announcement, links: Sequence[SentLink]) -> str:
    """The last line: whose it is, since when, and how long its answers work."""
    line = f"policy {announcement.policy}, {stamp(announcement.at)}"
    if not links:
        return line
    until = links[0].expires_at.strftime("%Y-%m-%d %H:%M UTC")
    return f"{line}; one answer, until {until}, by whoever reads this"
