"""Who may ask what, and what an answer never holds."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from receiver.config import Role, TokenFile
from receiver.web.auth import Tokens
from receiver.web.openapi import openapi
from receiver.web.problems import Problem
from tests.posts import entry, post
from tests.serving import NO_AUTH, Served, serve

WEBHOOK, READER, OPERATOR = Role.WEBHOOK, Role.READER, Role.OPERATOR
READ = {READER, OPERATOR}
ACT = {OPERATOR}

NOTIFICATION = post(entry(name="Other"))
COMMENT = {"comment": "a test"}

# Method, path, body, the roles that may; None for everybody.
ROUTES = [
    ("POST", "/webhook", NOTIFICATION, {WEBHOOK}),
    ("POST", "/webhook?dry_run=true", NOTIFICATION, ACT),
    ("POST", "/webhook?source=poll", NOTIFICATION, ACT),
    ("GET", "/decisions", None, READ),
    ("GET", "/decisions/1", None, READ),
    ("GET", "/models", None, READ),
    ("GET", "/models/none", None, READ),
    ("POST", "/models/none/retrain", COMMENT, ACT),
    ("POST", "/models/none/pause", COMMENT, ACT),
    ("POST", "/models/none/resume", COMMENT, ACT),
    ("POST", "/models/none/forget", COMMENT, ACT),
    ("POST", "/models/none/approve", COMMENT, ACT),
    ("POST", "/models/none/reject", COMMENT, ACT),
    ("POST", "/pause", {**COMMENT, "policy": "none"}, ACT),
    ("POST", "/resume", COMMENT, ACT),
    ("POST", "/release", COMMENT, ACT),
    ("POST", "/reject", {**COMMENT, "policy": "none"}, ACT),
    ("GET", "/dispatches", None, READ),
    ("GET", "/dispatches/none", None, READ),
    ("POST", "/dispatches/none/retry", COMMENT, ACT),
    ("POST", "/dispatches/none/abandon", COMMENT, ACT),
    ("GET", "/policies", None, READ),
    ("GET", "/targets", None, READ),
    ("GET", "/announcements", None, READ),
    ("GET", "/rejections", None, ACT),
    ("GET", "/metrics", None, READ),
    ("POST", "/-/reload", None, ACT),
    ("PUT", "/-/reload", None, ACT),
    ("GET", "/-/healthy", None, None),
    ("GET", "/-/ready", None, None),
    ("GET", "/openapi.json", None, None),
]

# Its answer has no end: tests/page/test_live.py asks it.
STREAMS = [("GET", "/events", None, READ)]

TOKENS = {
    "canary-webhook": {WEBHOOK},
    "canary-reader": {READER},
    "canary-operator": {OPERATOR},
    "canary-operator-2": {OPERATOR},
    "canary-both": {WEBHOOK, READER},
    "canary-unknown": None,
    None: None,
}

CONFIG = f"""\
auth:
  webhook: [{{name: alertmanager, token_file: webhook}}, {{name: both, token_file: both}}]
  reader: [{{name: dashboards, token_file: reader}}, {{name: both, token_file: both}}]
  operator: [{{name: ops, token_file: operator}}, {{name: ops-2, token_file: operator-2}}]
{NO_AUTH}"""


def prepare(folder: Path) -> None:
    for name in ("webhook", "reader", "operator", "operator-2", "both"):
        (folder / name).write_text(f"canary-{name}\n")


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    prepare(folder)
    with serve(folder, CONFIG) as receiver:
        yield receiver


def expected(allowed: set[Role] | None, roles: set[Role] | None) -> str:
    if allowed is None:
        return "allowed"
    if roles is None:
        return "401"
    return "allowed" if roles & allowed else "403"


def outcome(status: int) -> str:
    assert status < 500
    return str(status) if status in {401, 403} else "allowed"


@pytest.mark.parametrize("how", ["token", "password"])
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route[0]} {route[1]}")
def test_roles(served, route, how):
    """Each route is open to its roles and to nobody else, by Bearer and by Basic."""
    method, path, body, allowed = route

    found = {
        token: served.ask(method, path, body=body, **({} if token is None else {how: token}))
        for token in TOKENS
    }

    assert {token: outcome(answer.status) for token, answer in found.items()} == {
        token: expected(allowed, roles) for token, roles in TOKENS.items()
    }
    for answer in found.values():
        assert b"canary" not in answer.body
        assert "canary" not in str(answer.headers)
        if answer.status == 401:
            assert answer.headers["WWW-Authenticate"] == 'Bearer, Basic realm="retrain-receiver"'
        if answer.status >= 400:
            assert answer.detail


def test_every_route_is_in_the_matrix():
    """The matrix above knows every route and method there is, and the document the same roles."""
    described = {
        (method.upper(), path): {
            Role(role) for one in operation["security"] for [role] in one.values()
        }
        for path, item in openapi()["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    }
    known: dict[tuple[str, str], set[Role]] = {}
    for method, path, _body, allowed in [*ROUTES, *STREAMS]:
        plain = path.partition("?")[0].replace("/models/none", "/models/{model}")
        plain = plain.replace("/decisions/1", "/decisions/{id}").replace("/none", "/{id}")
        known.setdefault((method, plain), set()).update(allowed or set())

    assert known == described


def test_no_token_is_written_to_the_log(served):
    """Whatever is asked with a token, known or not, none is logged."""
    for token in ("canary-operator", "canary-unknown", "canary-webhook"):
        served.get("/decisions", token=token)
        served.post("/webhook", b"no json", token=token)
        served.post("/pause", {"comment": "x", "for": "1s"}, password=token)

    log = served.log.read_text()
    assert "notification_rejected" in log
    assert "operator_acted" in log
    assert "canary" not in log


def test_a_log_whose_disk_is_full_fails_nobody():
    """The line is lost; the notification that it would tell of is stored, and acknowledged."""
    code = """\
