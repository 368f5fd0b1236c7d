"""What Slack and Teams have in common: one POST to the address of a channel, kept in a file."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from receiver.announcers.act_links import LinkMaker, SentLink
from receiver.announcers.posting import post, read_secret_file
from receiver.core.announcements import Announcement


class ChatAnnouncer(ABC):
    """Sends to the channel that the address in a file belongs to."""

    def __init__(
        self,
        *,
        url_file: Path | None,
        external_url: str | None,
        act_links: LinkMaker | None = None,
    ) -> None:
        self._url_file = url_file
        self._external_url = external_url
        self._act_links = act_links

    def send(self, announcement: Announcement, now: datetime) -> None:
        """POST it as text in which the channel looks for no formatting, link or mention."""
        links = self._act_links.links(announcement, now) if self._act_links else ()
        body = self._body(announcement, self._external_url, links)
        post(read_secret_file(self._url_file), body, {"Content-Type": "application/json"})

    @abstractmethod
    def _body(
        self, announcement: Announcement, external_url: str | None, links: Sequence[SentLink]
    ) -> bytes:
        """The message as this kind of channel takes it."""
