"""What tests of the command line share: what a command left, and programs that are no receiver."""

import csv
import fcntl
import io
import json
import os
import pty
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any, Self

import pytest

from receiver.cli import main

EVIL = "\x1b[31m[red]\u202eevil\n"
SHOWN = r"\x1b[31m[red]\u202eevil\n"

WHY = ("--comment", "the reason why")


@dataclass(frozen=True)
class Ended:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as JSON."""
        assert self.code == 0, self.err
        return json.loads(self.out)

    @property
    def rows(self) -> list[dict[str, str]]:
        """Standard output as CSV."""
        assert self.code == 0, self.err
        return list(csv.DictReader(io.StringIO(self.out, newline="")))


def run_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """Run a command in this process, as the installed one runs it."""

    def run(*args: str, url: str | None = None, token_file: str | None = None) -> Ended:
        monkeypatch.setattr(sys, "argv", ["retrain-receiver", *args])
        if url is not None:
            monkeypatch.setenv("RETRAIN_RECEIVER_URL", url)
        if token_file is not None:
            monkeypatch.setenv("RETRAIN_RECEIVER_TOKEN_FILE", token_file)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Ended(ended.value.code, said.out, said.err)

    return run


def closed_port() -> int:
    """A port where nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Peculiar:
    """Some other program that speaks HTTP; with no code it hangs up without an answer."""

    def __init__(self, code: int | None, **headers: str) -> None:
        self.seen: list[dict[str, str]] = []
        peculiar = self

        class Answers(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                peculiar.seen.append(dict(self.headers))
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if code is None:
                    self.close_connection = True
                    return
                self.send_response(code)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(b"<html>")

            do_POST = do_GET  # noqa: N815  http.server's name

            def log_message(self, *_args: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Answers)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def on_terminal(
    url: str, *command: str, width: int = 90, says: bytes = b"", code: int = 0, **environment: str
) -> str:
    """What a command that asks this receiver writes to a terminal of so many columns.

    `says` is what is typed there; `code` is how the command ends.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    without = {"NO_COLOR", "COLUMNS", "FORCE_COLOR"}
    inherited = {name: value for name, value in os.environ.items() if name not in without}
    called = [sys.executable, "-m", "receiver", *command, "--server", url]
    with subprocess.Popen(
        called,
        stdin=theirs,
        stdout=theirs,
        env={**inherited, "TERM": "xterm-256color", **environment},
    ) as process:
        os.close(theirs)
        os.write(ours, says)
        written = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # Linux's way to say that the other side is closed
                break
            if not part:
                break
            written += part
    os.close(ours)
    assert process.returncode == code
    return written.decode()
