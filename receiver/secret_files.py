"""Reads secrets and other files that the configuration names: one verdict for every reader."""

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path

LARGEST_SECRET = 64 * 1024
"""A key of 16,384 bits in PEM has 13 KiB; no token comes near."""

LARGEST_TEXT = 1024**2
"""As much as a Kubernetes ConfigMap may hold, and several times a system's certificates."""


class BadFile(ValueError):
    """A file can't be what its setting says; the message never shows its content."""


@dataclass(frozen=True, slots=True)
class Secret:
    """One secret, and what was left out of its file on reading.

    Attributes:
        left_out: What an editor put around it (a byte order mark, Windows' line ends), in words.

    """

    text: str
    left_out: tuple[str, ...] = ()


def read_secret(path: Path) -> str:
    """Read a file that holds one secret. Raises `BadFile`."""
    return read_secret_file(path).text


def read_secret_file(path: Path) -> Secret:
    """Read a secret, and say what its file holds besides. Raises `BadFile`."""
    raw = _text(path, _bytes(path, LARGEST_SECRET))
    text = raw.removeprefix("\ufeff")
    left_out = tuple(
        words
        for words, found in (
            ("a byte order mark", text != raw),
            ("Windows' line ends", "\r" in text),
        )
        if found
    )
    return Secret(_one_word(path, text), left_out)


def read_token(path: Path) -> str:
    """Read a token that we send: it goes into a header, so it must be ASCII. Raises `BadFile`."""
    token = read_secret(path)
    if not token.isascii():
        raise BadFile(f"{str(path)!r} holds a token that is not ASCII; write it anew")
    return token


def read_key(path: Path) -> str:
    """Read a private key in PEM, which has many lines. Raises `BadFile`."""
    key = read_text(path, LARGEST_SECRET).strip()
    if not key:
        raise BadFile(f"{str(path)!r} is empty; write the private key into it")
    return key


def read_text(path: Path, most: int = LARGEST_TEXT) -> str:
    """Read a text of some lines, without a byte order mark. Raises `BadFile`."""
    return _text(path, _bytes(path, most)).removeprefix("\ufeff")


def read_piped(path: Path, most: int = LARGEST_TEXT) -> bytes:
    """Read a file that a person names for one command, where a pipe will do. Raises `OSError`."""
    return _read(path, most, pipe=True)


def _one_word(path: Path, text: str) -> str:
    secret = text.strip()
    if not secret:
        raise BadFile(f"{str(path)!r} is empty; write the secret into it")
    if not secret.isprintable() or " " in secret:
        raise BadFile(f"{str(path)!r} holds more than one line or word; write one secret only")
    return secret


def _text(path: Path, raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise BadFile(f"{str(path)!r} is no text; write it as UTF-8") from None


def _bytes(path: Path, most: int) -> bytes:
    try:
        return _read(path, most, pipe=False)
    except NotRegularError as error:
        raise BadFile(f"{str(path)!r} is {error}; write the path of a regular file") from None
    except TooLargeError:
        raise BadFile(f"{str(path)!r} has more than {most} bytes; is it the right file?") from None
    except OSError as error:
        raise BadFile(
            f"can't read {str(path)!r}: {error.strerror}; "
            "relative paths start at the configuration's folder"
        ) from None


class NotRegularError(OSError):
    """Reading it might never end: a device, a pipe, a socket."""


class TooLargeError(OSError):
    """There is more in it than anyone writes by intention."""


def _read(path: Path, most: int, *, pipe: bool) -> bytes:
    # Opening a pipe waits for its writer: a file that turned into one must not hold us.
    opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC | (0 if pipe else os.O_NONBLOCK))
    try:
        mode = os.fstat(opened).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not (stat.S_ISREG(mode) or (pipe and stat.S_ISFIFO(mode))):
            raise NotRegularError("a pipe" if stat.S_ISFIFO(mode) else "a device")
        with os.fdopen(opened, "rb", closefd=False) as file:
            content = file.read(most + 1)
    finally:
        os.close(opened)
    if len(content) > most:
        raise TooLargeError(f"it has more than {most} bytes")
    return content
