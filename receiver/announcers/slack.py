"""Tells a channel of Slack, through an incoming webhook."""

import json
from collections.abc import Sequence
from typing import Any

from receiver.announcers.act_links import SentLink
from receiver.announcers.buttons import TITLES, about, buttons_of
from receiver.announcers.chat import ChatAnnouncer
from receiver.core.announcements import Announcement

LONGEST_TEXT = 590
"""Slack takes 3,000 characters in a section, and each may become five."""


class SlackAnnouncer(ChatAnnouncer):
    """Sends to a channel of Slack."""

    def _body(
        self, announcement: Announcement, external_url: str | None, links: Sequence[SentLink]
    ) -> bytes:
        return json.dumps(message(announcement, external_url, links)).encode()


def message(
    announcement: Announcement, external_url: str | None, links: Sequence[SentLink] = ()
) -> dict[str, Any]:
    """What Slack shows: a sentence, the detail, and buttons with links of ours."""
    title = TITLES[announcement.kind].format(announcement.model)
    detail = str(announcement.data.get("detail") or "")
    text = escaped("\n".join(filter(None, [title, detail, about(announcement, links)])))
    section = {"type": "section", "text": plain(text)}
    buttons = [
        {"type": "button", "text": plain(button.words), "url": button.url}
        for button in buttons_of(announcement, external_url, links)
    ]
    blocks = [section, *([{"type": "actions", "elements": buttons}] if buttons else [])]
    return {"text": escaped(title), "blocks": blocks}


def escaped(text: str) -> str:
    """Strangers' text without Slack's control characters: no mention, no link, no formatting."""
    short = text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"
    return short.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def plain(text: str) -> dict[str, Any]:
    """A text in which Slack looks for no formatting."""
    return {"type": "plain_text", "text": text, "emoji": False}
