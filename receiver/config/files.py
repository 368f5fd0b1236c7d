"""Reads and checks the files that the configuration names: secrets, certificates, programs."""

import os
from pathlib import Path

SHORTEST_TOKEN = 8


class BadFile(ValueError):
    """A file can't be what its setting says; the message never shows its content."""


def in_folder(folder: Path, path: str) -> Path:
    """Make a path of the file absolute: relative ones start at the file's folder."""
    return Path(os.path.normpath(folder / path))


def read_secret(path: Path) -> str:
    """Read a file that holds one secret. Raises `BadFile`."""
    secret = read_text(path).strip()
    if not secret:
        raise BadFile(f"{str(path)!r} is empty; write the secret into it")
    if not secret.isprintable() or " " in secret:
        raise BadFile(f"{str(path)!r} holds more than one line or word; write one secret only")
    return secret


def read_text(path: Path) -> str:
    """Read a small file. Raises `BadFile` if that can't be done."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadFile(
            f"can't read {str(path)!r}: {error.strerror}; "
            "relative paths start at the configuration's folder"
        ) from None
    except UnicodeDecodeError:
        raise BadFile(f"{str(path)!r} is no text; write it as UTF-8") from None


def read_certificate(path: Path) -> None:
    """Raise `BadFile` unless the file holds something in PEM."""
    if "-----BEGIN " not in read_text(path):
        raise BadFile(f"{str(path)!r} is not in PEM; it must have a line -----BEGIN …-----")


def need_file(path: Path) -> None:
    """Raise `BadFile` unless the file is there and may be read."""
    if not path.is_file() or not os.access(path, os.R_OK):
        raise BadFile(
            f"there is no readable file {str(path)!r}; "
            "relative paths start at the configuration's folder"
        )


def need_program(path: Path) -> None:
    """Raise `BadFile` unless the file is there and may be run."""
    if not path.is_file() or not os.access(path, os.X_OK):
        raise BadFile(f"there is no program {str(path)!r}; write the interpreter with the kfp SDK")
