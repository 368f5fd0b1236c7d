"""An HTTP API that starts and shows runs, as a target of the configuration describes it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from receiver.core.cloud_events import CONTENT_TYPE, cloud_event
from receiver.core.dispatches import Dispatch
from receiver.core.json_pointers import value_at, word_at
from receiver.core.policies import fill, template_parts
from receiver.core.runs import RunState
from receiver.core.targets import Target

API = "api"
LABEL = "label."
"""Before the name of an identity label that an address needs, in a place."""

OURS = ("dispatch_id", "model", "run_id")
"""Fields of our own, beside the identity labels."""

LOCATION = "Location"
"""In place of a pointer: the run's id is the end of the address in this header."""

EVENT = "dispatch"
LONGEST_RUN_ID = 250


class NoAddress(ValueError):
    """An address can't be made of these labels; the message says which."""


@dataclass(frozen=True, slots=True)
class HttpApi:
    """How runs are started and followed there; all addresses are templates.

    Attributes:
        url: Where a run is asked for, with POST.
        run_url: Where one run is read.
        state: JSON pointer to a run's state in what `run_url` answers.
        states: What its states mean. Any other is that of a run that goes on.
        names_running: Whether `states` has all the words of a run that goes on.
        body: What is posted, with templates in its texts; None for a CloudEvent.
        source: Who we are, in a CloudEvent.
        run_id: The run's id, if we choose it: made of the dispatch's id.
        answer_id: JSON pointer to the run's id in the answer to the POST, or `LOCATION`.
        check_url: Answers 2xx while the target is well.
        message: JSON pointer to why a run failed.
        link: A page about a run for people.
        idempotent: It promises to start one run only for one `Idempotency-Key`.

    """

    url: str
    run_url: str
    state: str
    states: Mapping[str, str]
    names_running: bool = False
    body: Any = None
    source: str = ""
    run_id: str | None = None
    answer_id: str | None = None
    check_url: str | None = None
    message: str | None = None
    link: str | None = None
    idempotent: bool = False

    @property
    def addresses(self) -> tuple[str, ...]:
        """All templates of addresses."""
        return tuple(filter(None, (self.url, self.run_url, self.check_url, self.link)))

    def place(self, base_url: str) -> dict[str, str]:
        """What a dispatch keeps of it: templates over labels, as each place is."""
        names = {name for address in self.addresses for name in names_in(address)}
        text = json.dumps(asdict(self), sort_keys=True)
        return {
            "base_url": base_url.replace("{", "{{").replace("}", "}}"),
            API: text.replace("{", "{{").replace("}", "}}"),
            **{f"{LABEL}{name}": f"{{{name}}}" for name in sorted(names - set(OURS))},
        }

    @classmethod
    def at(cls, place: Mapping[str, str]) -> "HttpApi":
        """Read what `place` wrote, once it is filled in."""
        return cls(**json.loads(place[API]))

    @classmethod
    def of(cls, target: Target) -> "HttpApi":
        """Read it from a target."""
        return cls.at({API: fill(target.place[API], {})})


def names_in(template: Any) -> set[str]:
    """The fields of all texts within."""
    match template:
        case str():
            return {name for _, name in template_parts(template) if name is not None}
        case dict():
            return set[str]().union(*map(names_in, template.values()))
        case list():
            return set[str]().union(*map(names_in, template))
    return set()


def address(template: str, place: Mapping[str, str], ours: Mapping[str, str]) -> str:
    """Fill an address in. What is filled in leads nowhere else. Raises `NoAddress`."""
    labels = {
        name.removeprefix(LABEL): text for name, text in place.items() if name.startswith(LABEL)
    }
    quoted = {name: quote(text, safe="") for name, text in (labels | dict(ours)).items()}
    filled = fill(template, quoted)
    if {".", ".."} & set(urlsplit(filled).path.split("/")):
        raise NoAddress("a label or an id in it is '.' or '..', which would lead elsewhere")
    return filled


