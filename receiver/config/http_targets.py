"""Validates and converts a target of the kind `http`."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from receiver.config.complaints import Complaint, Place, did_you_mean
from receiver.config.files import in_folder
from receiver.config.sections import HttpSection, RunSection
from receiver.core.http_api import OURS, HttpApi, names_in
from receiver.core.policies import template_parts
from receiver.core.runs import RunState
from receiver.core.signatures import signing_key
from receiver.core.targets import Target, TargetKind
from receiver.secret_files import read_secret, read_token

OF_THE_ALERT = ("value", "alertname")
RUN_ID = "run_id"
RESERVED_INPUT = "dispatch_id"


def http_target(name: str, section: HttpSection, external_url: str | None) -> Target:
    """A section without problems as the core's target."""
    api = _api(section, external_url)
    inputs = section.inputs
    if section.body is not None:
        # What the body takes from the model and the alert is stored and shown as its inputs.
        inputs = {field: f"{{{field}}}" for field in sorted(names_in(section.body) - set(OURS))}
    return Target(name, TargetKind.HTTP, api.place(_origin(section.url)), inputs)


def _api(section: HttpSection, external_url: str | None) -> HttpApi:
    run = section.run
    return HttpApi(
        url=section.url,
        run_url=run.url,
        state=run.state,
        states={word: state.value for state, words in _states(run).items() for word in words},
        names_running=bool(run.running),
        body=section.body,
        source=external_url or "/retrain-receiver",
        run_id=run.id,
        answer_id=section.answer.id if section.answer else None,
        check_url=section.check_url,
        message=run.message,
        link=run.link,
        idempotent=section.idempotent,
    )


def _states(run: RunSection) -> dict[RunState, list[str]]:
    """The target's words; what could not be read is None."""
    return {
        RunState.SUCCEEDED: run.succeeded or [],
        RunState.FAILED: run.failed or [],
        RunState.CANCELLED: run.cancelled or [],
        RunState.RUNNING: run.running or [],
    }


def _origin(template: str) -> str:
    """Who is asked: the only one whom the credential may reach."""
    parts = urlsplit(_beginning(template))
    return f"{parts.scheme}://{parts.netloc}".lower()


def _beginning(template: str) -> str:
    """The address up to its first field."""
    return next(text for text, _ in template_parts(template))


def check_http(place: Place, http: HttpSection, folder: Path) -> Iterator[Complaint]:
    """Find what no single setting shows. Settings that could not be read are None here."""
    yield from _check_files(place, http, folder)
    if http.inputs and http.body is not None:
        yield Complaint(
            (*place, "inputs"), "are for a CloudEvent, and there is a body; move them into it"
        )
    if RESERVED_INPUT in (http.inputs or {}):
        yield Complaint(
            (*place, "inputs", RESERVED_INPUT), "is sent with every run anyway; remove this line"
        )
    if http.run is None:
        return
    yield from _check_id(place, http, http.run)
    yield from _check_states((*place, "run"), http.run)
    for setting, template in _addresses(http):
        if http.url and template and _origin(template) != _origin(http.url):
            yield Complaint(
                (*place, *setting),
                f"is at {_origin(template)}, but url is at {_origin(http.url)}: the credential "
                "goes to one server only; write an address there",
            )


def _check_files(place: Place, http: HttpSection, folder: Path) -> Iterator[Complaint]:
    if http.token_file and http.basic:
        yield Complaint(place, "has both token_file and basic; keep one of them")
    tried = (
        (("token_file",), http.token_file, read_token),
        (("basic", "password_file"), http.basic and http.basic.password_file, read_secret),
        (("secret_file",), http.secret_file, lambda path: signing_key(read_secret(path))),
    )
    for setting, file, read in tried:
        if file:
            try:
                read(in_folder(folder, file))
            except ValueError as error:
                yield Complaint((*place, *setting), str(error), of_file=True)


def _check_id(place: Place, http: HttpSection, run: RunSection) -> Iterator[Complaint]:
    """The run's id must come from somewhere, and reach the target if it comes from us."""
    chosen = "id" in run.model_fields_set
    if not chosen and "answer" not in http.model_fields_set:
        yield Complaint(
            place,
            "says nowhere which id the run has; write run: {id: 'retrain-{dispatch_id}'} if we "
            "may choose it, or answer: {id: /id}, where the answer tells it",
        )
    if run.url and RUN_ID not in names_in(run.url):
        yield Complaint(
            (*place, "run", "url"), "is the same for every run; write {run_id} where its id stands"
        )
    sent = names_in(http.body) | names_in(http.url or "")
    if chosen and http.url and RUN_ID not in sent and "body" not in http.model_fields_set:
        yield Complaint(
            (*place, "run", "id"),
            "never reaches the target, for a CloudEvent does not hold it; write a body with "
            "{run_id}, or put it into url",
        )
    elif chosen and http.url and http.body is not None and RUN_ID not in sent:
        yield Complaint(
            (*place, "run", "id"), "never reaches the target; write {run_id} into body or url"
        )
    if not chosen and RUN_ID in sent:
        where = "url" if RUN_ID in names_in(http.url or "") else "body"
        yield Complaint(
            (*place, where),
            "holds {run_id}, but the target chooses it; write {dispatch_id}, or run.id",
        )


def _check_states(place: Place, run: RunSection) -> Iterator[Complaint]:
    for setting in ("succeeded", "failed"):
        if getattr(run, setting) == []:
            yield Complaint((*place, setting), "is empty, so no run could ever end so; write one")
    words = Counter(word for words in _states(run).values() for word in set(words))
    for word, times in words.items():
        if times > 1:
            yield Complaint(place, f"{word!r} is in two lists of states; keep one of them")


def _addresses(http: HttpSection) -> Iterator[tuple[tuple[str, ...], str | None]]:
    """Every address that our credential goes to, beside `url`."""
    if http.run is not None:
        yield ("run", "url"), http.run.url
    yield ("check_url",), http.check_url


def unknown_fields(
    place: Place, http: HttpSection, labels: Mapping[str, object], policy: str
) -> Iterator[Complaint]:
    """What a run is told must be known of every model that the policy names."""
    ours = ["dispatch_id", "model"]
    known = [*labels, *ours]
    run = http.run
    tried: list[tuple[tuple[str, ...], object, list[str]]] = [
        (("url",), http.url, [*known, RUN_ID]),
        (("body",), http.body, [*known, RUN_ID, *OF_THE_ALERT]),
        (("check_url",), http.check_url, list(labels)),
        *(
            (("inputs", name), template, [*labels, *OF_THE_ALERT])
            for name, template in (http.inputs or {}).items()
        ),
    ]
    if run is not None:
        tried += [
            (("run", "url"), run.url, [*known, RUN_ID]),
            (("run", "link"), run.link, [*known, RUN_ID]),
        ]
    for setting, template, fields in tried:
        for field in sorted(names_in(template) - set(fields)):
            yield Complaint(
                (*place, *setting),
                f"{{{field}}} is not among the model.labels of policy {policy!r}; "
                f"{did_you_mean(field, fields)}",
            )
