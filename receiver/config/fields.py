"""Types of single settings: each reads one value or says what to write instead."""

import ipaddress
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from receiver.core.actors import is_no_person
from receiver.core.announcements import Kind
from receiver.core.durations import format_duration, parse_duration
from receiver.core.matchers import parse_matchers
from receiver.core.policies import Mode, WhenSilenced, template_parts
from receiver.core.regexes import Regex

SIZES = {
    "": 1,
    "B": 1,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}")

LARGEST_BODY = 32 * 1024**2
"""Three times the default, which holds some 10,000 alerts; each is held, read and stored whole."""

_SIZE = re.compile(r"([0-9]{1,15}) ?([KMG]i?B|B|)")


def checked_by(parse: Callable[[str], object]) -> AfterValidator:
    """Keep a text as it was written, if `parse` can read it."""

    def check(text: str) -> str:
        parse(text)
        return text

    return AfterValidator(check)


def parse_size(value: object) -> int:
    """Read `10MiB`, `10MB` or a number of bytes."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is not a size; write 10MiB, 1GiB or a number of bytes")
    return int(match[1]) * SIZES[match[2]]


def _positive(span: timedelta) -> timedelta:
    if not span:
        raise ValueError("'0s' is too short; write a duration such as 10m or 6h")
    return span


def _some(size: int) -> int:
    if not size:
        raise ValueError("0 is too small; write a size such as 10MiB")
    return size


def _body(size: int) -> int:
    if size > LARGEST_BODY:
        raise ValueError(
            f"{size} bytes are more than we can hold in memory at once; write at most 32MiB"
        )
    return size


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        has_host = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        has_host = False
    if not has_host or parts.scheme not in ("http", "https") or re.search(r"\s", text):
        raise ValueError(f"{text!r} is not an address; write https://HOST or http://HOST:PORT")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("the address holds more than host and path; passwords belong into files")
    return text.rstrip("/")


def secret_address(text: str) -> str:
    """Read an address out of a file. Raises `ValueError`, without the address."""
    try:
        parts = urlsplit(text)
        has_host = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        has_host = False
    if not has_host or parts.scheme not in ("http", "https") or not text.isascii():
        raise ValueError("holds no address; write https://HOST/PATH")
    return text


_VARIABLE = re.compile(r"\$(?:[A-Za-z_]\w*|\([A-Za-z_]\w*\))")


def _literal(text: str) -> str:
    if (variable := _VARIABLE.search(text)) is not None:
        raise ValueError(
            f"{variable[0]} is taken as it stands: nothing fills in variables here; write the "
            "value, or let what deploys this file do so"
        )
    if "{" in text or "}" in text:
        raise ValueError(
            f"{text!r} must be the same for every model; "
            "labels may only be used in inputs, parameters and a kfp namespace"
        )
    if not text.strip() or text != text.strip():
        raise ValueError(f"{text!r} is empty or has spaces around it; write the name only")
    return text


def _name(text: str) -> str:
    if NAME.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a name; write letters, digits and . _ : @ - only")
    return text


def _persons_name(text: str) -> str:
    if is_no_person(text):
        raise ValueError(
            f"{text!r} is what the log calls acts that no person does; write another, such as "
            "the team's"
        )
    return text


def _repository(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+", text) is None:
        raise ValueError(f"{text!r} is not a repository; write OWNER/NAME, as in acme/models")
    if text.endswith(".git"):
        raise ValueError(f"{text!r} is an address for git; write it without .git")
    return text


def _workflow(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        return value
    is_file = value.isdigit() or value.endswith((".yml", ".yaml"))
    if not is_file and re.fullmatch(r"[A-Za-z0-9_. -]+", value) is not None:
        raise ValueError(
            f"{value!r} is what a workflow is called, not its file; write the file's name, as in "
            "retrain-model.yaml"
        )
    if re.fullmatch(r"[A-Za-z0-9_.-]+", value) is None:
        raise ValueError(
            f"{value!r} is not a workflow; write its file's name without folders, "
            "as in retrain-model.yaml"
        )
    return value


def _ref(text: str) -> str:
    if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", text) is not None:
        raise ValueError(
            f"{text!r} is a commit, and GitHub starts workflows at branches and tags only; "
            "write main, or a tag of that commit"
        )
    return text


def _github_url(text: str) -> str:
    url = urlsplit(text)
    host, path = (url.hostname or "").removeprefix("www."), url.path
    is_api = host == "api.github.com" and url.scheme == "https" and not path.strip("/")
    if host == "github.com" or (host == "api.github.com" and not is_api):
        raise ValueError(f"{text!r} is not GitHub's API; write https://api.github.com")
    if host.endswith(".ghe.com") and not host.startswith("api."):
        raise ValueError(f"{text!r} is not the API; write https://api.{host}")
    if path.endswith("/graphql"):
        raise ValueError(
            f"{text!r} is the GraphQL API, which starts no workflows; write "
            f"{text.removesuffix('/graphql').removesuffix('/api')}/api/v3"
        )
    return text


def _template(value: object) -> object:
    """Read text with fields in braces; numbers and booleans become the text that YAML shows."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str):
        fields_of(value)
    return value


