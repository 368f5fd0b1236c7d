"""Makes the links of a message that asks something, at the moment it is sent."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from receiver.core.act_links import LinkAct, links_in, seal
from receiver.core.announcements import Announcement
from receiver.core.signatures import signing_key
from receiver.secret_files import read_secret
from receiver.telemetry import log

PATH = "/ui/act/"


@dataclass(frozen=True, slots=True)
class SentLink:
    """One link as a message carries it."""

    act: LinkAct
    url: str
    expires_at: datetime


class LinkMaker:
    """Signs a subscriber's links with the secret that its file holds at that moment."""

    def __init__(self, *, secret_file: Path, life: timedelta, external_url: str) -> None:
        self._secret_file = secret_file
        self._life = life
        self._external_url = external_url

    def links(self, announcement: Announcement, now: datetime) -> tuple[SentLink, ...]:
        """The links that still work; without its secret a message is told all the same."""
        links = [one for one in links_in(announcement, self._life) if now < one.expires_at]
        if not links:
            return ()
        try:
            key = signing_key(read_secret(self._secret_file))
        except ValueError as error:
            log().warning(
                "act_links_left_out", subscriber=announcement.subscriber, detail=str(error)
            )
            return ()
        address = f"{self._external_url}{PATH}"
        return tuple(SentLink(one.act, address + seal(key, one), one.expires_at) for one in links)
