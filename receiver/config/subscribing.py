"""Validates and converts the section `announcements`."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from receiver.config.asking import in_the_open
from receiver.config.complaints import Complaint, Place, did_you_mean, show_place
from receiver.config.fields import secret_address
from receiver.config.files import in_folder, read_certificate
from receiver.config.sections import AnnouncementSection, FileSection, WebhookSection
from receiver.config.values import ActLinkSettings, SubscriberSettings
from receiver.core.act_links import ASKING, LONGEST_LIFE
from receiver.core.announcements import Kind, Subscriber
from receiver.core.signatures import signing_key
from receiver.secret_files import read_secret

WAYS = ("webhook", "slack", "teams")
"""How a subscriber can be reached."""


def subscriber_of(section: AnnouncementSection, folder: Path) -> SubscriberSettings:
    """A section without problems as plain values."""
    about, policies = section.about, section.policies
    webhook, links = section.webhook, section.act_links
    ways = (webhook, section.slack, section.teams)
    url_file = next((way.url_file for way in ways if way is not None), None)
    return SubscriberSettings(
        subscriber=Subscriber(
            name=section.name,
            about=frozenset(Kind if about is None else about),
            policies=None if policies is None else frozenset(policies),
        ),
        url=webhook.url if webhook else None,
        url_file=None if url_file is None else in_folder(folder, url_file),
        secret_file=in_folder(folder, webhook.secret_file) if webhook else None,
        ca_file=in_folder(folder, webhook.ca_file) if webhook and webhook.ca_file else None,
        teams=section.teams is not None,
        act_links=(
            ActLinkSettings(in_folder(folder, links.secret_file), links.expires) if links else None
        ),
    )


def check_announcements(file: FileSection, folder: Path) -> Iterator[Complaint]:
    """Find what no single setting shows. Settings that could not be read are None here."""
    names: set[str] = set()
    known = [policy.name for policy in file.policies if policy.name is not None]
    for number, section in enumerate(file.announcements):
        place: Place = ("announcements", number)
        if section.name in names:
            yield Complaint((*place, "name"), f"{section.name!r} is there already; write another")
        names.update(filter(None, [section.name]))
        ways = [way for way in WAYS if way in section.model_fields_set]
        if len(ways) != 1:
            several, none = f"both {' and '.join(ways)}", f"neither {' nor '.join(WAYS)}"
            yield Complaint(place, f"has {several if ways else none}; write one of them")
        yield from _check_ways(place, section, folder)
        yield from _check_links(place, section, file.server.model_fields_set, folder)
        if section.about == []:
            yield Complaint(
                (*place, "about"), f"is empty; write {', '.join(Kind)}, or leave it out"
            )
        for position, name in enumerate(section.policies or ()):
            if name not in known:
                sentence = f"unknown policy {name!r}; {did_you_mean(name, known)}"
                yield Complaint((*place, "policies", position), sentence)


def link_warnings(
    external_url: str | None, subscribers: Sequence[SubscriberSettings]
) -> Iterator[str]:
    """Tell how somebody else would get hold of a link."""
    for number, told in enumerate(subscribers):
        if told.act_links is not None and external_url and in_the_open(external_url):
            place = show_place(("announcements", number, "act_links"))
            yield (
                f"{place}: server.external_url is http, so that anyone on the way can read a link "
                "and use it first; write https://"
            )


def _check_ways(place: Place, section: AnnouncementSection, folder: Path) -> Iterator[Complaint]:
    if section.webhook is not None:
        yield from _check_webhook((*place, "webhook"), section.webhook, folder)
    for way, secret in (("slack", section.slack), ("teams", section.teams)):
        if secret is not None and secret.url_file:
            yield from _check_address((*place, way, "url_file"), secret.url_file, folder)


def _check_webhook(place: Place, webhook: WebhookSection, folder: Path) -> Iterator[Complaint]:
    if len({"url", "url_file"} & webhook.model_fields_set) != 1:
        yield Complaint(place, "must have either url or url_file, which holds a secret address")
    if webhook.url_file:
        yield from _check_address((*place, "url_file"), webhook.url_file, folder)
    try:
        if webhook.secret_file:
            signing_key(read_secret(in_folder(folder, webhook.secret_file)))
    except ValueError as error:
        yield Complaint((*place, "secret_file"), str(error), of_file=True)
    try:
        if webhook.ca_file:
            read_certificate(in_folder(folder, webhook.ca_file))
    except ValueError as error:
        yield Complaint((*place, "ca_file"), str(error), of_file=True)


def _check_links(
    place: Place, section: AnnouncementSection, server: Collection[str], folder: Path
) -> Iterator[Complaint]:
    links, place = section.act_links, (*place, "act_links")
    if links is None:
        return
    if "external_url" not in server:
        yield Complaint(
            place,
            "lead to our page, and nothing says where people reach it; write server: "
            "{external_url: https://retrain.example.com}",
        )
    if section.about is not None and not ASKING.intersection(filter(None, section.about)):
        yield Complaint(
            place,
            "are in messages that ask something, and about names none of them; add approval or "
            "exhausted, or leave about out",
        )
    if links.expires is not None and links.expires > LONGEST_LIFE:
        yield Complaint((*place, "expires"), "must be at most 24h; write 1h")
    try:
        if links.secret_file:
            signing_key(read_secret(in_folder(folder, links.secret_file)))
    except ValueError as error:
        yield Complaint((*place, "secret_file"), str(error), of_file=True)


def _check_address(place: Place, file: str, folder: Path) -> Iterator[Complaint]:
    try:
        secret_address(read_secret(in_folder(folder, file)))
    except ValueError as error:
        yield Complaint(place, str(error), of_file=True)
