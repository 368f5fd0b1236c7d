"""The package for Python and the chart: built twice from one commit, they are the same bytes."""

import os
import subprocess
import sys
import venv
from pathlib import Path

from release import Refused

BIN = Path(sys.executable).parent


def build_python(tree: Path, out: Path, epoch: int) -> Path:
    """Build wheel and source distribution; the wheel."""
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(out)]
    subprocess.run(  # noqa: S603
        command,
        cwd=tree,
        env=os.environ | {"SOURCE_DATE_EPOCH": str(epoch)},
        check=True,
        capture_output=True,
    )
    (wheel,) = out.glob("*.whl")
    return wheel


def build_chart(helm: Path, tree: Path, out: Path) -> None:
    """Package the chart with helm, which keeps the times of the tree's files: the commit's."""
    if not helm.exists():
        raise Refused(f"{helm.name} is missing: `make chart-tools`")
    chart = tree / "charts" / "retrain-receiver"
    command = [str(helm), "package", str(chart), "--destination", str(out)]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603


def install(wheel: Path, requirements: Path, folder: Path) -> Path:
    """Make an empty environment and install the wheel as docs/install.md says; its Python."""
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    _pip(python, "--require-hashes", "--requirement", requirements)
    _pip(python, wheel)
    return python


def install_beside(wheel: Path, folder: Path) -> Path:
    """Install the wheel alone; it borrows what it needs from the environment that runs this."""
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    _pip(python, wheel)
    (site,) = (folder / "lib").glob("python*/site-packages")
    (borrowed,) = (BIN.parent / "lib").glob("python*/site-packages")
    # Path files in there are not followed, so the package itself can't come from this clone.
    (site / "borrowed.pth").write_text(f"{borrowed}\n")
    return python


def _pip(python: Path, *what: str | Path) -> None:
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile"]
    command = [sys.executable, "-m", "pip", "--python", python, "install", *options, *what]
    subprocess.run(command, check=True)  # noqa: S603


def check_installed(python: Path, version: str) -> None:
    """Refuse a wheel whose command does not tell this version, or whose files are not whole."""
    command = python.with_name("retrain-receiver")
    told = subprocess.run([command, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    if told.stdout != f"retrain-receiver {version}\n":
        raise Refused(
            f"the installed wheel's `retrain-receiver --version` says {told.stdout.strip()!r} "
            f"{told.stderr.strip()!r}, not {version}"
        )
