"""The kind `http`: each problem is told with its place and its cure, each danger is warned of."""

import json
from datetime import date, timedelta

import pytest
import yaml

from receiver.config import ConfigError, load_config
from receiver.core.http_api import HttpApi
from receiver.core.inputs import fill_inputs, fill_place
from receiver.core.targets import TargetKind
from tests.contract.http_setup import EXAMPLES

POLICY = """
policies:
  - name: drift
    match: [alertname="HighModelMAE"]
    model: {name: "{user_id}", labels: {user_id: "[a-z0-9-]{1,40}"}}
    target: t
"""
URL, RUN_URL = "https://api.example/runs", "https://api.example/runs/{run_id}"
RUN = {"url": RUN_URL, "state": "/state", "succeeded": ["ok"], "failed": ["bad"]}
NUMBERED = {
    "url": URL,
    "check_url": "https://api.example/healthz",
    "answer": {"id": "/id"},
    "idempotent": True,
    "run": RUN,
}
CHOSEN = {
    "url": URL,
    "check_url": "https://api.example/healthz",
    "body": {"id": "{run_id}"},
    "run": {"id": "r-{dispatch_id}", **RUN},
}
NOTHING = object()


def merged(settings, changes):
    """The settings with others in their place; `NOTHING` takes one out."""
    result = dict(settings)
    for name, value in changes.items():
        inner = result.get(name)
        if isinstance(value, dict) and isinstance(inner, dict) and name in {"run", "answer"}:
            result[name] = merged(inner, value)
        elif value is NOTHING:
            result.pop(name, None)
        else:
            result[name] = value
    return result


@pytest.fixture
def load(tmp_path):
    (tmp_path / "token").write_text("a-long-secret\n")

    def load(settings, **beside):
        text = yaml.safe_dump({"targets": {"t": {"http": settings, **beside}}})
        (tmp_path / "receiver.yaml").write_text(text + POLICY)
        return load_config(tmp_path / "receiver.yaml")

    return load


@pytest.fixture
def problems(load):
    def problems(settings, **beside):
        with pytest.raises(ConfigError) as caught:
            load(settings, **beside)
        return list(caught.value.problems)

    return problems


@pytest.mark.parametrize("settings", [NUMBERED, CHOSEN])
def test_a_whole_target_is_loaded_without_a_word(load, settings):
    """Defaults are filled in; nothing is warned of."""
    config = load(settings)

    target = config.targets["t"]
    assert target.target.kind is TargetKind.HTTP
    assert target.target.address == "http https://api.example"
    assert target.lookup_window == timedelta(minutes=3)
    assert target.run_timeout == timedelta(hours=24)
    assert config.warnings == ()
    assert json.loads(config.text)["targets"]["t"]["http"]["lookup_window"] == "3m"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_is_valid(path):
    """As `check-config` reads them on another machine than the one with the secrets."""
    if "kind: WorkflowTemplate" in path.read_text():
        return
    config = load_config(path, with_files=False)

    assert config.warnings == ()


def test_every_setting_arrives(load, tmp_path):
    """Paths start at the file's folder; what stands beside the kind counts as well."""
    (tmp_path / "signing").write_text("whsec_" + "A" * 44)
    settings = merged(
        CHOSEN,
        {
            "basic": {"username": "us", "password_file": "token"},
            "secret_file": "signing",
            "answer": {"id": "Location"},
            "idempotent": True,
            "run": {
                "cancelled": ["gone", True, 3],
                "running": ["waits"],
                "message": "/why",
                "link": "https://other.example/{user_id}/{run_id}",
            },
        },
    )

    target = load(settings, run_timeout="2h", lookup_window="5m").targets["t"]

    api = HttpApi.of(target.target)
    assert (target.username, target.password_file) == ("us", tmp_path / "token")
    assert target.secret_file == tmp_path / "signing"
    assert target.run_timeout == timedelta(hours=2)
    assert api.answer_id == "Location"
    assert api.states == {
        "ok": "succeeded",
        "bad": "failed",
        "gone": "cancelled",
        "true": "cancelled",
        "3": "cancelled",
        "waits": "running",
    }
    assert (api.names_running, api.idempotent, api.message) == (True, True, "/why")
    place = fill_place(target.target, {"user_id": "u1"})
    assert place["label.user_id"] == "u1"


