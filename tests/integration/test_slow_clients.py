"""Clients that are slow, silent or endless: bounded in time and memory, and nobody else waits."""

import asyncio
import json
import socket
import threading
from contextlib import closing
from http.client import HTTPConnection

import pytest

from receiver.store.store import StoreUnavailable
from receiver.web import bodies, protocol
from receiver.web.bodies import Memory
from tests.posts import entry, post
from tests.serving import host

POST = b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"


@pytest.fixture
def url(sqlite_url):
    """What is tested here stands before the store; the flows are tested on both engines."""
    return sqlite_url


@pytest.fixture
def hosted(history, tmp_path, monkeypatch):
    monkeypatch.setattr(protocol, "HEADERS_SECONDS", 0.2)
    monkeypatch.setattr(bodies, "RECEIPT_SECONDS", 0.2)
    with host(history, tmp_path) as hosted:
        yield hosted


def connect(hosted):
    address = hosted.url.removeprefix("http://").split(":")
    return socket.create_connection((address[0], int(address[1])), timeout=60)


def all_of(connection):
    """What the server says until it hangs up."""
    said = b""
    try:
        while part := connection.recv(65536):
            said += part
    except ConnectionResetError:
        pass
    return said


@pytest.mark.parametrize(
    "begin",
    [b"", b"P", b"POST /webhook HTTP/1.1\r\nHost: x\r\n"],
    ids=["silent", "line", "headers"],
)
def test_a_connection_with_unfinished_headers_is_closed(hosted, begin):
    """Uvicorn would wait for ever."""
    with connect(hosted) as connection:
        connection.sendall(begin)

        assert all_of(connection) == b""


@pytest.mark.parametrize("begin", [b"P", b"POST /webhook HTTP/1.1\r\nHost: x\r\n"])
def test_so_is_one_whose_later_request_has_unfinished_headers(hosted, begin):
    """Whoever was patient once may be slow the next time."""
    with connect(hosted) as connection:
        connection.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
        said = b""
        while not said.endswith(b"healthy\n"):
            said += connection.recv(65536)

        connection.sendall(begin)

        assert all_of(connection) == b""


def test_headers_without_end_are_hung_up_on(hosted):
    """They would fill the memory."""
    with connect(hosted) as connection:
        connection.sendall(b"POST /webhook HTTP/1.1\r\n")
        try:
            for number in range(10_000):
                connection.sendall(b"X-%d: %s\r\n" % (number, b"x" * 1000))
        except OSError:
            return
        assert all_of(connection) == b""


def test_a_body_that_does_not_come_is_told_and_hung_up_on(hosted):
    """408, and the connection is closed."""
    with connect(hosted) as connection:
        connection.sendall(POST + b"{")

        said = all_of(connection)

    assert said.startswith(b"HTTP/1.1 408")
    assert b"did not come within" in said


def test_an_idle_connection_between_two_requests_may_stay(hosted):
    """Alertmanager keeps its connections; only unfinished headers have a deadline."""
    address = hosted.url.removeprefix("http://")
    with closing(HTTPConnection(address, timeout=60)) as connection:
        for _ in range(3):
            connection.request("GET", "/-/healthy")
            assert connection.getresponse().read() == b"healthy\n"
            kept = connection.sock
            threading.Event().wait(0.5)  # longer than the deadline: that is the claim

        assert connection.sock is kept is not None


def test_slow_clients_hold_up_nobody(hosted):
    """While many of them are silent, a notification is decided."""
    silent = [connect(hosted) for _ in range(50)]
    try:
        for connection in silent:
            connection.sendall(POST)
        answer = hosted_post(hosted)
    finally:
        for connection in silent:
            connection.close()

    assert b" 200 " in answer


def hosted_post(hosted):
    body = json.dumps(post(entry("42"))).encode()
    head = b"POST /webhook HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    with connect(hosted) as connection:
        connection.sendall(head % len(body) + body)
        return all_of(connection)


@pytest.mark.parametrize("length", [b"1" * 19, b"9" * 5000, b"x", b"-1", b"1e3"])
def test_an_odd_content_length_is_no_fault_of_ours(hosted, length):
    """A 4xx, whatever it says."""
    with connect(hosted) as connection:
        connection.sendall(POST.replace(b"100", length) + b"{}")

        assert all_of(connection).startswith((b"HTTP/1.1 400", b"HTTP/1.1 413"))


def test_memory_is_given_out_in_the_order_of_asking():
    """A large one is not overtaken for ever by small ones."""

    async def story():
        memory, order = Memory(10), []

        async def take(name, size):
            async with memory.room(size, 60):
                order.append(name)
                await asyncio.sleep(0)

        async with memory.room(6):
            waiting = [asyncio.create_task(take(name, size)) for name, size in WAITING]
            await asyncio.sleep(0)
            assert order == []
        await asyncio.gather(*waiting)
        return order, memory._left

    assert asyncio.run(story()) == (["large", "small", "tiny"], 10)


WAITING = [("large", 10), ("small", 2), ("tiny", 1)]


def test_memory_that_does_not_come_is_a_503():
    """Alertmanager comes back; what waited holds nothing."""

    async def story():
        memory = Memory(10)
        async with memory.room(10):
            with pytest.raises(StoreUnavailable):
                async with memory.room(1, 0.01):
                    pass
        async with memory.room(10, 0.01):
            return memory._left

    assert asyncio.run(story()) == 0


def test_a_client_that_hangs_up_while_it_waits_holds_nothing():
    """Cancelled before or after its turn, it gives back what it took."""

    async def story():
        memory = Memory(10)

        async def take():
            async with memory.room(10, 60):
                await asyncio.sleep(60)

        async with memory.room(10):
            first, second = asyncio.create_task(take()), asyncio.create_task(take())
            await asyncio.sleep(0)
            first.cancel()
            await asyncio.sleep(0)
        second.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        return memory._left

    assert asyncio.run(story()) == 10


def test_who_takes_nothing_of_an_answer_is_hung_up_on(hosted, monkeypatch):
    """What it did not take would wait in our memory for ever."""
    monkeypatch.setattr(protocol, "TAKING_SECONDS", 0.2)
    one = entry("42")
    one["annotations"]["padding"] = "x" * 9_000_000
    (told,) = hosted.post("/webhook", post(one)).json()["decisions"]
    with connect(hosted) as connection:
        connection.sendall(b"GET /decisions/%d HTTP/1.1\r\nHost: x\r\n\r\n" % told["id"])
        connection.recv(100)
        hung_up = threading.Event()
        lost = protocol.PatientProtocol.connection_lost

        def watched(self, exc):
            lost(self, exc)
            hung_up.set()

        monkeypatch.setattr(protocol.PatientProtocol, "connection_lost", watched)

        assert hung_up.wait(60)

        assert len(all_of(connection)) < 9_000_000
