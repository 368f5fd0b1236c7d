"""The command line as a person meets it: terminal, help, start."""

import inspect
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from receiver import __version__
from receiver.demo.run import run_demo
from tests.commands import EVIL, Ended, on_terminal
from tests.posts import entry, post
from tests.serving import NO_AUTH, Served

ACTING = ("retrain", "pause", "resume", "release", "forget", "approve", "reject")
ASKING = ("decisions", "models", "explain", *ACTING, "dispatches", "policies")
ASKING = (*ASKING, "announcements", "targets")
TABLES = ("decisions", "models", "dispatches", "targets", "policies")

COMMANDS = ("serve", "check-config", "demo", "completion", *ASKING)


class TestTerminal:
    """What a person sees."""

    def test_colours(self, served):
        """A terminal gets colours, unless NO_COLOR asks for none."""
        plain, coloured = (on_terminal(served.url, "decisions", NO_COLOR=no) for no in ("1", ""))

        assert re.search(r"\x1b\[[0-9;]*3[0-9]", coloured)
        assert not re.search(r"\x1b\[[0-9;]*3[0-9]", plain)
        assert "triggered" in plain

    def test_wide_text_is_cut(self, served):
        """No line is longer than the terminal, and a cut is visible."""
        written = on_terminal(served.url, "decisions")
        lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in written.splitlines()]

        assert max(map(len, lines)) <= WIDTH
        assert any("…" in line for line in lines)
        assert not any(EVIL[:4] in line or "\u202e" in line for line in lines)

    @pytest.mark.parametrize("command", TABLES)
    @pytest.mark.parametrize("width", [80, 60])
    def test_tables_fit(self, served, command, width):
        """Nothing is cut but details: ids and states stay whole, other columns are left out."""
        written = on_terminal(served.url, command, width=width)
        lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in written.splitlines()]

        table = [line for line in lines if not line.startswith("pipeline: ")]
        assert max(map(len, table)) <= width
        for name, value in whole(served, command):
            assert value in written, name

    @pytest.mark.parametrize("command", TABLES)
    def test_a_narrow_terminal_gets_blocks(self, served, command):
        """One record per block, with every field; lines run over rather than lose something."""
        written = on_terminal(served.url, command, width=50)

        assert "…" not in written
        for name, value in whole(served, command):
            assert value in written, name

    @pytest.mark.parametrize("command", COMMANDS)
    def test_help_teaches(self, cli, command):
        """Each command's help has an example that begins with the program's name."""
        ended = cli(command, "--help")

        assert ended.code == 0
        assert f"Examples:\n    retrain-receiver {command}" in ended.out
        assert ("RETRAIN_RECEIVER_URL" in ended.out) == (command in ASKING)

    def test_help_lists_every_command(self, cli):
        """The help names all commands and the exit codes."""
        ended = cli("--help")

        assert all(f"\n  {command} " in ended.out for command in COMMANDS)
        assert "Exit codes:" in ended.out

    def test_version(self, cli):
        """`--version` prints the package's version."""
        assert cli("--version") == Ended(0, f"retrain-receiver {__version__}\n", "")

    def test_an_ascii_locale(self, served):
        """Where the terminal has no ✓, a report is still complete."""
        environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
        command = [sys.executable, "-m", "receiver", "explain", "42", "--server", served.url]

        ended = subprocess.run(command, env=environment, capture_output=True, check=True)

        assert b"\\u2713 observed" in ended.stdout
        assert ended.stderr == b""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_taught(cli, shell):
    """The script asks us, and we answer with commands and options."""
    script = cli("completion", shell)

    assert script.code == 0
    assert "_RETRAIN_RECEIVER_COMPLETE" in script.out
    assert cli("completion", "tcsh").code == 2


def test_a_shell_is_answered():
    """What begins so, of commands and of a command's options."""

    def asked(words):
        environment = {
            **os.environ,
            "_RETRAIN_RECEIVER_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split()) - 1),
        }
        command = [sys.executable, "-m", "receiver"]
        ended = subprocess.run(command, env=environment, capture_output=True, check=False)
        return ended.stdout.decode().split()

    assert asked("retrain-receiver mod") == ["models"]
    assert asked("retrain-receiver models --sta") == ["--state"]
    assert asked("retrain-receiver models --state wa") == ["waiting"]
    assert asked("retrain-receiver decisions --outcome h") == ["hold"]
    assert asked("retrain-receiver dispatches --state pa") == ["parked"]


BURST = 900
"""More than a page of the API."""


