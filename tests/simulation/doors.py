"""Doors: who may post at a process, by the token files of its machine."""

from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from receiver.config import Role, TokenFile
from receiver.web.auth import Tokens
from receiver.web.problems import Problem

TOKEN = "alertmanagers-own"

NOTHING: tuple[str | None, ...] = (None, "Bearer ", "Basic YW5hOg==", "Bearer another")
"""What somebody shows who has no token: no header, empty ones, a wrong one."""


@dataclass(frozen=True, slots=True)
class Knock:
    """Somebody asked to come in.

    Attributes:
        refused: With which status; None if they came in.
        ours: Whether they had the token.
        readable: Whether its file held it just then.
        known: Whether the process surely knew it from earlier.

    """

    refused: int | None
    ours: bool
    readable: bool
    known: bool


class Door:
    """A machine's token file, with what the process there knows of it."""

    def __init__(self, folder: Path, name: str) -> None:
        self._file = folder / name
        self._readable = True
        self._file.write_text(TOKEN)
        self._roles = {Role.WEBHOOK: (TokenFile("alertmanager", self._file),)}
        self.open_anew()

    def open_anew(self) -> None:
        """A process starts: it knows what it can read."""
        self._tokens = Tokens(self._roles)
        self._known = self._readable

    def reload(self) -> None:
        """A configuration takes another's place, with what was known of the same files."""
        self._tokens = Tokens(self._roles, self._tokens)
        self._known |= self._readable

    def empty(self) -> None:
        """Somebody empties the file: a secret that was not mounted, a disk that was full."""
        self._file.write_text("")
        self._readable = False

    def fill(self) -> None:
        """The token is there again."""
        self._file.write_text(TOKEN)
        self._readable = True

    def knock(self, shown: str | None = f"Bearer {TOKEN}") -> Knock:
        """Ask to come in, with this as `Authorization`."""
        refused: int | None = None
        try:
            self._tokens.caller(shown, Role.WEBHOOK)
        except Problem as problem:
            refused = HTTPStatus(problem.status).value
        ours, known = shown == f"Bearer {TOKEN}", self._known
        self._known |= self._readable
        return Knock(refused, ours, self._readable, known)
