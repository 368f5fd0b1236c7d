"""Checksums of what is released, and their signature by minisign."""

import hashlib
import shutil
import subprocess
from pathlib import Path

from release import Refused

SUMS = "SHA256SUMS"


def write_sums(folder: Path) -> Path:
    """Write the sums of all files in the folder, as `sha256sum --check` reads them."""
    files = [path for path in sorted(folder.iterdir()) if not path.name.startswith(SUMS)]
    sums = folder / SUMS
    sums.write_text("".join(f"{digest(path)}  {path.name}\n" for path in files))
    return sums


def check_sums(folder: Path) -> None:
    """Refuse files that are not those of the sums."""
    for line in (folder / SUMS).read_text().splitlines():
        expected, _, name = line.partition("  ")
        if not (folder / name).is_file() or digest(folder / name) != expected:
            raise Refused(f"{name} is not the file that {SUMS} names: build the release anew")


def digest(path: Path) -> str:
    """Make the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def throwaway_key(folder: Path) -> tuple[Path, Path]:
    """Make a key without a password, for a release nobody gets: secret and public."""
    secret, public = folder / "throwaway.key", folder / "throwaway.pub"
    minisign("-G", "-W", "-s", secret, "-p", public)
    return secret, public


def sign(file: Path, secret: Path, comment: str) -> Path:
    """Sign a file; minisign asks for the key's password itself."""
    if not secret.is_file():
        raise Refused(
            f"there is no key {secret}: name it with KEY=FILE, or make one with "
            "`minisign -G -p release/minisign.pub` and commit the public part"
        )
    signature = file.with_name(f"{file.name}.minisig")
    command: list[str | Path] = [program(), "-S", "-s", secret]
    command += ["-m", file, "-x", signature, "-t", comment]
    # Not captured: it asks for the key's password.
    if subprocess.run(command, check=False).returncode:  # noqa: S603
        raise Refused(f"{file.name} was not signed: give the password of {secret}")
    return signature


def verify(file: Path, public: Path) -> None:
    """Refuse a file that the owner of the public key did not sign."""
    try:
        minisign("-V", "-q", "-p", public, "-m", file)
    except subprocess.CalledProcessError as error:
        said = " ".join((error.stderr or error.stdout).split())
        raise Refused(
            f"the signature of {file.name} is not one by the key of {public.name} ({said}): sign "
            "with the key whose public part is committed"
        ) from error


def minisign(*arguments: str | Path) -> None:
    """Run minisign."""
    subprocess.run([program(), *arguments], check=True, capture_output=True, text=True)  # noqa: S603


def program() -> str:
    """Find minisign."""
    found = shutil.which("minisign")
    if found is None:
        raise Refused("minisign is missing: `apt-get install minisign` or `brew install minisign`")
    return found