def test_a_body_says_what_its_run_is_given(load):
    """What it takes from the model and the alert is stored with the dispatch, and shown."""
    body = {"id": "{run_id}", "conf": {"who": "{user_id}", "n": "{value}", "for": "{alertname}"}}

    target = load(merged(CHOSEN, {"body": body})).targets["t"].target

    filled = fill_inputs(target, {"user_id": "u1"}, value=0.5, alertname="HighModelMAE")
    assert filled == {"user_id": "u1", "value": 0.5, "alertname": "HighModelMAE"}


@pytest.mark.parametrize(
    ("base", "changes", "problem"),
    [
        (NUMBERED, {"url": NOTHING}, "http.url: is missing; write url: https://HOST/runs"),
        (NUMBERED, {"url": "api/runs"}, "http.url: 'api/runs' is no address of an API; write "),
        (NUMBERED, {"url": "https://{user_id}.x/runs"}, "with the host as it is"),
        (NUMBERED, {"url": "https://api.example"}, "and a path"),
        (NUMBERED, {"url": "https://a:b@api.example/"}, "passwords belong into files"),
        (NUMBERED, {"url": "https://api.example/a#b"}, "holds a #"),
        (NUMBERED, {"url": "https://api.example/{a.b[0]:>3}"}, "plain fields"),
        (NUMBERED, {"url": f"{URL}/{{run_id}}"}, "http.url: holds {run_id}, but the target choos"),
        (NUMBERED, {"body": {"id": "{run_id}"}}, "http.body: holds {run_id}, but the target"),
        (NUMBERED, {"url": f"{URL}/{{user}}"}, "did you mean 'user_id'?"),
        (
            NUMBERED,
            {"check_url": "https://other.example/healthz"},
            "http.check_url: is at https://other.example, but url is at https://api.example: ",
        ),
        (
            NUMBERED,
            {"run": {"url": "http://api.example/{run_id}"}},
            "http.run.url: is at http://api.example, but url is at https://api.example: the cred",
        ),
        (NUMBERED, {"check_url": f"{URL}/{{run_id}}"}, "http.check_url: {run_id} is not among"),
        (NUMBERED, {"run": {"url": URL}}, "http.run.url: is the same for every run; write {run"),
        (NUMBERED, {"run": {"state": "state"}}, "run.state: 'state' is not a JSON pointer; write"),
        (NUMBERED, {"run": {"message": "/a~"}}, "run.message: '/a~' is not a JSON pointer"),
        (NUMBERED, {"run": {"link": "{run_id}"}}, "run.link: '{run_id}' is no address"),
        (NUMBERED, {"run": {"link": f"{URL}/{{run}}"}}, "run.link: {run} is not among"),
        (NUMBERED, {"run": {"succeeded": []}}, "run.succeeded: is empty, so no run could ever"),
        (NUMBERED, {"run": {"failed": []}}, "run.failed: is empty"),
        (NUMBERED, {"run": {"failed": ["ok"]}}, "run: 'ok' is in two lists of states"),
        (NUMBERED, {"run": {"failed": [""]}}, "run.failed: '' is no state; write the target's"),
        (NUMBERED, {"run": {"failed": [None]}}, "run.failed: None is no state"),
        (NUMBERED, {"run": {"failed": "bad"}}, "run.failed: 'bad' is not a list; put it in"),
        (NUMBERED, {"run": NOTHING}, "http.run: is missing; write run: {url: 'https://HOST"),
        (NUMBERED, {"answer": {"id": "id"}}, "answer.id: 'id' is neither a JSON pointer nor Loc"),
        (NUMBERED, {"answer": {"id": "/a~"}}, "answer.id: '/a~' is not a JSON pointer"),
        (NUMBERED, {"answer": NOTHING}, "http: says nowhere which id the run has; write run: {id"),
        (NUMBERED, {"inputs": {"dispatch_id": "x"}}, "http.inputs.dispatch_id: is sent with"),
        (NUMBERED, {"inputs": {"a": "{user}"}}, "http.inputs.a: {user} is not among"),
        (NUMBERED, {"inputs": {"a": "b"}, "body": {}}, "http.inputs: are for a CloudEvent"),
        (NUMBERED, {"body": "text"}, "http.body: 'text' is not a mapping"),
        (NUMBERED, {"body": {"a": "{user}"}}, "http.body: {user} is not among the model.labels"),
        (NUMBERED, {"body": {"a": ["{"]}}, "http.body: '{' has a brace without its partner"),
        (NUMBERED, {"body": {"a": {1: "b"}}}, "http.body: 1 is no name in JSON; write it in"),
        (NUMBERED, {"body": {"a": float("inf")}}, "http.body: inf is no number in JSON"),
        (NUMBERED, {"body": {"a": date(2026, 1, 1)}}, "is nothing that J"),
        (NUMBERED, {"body": json.loads('{"a": ' * 30 + "1" + "}" * 30)}, "nests deeper than 20"),
        (
            NUMBERED,
            {"basic": {"username": "u", "password_file": "no"}},
            "basic.password_file: can",
        ),
        (NUMBERED, {"secret_file": "token"}, "http.secret_file: holds no signing secret in base"),
        (
            NUMBERED,
            {"token_file": "token", "basic": {"username": "u", "password_file": "token"}},
            "http: has both token_file and basic; keep one of them",
        ),
        (CHOSEN, {"run": {"id": "retrain"}}, "run.id: 'retrain' must hold {dispatch_id} and no"),
        (CHOSEN, {"run": {"id": "{user_id}-{dispatch_id}"}}, "and no other field"),
        (CHOSEN, {"run": {"id": "a/{dispatch_id}"}}, "holds more than letters, digits and"),
        (CHOSEN, {"body": NOTHING}, "run.id: never reaches the target, for a CloudEvent does not"),
        (CHOSEN, {"body": {"a": "b"}}, "run.id: never reaches the target; write {run_id} into"),
    ],
)
def test_a_problem_is_told_with_place_and_cure(problems, base, changes, problem):
    """One sentence, and no other."""
    told = problems(merged(base, changes))

    assert len(told) == 1, told
    assert problem in told[0]


