"""Ends the demo's children when the demo itself was killed; runs as a small process of its own.

It reads `+PID` and `-PID` lines. When the pipe ends without `.` its writer is dead.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterable
from time import monotonic

GRACE = 10.0

LOOK = 0
"""No signal: only whether somebody is there."""


def watch(lines: Iterable[str], grace: float = GRACE) -> None:
    """Follow the lines to their end, then end the processes that are still listed."""
    pids: list[int] = []
    for line in lines:
        if line.startswith("+"):
            pids.append(int(line[1:]))
        elif line.startswith("-"):
            pids.remove(int(line[1:]))
        else:
            return
    left = [pid for pid in pids if send(pid, signal.SIGTERM)]
    ends = monotonic() + grace
    while left and monotonic() < ends:
        threading.Event().wait(0.1)
        left = [pid for pid in left if send(pid, LOOK)]
    for pid in left:
        send(pid, signal.SIGKILL)


def send(pid: int, number: int) -> bool:
    """Send a signal; say whether somebody was there."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    watch(sys.stdin)