import logging
from receiver.telemetry import log, set_up_logging

set_up_logging()
log().info("notification_decided")
logging.getLogger("library").warning("too")
print("went on", flush=True)
"""

    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            stderr=full,
            text=True,
            check=False,
        )

    assert ended.stdout == "went on\n"


@pytest.mark.parametrize("terminal", [False, True])
def test_a_traceback_in_the_log_shows_no_values(terminal):
    """Also a bug is logged without its local variables: one of them may be a token."""
    code = f"""\
import sys
from receiver.telemetry import log, set_up_logging

def fail(token):
    raise ValueError("a bug")

sys.stderr.isatty = lambda: {terminal}
set_up_logging(stream=sys.stderr)
try:
    fail("cana" + "ry")
except ValueError:
    log().exception("worker_error")
"""

    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert ("ValueError: a bug" if terminal else '"exc_value":"a bug"') in ended.stderr
    assert "canary" not in ended.stderr


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic !!!", "Basic bWU=", "Digest canary-operator", "Bearer \xe9"],
)
def test_a_broken_authorization_is_no_token(served, header):
    """A header that holds no token of ours is answered 401, never 500."""
    answer = served.get("/decisions", headers={"Authorization": header})

    assert answer.status == 401


def test_tokens_rotate_without_a_restart(tmp_path):
    """Two tokens of a role live at once; a file's new content counts at once, the old no more."""
    prepare(tmp_path)
    with serve(tmp_path, CONFIG) as receiver:

        def may(token: str) -> bool:
            return receiver.get("/decisions", token=token).status == 200

        assert may("canary-operator")
        assert may("canary-operator-2")
        (tmp_path / "operator").write_text("fresh\n")
        assert may("fresh")
        assert not may("canary-operator")
        assert may("canary-operator-2")
        # As Kubernetes does it: another file is put in its place.
        (tmp_path / "new").write_text("third")
        (tmp_path / "new").replace(tmp_path / "operator")
        assert may("third")
        assert not may("fresh")
        (tmp_path / "operator").write_text("fourth")
        assert not may("third")


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (Path.unlink, "can't read"),
        (lambda file: file.write_text("\n"), "is empty"),
        (lambda file: file.write_bytes(b"\xff\xfe\x00"), "is no text"),
        (lambda file: file.write_text("two words"), "more than one line or word"),
        (lambda file: (file.unlink(), os.mkfifo(file)), "is a pipe"),
        (lambda file: (file.unlink(), file.symlink_to("/dev/zero")), "is a device"),
        (lambda file: file.write_text("x" * 70_000), "more than 65536 bytes"),
    ],
)
def test_a_broken_token_file_is_our_fault_and_never_a_401(tmp_path, broken, why):
    """The last good token stays in force, others may come again, and everyone can see why."""
    prepare(tmp_path)
    file = tmp_path / "webhook"
    config = CONFIG.replace(", {name: both, token_file: both}]", "]", 1)
    with serve(tmp_path, config) as receiver:
        broken(file)

        assert receiver.post("/webhook", NOTIFICATION, token="canary-webhook").status == 200
        for token in ("not-there-yet", "canary-reader"):
            answer = receiver.post("/webhook", NOTIFICATION, token=token)
            assert answer.status == 503
            assert answer.headers["Retry-After"]
            assert why in answer.detail
        # What is surely the caller's fault, or not about this role, is answered as ever.
        assert receiver.post("/webhook", NOTIFICATION).status == 401
        assert receiver.get("/decisions", token="nobody").status == 401
        assert receiver.post("/pause", COMMENT, token="canary-reader").status == 403
        ready = receiver.get("/-/ready")
        assert ready.status == 503
        assert "the token alertmanager of the role webhook: " in ready.detail
        assert why in ready.detail
        metric = 'retrain_auth_token_files_broken{role="webhook"} 1.0'
        assert metric in receiver.get("/metrics", token="canary-reader").text

        (tmp_path / "mended").write_text("canary-new")
        (tmp_path / "mended").replace(file)

        assert receiver.post("/webhook", NOTIFICATION, token="canary-new").status == 200
        assert receiver.post("/webhook", NOTIFICATION, token="canary-webhook").status == 401
        assert receiver.get("/-/ready").text == "ready\n"
        told = [line for line in receiver.log.read_text().splitlines() if "token_file_" in line]
        assert [json.loads(line)["event"] for line in told] == [
            "token_file_unusable",
            "token_file_usable",
        ]


