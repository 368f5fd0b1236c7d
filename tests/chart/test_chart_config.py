"""The configuration that the chart renders is one that the receiver takes and serves by."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from receiver.cli.commands import app
from tests.chart.rendering import (
    CASES,
    Object,
    case,
    notes,
    of_kind,
    receiver_yaml,
    rendered,
    workload,
)
from tests.serving import DEADLINE_SECONDS, Peer
from tests.waiting import eventually, free_port

PEM = "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"
DATABASE = "postgresql+psycopg://retrain:secret@db.example.com/retrain"
REWRITTEN = ("/etc/", "/var/run/secrets/", "/data")


def pretend(spec: Object, objects: tuple[Object, ...], container: Object, root: Path) -> None:
    """Lay out below `root` what the kubelet would mount; secrets hold something of their kind."""
    volumes = {each["name"]: each for each in spec.get("volumes", [])}
    maps = {
        each["metadata"]["name"]: each.get("data", {}) for each in of_kind(objects, "ConfigMap")
    }
    for mount in container.get("volumeMounts", []):
        folder = root / mount["mountPath"].lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        volume = volumes[mount["name"]]
        for source in volume.get("projected", {}).get("sources", [volume]):
            for kind, part in source.items():
                for path, text in files(kind, part, maps):
                    target = folder / path
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_text(below(root, text))


def files(kind: str, part: Object, maps: dict[str, Object]) -> Iterator[tuple[str, str]]:
    """The files of one source of a volume."""
    if kind == "configMap" and part["name"] in maps:
        for item in part["items"]:
            yield item["path"], maps[part["name"]][item["key"]]
    elif kind == "secret":
        for item in part["items"]:
            yield item["path"], secret(item["path"])
    elif kind == "serviceAccountToken":
        yield part["path"], "header.payload.signature"


def secret(path: str) -> str:
    """A value that could stand there; each token has its own."""
    if path.endswith("private-key"):
        return PEM
    return (
        DATABASE
        if path.startswith("secrets/database")
        else f"{path.rpartition('/')[2]}-{'x' * 32}"
    )


def below(root: Path, text: str) -> str:
    """Text whose absolute paths lead below `root`."""
    for place in REWRITTEN:
        text = text.replace(f" {place}", f" {root}{place}").replace(
            f"sqlite:///{place}", f"sqlite:///{root}{place}"
        )
    return text


def laid_out(objects: tuple[Object, ...], root: Path) -> Path:
    """The receiver's mounts below `root`; its configuration file."""
    spec = workload(objects)["spec"]["template"]["spec"]
    (container,) = [each for each in spec["containers"] if each["name"] == "receiver"]
    pretend(spec, objects, container, root)
    return root / container["args"][2].lstrip("/")


@pytest.mark.parametrize("name", CASES)
def test_every_rendered_configuration_passes_check_config(name, tmp_path):
    """With the files that the pod mounts, and no others."""
    file = laid_out(case("helm4", name), tmp_path)
    said = CliRunner().invoke(app, ["check-config", "--config", str(file)])

    assert said.exit_code == 0, said.output
    assert "is valid" in said.stdout


@pytest.mark.parametrize("name", CASES)
def test_no_secret_is_mounted_that_nothing_reads(name, tmp_path):
    """Each mounted key is named by the configuration."""
    file = laid_out(case("helm4", name), tmp_path)
    config, secrets = file.read_text(), file.parent / "secrets"
    mounted = [path.relative_to(file.parent) for path in secrets.rglob("*") if path.is_file()]

    assert [str(path) for path in mounted if str(path) not in config] == []


def test_a_secret_that_no_target_needs_is_not_mounted():
    """The GitHub token stays out of a pod that only talks to Kubeflow."""
    objects = rendered("helm4", values="github: {existingSecret: shared}")

    assert "shared" not in str(workload(objects))


def test_roles_are_closed_until_a_secret_is_named():
    """`auth: {}` is there: without it the receiver would not listen beyond loopback."""
    config = yaml.safe_load(receiver_yaml(case("helm4", "default")))

    assert config == {"auth": {}, "storage": {"url": "sqlite:////data/receiver.db"}}


def test_a_target_keeps_the_credentials_that_it_names():
    """The chart fills in what is missing, and nothing else."""
    values = """
    github: {existingSecret: shared}
    config: {targets: {t: {github: {repository: a/b, workflow: c.yaml, token_file: /mine}}}}
    """
    config = yaml.safe_load(receiver_yaml(rendered("helm4", values=values)))

    assert config["targets"]["t"]["github"]["token_file"] == "/mine"