@dataclass(frozen=True, slots=True)
class HttpOrder:
    """One dispatch as its API is asked for it: the same for each attempt."""

    api: HttpApi
    dispatch: Dispatch
    ours: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        ours = {"dispatch_id": self.dispatch.id, "model": self.dispatch.model}
        if self.api.run_id is not None:
            ours["run_id"] = fill(self.api.run_id, {"dispatch_id": self.dispatch.id})
        object.__setattr__(self, "ours", ours)

    @property
    def run_id(self) -> str | None:
        """The run's id, if we choose it."""
        return self.ours.get("run_id")

    def url(self) -> str:
        """Where the run is asked for. Raises `NoAddress`."""
        return address(self.api.url, self.dispatch.place, self.ours)

    def run_url(self, run_id: str) -> str:
        """Where the run is read. Raises `NoAddress`."""
        return address(self.api.run_url, self.dispatch.place, self._with(run_id))

    def link(self, run_id: str) -> str | None:
        """A page about the run for people."""
        if self.api.link is None:
            return None
        return address(self.api.link, self.dispatch.place, self._with(run_id))

    def content(self) -> tuple[str, Any]:
        """What is posted, and of which type it is."""
        inputs = self.dispatch.inputs
        if self.api.body is not None:
            return "application/json", fill_body(self.api.body, {**inputs, **self.ours})
        return CONTENT_TYPE, cloud_event(
            event_id=self.dispatch.id,
            source=self.api.source,
            kind=EVENT,
            subject=self.dispatch.model,
            at=self.dispatch.created_at,
            data={**inputs, "dispatch_id": self.dispatch.id},
        )

    def _with(self, run_id: str) -> dict[str, str]:
        return {**self.ours, "run_id": run_id}


LEFT_OUT = object()
"""What a template becomes that needs something this alert does not have."""


def fill_body(template: Any, fields: Mapping[str, str | float]) -> Any:
    """Fill each text within. A text that is just `{value}` becomes a number.

    An entry that needs what is not there is left out.
    """
    match template:
        case str():
            return _fill_text(template, fields)
        case dict():
            entries = {name: fill_body(each, fields) for name, each in template.items()}
            return {name: each for name, each in entries.items() if each is not LEFT_OUT}
        case list():
            filled = [fill_body(each, fields) for each in template]
            return [each for each in filled if each is not LEFT_OUT]
    return template


def _fill_text(template: str, fields: Mapping[str, str | float]) -> Any:
    names = names_in(template)
    if not names <= fields.keys():
        return LEFT_OUT
    for name in names:
        if template == f"{{{name}}}":
            return fields[name]
    texts = {name: text if isinstance(text, str) else repr(text) for name, text in fields.items()}
    return fill(template, texts)


def run_id_in(api: HttpApi, headers: Mapping[str, str], content: Any) -> str | None:
    """The run's id in an answer; None if it names none that can be one."""
    if api.answer_id is None:
        return None
    if api.answer_id == LOCATION:
        path = urlsplit(headers.get("location", "")).path
        found: str | None = unquote(path.rstrip("/").rpartition("/")[2])
    else:
        found = word_at(content, api.answer_id)
    return found if found and is_run_id(found) else None


def is_run_id(text: str) -> bool:
    """Whether a stranger's text can be the id of a run: it becomes part of addresses."""
    return 0 < len(text) <= LONGEST_RUN_ID and text.isprintable() and text not in {".", ".."}


def state_in(api: HttpApi, content: Any) -> tuple[RunState, str | None]:
    """How a run stands, by what its address answered, and the target's own word for it."""
    word = word_at(content, api.state)
    known = None if word is None else api.states.get(word)
    return RunState.RUNNING if known is None else RunState(known), word


def message_in(api: HttpApi, content: Any) -> str:
    """Why the run failed, in the target's words; empty if it does not say."""
    found = None if api.message is None else value_at(content, api.message)
    return found if isinstance(found, str) else ""