def test_without_any_good_token_a_role_answers_503(tmp_path):
    """Nobody can be told from anybody: not even a token that is right."""
    tokens = Tokens({WEBHOOK: (TokenFile("alertmanager", tmp_path / "gone"),), READER: ()})

    with pytest.raises(Problem) as refused:
        tokens.caller("Bearer canary", WEBHOOK)

    assert refused.value.status == 503


def test_a_reader_whose_token_file_broke_does_not_stop_the_intake(tmp_path):
    """Ready means that notifications are accepted; what else is wrong is told beside it."""
    prepare(tmp_path)
    with serve(tmp_path, CONFIG) as receiver:
        (tmp_path / "reader").write_text("")

        ready = receiver.get("/-/ready")

        assert ready.status == 200
        assert ready.text.startswith("ready\nthe token dashboards of the role reader: ")


def test_the_last_good_token_survives_a_reload(tmp_path):
    """A reload that comes between two writes of a token file forgets nothing."""
    file = tmp_path / "token"
    file.write_text("canary")
    roles = {WEBHOOK: (TokenFile("alertmanager", file),)}
    before = Tokens(roles)
    file.write_text("")

    after = Tokens(roles, before)

    assert after.caller("Bearer canary", WEBHOOK).name == "alertmanager"


@pytest.mark.parametrize("written", [b"\xef\xbb\xbftoken-of-ours\r\n", b" token-of-ours \n\n"])
def test_a_token_means_the_same_to_every_reader(tmp_path, written):
    """What an editor puts around a token is no part of it, for intake as for check-config."""
    file = tmp_path / "token"
    file.write_bytes(written)

    tokens = Tokens({WEBHOOK: (TokenFile("alertmanager", file),)})

    assert tokens.caller("Bearer token-of-ours", WEBHOOK).name == "alertmanager"


