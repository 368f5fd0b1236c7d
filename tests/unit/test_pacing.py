"""Answers are made a few at a time, and what their clients do not take stays within a budget."""

import asyncio
from functools import wraps

from receiver.web import pacing
from receiver.web.exports import Exports
from receiver.web.pacing import MAKERS, PART, UNSENT, Paced

SCOPE = {"type": "http", "method": "GET", "path": "/decisions", "headers": []}


def in_a_loop(test):
    @wraps(test)
    def run():
        asyncio.run(test())

    return run


class Client:
    """What one client was sent; it takes nothing before it is let."""

    def __init__(self, *, takes=True):
        self.messages = []
        self.told, self.lets = asyncio.Event(), asyncio.Event()
        if takes:
            self.lets.set()

    async def send(self, message):
        self.messages.append(message)
        self.told.set()
        if message["type"] == "http.response.body":
            await self.lets.wait()

    async def receive(self):
        await asyncio.Event().wait()

    @property
    def status(self):
        return self.messages[0]["status"]

    @property
    def body(self):
        return b"".join(message.get("body", b"") for message in self.messages[1:])


def answering(size):
    async def app(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * size})

    return app


async def settled():
    for _ in range(20):
        await asyncio.sleep(0)


def asked(app, client, **scope):
    return asyncio.create_task(app({**SCOPE, **scope}, client.receive, client.send))


@in_a_loop
async def test_a_long_answer_is_sent_in_parts():
    """The server waits between them; a whole one would lie in its buffer."""
    client = Client()

    await asked(Paced(answering(3 * PART + 1)), client)

    assert client.body == b"x" * (3 * PART + 1)
    assert max(len(message["body"]) for message in client.messages[1:]) == PART
    assert [message["more_body"] for message in client.messages[1:]] == [True] * 3 + [False]


@in_a_loop
async def test_long_answers_that_nobody_takes_are_bounded_and_short_ones_are_told():
    """503 and when to come back; room is given back with the answer."""
    paced = Paced(answering(UNSENT // 2))
    slow = [Client(takes=False) for _ in range(3)]
    tasks = [asked(paced, client) for client in slow]
    await settled()
    paced._app = answering(PART)
    short = Client()
    await asked(paced, short)
    for client in slow:
        client.lets.set()
    await asyncio.gather(*tasks)
    paced._app = answering(UNSENT * 2)  # more than there is: alone it is told all the same
    last = Client()
    await asked(paced, last)

    assert [client.status for client in slow] == [200, 200, 503]
    assert (b"retry-after", b"5") in slow[2].messages[0]["headers"]
    assert (short.status, last.status, len(last.body)) == (200, 200, UNSENT * 2)


@in_a_loop
async def test_few_are_made_at_a_time_and_who_waits_for_a_client_makes_nothing():
    """The others wait without taking memory; probes, scrapes and posts wait for nobody."""
    making, go_on = [], asyncio.Event()

    async def app(scope, _receive, send):
        making.append(scope["path"])
        await go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await send({"type": "http.response.body", "body": b"y"})

    paced = Paced(app)
    clients = [Client(takes=False) for _ in range(MAKERS + 1)]
    tasks = [asked(paced, client) for client in clients]
    await settled()
    at_first = list(making)
    beside = [Client() for _ in range(2)]
    tasks += [asked(paced, beside[0], path="/-/ready"), asked(paced, beside[1], method="POST")]
    await settled()
    go_on.set()
    await settled()
    at_last = list(making)
    for client in clients:
        client.lets.set()
    await asyncio.gather(*tasks)

    assert at_first == ["/decisions"] * MAKERS
    assert at_last[MAKERS:] == ["/-/ready", "/decisions", "/decisions"]


@in_a_loop
async def test_exports_are_counted():
    """One too many is told to come again; afterwards there is room."""
    exports = Exports(most=1)
    first, second, third = Client(takes=False), Client(), Client()
    task = asked(exports.answer(iter([b"a", b"b"]), "text/csv"), first)
    await first.told.wait()

    await asked(exports.answer(iter([b"a"]), "text/csv"), second)
    first.lets.set()
    await task
    await asked(exports.answer(iter([b"a"]), "text/csv"), third)

    assert (first.body, second.status, third.status) == (b"ab", 503, 200)


@in_a_loop
async def test_who_fails_gives_back():
    """An answer that fails, or whose client leaves, takes no maker's place with it."""

    async def failing(_scope, _receive, _send):
        raise ValueError

    paced = Paced(failing)
    for _ in range(2 * MAKERS):
        await asyncio.gather(asked(paced, Client()), return_exceptions=True)
    paced._app = answering(1)
    client = Client()

    await asyncio.wait_for(asked(paced, client), 5)

    assert client.status == 200
    assert pacing.AT_ONCE
