"""Tells a subscriber by a webhook: CloudEvents 1.0, signed as Standard Webhooks defines it."""

import json
from datetime import datetime
from pathlib import Path

from receiver.announcers.posting import post, read_secret_file
from receiver.core.announcements import Announcement, NotDelivered
from receiver.core.signatures import signature, signing_key
from receiver.core.times import stamp

TYPE = "io.retrain-receiver.{}.v1"
CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"


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
    ) -> None:
        self._url = url
        self._url_file = url_file
        self._secret_file = secret_file
        self._ca_file = ca_file
        self._source = source

    def send(self, announcement: Announcement, now: datetime) -> None:
        """POST it, signed at this moment: whoever gets it may refuse old signatures."""
        body = json.dumps(cloud_event(announcement, self._source)).encode()
        try:
            key = signing_key(read_secret_file(self._secret_file))
        except ValueError as error:
            raise NotDelivered(f"{str(self._secret_file)!r} {error}") from None
        seconds = int(now.timestamp())
        headers = {
            "Content-Type": CONTENT_TYPE,
            "webhook-id": announcement.id,
            "webhook-timestamp": str(seconds),
            "webhook-signature": signature(key, announcement.id, seconds, body),
        }
        url = self._url or read_secret_file(self._url_file)
        post(url, body, headers, ca_file=self._ca_file)


def cloud_event(announcement: Announcement, source: str) -> dict[str, object]:
    """An announcement in CloudEvents' JSON format."""
    return {
        "specversion": "1.0",
        "id": announcement.id,
        "source": source,
        "type": TYPE.format(announcement.kind.value),
        "subject": announcement.model,
        "time": stamp(announcement.at),
        "datacontenttype": "application/json",
        "data": {
            "kind": announcement.kind.value,
            "model": announcement.model,
            "policy": announcement.policy,
            **announcement.data,
        },
    }
