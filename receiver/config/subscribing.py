"""Validates and converts the section `announcements`."""

from collections.abc import Iterator
from pathlib import Path

from receiver.config.complaints import Complaint, Place, did_you_mean
from receiver.config.fields import secret_address
from receiver.config.files import in_folder, read_certificate
from receiver.config.sections import AnnouncementSection, FileSection, WebhookSection
from receiver.config.values import SubscriberSettings
from receiver.core.announcements import Kind, Subscriber
from receiver.core.signatures import signing_key
from receiver.secret_files import read_secret


def subscriber_of(section: AnnouncementSection, folder: Path) -> SubscriberSettings:
    """A section without problems as plain values."""
    about, policies = section.about, section.policies
    webhook = section.webhook
    url_file = section.slack.url_file if section.slack else None
    if webhook is not None:
        url_file = webhook.url_file
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
        ways = {"webhook", "slack"} & section.model_fields_set
        if len(ways) != 1:
            both, none = "both webhook and slack", "neither webhook nor slack"
            yield Complaint(place, f"has {both if ways else none}; write one of them")
        if section.webhook is not None:
            yield from _check_webhook((*place, "webhook"), section.webhook, folder)
        if section.slack is not None and section.slack.url_file:
            yield from _check_address(
                (*place, "slack", "url_file"), section.slack.url_file, folder
            )
        if section.about == []:
            yield Complaint(
                (*place, "about"), f"is empty; write {', '.join(Kind)}, or leave it out"
            )
        for position, name in enumerate(section.policies or ()):
            if name not in known:
                sentence = f"unknown policy {name!r}; {did_you_mean(name, known)}"
                yield Complaint((*place, "policies", position), sentence)


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


def _check_address(place: Place, file: str, folder: Path) -> Iterator[Complaint]:
    try:
        secret_address(read_secret(in_folder(folder, file)))
    except ValueError as error:
        yield Complaint(place, str(error), of_file=True)
