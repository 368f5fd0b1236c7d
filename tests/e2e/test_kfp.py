"""A KFP server that misbehaves, and pipelines that really run on this machine."""

import os
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

import pytest

from tests.peers.kfp import Fault, KfpPeer
from tests.posts import entry
from tests.processes import ROOT, Station, now
from tests.waiting import eventually

TINY = ROOT / "tests" / "pipelines" / "tiny.yaml"

POLICY = """\
policies:
  - name: POLICY
    match: ['user_id=~"PATTERN"']
    model: {name: "{user_id}", labels: {user_id: "[a-z0-9-]{1,40}"}}
    target: POLICY
"""

SERVER = """\
targets:
  cluster:
    kfp:
      endpoint: ENDPOINT
      pipeline: TINY
      token_file: token
      lookup_window: 2s
      parameters: {word: "{user_id}", number: "{value}", dispatch_id: "{user_id}"}
"""

LOCAL = """\
targets:
  quick: {kfp: {pipeline: "TINY", python: "PYTHON", lookup_window: 1s,
    parameters: {word: "{user_id}"}}}
  gated: {kfp: {pipeline: "TINY", python: "PYTHON", lookup_window: 1s,
    parameters: {word: "{user_id}", gate: "GATE"}}}
"""


def of_policies(**patterns):
    """Policies that send the models of a pattern to the target of their name."""
    rows = [
        POLICY.removeprefix("policies:\n").replace("POLICY", name).replace("PATTERN", pattern)
        for name, pattern in patterns.items()
    ]
    return "policies:\n" + "".join(rows)


def reaches(api, model, *states):
    """The model's only dispatch, with its history, once it stands so."""

    def ask():
        (dispatch,) = api.dispatches(model=model)
        return api.dispatch(dispatch["id"]) if dispatch["state"] in states else None

    return eventually(ask)


def run_id(dispatch, attempt):
    """The id that we choose for a run."""
    return str(uuid5(NAMESPACE_OID, f"{dispatch['id']}:{attempt}"))


@pytest.fixture(scope="module")
def peer():
    with KfpPeer(token="first") as peer:
        yield peer


@pytest.fixture(scope="module")
def token(tmp_path_factory):
    return tmp_path_factory.mktemp("kfp") / "token"


@pytest.fixture(scope="module")
def api(peer, token):
    token.write_text("first")
    config = SERVER.replace("ENDPOINT", peer.url).replace("TINY", str(TINY))
    with Station(token.parent, config + of_policies(cluster=".+")) as station:
        yield station.api


def asked_of(peer, model):
    """The runs that were asked for, one entry for each POST."""
    wanted = [seen.body for seen in peer.seen if seen.operation == "create_run"]
    return [run for run in wanted if run["runtime_config"]["parameters"]["word"] == model]


def test_an_alert_becomes_one_run_with_our_id(api, peer):
    """Sent once, followed to its end, with the model's name and the number as parameters."""
    api.notify(entry("well", starts_at=now()))
    dispatch = reaches(api, "well", "running")
    peer.finish(dispatch["run_id"])
    reaches(api, "well", "succeeded")

    (asked,) = asked_of(peer, "well")
    assert asked["run_id"] == dispatch["run_id"] == run_id(dispatch, 1)
    assert dispatch["id"] in asked["display_name"]
    assert asked["runtime_config"]["parameters"]["number"] == 0.62


def test_a_500_after_accepting_is_found_by_its_id(api, peer):
    """The run is taken over; nothing is sent again."""
    peer.answer_next(Fault(500, accept=True))
    api.notify(entry("accepted", starts_at=now()))
    dispatch = reaches(api, "accepted", "running")

    assert dispatch["run_id"] == run_id(dispatch, 1)
    assert "found by its dispatch id" in dispatch["detail"]
    assert [attempt["failure"] for attempt in dispatch["attempts"]] == ["unknown"]
    assert len(asked_of(peer, "accepted")) == 1


