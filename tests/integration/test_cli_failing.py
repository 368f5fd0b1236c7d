"""The command line when something is wrong: exit codes, and one line that says what would help."""

import subprocess
import sys

import pytest

from receiver.cli.client import AskError, ReceiverClient
from receiver.http import Client, NotSent
from tests.commands import EVIL, SHOWN, WHY, Peculiar, closed_port
from tests.posts import entry, post
from tests.serving import NO_AUTH, serve


@pytest.fixture(scope="module")
def secrets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens")
    for name in ("reader", "operator", "unknown"):
        (folder / name).write_text(f"canary-{name}\n")
    (folder / "empty").write_text("\n")
    (folder / "two").write_text("canary-1\ncanary-2\n")
    (folder / "binary").write_bytes(b"canary\xff")
    return folder


@pytest.fixture(scope="module")
def guarded(secrets):
    auth = """\
auth:
  reader: [{name: dashboards, token_file: reader}]
  operator: [{name: ops, token_file: operator}]
"""
    with serve(secrets, auth + NO_AUTH) as receiver:
        yield receiver


@pytest.fixture
def ask_guarded(cli, guarded, secrets):
    """Run a command with a token, given by option and by environment, or without one."""

    def ask(token, *command):
        if token is None:
            return [cli(*command, url=guarded.url)]
        file = str(secrets / token)
        return [
            cli(*command, "--token-file", file, url=guarded.url),
            cli(*command, url=guarded.url, token_file=file),
        ]

    return ask


class RefusedAtFirst:
    """Meets a closed port some times before it gets through."""

    def __init__(self, times):
        self.asked = []
        self._times = times

    def open(self, *args, **more):
        """Refuse, or pass on."""
        self.asked.append(args)
        if len(self.asked) <= self._times:
            raise NotSent("refused", ConnectionRefusedError(111, "Connection refused"))
        return Client().open(*args, **more)


