"""What simulation and faults keep of a long run, for a release to quote: `--report FILE`."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parent.parent


def write_report(file: Path | None, lines: Iterable[str]) -> None:
    """Write what came of the run of this commit; nothing without a file."""
    if file is not None:
        file.write_text("\n".join([f"at commit {commit()}", *lines]) + "\n")


def commit() -> str:
    """Which commit runs here, and whether something in it was changed."""
    command = ["git", "-C", ROOT, "describe", "--always", "--abbrev=40", "--dirty=, changed"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    return said.stdout.strip() or "unknown"
