"""Tokens for GitHub: files that change, and installations of a GitHub App."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from receiver.core.dispatches import DispatchError, Failure
from receiver.dispatchers.github import App
from tests.contract.github_setup import (
    dispatch_to,
    dispatcher_with,
    failure_to_start,
    token_file,
)
from tests.peers.github import GithubPeer
from tests.peers.github_wire import BAD_CREDENTIALS, CUT_BEFORE, HANG_BEFORE, answering


def pem(key, encryption=None):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="module")
def other_key():
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture
def peer(key):
    with GithubPeer(prefix="/api/v3") as peer:
        trust(peer, key)
        yield peer


@pytest.fixture
def app(tmp_path, key):
    path = tmp_path / "app.pem"
    path.write_bytes(pem(key))
    return App(id=12, installation_id=34, private_key_file=path)


def trust(peer, key):
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    peer.app = (12, 34, public.decode())


def tokens_used(peer):
    return [asked.headers["authorization"] for asked in peer.requests("dispatch")]


def test_a_rotated_token_is_used_at_once(peer, tmp_path):
    """The file is read for every request; no reload, no signal."""
    dispatcher = dispatcher_with(token_file(tmp_path))
    dispatcher.start(dispatch_to(peer))

    peer.tokens = {"next-token"}
    (tmp_path / "github-token").write_text("next-token")
    run = dispatcher.start(dispatch_to(peer))

    assert run.id == "8002"
    assert tokens_used(peer) == ["token peer-token", "token next-token"]


@pytest.mark.parametrize(
    "content", [None, b"", b" \n", b"two tokens", b"a\nb", b"t\xc3\xb6ken", b"\xff", b"a\x00b"]
)
def test_without_a_token_nothing_is_sent(peer, tmp_path, content):
    """The message names the file and never shows what it holds."""
    path = token_file(tmp_path)
    path.unlink()
    if content is not None:
        path.write_bytes(content)

    error = failure_to_start(dispatcher_with(path), dispatch_to(peer))

    assert error.failure is Failure.UNAVAILABLE
    assert str(path) in str(error)
    assert "two tokens" not in str(error)
    assert peer.asked == []


def test_what_an_editor_left_around_a_token_is_not_sent(peer, tmp_path):
    """What `check-config` accepts is used as it was meant: no byte order mark, no line end."""
    path = token_file(tmp_path)
    path.write_bytes(b"\xef\xbb\xbfpeer-token\r\n")

    dispatcher_with(path).start(dispatch_to(peer))

    assert tokens_used(peer) == ["token peer-token"]


def test_what_an_editor_left_around_a_key_does_not_spoil_it(peer, app):
    """A byte order mark and Windows' line ends are no part of a private key."""
    key = app.private_key_file.read_bytes()
    app.private_key_file.write_bytes(b"\xef\xbb\xbf" + key.replace(b"\n", b"\r\n"))

    dispatcher_with(app).start(dispatch_to(peer))

    assert tokens_used(peer) == ["token ghs_1"]


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff", b"k" * 70_000])
def test_without_a_key_nothing_is_sent(peer, app, content):
    """The dispatch waits until somebody mends the file."""
    app.private_key_file.unlink()
    if content is not None:
        app.private_key_file.write_bytes(content)

    error = failure_to_start(dispatcher_with(app), dispatch_to(peer))

    assert error.failure is Failure.UNAVAILABLE
    assert str(app.private_key_file) in str(error)
    assert peer.asked == []


def test_an_app_dispatches_with_a_token_of_its_installation(peer, app):
    """It asks for the least permissions, once, and uses the token while it lives."""
    dispatcher = dispatcher_with(app)
    first = dispatcher.start(dispatch_to(peer))
    dispatcher.poll(dispatch_to(peer, run_id=first.id))
    dispatcher.start(dispatch_to(peer))

    assert tokens_used(peer) == ["token ghs_1", "token ghs_1"]
    [asked] = peer.requests("token")
    assert asked.body == {"permissions": {"actions": "write", "metadata": "read"}}


def test_an_expired_token_is_renewed_before_it_is_used(peer, app):
    """A token that is about to end is not sent any more."""
    peer.token_life = timedelta(seconds=10)
    dispatcher = dispatcher_with(app)
    dispatcher.start(dispatch_to(peer))
    dispatcher.start(dispatch_to(peer))

    assert len(set(tokens_used(peer))) == 2
    assert peer.starts == 2


def test_a_revoked_token_is_renewed_once(peer, app):
    """After a 401 a new token is asked for, and the dispatch is sent once more."""
    dispatcher = dispatcher_with(app)
    dispatcher.start(dispatch_to(peer))
    peer.tokens.clear()

    run = dispatcher.start(dispatch_to(peer))

    assert run.id == "8002"
    assert tokens_used(peer) == ["token ghs_1", "token ghs_1", "token ghs_2"]


def test_an_app_that_stays_refused_is_a_refusal(peer, app):
    """Two tokens, two POSTs, and the installation's name."""
    peer.answer_always(BAD_CREDENTIALS)

    error = failure_to_start(dispatcher_with(app), dispatch_to(peer))

    assert error.failure is Failure.REFUSED
    assert "renew installation 34 of GitHub App 12" in str(error)
    assert peer.starts == len(peer.requests("token")) == 2


