"""Runs one compiled pipeline through kfp.local, in the process that kfp_local.py starts for it.

The interpreter has the kfp SDK and nothing of ours. The only argument is the run's folder.
"""

import fcntl
import importlib.util
import json
import os
import re
import sys
import traceback
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

NO_KFP = 3
"""Exit status: this interpreter has no kfp SDK."""

COLOUR = re.compile("\x1b\\[[0-9;]*m")
TASK_ERROR = re.compile(
    r"^    Traceback \(most recent call last\):\n(?:     .*\n)*    (\S.*)$", re.MULTILINE
)
"""A task's last words: kfp.local shows its output four spaces to the right."""


def main(folder: Path) -> int:
    """Run the pipeline, if nobody has begun or withdrawn this run before."""
    if importlib.util.find_spec("kfp") is None:
        return NO_KFP
    lock = claim(folder)
    if lock is None:
        return 0
    # kfp.local starts each task with our standard input. So the lock lives as long as we or any
    # task do: nobody takes the run for ended while an orphaned task still trains.
    os.dup2(lock, 0)
    # Standard output was the pipe to our starter. Its end tells it that the run has begun.
    os.dup2(2, 1)
    # Tasks write relative paths here, not over the files of the run.
    (folder / "work").mkdir()
    os.chdir(folder / "work")
    result = run(folder)
    result["ended_at"] = datetime.now(timezone.utc).isoformat()  # noqa: TID251, UP017  no Clock, maybe 3.10
    write(folder / "result.json", json.dumps(result, default=str))
    return 0


def claim(folder: Path) -> int | None:
    """Begin the run; None if another child has, or if it was withdrawn.

    Of several renames of `ready` exactly one succeeds. The lock is taken before, so that a run
    that has begun is never seen without it.
    """
    try:
        lock = os.open(folder / "ready", os.O_RDWR)
        fcntl.flock(lock, fcntl.LOCK_SH)
        (folder / "ready").rename(folder / "started")
    except FileNotFoundError:
        return None
    os.write(lock, b"%d\n" % os.getpid())
    sync(folder)
    return lock


def run(folder: Path) -> dict[str, Any]:
    """Run the pipeline to its end."""
    try:
        from kfp import components, local  # noqa: PLC0415  takes seconds; the claim comes first

        request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
        local.init(
            runner=local.SubprocessRunner(use_venv=False),
            pipeline_root=str(folder / "outputs"),
            raise_on_error=True,
        )
        pipeline = components.load_component_from_file(str(folder / "pipeline.yaml"))
        task = pipeline(**request["arguments"])
    except Exception as error:  # noqa: BLE001  whatever a pipeline raises is the run's result
        traceback.print_exc()
        return {"state": "failed", "error": reason(folder / "log.txt", error)}
    return {"state": "succeeded", "outputs": dict(task.outputs)}


def reason(log: Path, error: Exception) -> str:
    """Say why it failed. kfp.local only says which task did; its traceback is in the log."""
    with log.open("rb") as file:
        file.seek(max(log.stat().st_size - 65536, 0))
        text = file.read().decode(errors="replace")
    raised = TASK_ERROR.findall(text)
    said = COLOUR.sub("", str(error)) or type(error).__name__
    return f"{said} {raised[-1]}" if raised else said


def write(path: Path, text: str) -> None:
    """Write a file that is whole or absent, also after a power cut."""
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    sync(path.parent)


def sync(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
