"""Tells a channel of Slack, through an incoming webhook."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from receiver.announcers.posting import post, read_secret_file
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

LONGEST_TEXT = 590
"""Slack takes 3,000 characters in a section, and each may become five."""


class SlackAnnouncer:
    """Sends to the channel that the address in a file belongs to."""

    def __init__(self, *, url_file: Path | None, external_url: str | None) -> None:
        self._url_file = url_file
        self._external_url = external_url

    def send(self, announcement: Announcement, now: datetime) -> None:  # noqa: ARG002  the port's
        """POST it as plain text, so that nothing in it is formatting, a link or a mention."""
        body = json.dumps(message(announcement, self._external_url)).encode()
        post(read_secret_file(self._url_file), body, {"Content-Type": "application/json"})


def message(announcement: Announcement, external_url: str | None) -> dict[str, Any]:
    """What Slack shows: a sentence, the detail, and buttons with links of ours."""
    title = TITLES[announcement.kind].format(announcement.model)
    detail = str(announcement.data.get("detail") or "")
    about = f"policy {announcement.policy}, {stamp(announcement.at)}"
    text = escaped("\n".join(filter(None, [title, detail, about])))
    section = {"type": "section", "text": plain(text)}
    links = _links(announcement, external_url)
    buttons = [{"type": "button", "text": plain(name), "url": url} for name, url in links]
    blocks = [section, *([{"type": "actions", "elements": buttons}] if buttons else [])]
    return {"text": escaped(title), "blocks": blocks}


def escaped(text: str) -> str:
    """Strangers' text without Slack's control characters: no mention, no link, no formatting."""
    short = text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"
    return short.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def plain(text: str) -> dict[str, Any]:
    """A text in which Slack looks for no formatting."""
    return {"type": "plain_text", "text": text, "emoji": False}


def _links(announcement: Announcement, external_url: str | None) -> list[tuple[str, str]]:
    run_url = announcement.data.get("run_url")
    found = []
    if isinstance(run_url, str) and run_url.startswith(("https://", "http://")):
        found.append(("The run", run_url))
    if external_url:
        page = f"{external_url}/ui/models/{quote(announcement.model, safe='')}"
        found.append(("The model", page))
    return found
