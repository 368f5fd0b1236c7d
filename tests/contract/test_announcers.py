"""What subscribers get, and what becomes of each of their answers."""

import ssl
from dataclasses import replace
from datetime import timedelta
from http.server import HTTPServer, SimpleHTTPRequestHandler
from threading import Thread
from time import monotonic

import pytest

from receiver.announcers.act_links import LinkMaker
from receiver.announcers.making import announcer_of
from receiver.announcers.posting import post
from receiver.core.act_links import unseal
from receiver.core.announcements import Announcement, Kind, NotDelivered
from receiver.core.signatures import signing_key
from tests.fakes import NOON
from tests.peers.certificates import sign_certificate
from tests.peers.subscriber import SECRET, Manner, SubscriberPeer

DEADLINE_SECONDS = 30
"""Far beyond the second that the sender is given, also on a busy machine."""

PATH = "/services/T00/B00/a-secret"
TOLD = Announcement(
    id="01m813adaxqm62f7v5pt39hrtr",
    subscriber="on-call",
    kind=Kind.TRIGGERED,
    model="42",
    policy="drift",
    at=NOON,
    data={"detail": "ordered by policy drift", "value": 0.62, "ordered": False},
    due_at=NOON,
)


@pytest.fixture
def peer(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with SubscriberPeer() as peer:
        yield peer


def webhook(folder, url, **changes):
    """An announcer that signs; its secret lies in a file."""
    secret = folder / "signing"
    secret.write_text(SECRET + "\n")
    settings = {"url": url, "url_file": None, "secret_file": secret, "ca_file": None}
    return announcer_of(**{**settings, "external_url": "https://retrain.example", **changes})


def slack(folder, url, path=PATH, **more):
    """An announcer to a channel; its address lies in a file."""
    address = folder / "slack"
    address.write_text(f"{url}{path}\n")
    settings = {"url": None, "url_file": address, "secret_file": None, "ca_file": None}
    return announcer_of(**{**settings, "external_url": None, **more})


WORKFLOW = "/workflows/1/triggers/manual/paths/invoke?api-version=1&sp=%2Frun&sig=a-secret"


def teams(folder, url, **more):
    """An announcer to a workflow of Teams; its address, with a signature, lies in a file."""
    return slack(folder, url, WORKFLOW, teams=True, **more)


def maker(folder):
    """Signs links with a secret in a file."""
    (folder / "links").write_text(SECRET + "\n")
    return LinkMaker(
        secret_file=folder / "links",
        life=timedelta(hours=1),
        external_url="https://retrain.example",
    )


ASKS = replace(
    TOLD,
    kind=Kind.APPROVAL,
    data={
        "detail": "**now** [click](https://evil.example) <at>all</at> {{DATE(x)}} {{{y}}}",
        "rung": "approval",
        "episode_started_at": "2026-11-22T11:00:00Z",
        "asked_at": "2026-11-22T12:00:00Z",
        "expires_at": "2026-11-22T12:30:00Z",
    },
)


def trouble(act, *arguments, **more):
    """The `NotDelivered` that this ends with; it never shows an address."""
    with pytest.raises(NotDelivered) as caught:
        act(*arguments, **more)
    assert "a-secret" not in str(caught.value)
    assert "a-secret" not in repr(caught.value.__cause__ or "")
    return caught.value


def test_a_webhook_is_a_signed_cloud_event(peer, tmp_path):
    """Whoever has the secret can verify it with the standard's own words."""
    webhook(tmp_path, f"{peer.url}/hook").send(TOLD, NOON)

    (told,) = peer.told
    assert told.verified()
    assert not told.verified("whsec_" + "A" * 32)
    assert told.path == "/hook"
    assert told.headers["webhook-id"] == TOLD.id
    assert told.headers["webhook-timestamp"] == str(int(NOON.timestamp()))
    assert told.headers["content-type"].startswith("application/cloudevents+json")
    assert told.content["id"] == TOLD.id
    assert told.content["data"]["value"] == 0.62


def test_a_new_secret_is_used_at_once(peer, tmp_path):
    """Files are read anew for each sending."""
    one = webhook(tmp_path, peer.url)
    (tmp_path / "signing").write_text("whsec_" + "QUJD" * 8)

    one.send(TOLD, NOON)

    assert peer.told[0].verified("whsec_" + "QUJD" * 8)


def test_slack_is_told_at_its_secret_address(peer, tmp_path):
    """In Slack's form, unsigned."""
    slack(tmp_path, peer.url).send(TOLD, NOON)

    (told,) = peer.told
    assert told.path == PATH
    assert told.content["text"] == "Retraining 42 was ordered"
    assert "webhook-signature" not in told.headers


def test_teams_is_told_with_a_card_at_its_secret_address(peer, tmp_path):
    """As a workflow takes it that waits for a webhook request, and answers 202 before it posts."""
    peer.answer_always(Manner(202, b""))
    teams(tmp_path, peer.url, act_links=maker(tmp_path)).send(ASKS, NOON)

    (told,) = peer.told
    assert told.path == WORKFLOW
    assert told.headers["content-type"] == "application/json"
    assert told.content["type"] == "message"
    (attachment,) = told.content["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    assert {action["type"] for action in card["actions"]} == {"Action.OpenUrl"}
    assert [action["title"] for action in card["actions"]] == ["Approve …", "Reject …"]
    assert card["body"][0]["inlines"][0]["text"] == "42 waits for your approval"


def test_nothing_in_a_card_is_formatting(peer, tmp_path):
    """Every text is a run, in which Teams reads no Markdown; and no function is left in it."""
    teams(tmp_path, peer.url, act_links=maker(tmp_path)).send(ASKS, NOON)

    (told,) = peer.told
    body = told.content["attachments"][0]["content"]["body"]
    assert {block["type"] for block in body} == {"RichTextBlock"}
    assert {run["type"] for block in body for run in block["inlines"]} == {"TextRun"}
    assert b"{{" not in told.body
    assert "[click](https://evil.example) <at>all</at> { {DATE(x)}}" in told.body.decode()


@pytest.mark.parametrize("text", ["\U0001f4a9", "\x01", "&", '"', "\\", "\udc80"])
def test_the_longest_card_fits_teams(peer, tmp_path, text):
    """Which takes 28 KB, whatever the characters are, with the longest names."""
    longest = replace(
        ASKS,
        model="m" * 128,
        policy="p" * 128,
        data={**ASKS.data, "detail": text * 10_000, "run_url": "https://h/" + "r" * 1_990},
    )
    one = teams(
        tmp_path, peer.url, act_links=maker(tmp_path), external_url="https://h/" + "e" * 900
    )
    one.send(longest, NOON)

    assert len(peer.told[0].body) < 28 * 1024


def test_a_run_without_links_leads_to_run_and_model(peer, tmp_path):
    """As in Slack."""
    at = {"external_url": "https://retrain.example"}
    linked = replace(TOLD, data={**TOLD.data, "run_url": "https://github.example/1"})
    teams(tmp_path, peer.url, **at).send(linked, NOON)

    card = peer.told[0].content["attachments"][0]["content"]
    assert [action["url"] for action in card["actions"]] == [
        "https://github.example/1",
        "https://retrain.example/ui/models/42",
    ]


@pytest.mark.parametrize("status", [302, 400, 401, 404, 410, 413, 429, 500, 502])
def test_what_teams_refuses_is_told_without_its_address(peer, tmp_path, status):
    """And when it wants to be asked again."""
    peer.answer_always(Manner(status, b"no", {"Retry-After": "7"}))

    error = trouble(teams(tmp_path, peer.url).send, TOLD, NOON)

    assert (error.status_code, error.retry_after) == (status, timedelta(seconds=7))
    assert error.hopeless is (status == 410)


def test_each_way_carries_the_links_of_a_question(peer, tmp_path):
    """The same for each try: buttons in a chat, a field for programs; no longer than they work."""
    links = maker(tmp_path)
    slack(tmp_path, peer.url, act_links=links).send(ASKS, NOON)
    webhook(tmp_path, peer.url, act_links=links).send(ASKS, NOON + timedelta(minutes=29))
    webhook(tmp_path, peer.url, act_links=links).send(ASKS, NOON + timedelta(minutes=30))
    webhook(tmp_path, peer.url).send(ASKS, NOON)
    chat, hook, late, unlinked = (told.content for told in peer.told)

    buttons = chat["blocks"][1]["elements"]
    assert [button["text"]["text"] for button in buttons] == ["Approve …", "Reject …"]
    assert "one answer, until 2026-11-22 12:30 UTC" in chat["blocks"][0]["text"]["text"]
    assert hook["data"]["act_links"] == [
        {"act": act, "url": button["url"], "expires_at": "2026-11-22T12:30:00Z"}
        for act, button in zip(("approve", "reject"), buttons, strict=True)
    ]
    assert "act_links" not in late["data"]
    assert "act_links" not in unlinked["data"]
    for button in buttons:
        place, _, token = button["url"].rpartition("/")
        assert place == "https://retrain.example/ui/act"
        assert unseal(token, {"on-call": signing_key(SECRET)}).model == "42"


def test_a_message_without_its_links_is_told_all_the_same(peer, tmp_path):
    """Nobody must miss a question because a secret is gone."""
    links = maker(tmp_path)
    (tmp_path / "links").unlink()

    slack(tmp_path, peer.url, act_links=links).send(ASKS, NOON)

    assert len(peer.told[0].content["blocks"]) == 1


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_success_is_a_yes(peer, tmp_path, status):
    """The body is of no interest."""
    peer.answer_always(Manner(status, b"" if status == 204 else b"<html>"))

    webhook(tmp_path, peer.url).send(TOLD, NOON)

    assert len(peer.told) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 400, 401, 404, 410, 429, 500, 503])