def test_the_log_is_followed(served):
    """What is decided meanwhile comes by itself, once; Ctrl-C ends it well."""
    # Whoever runs the tests in the background may have it ignored.
    heeding = ["env", "--default-signal=INT", sys.executable]
    command = [*heeding, "-m", "receiver", "decisions", "--follow", "--limit", "1"]
    with subprocess.Popen(
        [*command, "--server", served.url, "-o", "json"], stdout=subprocess.PIPE, text=True
    ) as process:
        first = json.loads(process.stdout.readline())
        done = served.post("/webhook", post(entry("followed"))).json()["decisions"]
        second = json.loads(process.stdout.readline())
        many = [entry(f"burst-{number}") for number in range(BURST)]
        burst = served.post("/webhook", post(*many)).json()["decisions"]
        rest = [json.loads(process.stdout.readline()) for _ in burst]
        process.send_signal(signal.SIGINT)
        process.wait(60)

    assert second["id"] == done[0]["id"] > first["id"]
    assert [one["id"] for one in rest] == sorted(one["id"] for one in burst)
    assert process.returncode == 0


def test_check_config(cli, tmp_path):
    """A valid file is exit 0, with what it lacks; a broken one exit 1, each place and cure."""
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(NO_AUTH)
    bad.write_text(NO_AUTH.replace("target:", "tarket:"))

    missing, valid = cli("check-config", "--config", str(good)).out.splitlines()
    assert missing.startswith("missing: sources: there are none")
    assert valid == f"{good} is valid"
    ended = cli("check-config", str(bad))
    assert ended.code == 1
    assert "policies[0].tarket: unknown setting; did you mean 'target'?" in ended.err


def test_check_config_takes_the_file_as_an_argument(cli, tmp_path):
    """As `promtool check config FILE` does; warnings and problems have their lines."""
    file = tmp_path / "receiver.yaml"
    file.write_text(NO_AUTH.replace("target:", "cooldown: 1m\n    target:"))

    ended = cli("check-config", str(file))
    assert ended.code == 0
    assert re.search(r"^warning: line \d+, column \d+: policies\[0\]\.cooldown: ", ended.out)
    file.write_text(NO_AUTH.replace("target:", "tarket:"))
    assert re.search(r"  line \d+, column \d+: policies\[0\]", cli("check-config", str(file)).err)
    assert cli("check-config", str(file), "--config", str(file)).code == 2


def test_serving_loads_no_terminal_library(tmp_path):
    """`serve` stays lean: neither rich nor the demo nor what asks is loaded for it."""
    (tmp_path / "receiver.yaml").write_text("{}")
    command = [
        sys.executable,
        "-X",
        "importtime",
        "-m",
        "receiver",
        "serve",
        "--listen",
        "nowhere",
    ]

    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    loaded = {line.split("|")[-1].strip() for line in ended.stderr.splitlines() if "|" in line}
    assert "--listen 'nowhere' is not HOST:PORT" in ended.stderr
    assert {"receiver.wiring", "receiver.web.app", "structlog.dev"} <= loaded
    assert not {
        name
        for name in loaded
        if re.match(r"rich\.|pygments|receiver\.demo|receiver\.cli\.ask", name)
    }


def test_asking_loads_no_server(tmp_path):
    """A command that only asks starts fast: no web framework, no database library."""
    command = [sys.executable, "-X", "importtime", "-m", "receiver", "models", "--server", "x"]

    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    loaded = {line.split("|")[-1].strip() for line in ended.stderr.splitlines() if "|" in line}
    assert ended.returncode == 2
    assert not loaded & {"starlette", "sqlalchemy", "rich", "yaml", "uvicorn"}


def test_the_demo_can_be_called_so():
    """The command's arguments are those of `run_demo`."""
    inspect.signature(run_demo).bind(once=True, keep_dir=Path(), port=1)


WIDTH = 90


WHOLE = {
    "decisions": ("id", "reason"),
    "models": ("model", "state"),
    "dispatches": ("id", "state"),
    "targets": ("name", "state"),
    "policies": ("name", "mode"),
}
"""What people paste, and what they look for first."""


def whole(served: Served, command: str) -> list[tuple[str, str]]:
    rows = served.get(f"/{command}").json()[command]
    return [(name, str(row[name])) for row in rows for name in WHOLE[command] if name != "state"]


def test_check_config_for_programs(cli, tmp_path):
    """`-o json` has each thing with its line and policy; `--fatal-warnings` fails a pipeline."""
    file = tmp_path / "receiver.yaml"
    file.write_text(NO_AUTH.replace("target:", "cooldown: 1m\n    target:"))
    said = json.loads(cli("check-config", str(file), "-o", "json").out)
    [warned] = [one for one in said["warnings"] if "].cooldown:" in one["sentence"]]
    assert (said["valid"], said["problems"], warned["policy"]) == (True, [], "drift")
    assert "cooldown: 1m" in file.read_text().splitlines()[warned["line"] - 1]
    assert cli("check-config", str(file)).code == 0
    assert cli("check-config", str(file), "--fatal-warnings").code == 1

    file.write_text(NO_AUTH.replace("target:", "tarket:"))
    broken = cli("check-config", str(file), "-o", "json")
    said = json.loads(broken.out)
    assert (broken.code, broken.err, said["valid"]) == (1, "", False)
    assert {one["policy"] for one in said["problems"]} == {"drift"}
    assert "(policy drift)" in cli("check-config", str(file)).err