def test_a_cut_before_accepting_is_proven_absent_and_sent_with_another_id(api, peer):
    """A run may have begun behind a cut: only the look-up tells. A 5xx waits for minutes."""
    peer.answer_next(Fault())
    api.notify(entry("turned-away", starts_at=now()))
    dispatch = reaches(api, "turned-away", "running")

    states = [change["state"] for change in dispatch["transitions"]]
    assert states == ["pending", "sending", "unknown", "pending", "sending", "running"]
    first, second = asked_of(peer, "turned-away")
    assert [first["run_id"], second["run_id"]] == [run_id(dispatch, 1), run_id(dispatch, 2)]
    assert dispatch["run_id"] == run_id(dispatch, 2)
    assert [run for run in (first["run_id"], second["run_id"]) if run in peer.runs] == [
        run_id(dispatch, 2)
    ]


def test_a_token_that_was_rotated_is_read_again(api, peer, token):
    """The run that began with the old token is followed, and a new one started, with the new."""
    api.notify(entry("rotated", starts_at=now()))
    old = reaches(api, "rotated", "running")
    token.write_text("second")
    peer.token = "second"
    peer.finish(old["run_id"])
    api.notify(entry("fresh", starts_at=now()))

    reaches(api, "rotated", "succeeded")
    reaches(api, "fresh", "running")
    (asked,) = [seen for seen in peer.seen if seen.body in asked_of(peer, "fresh")]
    assert asked.headers["authorization"] == "Bearer second"


def python():
    """Find the interpreter that has the kfp SDK."""
    found = ROOT / ".venv-kfp" / "bin" / "python"
    if not (ROOT / ".venv-kfp" / ".installed").exists():
        reason = "needs the kfp SDK: make .venv-kfp/.installed"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest.fixture
def gate(tmp_path):
    """What the gated pipeline waits for: `open_gate` lets it go on."""
    path = tmp_path / "gate"
    os.mkfifo(path)
    yield path
    # A test that failed must not leave a task waiting.
    opened = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    path.unlink()
    os.close(opened)


def open_gate(gate: Path) -> None:
    """Wait for the task that reads, and let it go on."""
    gate.write_text("go")


@pytest.fixture
def laptop(tmp_path, gate, warm):
    config = LOCAL.replace("TINY", str(TINY)).replace("PYTHON", str(python()))
    policies = of_policies(quick="quick.*", gated="gated.*")
    config = config.replace("GATE", str(gate)) + policies
    with Station(tmp_path, config, start=warm) as station:
        yield station


def runs_in(station):
    """The runs that began on this machine, by id."""
    return [path.parent.name for path in station.folder.glob("runs/*/started")]


def test_a_local_pipeline_really_runs(laptop):
    """A child process under the other interpreter runs it, and its success is seen."""
    laptop.api.notify(entry("quick", starts_at=now()))
    dispatch = reaches(laptop.api, "quick", "succeeded", "failed")

    assert dispatch["state"] == "succeeded", dispatch["detail"]
    assert runs_in(laptop) == [dispatch["run_id"]] == [run_id(dispatch, 1)]


def test_a_child_outlives_a_killed_receiver_and_is_followed_to_its_end(laptop, gate):
    """Killed while the child works, the next receiver finds the same child: exactly one."""
    laptop.api.notify(entry("gated", starts_at=now()))
    running = reaches(laptop.api, "gated", "running")
    laptop.kill()
    laptop.start()
    polled = laptop.api.dispatch(running["id"])["due_at"]
    eventually(lambda: laptop.api.dispatch(running["id"])["due_at"] > polled)

    assert laptop.api.dispatch(running["id"])["state"] == "running"
    open_gate(gate)
    dispatch = reaches(laptop.api, "gated", "succeeded", "failed")
    assert dispatch["state"] == "succeeded", dispatch["detail"]
    assert runs_in(laptop) == [running["run_id"]]
    assert len(dispatch["attempts"]) == 1


def test_killed_before_the_child_has_begun_the_run_is_made_exactly_once(laptop):
    """Whether the child had begun or not: it is found, or withdrawn and started anew."""
    laptop.api.notify(entry("quick", starts_at=now()))
    eventually(lambda: list(laptop.folder.glob("runs/*/request.json")), every=0.001)
    laptop.kill()
    laptop.start()

    dispatch = reaches(laptop.api, "quick", "succeeded", "failed")
    assert dispatch["state"] == "succeeded", dispatch["detail"]
    assert runs_in(laptop) == [dispatch["run_id"]]