def fields_of(template: str) -> list[str]:
    """Name the fields of a template. Raises `ValueError` if it can't be read."""
    try:
        names = [name for _, name in template_parts(template) if name is not None]
    except ValueError as error:
        if "may only hold" in str(error):
            raise ValueError(f"{error}; write the bare name in the braces") from None
        raise ValueError(
            f"{template!r} has a brace without its partner; write {{{{ or }}}} for a plain one"
        ) from None
    if "" in names:
        raise ValueError(f"{template!r} has empty braces; write {{user_id}} or another label")
    return names


def compile_pattern(pattern: str) -> Regex:
    """Compile an identity label's pattern."""
    try:
        return Regex(pattern)
    except ValueError as error:
        raise ValueError(
            f"{pattern!r} is not a pattern: {error}; write what a value may be, "
            "as [a-z0-9-]{1,40}"
        ) from None


def _labels(labels: dict[str, str]) -> dict[str, str]:
    if not labels:
        raise ValueError('is empty; name the labels that make the model: {user_id: "[a-z0-9-]+"}')
    if "alertname" in labels:
        raise ValueError(
            "alertname can't name a model: several alerts of one model must become one run; "
            "use it in match"
        )
    if "value" in labels:
        raise ValueError("value is the alert's number and can't name a model; use another label")
    return labels


def _tenant_labels(labels: dict[str, str]) -> dict[str, str]:
    if not labels:
        raise ValueError("is empty, which limits to nothing; write {user_id: user01}")
    for name, value in labels.items():
        if not name or not value:
            raise ValueError(
                f"{name or value!r} lacks its other half: models are theirs whose label has "
                "exactly this value; write {user_id: user01}"
            )
    return labels


def _match(matchers: list[str]) -> list[str]:
    if not any(parse_matchers(text) for text in matchers):
        raise ValueError(
            "is empty and would take every alert; write ['alertname=~\"HighModelMAE|LowModelR2\"']"
        )
    return matchers


def _when_silenced(value: object) -> WhenSilenced:
    if isinstance(value, str) and value in set(WhenSilenced):
        return WhenSilenced(value)
    raise ValueError(
        f"{value!r} says nothing about silences; write hold (a silence holds the model) or act"
    )


def _annotation(value: object) -> str:
    if isinstance(value, str) and ANNOTATION.fullmatch(value):
        return value
    raise ValueError(
        f"{value!r} is not the name of an annotation; write the name that the rules have under "
        "`annotations:`, for example current_mae"
    )


ANNOTATION = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
"""Prometheus takes no other name in a rule."""


def _header(value: str) -> str:
    if HEADER.fullmatch(value) is None:
        raise ValueError(f"{value!r} is not the name of a header; write X-Forwarded-User")
    if value.lower() in NOT_THE_PROXYS:
        raise ValueError(f"{value} is what clients send; write the header that the proxy sets")
    return value


HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
"""Servers take `_` for `-` or drop such headers, so that two of them could be one."""

NOT_THE_PROXYS = frozenset({"authorization", "cookie", "host", "user-agent", "origin", "referer"})


def _separator(value: str) -> str:
    if value not in SEPARATORS:
        raise ValueError(f"{value!r} separates no groups; write one of {SEPARATORS_SHOWN}")
    return value


SEPARATORS = (",", "|", ";", " ")
SEPARATORS_SHOWN = "',' '|' ';' ' '"


def _networks(values: list[str]) -> list[str]:
    if not values:
        raise ValueError("is empty, so nobody is believed; write the addresses of the proxy")
    for value in values:
        try:
            network = ipaddress.ip_network(value)
        except ValueError as error:
            raise ValueError(
                f"{value!r} is no address and no network ({error}); write 10.0.0.7 or 10.0.0.0/24"
            ) from None
        if network.prefixlen == 0:
            raise ValueError(
                f"{value} is everybody, who could then say to be anybody; write the addresses "
                "of the proxy"
            )
    return values


def _link(template: str) -> str:
    beginning, label = next(iter(template_parts(template)), ("", None))
    parts = urlsplit(beginning)
    is_link = parts.scheme in {"http", "https"} and parts.netloc and " " not in template
    chooses_host = label is not None and not (parts.path or parts.query or parts.fragment)
    if not is_link or chooses_host:
        raise ValueError(
            f"{template!r} is no link; write https://grafana.example.com/d/abc?var-user_id="
            "{user_id}, with the host as it is"
        )
    return template


def _mode(value: object) -> Mode:
    try:
        return Mode(str(value))
    except ValueError:
        raise ValueError(f"{value!r} is not a mode; write observe, approve or auto") from None


def _kind(value: object) -> Kind:
    try:
        return Kind(str(value))
    except ValueError:
        raise ValueError(f"{value!r} is nothing we announce; write {', '.join(Kind)}") from None


Duration = Annotated[
    timedelta, BeforeValidator(parse_duration), PlainSerializer(format_duration, when_used="json")
]
Span = Annotated[Duration, AfterValidator(_positive)]
Size = Annotated[int, BeforeValidator(parse_size)]
SomeSize = Annotated[Size, AfterValidator(_some)]
BodySize = Annotated[SomeSize, AfterValidator(_body)]
Literal = Annotated[str, AfterValidator(_literal)]
Url = Annotated[Literal, AfterValidator(_url)]
Name = Annotated[str, AfterValidator(_name)]
PersonsName = Annotated[Name, AfterValidator(_persons_name)]
Repository = Annotated[Literal, AfterValidator(_repository)]
Workflow = Annotated[Literal, BeforeValidator(_workflow)]
Ref = Annotated[Literal, AfterValidator(_ref)]
GithubUrl = Annotated[Url, AfterValidator(_github_url)]
Template = Annotated[str, BeforeValidator(_template)]
MatcherText = Annotated[str, checked_by(parse_matchers)]
Match = Annotated[list[MatcherText], AfterValidator(_match)]
Labels = Annotated[dict[str, Annotated[str, checked_by(compile_pattern)]], AfterValidator(_labels)]
TenantLabels = Annotated[dict[str, str], AfterValidator(_tenant_labels)]
KindName = Annotated[Kind, BeforeValidator(_kind)]
ModeName = Annotated[Mode, BeforeValidator(_mode)]
AnnotationName = Annotated[str, BeforeValidator(_annotation)]
LinkName = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,40}$")]
Links = dict[LinkName, Annotated[Template, AfterValidator(_link)]]
HeaderName = Annotated[str, AfterValidator(_header)]
Separator = Annotated[str, AfterValidator(_separator)]
Networks = Annotated[list[str], AfterValidator(_networks)]
WhenSilencedName = Annotated[WhenSilenced, BeforeValidator(_when_silenced)]
