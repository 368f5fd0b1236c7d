import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from receiver.demo import watchdog
from receiver.demo.asking import DemoError
from receiver.demo.children import Children

ROOT = Path(__file__).parents[2]


def sleeper():
    return [sys.executable, "-c", "import threading; threading.Event().wait(60)"]


def alive(pid):
    """Whether a process runs; one that waits to be reaped does not."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_child_that_ends_by_itself_is_noticed(tmp_path):
    """The demo names the process that failed and where its log is."""
    with Children(tmp_path) as children:
        children.start("broken", [sys.executable, "-c", "raise SystemExit(3)"])
        children.start("prepare", [sys.executable, "-c", ""], may_end=True)
        children._running["broken"].wait()
        children._running["prepare"].wait()

        with pytest.raises(DemoError, match=r"broken ended with exit code 3; see .*broken\.log"):
            children.check()
        assert children.ended("prepare")


def test_children_end_with_the_demo(tmp_path):
    """Leaving the demo ends what it started, and nothing else."""
    with Children(tmp_path) as children:
        children.start("one", sleeper())
        pid = children._running["one"].pid
        assert alive(pid)

    assert not alive(pid)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
def test_children_end_with_a_demo_that_was_killed(tmp_path):
    """After kill -9 of the demo its children end as well."""
    code = f"""
import os, signal, sys
from pathlib import Path
from receiver.demo.children import Children
with Children(Path({str(tmp_path)!r})) as children:
    children.start("one", {sleeper()!r})
    print(children._running["one"].pid, children._watchdog.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
    )
    child, watcher = map(int, killed.stdout.split())
    assert killed.returncode == -signal.SIGKILL

    wait_until_gone(child)
    wait_until_gone(watcher)


def wait_until_gone(pid):
    """The kernel tells when a process ends; nothing is polled."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    with os.fdopen(handle) as ended:
        assert select.select([ended], [], [], 30)[0], f"{pid} still runs"


def test_a_stubborn_child_is_killed():
    """What ignores SIGTERM for too long does not stay."""
    code = "import signal, threading; signal.signal(15, signal.SIG_IGN); print(flush=True)"
    child = subprocess.Popen(
        [sys.executable, "-c", f"{code}; threading.Event().wait(60)"], stdout=subprocess.PIPE
    )
    child.stdout.readline()

    watchdog.watch([f"+{child.pid}\n"], grace=0.1)

    assert child.wait(10) == -signal.SIGKILL
    child.stdout.close()


def test_a_demo_that_left_in_order_leaves_nothing_to_end():
    """The last line of an orderly demo takes the leash off."""
    child = subprocess.Popen(sleeper())

    watchdog.watch([f"+{child.pid}\n", ".\n"], grace=0)

    assert child.poll() is None
    child.kill()
    child.wait()