def test_any_other_status_is_a_no(peer, tmp_path, status):
    """No redirect is followed: it could lead anywhere, and would drop the body."""
    peer.answer_always(Manner(status, b"no", {"Location": f"{peer.url}/elsewhere"}))

    error = trouble(slack(tmp_path, peer.url).send, TOLD, NOON)

    assert error.status_code == status
    assert str(error) == f"127.0.0.1 answered {status}: 'no'"
    assert error.hopeless is (status == 410)
    assert len(peer.told) == 1


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        ("120", timedelta(minutes=2)),
        (" 120 ", timedelta(minutes=2)),
        ("9" * 50, timedelta(days=7)),
        ("Thu, 01 Jan 1970 00:00:00 GMT", timedelta(0)),
        ("-5", None),
        ("soon", None),
        ("\u0661", None),
    ],
)
def test_a_wish_to_wait_is_read(peer, tmp_path, text, wait):
    """Seconds or a date; anything else is no wish."""
    peer.answer_always(Manner(429, headers={"Retry-After": text.encode().decode("latin-1")}))

    assert trouble(webhook(tmp_path, peer.url).send, TOLD, NOON).retry_after == wait


def test_a_yes_without_an_end_is_a_yes(peer):
    """Nobody waits for its body."""
    peer.answer_always(Manner(then="drip"))

    post(f"{peer.url}{PATH}", b"{}", {}, seconds=DEADLINE_SECONDS)

    assert len(peer.told) == 1


