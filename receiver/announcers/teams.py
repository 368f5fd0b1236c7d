"""Tells a channel of Teams: an Adaptive Card, posted to a workflow that waits for a request."""

import json
import re
from collections.abc import Sequence
from typing import Any

from receiver.announcers.act_links import SentLink
from receiver.announcers.buttons import TITLES, about, buttons_of
from receiver.announcers.chat import ChatAnnouncer
from receiver.core.announcements import Announcement

CARD = "application/vnd.microsoft.card.adaptive"

LONGEST_TEXT = 1500
"""Teams takes 28 KB in a message, buttons included; a character has up to six bytes."""

DOUBLED = re.compile(r"\{(?=\{)")


class TeamsAnnouncer(ChatAnnouncer):
    """Sends to the channel that a workflow of Teams posts to."""

    def _body(
        self, announcement: Announcement, external_url: str | None, links: Sequence[SentLink]
    ) -> bytes:
        card = message(announcement, external_url, links)
        return json.dumps(card, ensure_ascii=False).encode(errors="replace")


def message(
    announcement: Announcement, external_url: str | None, links: Sequence[SentLink] = ()
) -> dict[str, Any]:
    """What Teams shows: a sentence, the detail, and buttons with links of ours."""
    title = TITLES[announcement.kind].format(announcement.model)
    detail = str(announcement.data.get("detail") or "")
    body = [plain(title, weight="Bolder", size="Medium")]
    body += [plain(detail)] if detail else []
    body.append(plain(about(announcement, links), isSubtle=True))
    actions = [
        {"type": "Action.OpenUrl", "title": button.words, "url": button.url}
        for button in buttons_of(announcement, external_url, links)
    ]
    content = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "actions": actions,
        "msteams": {"width": "Full"},
    }
    return {"type": "message", "attachments": [{"contentType": CARD, "content": content}]}


def plain(text: str, **style: str | bool) -> dict[str, Any]:
    """A text in which nothing is Markdown: that is read in a `TextBlock`, never in a `TextRun`.

    `{{DATE(…)}}` alone has a meaning everywhere; a space takes it away.
    """
    short = text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"
    run = {"type": "TextRun", "text": DOUBLED.sub("{ ", short), **style}
    return {"type": "RichTextBlock", "inlines": [run]}
