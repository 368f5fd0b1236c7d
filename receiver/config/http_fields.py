"""Types of the settings of an HTTP target: each reads one value or says what to write instead."""

import json
import math
import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator

from receiver.config.fields import checked_by, fields_of
from receiver.core.http_api import LOCATION
from receiver.core.json_pointers import parse_pointer
from receiver.core.policies import template_parts

DEEPEST = 20
"""Mappings and lists in each other; nobody writes as many by intention."""


def _http_url(template: str) -> str:
    """An address of an API with fields in braces, but none in its host."""
    fields_of(template)
    beginning = next(iter(template_parts(template)), ("", None))[0]
    parts = urlsplit(beginning)
    names_host = parts.scheme in {"http", "https"} and parts.netloc
    if not names_host or not parts.path.startswith("/") or re.search(r"\s", template):
        raise ValueError(
            f"{template!r} is no address of an API; write https://HOST/PATH, with the host as it "
            "is and a path"
        )
    if "@" in parts.netloc:
        raise ValueError("the address holds a password; passwords belong into files")
    if "#" in template:
        raise ValueError(f"{template!r} holds a #, after which nothing is sent; write %23 or less")
    return template


def _run_id(template: str) -> str:
    if set(fields_of(template)) != {"dispatch_id"}:
        raise ValueError(
            f"{template!r} must hold {{dispatch_id}} and no other field: every run needs an id of "
            "its own, the same for each attempt; write retrain-{dispatch_id}"
        )
    if any(
        re.fullmatch(r"[A-Za-z0-9._~:-]*", text) is None for text, _ in template_parts(template)
    ):
        raise ValueError(
            f"{template!r} holds more than letters, digits and . _ ~ : -; write "
            "retrain-{dispatch_id}"
        )
    return template


def _pointer_or_header(text: str) -> str:
    if text != LOCATION and not text.startswith("/"):
        raise ValueError(
            f"{text!r} is neither a JSON pointer nor {LOCATION}; write /id, or {LOCATION} if the "
            "answer's header leads to the run"
        )
    if text != LOCATION:
        parse_pointer(text)
    return text


def _body(template: dict[str, Any]) -> dict[str, Any]:
    _check_body(template, DEEPEST)
    return template


def _check_body(template: Any, left: int) -> None:
    if left == 0:
        raise ValueError(f"nests deeper than {DEEPEST}")
    match template:
        case str():
            fields_of(template)
        case dict():
            for each in template.values():
                _check_body(each, left - 1)
            strange = [name for name in template if not isinstance(name, str)]
            if strange:
                raise ValueError(f"{strange[0]!r} is no name in JSON; write it in quotes")
        case list():
            for each in template:
                _check_body(each, left - 1)
        case float() if not math.isfinite(template):
            raise ValueError(f"{template!r} is no number in JSON")
        case bool() | int() | float() | None:
            pass
        case _:
            raise ValueError(f"{template!r} is nothing that JSON has; write it in quotes")


def _words(words: object) -> object:
    if not isinstance(words, list):
        return words
    read = [json.dumps(word) if isinstance(word, bool | int) else word for word in words]
    strange = [word for word in read if not isinstance(word, str) or not word]
    if strange:
        raise ValueError(f"{strange[0]!r} is no state; write the target's own words, as [success]")
    return read


HttpUrl = Annotated[str, AfterValidator(_http_url)]
HttpBody = Annotated[dict[str, Any], AfterValidator(_body)]
RunIdTemplate = Annotated[str, AfterValidator(_run_id)]
Pointer = Annotated[str, checked_by(parse_pointer)]
PointerOrHeader = Annotated[str, AfterValidator(_pointer_or_header)]
Words = Annotated[list[str], BeforeValidator(_words)]