class TestFailing:
    """Exit codes, and one line on stderr that says what would help."""

    @pytest.mark.parametrize(
        ("args", "said"),
        [
            (["pause", "42"], "Missing option '--comment'"),
            (["pause", *WHY], "say what to pause: MODEL, --policy POLICY or --everything"),
            (["release", *WHY], "say what to release: --policy POLICY or --everything"),
            (["resume", *WHY], "say what to resume: MODEL, --policy POLICY or --everything"),
            (["pause", "42", "--everything", *WHY], "--everything stands alone"),
            (["pause", "--everything", "--policy", "drift", *WHY], "--everything stands alone"),
            (["pause", "--policy", "drift", "--label", "a=b", *WHY], "--label names a model"),
            (["retrain", "42", "--label", "user_id", *WHY], "'user_id' is not NAME=VALUE"),
            (["retrain", *WHY], "Missing argument 'MODEL'"),
            (["decisions", "--limit", "501"], "Input should be less than or equal to 500"),
            (["decisions", "--reasn", "x"], "No such option"),
            (["decisions", "1", "--model", "42"], "an ID stands alone"),
            (["decisions", "-o", "yaml"], "'yaml' is not one of 'table', 'json', 'csv'"),
            (["dispatches", "--retry", *WHY], "need the dispatch's ID"),
            (["dispatches", "x", "--retry"], "need --comment"),
            (["dispatches", "x", "--retry", "--abandon", *WHY], "not both"),
            (["dispatches", "x", *WHY], "--comment belongs to"),
            (["dispatches", "x", "--state", "parked"], "an ID stands alone"),
            (["models", "--server", "ftp://x"], "'ftp://x' is not an address"),
            (["models", "--server", "127.0.0.1:80"], "is not an address; write http://HOST:PORT"),
            (["models", "--server", "http://h:99999"], "is not an address"),
            (["models", "--server", "http://me:pw@h"], "--server can't hold a password"),
            (["models", "--token-file", "/nowhere"], "can't be read: No such file or directory"),
        ],
    )
    def test_usage(self, cli, args, said):
        """What can't be meant is exit 2, before anything is asked."""
        ended = cli(*args, url="http://127.0.0.1:1")

        assert ended.code == 2
        assert said in ended.err
        assert ended.out == ""
        assert "pw" not in ended.err

    @pytest.mark.parametrize(
        ("args", "code", "said"),
        [
            (["decisions", "--reason", "none"], 2, "reason can be unmatched, invalid, "),
            (["decisions", "--since", "soon"], 2, "since is a time such as "),
            (["decisions", "--all", "--since", "soon"], 2, "since is a time such as "),
            (["decisions", "--reason", "none", "-o", "csv"], 2, "reason can be unmatched, "),
            (["pause", "42", "--for", "soon", *WHY], 2, "for: 'soon' is not a duration; write"),
            (["dispatches", "--state", "lost"], 2, "state can be pending, sending, "),
            (["decisions", "1"], 3, "there is no decision 1, or it was forgotten"),
            (["explain", "none"], 3, "no model is remembered by this name (test alerts"),
            (["explain", "../models"], 3, "there is nothing at "),
            (["explain", EVIL], 3, "no model is remembered by this name (test alerts"),
            (["retrain", "none", *WHY], 3, "no model is remembered by the name none (test alerts"),
            (
                ["retrain", EVIL, *WHY],
                3,
                rf"no model is remembered by the name {SHOWN} (test",
            ),
            (["pause", "--policy", "none", *WHY], 3, "there is no policy none"),
            (["dispatches", "none"], 3, "there is no such dispatch, or it was forgotten"),
            (["dispatches", "none", "--abandon", *WHY], 3, "there is no dispatch none"),
        ],
    )
    def test_refusals(self, ask, args, code, said):
        """What the API refuses is told in its own words, on one line, with its exit code."""
        ended = ask(*args)

        assert ended.code == code
        assert ended.err.startswith(said)
        assert len(ended.err.splitlines()) == 1
        assert ended.out == ""

    @pytest.mark.parametrize("command", ["decisions", "models", "dispatches"])
    def test_unreachable(self, cli, command):
        """Where nothing listens the exit code is 4, and the line says what to check."""
        ended = cli(command, "--server", f"http://127.0.0.1:{closed_port()}")

        assert ended.code == 4
        assert ended.err.endswith(
            "Connection refused; is it running? --server / RETRAIN_RECEIVER_URL\n"
        )
        assert len(ended.err.splitlines()) == 1

    def test_a_refused_connection_is_tried_again(self, served):
        """An act survives the receiver's restart: refused twice, it is done at the third try."""
        client = RefusedAtFirst(2)

        decision = ReceiverClient(served.url, client, patience=0).act(
            "/resume", {"comment": "x"}, "key"
        )

        assert decision["detail"] == "everything was not paused; resume asked for by anonymous: x"
        assert len(client.asked) == 3

    def test_patience_ends(self, served):
        """After three refusals an act is given up; no doubt is told, for nothing happened."""
        client = RefusedAtFirst(9)

        with pytest.raises(AskError) as caught:
            ReceiverClient(served.url, client, patience=0).act("/resume", {"comment": "x"}, "key")

        assert caught.value.exit_code == 4
        assert "may have been done" not in str(caught.value)
        assert len(client.asked) == 3

    def test_an_answer_that_is_lost(self, cli):
        """An act whose answer is lost is not repeated; its key is told, so that one can."""
        with Peculiar(None) as peculiar:
            ended = cli("pause", "42", *WHY, url=peculiar.url)

        (request,) = peculiar.seen
        assert ended.code == 4
        assert "it may have been done: see `retrain-receiver decisions" in ended.err
        assert f"--idempotency-key {request['Idempotency-Key']}, which" in ended.err

    @pytest.mark.parametrize("code", [301, 302, 307, 308])
    def test_no_redirect_is_followed(self, cli, tmp_path, code):
        """A token is for the server that was named, never for where that one points."""
        (tmp_path / "token").write_text("canary\n")
        with Peculiar(200) as elsewhere, Peculiar(code, Location=elsewhere.url) as peculiar:
            ended = cli("models", "--token-file", str(tmp_path / "token"), url=peculiar.url)

        assert ended.code == 1
        assert f"a redirect to {elsewhere.url}" in ended.err
        assert peculiar.seen[0]["Authorization"] == "Bearer canary"
        assert elsewhere.seen == []

    @pytest.mark.parametrize("code", [200, 404, 502])
    def test_somebody_else_listens_there(self, cli, code):
        """HTML from another program is no answer, whatever its code."""
        with Peculiar(code) as peculiar:
            ended = cli("models", url=peculiar.url)

        assert ended.code == 1
        assert "answers, but not as a retrain-receiver does" in ended.err

    def test_a_proxy_is_not_asked_about_this_machine(self, ask, monkeypatch):
        """The environment's proxy is for the outside."""
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")

        assert ask("models").code == 0

    def test_a_reader_that_leaves(self, tmp_path):
        """`decisions --all | head` ends without a traceback."""
        with serve(tmp_path, "{}") as receiver:
            receiver.post("/webhook", post(*(entry(str(n)) for n in range(800))))
            command = [sys.executable, "-m", "receiver", "decisions", "--all", "-o", "json"]
            with subprocess.Popen(
                [*command, "--server", receiver.url],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            ) as process:
                process.stdout.readline()
                process.stdout.close()
                said = process.stderr.read()

        assert process.returncode == 1
        assert said == b""


class TestTokens:
    """--token-file and what happens without the right one."""

    @pytest.mark.parametrize(
        ("token", "command", "code", "said"),
        [
            (None, ["models"], 1, "a token is needed: "),
            ("unknown", ["models"], 1, "this token is not known here; give --token-file or "),
            ("reader", ["models"], 0, ""),
            ("reader", ["resume", "--everything", *WHY], 1, "this needs the role operator; "),
            ("operator", ["resume", "--everything", *WHY], 0, ""),
            ("empty", ["models"], 2, "--token-file "),
            ("two", ["models"], 2, "--token-file "),
            ("binary", ["models"], 2, "--token-file "),
        ],
    )
    def test_roles(self, ask_guarded, token, command, code, said):
        """A token opens what its role may; what it can't open names the cure, not the token."""
        for ended in ask_guarded(token, *command):
            assert ended.code == code
            assert ended.err.startswith(said)
            assert "canary" not in ended.err + ended.out

    def test_the_actor_is_the_tokens_name(self, ask_guarded):
        """The audit log names who acted."""
        for ended in ask_guarded("operator", "pause", "--everything", *WHY):
            assert "everything paused until resumed by ops: the reason why" in ended.out
