"""GET /events: what is decided and what moves, as it happens (server-sent events)."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import timedelta
from http import HTTPStatus

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from receiver.core.tenants import Tenant
from receiver.store.store import Store, StoreUnavailable
from receiver.store.views.decisions import DecisionEvent
from receiver.web.auth import require_reader
from receiver.web.params import number, only
from receiver.web.problems import Problem
from receiver.web.service import Service

MEDIA_TYPE = "text/event-stream"

DESCRIPTION = (
    "Server-sent events: `decision` (with its id; the data names model, policy, reason, outcome), "
    "`standing` at the beginning and when a dispatch or its run moved, `reset` when more happened "
    "than is told. An id is given before its commit, so whoever resumes is told the last 30 "
    "seconds again: know a decision by its id."
)

LAST_EVENT = {
    "name": "Last-Event-ID",
    "in": "header",
    "schema": {"type": "integer"},
    "description": "The last decision that was heard of; browsers send it by themselves.",
}

MOST_FOLLOWERS = 64
MOST_EVENTS = 200
"""Events told at a time; if there are more, a follower is told to read everything anew."""

OVERLAP = timedelta(seconds=30)
"""An id is given before its commit, so a smaller one may come to light later: longer than any
transaction waits for a lock."""

LOOK_SECONDS = 1.0
TICK_SECONDS = 0.2
"""How soon a shutdown is noticed."""

BEAT_SECONDS = 15.0
"""Proxies and dead connections: something is said now and then."""

LONGEST_SECONDS = 900.0
"""Then a follower comes back by itself, with a token that is still good."""

RESET = "event: reset\ndata: {}\n\n"

STANDING = "event: standing\ndata: {}\n\n"

ENDED = None


class Events:
    """The route; whoever sees the same follows together."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._following: dict[Tenant | None, Following] = {}

    async def __call__(self, request: Request) -> Response:
        """Begin to follow; with `Last-Event-ID` from shortly before that decision."""
        tenant = require_reader(request, self._service.loaded.tokens).tenant
        only(request, ())
        last = request.headers.get("last-event-id")
        after = None if last is None else number("Last-Event-ID", last)
        count = sum(len(each.followers) for each in self._following.values())
        if self._service.draining.is_set() or count >= MOST_FOLLOWERS:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE, "too many follow already", {"Retry-After": "60"}
            )
        headers = {"X-Accel-Buffering": "no"}
        following = self._following.setdefault(tenant, Following(self._service, tenant))
        return StreamingResponse(following.follow(after), headers=headers, media_type=MEDIA_TYPE)


class Following:
    """One look at the store serves all who follow; without a follower nobody looks.

    Attributes:
        followers: Where each of them is told.

    """

    def __init__(self, service: Service, tenant: Tenant | None) -> None:
        self._service = service
        self._tenant = tenant
        self.followers: set[asyncio.Queue[str | None]] = set()
        self._watching: asyncio.Task[None] | None = None
        self._looked = False

    async def follow(self, after: int | None) -> AsyncIterator[str]:
        """What is told from now on; with `after` from shortly before that decision."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + LONGEST_SECONDS
        with self._queue() as queue:
            yield "retry: 3000\n\n"
            if after is not None:
                yield await run_in_threadpool(self._missed, after)
            while loop.time() < ends:
                try:
                    told = await asyncio.wait_for(queue.get(), BEAT_SECONDS)
                except TimeoutError:
                    yield ": still here\n\n"
                    continue
                if told is ENDED:
                    return
                yield told

    @contextmanager
    def _queue(self) -> Iterator[asyncio.Queue[str | None]]:
        # Short: whoever does not read gets a reset rather than a long past.
        queue: asyncio.Queue[str | None] = asyncio.Queue(8)
        self.followers.add(queue)
        if self._watching is None or self._watching.done():
            self._looked = False
            self._watching = asyncio.create_task(self._watch())
        elif self._looked:
            queue.put_nowait(STANDING)
        try:
            yield queue
        finally:
            self.followers.discard(queue)

    def _missed(self, after: int) -> str:
        with self._service.store.view(self._tenant) as view:
            rows = view.decisions.after(after, OVERLAP, MOST_EVENTS + 1)
        return told_of(rows)

    async def _watch(self) -> None:
        """Look as long as somebody follows, and tell them what is new."""
        watch = Seen(self._service.store, self._tenant)
        while self.followers:
            with suppress(StoreUnavailable):  # the next look finds what this one missed
                self._tell(await run_in_threadpool(watch.look))
                self._looked = True
            if await self._ended(LOOK_SECONDS):
                self._tell(ENDED)
                return

    def _tell(self, told: str | None) -> None:
        for queue in self.followers if told != "" else ():
            while queue.full():
                queue.get_nowait()
                told = told and RESET
            queue.put_nowait(told)

    async def _ended(self, within: float) -> bool:
        waited = 0.0
        while waited < within and not self._service.draining.is_set():
            await asyncio.sleep(TICK_SECONDS)
            waited += TICK_SECONDS
        return self._service.draining.is_set()


class Seen:
    """Knows what was told already: at first, what whoever follows has just read."""

    def __init__(self, store: Store, tenant: Tenant | None = None) -> None:
        self._store = store
        self._tenant = tenant
        self._newest = 0
        self._told: set[int] | None = None
        self._moving: object = None

    def look(self) -> str:
        """Everything that is new since the last look, as events.

        The first look tells that it was made: whoever reads now misses nothing from then on.
        """
        with self._store.view(self._tenant) as view:
            newest = self._newest or view.decisions.newest_id()
            rows = view.decisions.after(newest, OVERLAP, MOST_EVENTS + 1)
            moving = view.dispatches.moving()
        told = self._told
        fresh = [row for row in rows if told is not None and row.id not in told]
        moved = told is None or moving != self._moving
        self._told, self._moving = {row.id for row in rows}, moving
        self._newest = max([newest, *self._told])
        return told_of(fresh) + (STANDING if moved else "")


def told_of(rows: Sequence[DecisionEvent]) -> str:
    """Decisions as events, oldest first; a single one if they are too many."""
    if len(rows) > MOST_EVENTS:
        return f"id: {max(row.id for row in rows)}\n{RESET}"
    return "".join(
        f"id: {row.id}\nevent: decision\ndata: {json.dumps(asdict(row))}\n\n"
        for row in sorted(rows, key=lambda row: row.id)
    )
