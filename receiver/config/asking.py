"""The section `sources`: its checks, its dangers, and what it says as plain values."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from receiver.config.complaints import Complaint, Place
from receiver.config.files import in_folder, read_certificate
from receiver.config.sections import AlertmanagerSection, PrometheusSection, SourcesSection
from receiver.config.values import PeerSettings, SourceSettings, SourcesSettings
from receiver.core.durations import show_duration
from receiver.core.policies import Policy
from receiver.core.sources import PROMETHEUS
from receiver.secret_files import read_secret

SHORTEST_POLL = timedelta(seconds=5)
LONGEST_POLL = timedelta(hours=1)


def sources_of(section: SourcesSection | None, folder: Path) -> SourcesSettings | None:
    """A section without problems as plain values; None where nobody can be asked."""
    if section is None or not (section.alertmanagers or section.prometheus):
        return None
    return SourcesSettings(
        confirm_within=section.confirm_within,
        alertmanagers=tuple(
            SourceSettings(one.name, one.receiver, one.poll, _peer(one, folder))
            for one in section.alertmanagers
        ),
        prometheus=_peer(section.prometheus, folder) if section.prometheus else None,
    )


def _peer(section: AlertmanagerSection | PrometheusSection, folder: Path) -> PeerSettings:
    basic, token, ca = section.basic, section.token_file, section.ca_file
    return PeerSettings(
        url=section.url,
        token_file=None if token is None else in_folder(folder, token),
        username=None if basic is None else basic.username,
        password_file=None if basic is None else in_folder(folder, basic.password_file),
        ca_file=None if ca is None else in_folder(folder, ca),
    )


def check_sources(section: SourcesSection | None, folder: Path) -> Iterator[Complaint]:
    """Find what no single setting shows. Settings that could not be read are None here."""
    if section is None:
        return
    asked = section.alertmanagers or []
    if not asked and not section.prometheus and "alertmanagers" not in section.model_fields_set:
        yield Complaint(
            ("sources",),
            "names no Alertmanager, so nobody is asked; write alertmanagers: "
            "[{name: main, url: http://alertmanager:9093, receiver: retrain}]",
        )
    names, places = {PROMETHEUS}, set()
    for number, one in enumerate(asked):
        place: Place = ("sources", "alertmanagers", number)
        if one.name in names:
            taken = (
                "is what Prometheus is called" if one.name == PROMETHEUS else "is there already"
            )
            yield Complaint((*place, "name"), f"{one.name!r} {taken}; write another name")
        names.update(filter(None, [one.name]))
        if one.url is not None and (one.url, one.receiver) in places:
            yield Complaint((*place, "url"), "is asked for this receiver already; remove one")
        places.add((one.url, one.receiver))
        if one.poll is not None and not SHORTEST_POLL <= one.poll <= LONGEST_POLL:
            yield Complaint((*place, "poll"), "must be 5s to 1h; write 1m")
        yield from _check_peer(place, one, folder)
    if section.prometheus is not None:
        yield from _check_peer(("sources", PROMETHEUS), section.prometheus, folder)


def _check_peer(
    place: Place, section: AlertmanagerSection | PrometheusSection, folder: Path
) -> Iterator[Complaint]:
    if section.token_file and section.basic:
        yield Complaint(place, "has both token_file and basic; keep one of them")
    password = section.basic.password_file if section.basic else None
    tried = (
        (("token_file",), section.token_file, read_secret),
        (("basic", "password_file"), password, read_secret),
        (("ca_file",), section.ca_file, read_certificate),
    )
    for setting, file, read in tried:
        if file:
            try:
                read(in_folder(folder, file))
            except ValueError as error:
                yield Complaint((*place, *setting), str(error), of_file=True)


NONE = (
    "sources: there are none, so an alert that Alertmanager silences, mutes or forgets is "
    "believed until alert_expiry, and what fired while nobody listened is never known; "
    "write alertmanagers: [{name: main, url: http://HOST:9093, receiver: NAME}]"
)


def source_hints(settings: SourcesSettings | None, policies: Sequence[Policy]) -> Iterator[str]:
    """Tell what is missing; the program works without it, but believes what it should not."""
    if policies and (settings is None or not settings.confirms):
        yield NONE


def source_warnings(settings: SourcesSettings | None) -> Iterator[str]:
    """Tell each danger in a sentence with its place."""
    if settings is None:
        return
    for number, one in enumerate(settings.alertmanagers):
        place = f"sources.alertmanagers[{number}]"
        if settings.confirm_within < 2 * one.poll:
            yield (
                f"sources.confirm_within: {show_duration(settings.confirm_within)} is less than "
                f"two polls of {one.name} ({show_duration(one.poll)}), so that one lost answer "
                f"holds every model; write {show_duration(2 * one.poll)} or more"
            )
        if one.peer.has_secret and in_the_open(one.peer.url):
            yield f"{place}.url: the secret is sent over http; write https://"
    asked = settings.prometheus
    if asked is not None and asked.has_secret and in_the_open(asked.url):
        yield "sources.prometheus.url: the secret is sent over http; write https://"


def in_the_open(url: str) -> bool:
    """Whether what is sent there can be read on the way."""
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1")
