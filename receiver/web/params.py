"""Parses query parameters and request bodies, with clear 400s."""

import difflib
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from receiver.core.durations import parse_duration
from receiver.core.policies import shown
from receiver.core.times import parse_time
from receiver.store.views.paging import MOST_ROWS
from receiver.web.bodies import announced, read_body
from receiver.web.problems import Problem
from receiver.web.shapes.acts import FIELDS

ACT_BYTES = 64 * 1024
FORM = "application/x-www-form-urlencoded"
USUAL_ROWS = 50

Body = TypeVar("Body", bound=BaseModel)


def bad(detail: str, *others: str) -> Problem:
    """A 400, with everything that is wrong."""
    said = (detail, *others)
    return Problem(HTTPStatus.BAD_REQUEST, "; ".join(said), errors=said)


def all_at_once(*readings: Callable[[], Any]) -> list[Any]:
    """What each of these reads of a request. Raises `Problem` 400 with all that is wrong."""
    read: list[Any] = []
    said: list[str] = []
    for reading in readings:
        try:
            read.append(reading())
        except Problem as problem:
            said += problem.errors or (problem.detail,)
    if said:
        raise bad(*said)
    return read


def only(request: Request, known: Collection[str]) -> None:
    """Refuse unknown query parameters: a misspelt filter would answer too much."""
    if said := list(misnamed(request, known)):
        raise bad(*said)


def misnamed(request: Request, known: Collection[str]) -> Iterator[str]:
    """What is wrong with the names of the query parameters, one sentence each."""
    for name in request.query_params:
        if len(request.query_params.getlist(name)) > 1:
            yield f"{shown(name)} is given more than once"
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else f"; known: {', '.join(known)}"
            yield f"{shown(name)} is not a filter here{hint}"


def filters(
    request: Request, names: Collection[str], words: Mapping[str, type[StrEnum]]
) -> dict[str, str]:
    """The filters that are set. Those in `words` take only these words."""
    found = {name: request.query_params[name] for name in names if name in request.query_params}
    said = [
        f"{name} can be {', '.join(kind)}; not {shown(found[name])}"
        for name, kind in words.items()
        if name in found and found[name] not in list(kind)
    ]
    if said:
        raise bad(*said)
    return found


def limit(request: Request, usual: int = USUAL_ROWS) -> int:
    """How many rows: 1 to 500."""
    text = request.query_params.get("limit", str(usual))
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST_ROWS):
        raise bad(f"limit is a number from 1 to {MOST_ROWS}; not {shown(text)}")
    return int(text)


def number(name: str, text: str) -> int:
    """An id or cursor that is a number below 2^63."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(2**63)) - 1):
        raise bad(f"{name} {shown(text)} is not one of ours")
    return int(text)


def cursor(request: Request, read: Callable[[str], Any] = str) -> Any:
    """Where the page begins, None for the first."""
    text = request.query_params.get("cursor")
    return None if text is None else read(text)


def moment(request: Request, name: str, now: datetime) -> datetime | None:
    """A time in RFC 3339, or a duration such as `6h` before now."""
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        return now - parse_duration(text)
    except ValueError:
        pass
    try:
        # A plus sign in a query is a space unless it was quoted.
        return parse_time(text.replace(" ", "+"))
    except ValueError:
        raise bad(
            f"{name} is a time such as 2026-11-22T09:14:00Z or a duration such as 6h; "
            f"not {shown(text)}"
        ) from None


async def act_body(request: Request, kind: type[Body]) -> Body:
    """An act's body. Raises `Problem` 400."""
    body = await read_body(request, announced(request), ACT_BYTES)
    try:
        return kind.model_validate(json.loads(body))
    except RecursionError:
        raise bad("the body is nested too deeply") from None
    except ValidationError as error:
        raise bad(*complaints(error)) from None
    except ValueError:
        raise bad('the body must be JSON such as {"comment": "why"}') from None


MOST_FIELDS = 20
"""Of the form of one act."""


async def form_fields(request: Request, known: Collection[str]) -> dict[str, str]:
    """What a page's form sends; the last of each name. Raises `Problem` 400, 415."""
    return dict(await form_pairs(request, known, MOST_FIELDS))


async def form_pairs(
    request: Request, known: Collection[str], most: int
) -> Sequence[tuple[str, str]]:
    """The same where a name may come more than once. Raises `Problem` 400, 415."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != FORM:
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"a form is sent as {FORM}")
    body = await read_body(request, announced(request), ACT_BYTES)
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=most)
    except ValueError:
        raise bad("the form can't be read") from None
    for name, _value in pairs:
        if name not in known:
            raise bad(f"{shown(name)} has no meaning here")
    return pairs


def complaints(error: ValidationError) -> list[str]:
    """What is wrong with a body, one clause per field."""
    said = []
    for problem in error.errors(include_url=False, include_input=False):
        place = ".".join(str(part) for part in problem["loc"]) or "the body"
        if problem["type"] == "extra_forbidden" and place in FIELDS:
            said.append(f"{place} has no meaning here")  # but on other acts
        else:
            said.append(f"{shown(place)[1:-1]}: {problem['msg'].removeprefix('Value error, ')}")
    return said