@contextmanager
def served(name: str, root: Path) -> Iterator[tuple[Peer, tuple[Object, ...]]]:
    """A receiver, started as the pod of one of `ci/*-values.yaml` starts it."""
    objects = case("helm4", name)
    with started(objects, laid_out(objects, root), root) as peer:
        yield peer, objects


@contextmanager
def started(objects: tuple[Object, ...], file: Path, root: Path) -> Iterator[Peer]:
    """A receiver, started with the pod's arguments on this configuration."""
    port = free_port()
    spec = workload(objects)["spec"]["template"]["spec"]["containers"][0]
    arguments = [
        str(file) if each.startswith("/etc/") else each.replace(":8080", f":{port}")
        for each in spec["args"]
    ]
    log = root / "serve.log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "receiver", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=stderr,
            stderr=stderr,
            # No HOME, as in the pod's read-only root.
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path.cwd())},
        )
    peer = Peer(f"http://127.0.0.1:{port}")
    try:
        eventually(lambda: answers(peer, process, log))
        yield peer
        process.terminate()
        assert process.wait(DEADLINE_SECONDS) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def answers(peer: Peer, process: subprocess.Popen[bytes], log: Path) -> bool:
    """Whether the startup probe would succeed."""
    if process.poll() is not None:
        raise RuntimeError(f"the receiver does not serve: {log.read_text()}")
    try:
        return peer.get("/-/healthy").status == 200
    except OSError:
        return False


@pytest.mark.parametrize("name", ["default", "github-token"])
def test_what_the_chart_installs_comes_up_ready_and_passes_helm_test(name, tmp_path):
    """The pod's own arguments, its probes and the test pod's own program."""
    with served(name, tmp_path) as (peer, objects):
        receiver = workload(objects)["spec"]["template"]["spec"]["containers"][0]
        probes = {
            peer.get(receiver[f"{each}Probe"]["httpGet"]["path"]).status
            for each in ("startup", "liveness", "readiness")
        }
        (pod,) = of_kind(objects, "Pod")
        test = pod["spec"]["containers"][0]
        pretend(pod["spec"], objects, test, tmp_path / "test")
        program, _, token = test["args"]
        token = token and str(tmp_path / "test" / token.lstrip("/"))
        if token:  # the key has another name here than in the receiver's pod
            Path(token).write_text(secret("secrets/auth/reader"))
        done = subprocess.run(
            [sys.executable, "-c", program, peer.url, token],
            capture_output=True,
            text=True,
            check=False,
        )

        assert probes == {200}
        assert done.returncode == 0, done.stderr
        assert ("/decisions?limit=1 200" in done.stdout) == bool(token)


def test_helm_test_fails_when_strangers_may_post(tmp_path):
    """A test that can't fail shows nothing."""
    (pod,) = of_kind(case("helm4", "default"), "Pod")
    program = pod["spec"]["containers"][0]["args"][0]
    config = tmp_path / "receiver.yaml"
    config.write_text("storage: {min_free: 0}\n")
    port = free_port()
    command = [sys.executable, "-m", "receiver", "serve", "--config", config]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([*command, "--listen", f"127.0.0.1:{port}"], stderr=log)
    try:
        peer = Peer(f"http://127.0.0.1:{port}")
        eventually(lambda: answers(peer, process, tmp_path / "log"))
        done = subprocess.run(
            [sys.executable, "-c", program, peer.url, ""],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        process.terminate()
        process.wait(DEADLINE_SECONDS)

    assert done.returncode == 1
    assert "/webhook answered 400, not 401" in done.stderr


def test_the_alertmanager_receiver_of_the_notes_is_valid(tmp_path):
    """What a newcomer pastes is taken by amtool."""
    amtool = shutil.which("amtool")
    if amtool is None:
        if os.environ.get("CI") == "true":
            pytest.fail("there is no amtool: install prometheus-alertmanager")
        pytest.skip("there is no amtool: install prometheus-alertmanager")
    text = notes("{}").partition("alertmanager.yml:\n")[2].partition("\nNEXT")[0]
    config = yaml.safe_load(text)
    config["route"]["receiver"] = "nobody"
    config["receivers"].append({"name": "nobody"})
    file = tmp_path / "alertmanager.yml"
    file.write_text(yaml.safe_dump(config))
    done = subprocess.run(
        [amtool, "check-config", file], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