def test_a_new_private_key_is_used_at_once(peer, app, other_key):
    """When the key file changes, the next token is asked for with it."""
    dispatcher = dispatcher_with(app)
    dispatcher.start(dispatch_to(peer))

    trust(peer, other_key)
    app.private_key_file.write_bytes(pem(other_key))
    dispatcher.start(dispatch_to(peer))

    assert tokens_used(peer) == ["token ghs_1", "token ghs_2"]


@pytest.mark.parametrize("fault", ["missing", "empty", "text", "locked", "elliptic"])
def test_a_private_key_that_can_not_be_used_is_named(peer, app, key, fault):
    """Nothing is sent, and the file is named."""
    path = app.private_key_file
    contents = {
        "empty": b"",
        "text": b"no key",
        "locked": pem(key, BestAvailableEncryption(b"secret")),
        "elliptic": pem(ec.generate_private_key(ec.SECP256R1())),
    }
    path.unlink()
    if fault in contents:
        path.write_bytes(contents[fault])

    error = failure_to_start(dispatcher_with(app), dispatch_to(peer))

    assert error.failure is Failure.UNAVAILABLE
    assert str(path) in str(error)
    assert peer.asked == []


@pytest.mark.parametrize(
    ("behaviour", "meaning"),
    [
        (answering(401), Failure.REFUSED),
        (answering(403), Failure.REFUSED),
        (answering(404), Failure.REFUSED),
        (answering(422), Failure.REFUSED),
        (answering(403, headers={"Retry-After": "5"}), Failure.UNAVAILABLE),
        (answering(500), Failure.UNAVAILABLE),
        (answering(301, headers={"Location": "https://elsewhere.example/"}), Failure.UNAVAILABLE),
        (answering(302, headers={"Location": "/login"}), Failure.UNAVAILABLE),
        (answering(201, b"<html>"), Failure.UNAVAILABLE),
        (answering(201, b"{"), Failure.UNAVAILABLE),
        (answering(201, {}), Failure.UNAVAILABLE),
        (answering(201, {"token": 5}), Failure.UNAVAILABLE),
        (CUT_BEFORE, Failure.UNAVAILABLE),
    ],
)
def test_an_app_without_a_token_starts_nothing(peer, app, behaviour, meaning):
    """No dispatch is sent; the failure says whether trying again can help; and then it does."""
    dispatcher = dispatcher_with(app)
    peer.answer_next(behaviour, phase="token")

    error = failure_to_start(dispatcher, dispatch_to(peer))

    assert error.failure is meaning
    assert "installation 34 of GitHub App 12" in str(error)
    assert peer.starts == 0
    assert dispatcher.start(dispatch_to(peer)).id == "8001"


@pytest.mark.parametrize("ends", [{}, {"expires_at": "soon"}, {"expires_at": 5}])
def test_a_token_without_an_end_is_forgotten(peer, app, ends):
    """It is good for the request that needed it; an answer that makes no sense is not kept."""
    dispatcher = dispatcher_with(app)
    peer.tokens.add("endless")
    peer.answer_next(answering(201, {"token": "endless", **ends}), phase="token")

    dispatcher.start(dispatch_to(peer))
    dispatcher.start(dispatch_to(peer))

    assert tokens_used(peer) == ["token endless", "token ghs_2"]


def test_threads_share_one_token(peer, app):
    """Many dispatches at once ask for one token, and each is sent once."""
    dispatcher = dispatcher_with(app)
    dispatches = [dispatch_to(peer, id=f"{n:026}") for n in range(20)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(dispatcher.start, dispatches))

    assert len(peer.requests("token")) == 1
    assert {run.inputs["dispatch_id"] for run in peer.runs} == {d.id for d in dispatches}
    assert peer.starts == 20


def test_a_slow_token_does_not_hold_the_others_for_ever(peer, app):
    """Who waits for another's request gives up when that one should have ended."""
    dispatcher = dispatcher_with(app, timeout=timedelta(milliseconds=50))
    with dispatcher._client._tokens._lock:
        error = failure_to_start(dispatcher, dispatch_to(peer))

    assert error.failure is Failure.UNAVAILABLE
    assert peer.asked == []


def test_a_token_that_does_not_come_starts_nothing(peer, app):
    """Silence of the token's endpoint is no silence after a dispatch."""
    dispatcher = dispatcher_with(app, timeout=timedelta(milliseconds=50))
    peer.answer_next(HANG_BEFORE, phase="token")

    error = failure_to_start(dispatcher, dispatch_to(peer))

    assert error.failure is Failure.UNAVAILABLE
    assert peer.starts == 0


def test_a_look_without_a_token_is_not_repeated(peer, app):
    """Only the network's and the server's faults are worth another read."""
    peer.answer_always(answering(429, headers={"Retry-After": "7"}), phase="token")

    with pytest.raises(DispatchError) as caught:
        dispatcher_with(app).find(dispatch_to(peer))

    assert caught.value.retry_after == timedelta(seconds=7)
    assert len(peer.asked) == 1