def test_a_no_without_an_end_is_a_no(peer):
    """Its status counts, however long its words would go on."""
    peer.answer_always(Manner(500, then="drip"))

    assert trouble(post, f"{peer.url}{PATH}", b"{}", {}, seconds=1).status_code == 500


@pytest.mark.parametrize("then", ["hang", "trickle", "cut"])
def test_a_subscriber_that_does_not_answer_is_left(peer, then):
    """One that is slow byte by byte would outlast a socket's own time-out."""
    peer.answer_always(Manner(then=then))
    began = monotonic()

    error = trouble(post, f"{peer.url}{PATH}", b"{}", {}, seconds=1)

    assert error.status_code is None
    assert monotonic() - began < DEADLINE_SECONDS
    assert len(peer.told) == 1


def test_nobody_listens(tmp_path):
    """The peer's port is free again."""
    with SubscriberPeer() as gone:
        url = gone.url

    assert "127.0.0.1 gave no whole answer" in str(trouble(slack(tmp_path, url).send, TOLD, NOON))


@pytest.mark.parametrize(
    "body", [f"no such path: {PATH}".encode(), b"a%2Fsecret", b"x" * 5000, b"\xff\x00 <b>"]
)
def test_an_error_page_does_not_show_the_address(peer, tmp_path, body):
    """Only a short word of the subscriber's is kept."""
    peer.answer_always(Manner(404, body))

    said = str(trouble(slack(tmp_path, peer.url).send, TOLD, NOON))

    assert said.isascii()
    assert len(said) < 200


