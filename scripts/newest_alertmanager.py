"""Builds the newest Alertmanager into `.tools/`, from the Go module proxy; it needs Go.

Debian's is years older, and what an Alertmanager lists and mutes has changed since. The module
holds no built pages, so they are left out: what is asked is the API.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

VERSION = "v0.35.0"
HASH = "h1:nbXMjr+P2JaoFd7aHNDxKifEwTPN+TWxM0gNPonuH5w="
"""Of the module, as `go.sum` has it."""

NEEDS = (1, 26)
"""Go's version, as the module demands it."""

TOOL = Path(__file__).resolve().parent.parent / ".tools" / "alertmanager"

NO_PAGES = """\
package ui

import "github.com/prometheus/common/route"

// Register serves no pages.
func Register(*route.Router) {}
"""


def why_not() -> str | None:
    """Why it can't be built here."""
    go = shutil.which("go")
    if go is None:
        return "there is no Go"
    said = subprocess.run([go, "version"], capture_output=True, text=True, check=True).stdout  # noqa: S603
    found = re.search(r"go(\d+)\.(\d+)", said)
    if found is None or (int(found[1]), int(found[2])) < NEEDS:
        return f"it needs Go {NEEDS[0]}.{NEEDS[1]}, and there is {said.strip()}"
    return None


def fetched(folder: Path) -> Path:
    """The module's source, in a folder that may be written to."""
    answer = subprocess.run(  # noqa: S603
        ["go", "mod", "download", "-json", f"github.com/prometheus/alertmanager@{VERSION}"],  # noqa: S607
        capture_output=True,
        cwd=folder,
        check=True,
    )
    told = json.loads(answer.stdout)
    if told["Sum"] != HASH:
        raise ValueError(f"the module's hash is {told['Sum']}, not {HASH}")
    source = folder / "alertmanager"
    shutil.copytree(told["Dir"], source, copy_function=shutil.copyfile)
    for each in [source, *source.rglob("*")]:
        each.chmod(0o755)
    (source / "ui" / "web.go").write_text(NO_PAGES)
    return source


def main() -> None:
    """Build it, unless it can't be: the tests ask Debian's all the same."""
    reason = why_not()
    if reason is None:
        try:
            build()
        except subprocess.CalledProcessError as error:
            said = (error.stderr or error.stdout or b"").decode(errors="replace").strip()
            reason = f"{' '.join(map(str, error.cmd[:3]))} failed: {said[-500:]}"
    if reason is not None:
        sys.stderr.write(f"The newest Alertmanager is not built, and not tested: {reason}.\n")


def build() -> None:
    """Fetch it, build it, and put it in its place. Raises `CalledProcessError`."""
    TOOL.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        source = fetched(Path(folder))
        built = source / "built"
        subprocess.run(  # noqa: S603
            ["go", "build", "-o", built, "./cmd/alertmanager"],  # noqa: S607
            cwd=source,
            env={**os.environ, "CGO_ENABLED": "0"},
            check=True,
        )
        shutil.copy(built, TOOL)  # only when it is whole


if __name__ == "__main__":
    main()
