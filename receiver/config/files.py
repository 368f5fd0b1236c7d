"""Reads and checks the files that the configuration names: secrets, certificates, programs."""

import os
import re
from pathlib import Path

from receiver.secret_files import BadFile, read_key, read_text

SHORTEST_TOKEN = 8


def in_folder(folder: Path, path: str) -> Path:
    """Make a path of the file absolute: relative ones start at the file's folder."""
    return Path(os.path.normpath(folder / path))


def read_certificate(path: Path) -> None:
    """Raise `BadFile` unless the file holds something in PEM."""
    _need_pem(path, read_text(path))


def read_private_key(path: Path) -> None:
    """Raise `BadFile` unless the file holds something in PEM that can be a key."""
    text = read_key(path)
    _need_pem(path, text)
    if "\\n" in text:
        raise BadFile(
            f"{str(path)!r} has \\n in place of line ends, as JSON writes them; write real ones"
        )
    kinds = re.findall(r"-----BEGIN ([A-Z0-9 ]+)-----", text)
    if kinds and not any(kind.endswith("PRIVATE KEY") for kind in kinds):
        raise BadFile(
            f"{str(path)!r} holds a {kinds[0].lower()}, not a private key; write the file that "
            "GitHub gave when the App's key was made"
        )
    if "ENCRYPTED PRIVATE KEY" in kinds:
        raise BadFile(f"{str(path)!r} is encrypted; write the key without a passphrase")


def _need_pem(path: Path, text: str) -> None:
    if "-----BEGIN " not in text:
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
