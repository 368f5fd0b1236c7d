import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from receiver.demo.asking import DemoError, NoAnswerError
from receiver.demo.screen import Steps
from tests.demo.kfp_environment import need_kfp_environment

ROOT = Path(__file__).parents[2]


def test_a_step_that_does_not_happen_says_which():
    """When the time is up, the demo names what it waited for and why it saw nothing."""

    def look():
        raise NoAnswerError("http://127.0.0.1:1/-/ready: connection refused")

    with (
        Steps(1, meanwhile=lambda: None) as screen,
        pytest.raises(DemoError, match=r"in vain for the receiver .*connection refused"),
    ):
        screen.wait("the receiver", look, within=-1)


def test_plain_lines_without_a_terminal(capsys):
    """A log or a pipe gets lines, no control characters and no markup."""
    with Steps(1, meanwhile=lambda: None) as screen:
        assert screen.wait("[the thing]", lambda: 7, within=1) == 7
        screen.done("it [happened]")

    shown = capsys.readouterr().out
    assert "waiting for [the thing]" in shown
    assert "✓ it [happened]" in shown
    assert "\x1b" not in shown


def need_monitoring():
    """Skip, or fail in CI, where Prometheus or Alertmanager is missing."""
    alertmanager = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if shutil.which("prometheus") and alertmanager:
        return
    reason = "Prometheus or Alertmanager is missing"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def only(folder, *programs):
    """A PATH that holds nothing but these programs."""
    folder.mkdir()
    for program in programs:
        (folder / program).symlink_to(shutil.which(program))
    return str(folder)


@pytest.mark.parametrize("carrier", ["real", "captured"])
def test_the_loop_closes(tmp_path, carrier):
    """From good metrics over one run to a resolved alert, by whichever carrier."""
    need_kfp_environment()
    path = os.environ["PATH"]
    if carrier == "real":
        need_monitoring()
    else:
        path = only(tmp_path / "bin", "sh", "mktemp", "printf")
    code = f"""
import sys
from pathlib import Path
from receiver.demo.run import run_demo
sys.exit(run_demo(once=True, keep_dir=Path({str(tmp_path / "demo")!r}), port=0))
"""
    played = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=280,
    )

    assert played.returncode == 0, played.stdout + played.stderr
    assert "reports `promoted`" in played.stdout
    assert ("a captured notification" in played.stdout) == (carrier == "captured")
