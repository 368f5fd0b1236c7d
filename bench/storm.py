"""A storm: bodies of nearly 10 MB and 2,000 connections at once; memory, and back to serving."""

import json
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from bench.load import alert, notification
from bench.servers import Server, receiver

CONNECTIONS = 2000
BODIES = 12
LARGE = 9_700_000


def lines(folder: Path) -> Iterator[tuple[str, str, str, bool]]:
    """The peak of the resident memory, and the time until a small notification is accepted."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 2 * CONNECTIONS)), hard))
    with receiver(folder / "storm") as server, ExitStack() as stack:
        place = ("127.0.0.1", int(server.url.rpartition(":")[2]))
        for number in range(CONNECTIONS):
            held = stack.enter_context(socket.create_connection(place, timeout=30))
            small = json.dumps(notification(range(number, number + 1))).encode()
            head = f"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: {len(small)}\r\n\r\n"
            held.sendall(head.encode() + small)
        answered = storm(server)
        peak = server.peak_memory()
        back = until_served(server)
    yield (
        f"memory, {BODIES} bodies of 9.7 MB ({answered} accepted), {CONNECTIONS:,} connections",
        f"{peak:.0f} MiB",
        "≤ 220 MiB",
        peak <= 220,  # noqa: PLR2004  the aim
    )
    yield ("from there to the next answer", f"{back:.1f} s", "≤ 5 s", back <= 5)  # noqa: PLR2004


def storm(server: Server) -> int:
    """Post all bodies at once. How many were accepted; the others were told to come back."""
    codes: list[int] = []

    def post(start: int) -> None:
        codes.append(status(server.url, large(start)))

    threads = [threading.Thread(target=post, args=(n * 100_000,)) for n in range(BODIES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if not set(codes) <= {200, 503}:
        raise RuntimeError(f"answers were {codes}")
    return codes.count(200)


def large(start: int) -> bytes:
    """A notification of nearly 10 MB, as Alertmanager groups of 20,000 alerts are."""
    one = len(json.dumps(alert(start)))
    alerts = [alert(start + n) for n in range(LARGE // (one + 2))]
    return json.dumps({**notification(range(0)), "alerts": alerts}).encode()


def status(url: str, body: bytes) -> int:
    """Post a notification, and give the answer's status."""
    try:
        with urlopen(Request(f"{url}/webhook", body), timeout=120) as answer:  # noqa: S310
            code: int = answer.status
            return code
    except HTTPError as error:
        return error.code
    except URLError:
        return HTTPStatus.SERVICE_UNAVAILABLE  # it was said, and hung up, while we still sent


def until_served(server: Server) -> float:
    """Seconds until a small notification is accepted."""
    began = time.perf_counter()
    small = json.dumps(notification(range(1))).encode()
    while status(server.url, small) != 200:  # noqa: PLR2004  OK
        time.sleep(0.05)  # noqa: TID251  it is asked again until it accepts
    return time.perf_counter() - began
