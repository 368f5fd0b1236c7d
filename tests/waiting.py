"""Waits until something has become true; nothing in a test waits for luck."""

import socket
from collections.abc import Callable
from random import Random, SystemRandom
from threading import Event
from time import monotonic
from typing import TypeVar

T = TypeVar("T")

GENEROUS = 90.0
"""Seconds: a busy machine must not fail a test, only something that never happens."""


def eventually(ask: Callable[[], T], *, within: float = GENEROUS, every: float = 0.05) -> T:
    """Ask until the answer is true, and give it. An assertion that fails inside means `not yet`.

    When time is up the last failure, or the last answer, tells why.
    """
    ends = monotonic() + within
    while True:
        try:
            answer = ask()
        except AssertionError:
            if monotonic() > ends:
                raise
        else:
            if answer:
                return answer
            assert monotonic() < ends, f"not within {within:.0f}s; the last answer was {answer!r}"
        pause(every)


def pause(seconds: float) -> None:
    """Let others work before we ask again."""
    Event().wait(seconds)


def free_port(random: Random | None = None) -> int:
    """Find a port for a server that is stopped and started again.

    It lies below those that the kernel gives to clients: one of them may not take it meanwhile.
    """
    random = random or SystemRandom()
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