def test_an_id_may_reach_the_target_in_its_address(load):
    """As a path of its own, where the body needs none."""
    load(merged(CHOSEN, {"url": f"{URL}/{{run_id}}", "body": NOTHING}))


def test_a_target_has_one_kind(problems):
    """All three at once are told in one sentence."""
    told = problems(NUMBERED, kfp={"pipeline": "uploaded", "endpoint": "http://kfp"})
    assert told == ["targets.t: has both kfp and http; make two targets of them"]


def test_what_stands_beside_and_within_is_told(problems):
    """As for the other kinds."""
    (told,) = problems(merged(NUMBERED, {"run_timeout": "1h"}), run_timeout="2h")
    assert told == "targets.t.run_timeout: is also in http; keep one of them"


@pytest.mark.parametrize(
    ("base", "changes", "warning"),
    [
        (NUMBERED, {"idempotent": False}, "a POST whose answer is lost can't be looked up, and p"),
        (CHOSEN, {"check_url": NOTHING}, "there is no check_url, so a 404 about a run proves"),
        (NUMBERED, {"lookup_window": "5s"}, "lookup_window 5s may end before"),
    ],
)
def test_a_danger_is_warned_of(load, base, changes, warning):
    """One sentence with its place."""
    (told,) = load(merged(base, changes)).warnings

    assert told.startswith("targets.t: ")
    assert warning in told


def test_a_credential_in_the_open_is_warned_of(load):
    """On loopback nobody listens; without a credential there is nothing to hear."""
    plain = json.loads(json.dumps(NUMBERED).replace("https://", "http://"))
    basic = {"basic": {"username": "u", "password_file": "token"}}
    assert load(plain).warnings == ()
    for access in ({"token_file": "token"}, basic):
        (told,) = load(merged(plain, access)).warnings
        assert told == "targets.t: the credential is sent over http; write https://"
    local = json.loads(json.dumps(plain).replace("api.example", "localhost:8080"))
    assert load(merged(local, basic)).warnings == ()


def test_what_an_editor_left_in_a_secret_is_warned_of(load, tmp_path):
    """Of the password and of the signing secret too."""
    (tmp_path / "token").write_bytes(b"word\r\n")
    (tmp_path / "signing").write_bytes(b"whsec_" + b"A" * 44 + b"\r\n")
    basic = {"username": "u", "password_file": "token"}

    told = load(merged(NUMBERED, {"basic": basic, "secret_file": "signing"})).warnings

    assert [text.count("Windows' line ends") for text in told] == [1, 1]
