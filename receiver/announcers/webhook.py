"""Tells a subscriber by a webhook: CloudEvents 1.0, signed as Standard Webhooks defines it."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from receiver.announcers.act_links import LinkMaker, SentLink
from receiver.announcers.posting import post, read_secret_file
from receiver.core.announcements import Announcement, NotDelivered
from receiver.core.cloud_events import CONTENT_TYPE, cloud_event
from receiver.core.signatures import signed_headers, signing_key
from receiver.core.times import stamp


class WebhookAnnouncer:
    """Sends to one address, which may itself be a secret in a file."""

    def __init__(
        self,
        *,
        url: str | None,
        url_file: Path | None,
        secret_file: Path,
        ca_file: Path | None,
        source: str,
        act_links: LinkMaker | None = None,
    ) -> None:
        self._url = url
        self._url_file = url_file
        self._secret_file = secret_file
        self._ca_file = ca_file
        self._source = source
        self._act_links = act_links

    def send(self, announcement: Announcement, now: datetime) -> None:
        """POST it, signed at this moment: whoever gets it may refuse old signatures."""
        links = self._act_links.links(announcement, now) if self._act_links else ()
        body = json.dumps(event_of(announcement, self._source, links)).encode()
        try:
            key = signing_key(read_secret_file(self._secret_file))
        except ValueError as error:
            raise NotDelivered(f"{str(self._secret_file)!r} {error}") from None
        headers = {
            "Content-Type": CONTENT_TYPE,
            **signed_headers(key, announcement.id, now, body),
        }
        url = self._url or read_secret_file(self._url_file)
        post(url, body, headers, ca_file=self._ca_file)


def event_of(
    announcement: Announcement, source: str, links: Sequence[SentLink] = ()
) -> dict[str, object]:
    """An announcement in CloudEvents' JSON format."""
    kind = announcement.kind.value
    carried: Mapping[str, object] = {}
    if links:
        carried = {
            "act_links": [
                {"act": link.act.value, "url": link.url, "expires_at": stamp(link.expires_at)}
                for link in links
            ]
        }
    return cloud_event(
        event_id=announcement.id,
        source=source,
        kind=kind,
        subject=announcement.model,
        at=announcement.at,
        data={
            "kind": kind,
            "model": announcement.model,
            "policy": announcement.policy,
            **announcement.data,
            **carried,
        },
    )
