"""Requests of a mixed load, each with the answers that it may get."""

import contextlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http.client import HTTPConnection, HTTPException
from random import Random
from typing import Any
from urllib.parse import urlsplit

from receiver.core.times import stamp
from receiver.wiring import SystemClock
from tests.posts import entry, post

MODELS = 300

PATIENCE = 60.0
"""Seconds for one answer. Nothing that is asked takes so long, also on a busy machine."""

TOO_LARGE = 11_000_000
"""More than `max_body`."""


@dataclass(frozen=True)
class Request:
    """One request.

    Attributes:
        may_be: The statuses that it may be answered with.

    """

    method: str
    path: str
    may_be: Collection[int]
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answered:
    """What became of a request: its status, or 0 and why there was no answer."""

    status: int
    said: str


def send(url: str, request: Request) -> Answered:
    """Ask once, on a connection of its own.

    A body that is too large is refused before it was read: who still writes then is cut off, and
    finds the answer all the same.
    """
    connection = HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE)
    try:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request(request.method, request.path, request.body, dict(request.headers))
        answer = connection.getresponse()
        return Answered(answer.status, answer.read()[:300].decode(errors="replace"))
    except (OSError, HTTPException) as problem:
        return Answered(0, f"{type(problem).__name__}: {problem}")
    finally:
        connection.close()


def notify(random: Random) -> Request:
    """Some alerts begin, go on, or end."""
    now = SystemClock().now()
    entries = []
    for _ in range(random.choice((1, 1, 1, 5, 30))):
        ends = random.random() < 0.25
        entries.append(
            entry(
                f"m{random.randrange(MODELS)}",
                name=random.choice(("HighModelMAE", "LowModelR2", "Watchdog")),
                status="resolved" if ends else "firing",
                starts_at=stamp(now - timedelta(minutes=random.randrange(1, 10))) or "",
                ends_at=(stamp(now) or "") if ends else "0001-01-01T00:00:00Z",
                labels={"pod": f"p{random.randrange(1000)}", "filling": "y" * 200},
            )
        )
    return posted(post(*entries))


def notify_many(random: Random) -> Request:
    """A notification that is committed in parts."""
    at = stamp(SystemClock().now() - timedelta(minutes=random.randrange(1, 10))) or ""
    names = (f"m{number % MODELS}" for number in range(1200))
    return posted(post(*(entry(name, name="Watchdog", starts_at=at) for name in names)))


def posted(body: Mapping[str, Any]) -> Request:
    """A notification that must be accepted."""
    headers = {"Content-Type": "application/json"}
    return Request("POST", "/webhook", {200}, json.dumps(body).encode(), headers)


def reject(random: Random) -> Request:
    """A body that can't be accepted."""
    if random.random() < 0.1:
        return Request("POST", "/webhook", {413}, b"x" * TOO_LARGE)
    return Request("POST", "/webhook", {400}, random.choice((b"{broken" * 1000, b"{}", b"")))


def look(random: Random) -> Request:
    """A page, a list, the metrics, or something that is not there."""
    model = f"m{random.randrange(MODELS)}"
    if random.random() < 0.1:
        return Request("GET", f"/models/nobody-{model}", {404})
    paths = (
        "/",
        "/-/ready",
        "/decisions?limit=50",
        f"/decisions?model={model}&limit=500",
        "/decisions?reason=cooldown",
        "/dispatches",
        "/metrics",
        "/models",
        "/openapi.json",
        "/rejections",
    )
    return Request("GET", random.choice(paths), {200})


def export(random: Random) -> Request:
    """The last minutes as a whole."""
    accept = random.choice(("text/csv", "application/x-ndjson"))
    return Request("GET", "/decisions?since=5m", {200}, None, {"Accept": accept})


def act(random: Random) -> Request:
    """An operator pauses, resumes, orders, or tries out."""
    model = f"m{random.randrange(MODELS)}"
    what, more = random.choice(
        (("pause", {"for": "20s"}), ("resume", {}), ("retrain", {}), ("retrain", {}))
    )
    body = {"comment": "a soak", "policy": "drift", "labels": {"user_id": model}, **more}
    return acting(f"/models/{model}/{what}", body)


def act_on_all(random: Random) -> Request:
    """An operator pauses a policy for a moment, or resumes everything."""
    if random.random() < 0.5:
        return acting("/pause", {"comment": "a soak", "policy": "drift", "for": "1s"})
    return acting("/resume", {"comment": "a soak"})


def acting(path: str, body: Mapping[str, Any]) -> Request:
    """An operator's act, which is done or is in vain."""
    headers = {"Content-Type": "application/json"}
    return Request("POST", path, {200}, json.dumps(body).encode(), headers)


def reload(_random: Random) -> Request:
    """The configuration is loaded again."""
    return Request("POST", "/-/reload", {200})


def try_out(random: Random) -> Request:
    """A notification that is decided, and not stored."""
    request = notify(random)
    return Request("POST", "/webhook?dry_run=true", {200}, request.body, request.headers)


KINDS: Mapping[Callable[[Random], Request], int] = {
    notify: 60,
    look: 20,
    act: 6,
    reject: 4,
    try_out: 4,
    export: 2,
    act_on_all: 2,
    notify_many: 1,
    reload: 1,
}
"""How often each is asked, of a hundred."""


def draw(random: Random) -> tuple[str, Request]:
    """The next request, and what kind it is."""
    kind = random.choices(list(KINDS), list(KINDS.values()))[0]
    return kind.__name__, kind(random)
