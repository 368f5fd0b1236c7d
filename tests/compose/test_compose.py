"""compose.yaml and its configurations: each valid by itself, and wired to each other."""

import json
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import yaml

from tests.e2e.alerting import program
from tests.processes import ROOT, Api, Station, now
from tests.serving import Peer
from tests.waiting import GENEROUS, eventually, free_port

EXAMPLES = ROOT / "examples" / "compose"
TOKENS = "/run/tokens"
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
EVERY_SERVICE = pytest.mark.parametrize("name", SERVICES)


@pytest.fixture
def tokens(tmp_path):
    """What the service `tokens` makes in its volume."""
    folder = tmp_path / "tokens"
    folder.mkdir()
    make_tokens(folder)
    return folder


def make_tokens(folder: Path) -> None:
    python, *arguments = SERVICES["tokens"]["entrypoint"]
    assert python == "python"
    subprocess.run([sys.executable, *arguments], cwd=folder, check=True)


def example(name, tokens, **instead):
    """An example's text, with the tokens and other things in their places on this machine."""
    text = (EXAMPLES / name).read_text().replace(TOKENS, str(tokens))
    for old, new in instead.items():
        assert old in text
        text = text.replace(old, new)
    return text


def mounts(service):
    return [mount.split(":")[:2] for mount in service.get("volumes", [])]


@EVERY_SERVICE
def test_what_is_mounted_is_there(name):
    """A missing file would be mounted as an empty folder, and a missing volume refused."""
    for source, target in mounts(SERVICES[name]):
        assert target.startswith("/")
        if source.startswith("."):
            assert (ROOT / source).exists()
        else:
            assert source in COMPOSE["volumes"]


@EVERY_SERVICE
def test_every_service_is_locked_down_and_listens_on_this_machine_only(name):
    """A laptop is no place for open ports; nothing needs a capability."""
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_tokens_are_made_once(tokens):
    """Each role has one of its own, and a restart changes none."""
    before = {file.name: file.read_text() for file in tokens.iterdir()}

    make_tokens(tokens)

    assert {file.name: file.read_text() for file in tokens.iterdir()} == before
    assert set(before) == {"webhook", "operator", "reader"}
    assert len(set(before.values())) == 3
    assert all(len(token) >= 32 for token in before.values())


def test_whoever_needs_a_token_finds_it(tokens):
    """Every token that a configuration names is made, and mounted where it is looked for."""
    made = {file.name for file in tokens.iterdir()}
    for name, file in (
        ("receiver", "receiver.yaml"),
        ("alertmanager", "alertmanager.yml"),
        ("prometheus", "prometheus.yml"),
    ):
        named = {word for word in (EXAMPLES / file).read_text().split() if TOKENS in word}
        wanted = {word.strip("{}[],").rpartition("/")[2] for word in named}
        assert wanted
        assert wanted <= made
        assert ["tokens", TOKENS] in mounts(SERVICES[name])


def test_the_receivers_configuration_is_valid(tokens, tmp_path):
    """And begins by observing."""
    file = tmp_path / "receiver.yaml"
    file.write_text(example("receiver.yaml", tokens))
    command = [sys.executable, "-m", "receiver", "check-config", "--config", str(file)]

    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stderr
    assert "is valid" in checked.stdout
    assert all(
        policy["mode"] == "observe" for policy in yaml.safe_load(file.read_text())["policies"]
    )


def test_prometheus_accepts_its_configuration(tokens, tmp_path):
    """With our rules."""
    (tmp_path / "rules").symlink_to(ROOT / "rules")
    file = tmp_path / "prometheus.yml"
    file.write_text(example("prometheus.yml", tokens))

    command = [program("promtool"), "check", "config", str(file)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert checked.stdout.count("rules found") == len(list((ROOT / "rules").glob("*.yaml")))


def test_alertmanager_accepts_its_configuration():
    """And sends what is to be retrained, and nothing else, to the receiver."""
    amtool, file = program("amtool"), str(EXAMPLES / "alertmanager.yml")
    test = [amtool, "config", "routes", "test", f"--config.file={file}"]

    checked = subprocess.run([amtool, "check-config", file], capture_output=True, check=False)
    ours = subprocess.run([*test, "action=retrain"], capture_output=True, text=True, check=True)
    other = subprocess.run([*test, "severity=page"], capture_output=True, text=True, check=True)

    assert checked.returncode == 0, checked.stdout
    assert ours.stdout.split() == ["retrain"]
    assert other.stdout.split() == ["nobody"]


@contextmanager
def running(folder, *command):
    """Run a program in a folder until the block's end."""
    with (folder / f"{Path(command[0]).name}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(GENEROUS)


def test_the_three_are_wired(tokens, tmp_path):
    """An alert arrives with the right token and is decided; every scrape is let in."""
    prometheus = program("prometheus")
    alertmanager = program("prometheus-alertmanager", "alertmanager")
    am, prom = free_port(), free_port()
    observing = example("receiver.yaml", tokens, **{"/data/receiver.db": "receiver.db"})
    with ExitStack() as started:
        station = started.enter_context(Station(tmp_path, observing.replace("////", "///")))
        receiver = f"127.0.0.1:{station.port}"
        (tmp_path / "alertmanager.yml").write_text(
            example("alertmanager.yml", tokens, **{"receiver:8080": receiver, "30s": "0s"})
        )
        (tmp_path / "rules").symlink_to(ROOT / "rules")
        elsewhere = {"receiver:8080": receiver, "alertmanager:9093": f"127.0.0.1:{am}"}
        (tmp_path / "prometheus.yml").write_text(
            example("prometheus.yml", tokens, **elsewhere, **{"15s": "1s"})
        )
        started.enter_context(
            running(
                tmp_path,
                alertmanager,
                "--config.file=alertmanager.yml",
                "--storage.path=alertmanager",
                f"--web.listen-address=127.0.0.1:{am}",
                "--cluster.listen-address=",
            )
        )
        started.enter_context(
            running(
                tmp_path,
                prometheus,
                "--config.file=prometheus.yml",
                "--storage.tsdb.path=prometheus",
                f"--web.listen-address=127.0.0.1:{prom}",
            )
        )
        labels = {"alertname": "HighModelMAE", "action": "retrain", "user_id": "42"}
        told = [{"labels": labels, "startsAt": now()}]
        eventually(lambda: posted(Peer(f"http://127.0.0.1:{am}"), told))

        eventually(lambda: observed(station.api, (tokens / "reader").read_text()))
        eventually(lambda: {"retrain-receiver", "alertmanager"} <= up(prom))


def posted(alertmanager, alerts):
    try:
        headers = {"Content-Type": "application/json"}
        return alertmanager.post("/api/v2/alerts", alerts, headers=headers).status == 200
    except OSError:
        return False


def observed(api: Api, token: str):
    answer = api.get("/decisions", {"reason": "observed"}, token=token)
    assert answer.status == 200
    return answer.json()["decisions"]


def up(port):
    try:
        answer = Peer(f"http://127.0.0.1:{port}").get("/api/v1/query", {"query": "up == 1"})
    except OSError:
        return set()
    return {one["metric"]["job"] for one in json.loads(answer.body)["data"]["result"]}