@pytest.mark.parametrize(
    "address", ["http://[::1", "http://h:99999999/a-secret", "http://127.0.0.1/a b/a-secret", "x"]
)
def test_an_address_that_makes_no_sense_is_told_without_showing_it(peer, tmp_path, address):
    """It may have been replaced by something else since the configuration was loaded."""
    one = slack(tmp_path, peer.url)
    (tmp_path / "slack").write_text(address)

    trouble(one.send, TOLD, NOON)


def test_files_that_went_bad_are_told(peer, tmp_path):
    """The announcement waits until they are mended."""
    one = webhook(tmp_path, peer.url)
    for spoil in (
        lambda path: path.write_text("short"),
        lambda path: path.write_text(""),
        lambda path: path.write_bytes(b"\xff\xfe\xff"),
        lambda path: path.unlink(),
    ):
        spoil(tmp_path / "signing")
        assert "signing" in str(trouble(one.send, TOLD, NOON))
    assert "no file" in str(trouble(webhook(tmp_path, None).send, TOLD, NOON))
    assert peer.told == []


def test_certificates_are_checked(peer, tmp_path):
    """Only `ca_file` makes an unknown authority a known one; a bad file is told."""
    file, key = sign_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key)
    peer._server.socket = context.wrap_socket(peer._server.socket, server_side=True)
    url = peer.url.replace("http://", "https://")

    assert "certificate" in str(trouble(webhook(tmp_path, url).send, TOLD, NOON))
    webhook(tmp_path, url, ca_file=file).send(TOLD, NOON)
    none = tmp_path / "none.pem"
    assert "certificates" in str(trouble(webhook(tmp_path, url, ca_file=none).send, TOLD, NOON))

    assert len(peer.told) == 1


class _Proxy(SimpleHTTPRequestHandler):
    asked: list[tuple[str, str, str | None]]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.asked.append((self.command, self.path, self.headers.get("Proxy-Authorization")))
        self.send_response(204)
        self.end_headers()

    def do_CONNECT(self) -> None:
        self.asked.append((self.command, self.path, self.headers.get("Proxy-Authorization")))
        self.send_error(407)

    def log_message(self, *_: object) -> None:
        pass


def test_the_environments_proxy_is_used(peer, monkeypatch, tmp_path):
    """Slack is often behind one; `no_proxy` goes past it."""
    asked: list[tuple[str, str, str | None]] = []
    server = HTTPServer(("127.0.0.1", 0), type("Proxy", (_Proxy,), {"asked": asked}))
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        port = server.server_port
        monkeypatch.setenv("http_proxy", f"127.0.0.1:{port}")
        monkeypatch.setenv("https_proxy", f"http://me:pass%20word@127.0.0.1:{port}")
        webhook(tmp_path, "http://hooks.example/x?y=1").send(TOLD, NOON)
        error = trouble(webhook(tmp_path, "https://hooks.example/x").send, TOLD, NOON)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        webhook(tmp_path, peer.url).send(TOLD, NOON)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

    assert asked == [
        ("POST", "http://hooks.example/x?y=1", None),
        ("CONNECT", "hooks.example:443", "Basic bWU6cGFzcyB3b3Jk"),
    ]
    assert "407" in str(error)
    assert len(peer.told) == 1
