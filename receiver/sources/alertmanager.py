"""Asks Alertmanager's API which alerts fire for our receiver, and who silenced them."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from sys import intern
from typing import Any
from urllib.parse import urlencode

from receiver.core.fingerprints import fingerprint_of
from receiver.core.numbers import numbers_of
from receiver.core.policies import shown
from receiver.core.sources import Hush, Listed, Listing, Quiet, SourceDown
from receiver.core.times import parse_time
from receiver.sources.fetching import Fetch
from receiver.sources.reading import NotAnArray, entries, read_object

MOST_ALERTS = 50_000
"""As many as a notification may have."""

LONGEST_TEXT = 500
"""So much is kept of what a person wrote about a silence."""

META = re.compile(r"([\\.+*?()|\[\]{}^$])")


@dataclass(frozen=True, slots=True)
class AlertmanagerSource:
    """One Alertmanager.

    Attributes:
        receiver: The name of its receiver that posts to us: only what is routed there is ours.

    """

    fetch: Fetch
    receiver: str

    def ask(self) -> Listing:
        """What fires there for our receiver. Raises `SourceDown`."""
        try:
            return self._ask()
        except NotAnArray as problem:
            raise SourceDown(
                f"the answer is not Alertmanager's: {problem}; write the address under which "
                "/api/v2/status answers, without a log-in page before it"
            ) from None

    def _ask(self) -> Listing:
        query = {
            "active": "true",
            "silenced": "true",
            "inhibited": "true",
            "unprocessed": "true",
            "receiver": f"^(?:{quote_meta(self.receiver)})$",
        }
        body = self.fetch(f"/api/v2/alerts?{urlencode(query)}")
        found = list(self._ours(entries(body)))
        del body
        # Behind the alerts: if it was restarted between the two, the older alerts do no harm.
        up_since = str(read_object(self.fetch("/api/v2/status")).get("uptime", ""))
        self._require_receiver()
        silenced = {name for one in found for name in one.silences}
        silences = self._silences(silenced) if silenced else {}
        return Listing([one.listed(silences) for one in found], up_since)

    def _ours(self, alerts: Iterable[Mapping[str, Any]]) -> Iterator["_Entry"]:
        for number, alert in enumerate(alerts):
            if number == MOST_ALERTS:
                raise SourceDown(
                    f"it lists more than {MOST_ALERTS} alerts for receiver "
                    f"{shown(self.receiver)}; route only what retrains a model there"
                )
            try:
                read = _Entry.of(alert)
            except (AttributeError, KeyError, TypeError, ValueError) as problem:
                raise NotAnArray(f"an alert can't be read ({type(problem).__name__})") from None
            if self.receiver in read.receivers:
                yield read

    def _require_receiver(self) -> None:
        """Without the receiver nothing is listed, and everything would look as if it were over."""
        names = [str(one.get("name")) for one in entries(self.fetch("/api/v2/receivers"))]
        if self.receiver not in names:
            known = ", ".join(shown(name) for name in names[:10])
            raise SourceDown(
                f"it has no receiver {shown(self.receiver)}; write one of {known} as receiver "
                "in sources.alertmanagers"
            )

    def _silences(self, wanted: set[str]) -> dict[str, Quiet]:
        found: dict[str, Quiet] = {}
        for one in entries(self.fetch("/api/v2/silences")):
            if one.get("id") in wanted:
                found[str(one["id"])] = Quiet(
                    Hush.SILENCED,
                    str(one["id"]),
                    str(one.get("createdBy", ""))[:LONGEST_TEXT],
                    str(one.get("comment", ""))[:LONGEST_TEXT],
                    _moment(one.get("endsAt")),
                )
        return found


@dataclass(frozen=True, slots=True)
class _Entry:
    """An alert as the API lists it: what we read of it."""

    fingerprint: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: datetime
    receivers: tuple[str, ...]
    silences: tuple[str, ...]
    muted: tuple[str, ...]
    settled: bool

    @classmethod
    def of(cls, alert: Mapping[str, Any]) -> "_Entry":
        """Read it. Raises what a wrong type raises."""
        status = alert["status"]
        silences = tuple(map(str, status.get("silencedBy") or ()))
        muted = tuple(map(str, status.get("mutedBy") or ()))  # Alertmanager 0.28 and later
        labels = {intern(name): str(text) for name, text in alert["labels"].items()}
        annotations = {str(k): str(v) for k, v in alert.get("annotations", {}).items()}
        return cls(
            # Grafana and others list names of their own; a delivery goes by the hash as well.
            fingerprint=fingerprint_of(labels),
            labels=labels,
            annotations=numbers_of(annotations),
            starts_at=parse_time(alert["startsAt"]),
            receivers=tuple(intern(str(one["name"])) for one in alert["receivers"]),
            silences=silences,
            muted=muted,
            settled=status["state"] != "unprocessed" and not status.get("inhibitedBy"),
        )

    def listed(self, silences: Mapping[str, Quiet]) -> Listed:
        """The same as the core sees it."""
        return Listed(
            self.fingerprint,
            self.labels,
            self.starts_at,
            self.annotations,
            quiet=self._quiet(silences),
            settled=self.settled,
        )

    def _quiet(self, silences: Mapping[str, Quiet]) -> Quiet | None:
        """What keeps it quiet longest."""
        known = [silences.get(name, Quiet(Hush.SILENCED, name)) for name in self.silences]
        known += [Quiet(Hush.MUTED, name) for name in self.muted]
        endless = next((quiet for quiet in known if quiet.ends_at is None), None)
        return endless or max(known, key=lambda quiet: str(quiet.ends_at), default=None)


def quote_meta(text: str) -> str:
    """Let a regular expression take a text as it is; Go refuses some of what Python escapes."""
    return META.sub(r"\\\1", text)


def _moment(text: object) -> datetime | None:
    try:
        return parse_time(str(text))
    except ValueError:
        return None