def test_metrics_can_be_opened(tmp_path):
    """With `metrics_open` a scrape needs no token; everything else still does."""
    prepare(tmp_path)
    with serve(tmp_path, f"server: {{metrics_open: true}}\n{CONFIG}") as receiver:
        answer = receiver.get("/metrics")

        assert answer.status == 200
        assert "retrain_decisions_total" in answer.text
        assert receiver.get("/decisions").status == 401


def test_a_role_with_an_empty_list_is_closed(tmp_path):
    """Nobody can act if no operator's token is configured."""
    prepare(tmp_path)
    config = CONFIG.replace(
        "operator: [{name: ops, token_file: operator}, {name: ops-2, token_file: operator-2}]",
        "operator: []",
    )
    with serve(tmp_path, config) as receiver:
        assert receiver.post("/pause", COMMENT).status == 401
        assert receiver.post("/pause", COMMENT, token="canary-operator").status == 401
        assert receiver.post("/pause", COMMENT, token="canary-both").status == 403


@pytest.mark.parametrize(
    ("method", "path", "status", "detail"),
    [
        ("GET", "/webhook", 405, "GET is not allowed here"),
        ("DELETE", "/decisions", 405, "DELETE is not allowed here"),
        ("GET", "/pause", 405, "GET is not allowed here"),
        ("GET", "/webhook/", 405, "GET is not allowed here"),
        ("POST", "/webhooks", 404, "there is nothing at '/webhooks'; see /openapi.json"),
        ("GET", "/decisions/", 404, "there is nothing at '/decisions/'; see /openapi.json"),
        ("GET", "/models/42/", 404, "there is nothing at '/models/42/'; see /openapi.json"),
        ("GET", "/%1b%5b31mx%0a", 404, r"there is nothing at '/\x1b[31mx\n'; see /openapi.json"),
    ],
)
def test_what_is_not_there(served, method, path, status, detail):
    """Unknown paths and methods are problems too, and nothing is ever redirected."""
    answer = served.ask(method, path, token="canary-operator")

    assert answer.status == status
    assert answer.detail == detail
    assert answer.headers["Location"] is None
    if status == 405:
        assert answer.headers["Allow"]


def test_a_page_of_another_origin_cannot_act(served):
    """What a browser sends for a strange page is refused, although it knows the password."""
    for site in ("cross-site", "same-site"):
        answer = served.post(
            "/resume", COMMENT, password="canary-operator", headers={"Sec-Fetch-Site": site}
        )
        assert answer.status == 403
    answer = served.post(
        "/resume", COMMENT, password="canary-operator", headers={"Sec-Fetch-Site": "same-origin"}
    )
    assert answer.status == 200


def test_answers_can_be_neither_framed_nor_cached(served):
    """Every answer, also an error, carries the headers that keep browsers from harm."""
    for path in ("/openapi.json", "/decisions", "/nothing"):
        headers = served.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_without_auth_we_listen_on_loopback_only(tmp_path):
    """A receiver without tokens refuses to start where others could reach it."""
    (tmp_path / "receiver.yaml").write_text(NO_AUTH)
    command = [sys.executable, "-m", "receiver", "serve", "--listen", "0.0.0.0:0"]

    ended = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )

    assert ended.returncode == 1
    assert "without an auth section we listen on loopback only, not on 0.0.0.0" in ended.stderr
