"""What becomes of a run when KFP, the way to it or our token fails."""

import socket
from contextlib import closing
from datetime import timedelta
from threading import Thread
from time import monotonic

import kfp_server_api
import pytest

from receiver.core.dispatches import Failure
from receiver.dispatchers.kfp_client import KfpClient
from tests.contract.kfp_setup import (
    LOGIN,
    SPEC,
    dispatcher,
    failure_of,
    order,
    peer,
    run_of,
)
from tests.peers.kfp import Fault, KfpPeer

__all__ = ["peer"]


@pytest.mark.parametrize(
    ("fault", "failure"),
    [
        *[(Fault(status), Failure.REFUSED) for status in (400, 403, 404, 409, 410, 413, 422)],
        (Fault(429), Failure.UNAVAILABLE),
        *[(Fault(status), Failure.UNKNOWN) for status in (408, 418, 500, 502, 503, 504)],
        (Fault(500, accept=True), Failure.UNKNOWN),
        (Fault(503, accept=True), Failure.UNKNOWN),
        (Fault(), Failure.UNKNOWN),
        (Fault(accept=True), Failure.UNKNOWN),
        (Fault(200, body=LOGIN, headers={"Content-Type": "text/html"}), Failure.UNKNOWN),
        (Fault(200, body=b"{}", accept=True), Failure.UNKNOWN),
        (Fault(200, body=b"[]"), Failure.UNKNOWN),
        (Fault(200, body=b'{"run_id": '), Failure.UNKNOWN),
        (Fault(201, body=b"", accept=True), Failure.UNKNOWN),
        (Fault(change={"run_id": None}), Failure.UNKNOWN),
        (Fault(change={"run_id": "another", "display_name": "another"}), Failure.UNKNOWN),
        (Fault(200, headers={"Content-Length": "9999"}, accept=True), Failure.UNKNOWN),
    ],
    ids=lambda value: str(value) if isinstance(value, Failure) else None,
)
def test_a_bad_answer_is_translated_and_not_repeated(peer, fault, failure):
    """Each answer gets its meaning, and only the outbox may ask again."""
    peer.answer_next(fault)

    error = failure_of(dispatcher().start, order(peer.url))

    assert error.failure is failure
    assert peer.starts == 1


def test_a_server_that_speaks_tls_is_told_with_its_cure(peer):
    """Its 400 is about the scheme, not about what was sent."""
    peer.answer_next(Fault(400, body=b"Client sent an HTTP request to an HTTPS server."))

    error = failure_of(dispatcher().start, order(peer.url))

    assert "write https:// in place of http://" in str(error)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(peer, status):
    """A login page or a moved server may have taken the POST; neither is asked again."""
    peer.answer_next(Fault(status, headers={"Location": f"{peer.url}/dex/auth"}))

    error = failure_of(dispatcher().start, order(peer.url))

    assert error.failure is Failure.UNKNOWN
    assert len(peer.seen) == 1
    assert "login" in str(error)


def test_a_hanging_server_is_left_after_the_time_limit(peer):
    """Also a limit that is no integer holds, and before the server answers."""
    peer.hang(accept=True)
    began = monotonic()

    error = failure_of(dispatcher(timeout=0.3).start, order(peer.url))

    assert error.failure is Failure.UNKNOWN
    assert monotonic() - began >= 0.3
    assert not peer.released.is_set()
    assert peer.starts == 1


def test_an_answer_that_drips_is_left_after_the_time_limit():
    """Each byte comes in time and the whole never: the limit is for the whole answer."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        drips = Thread(target=_drip, args=[listener, head])
        drips.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"

        error = failure_of(dispatcher(timeout=0.3).start, order(url))

        assert error.failure is Failure.UNKNOWN
        drips.join()


def test_several_requests_share_one_limit(peer):
    """A slow server cannot add up its answers; what was not asked did not start."""
    settings = kfp_server_api.Configuration(host=peer.url)
    client = KfpClient(settings, None, timedelta(seconds=10), together=timedelta(0))

    error = failure_of(kfp_server_api.RunServiceApi(client).run_service_get_run, "a")

    assert error.failure is Failure.UNAVAILABLE
    assert peer.seen == []


def _drip(listener, head):
    """Send a byte whenever the other side took the last one, until it leaves."""
    connection, _ = listener.accept()
    with connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        try:
            connection.sendall(head)
            while True:
                connection.sendall(b" ")
        except OSError:
            return


def test_what_was_never_sent_is_unavailable():
    """Nobody listens, the name is unknown, the certificate is not trusted: nothing can run."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]

    for url in (f"http://127.0.0.1:{port}", f"https://127.0.0.1:{port}", "http://kfp.invalid"):
        error = failure_of(dispatcher().start, order(url))
        assert error.failure is Failure.UNAVAILABLE, url
        assert error.status_code is None


def test_a_server_that_speaks_no_tls_was_told_nothing(peer):
    """The handshake failed, so the order did not leave us."""
    url = peer.url.replace("http:", "https:")

    error = failure_of(dispatcher().start, order(url))

    assert error.failure is Failure.UNAVAILABLE
    assert peer.seen == []


def test_the_environments_proxy_is_used(peer, monkeypatch):
    """`HTTP_PROXY` leads to a server that only the proxy knows, `NO_PROXY` goes past it."""
    monkeypatch.setenv("http_proxy", peer.url)
    assert dispatcher().start(order("http://kfp.invalid")).id == run_of(1)

    monkeypatch.setenv("no_proxy", "other.example,.invalid")
    error = failure_of(dispatcher().start, order("http://kfp.invalid", attempt=2))

    assert error.failure is Failure.UNAVAILABLE
    assert peer.starts == 1


def test_a_missing_certificate_file_is_named(peer, tmp_path):
    """The cure is in the sentence."""
    url = peer.url.replace("http:", "https:")

    error = failure_of(dispatcher(ca_file=tmp_path / "ca.pem").start, order(url))

    assert error.failure is Failure.UNAVAILABLE
    assert "ca.pem" in str(error)


def test_a_server_may_say_when_to_come_back(peer):
    """A wait is taken over as it stands, but a stranger's header cannot hold us for ever."""
    for said, wait in (("7", 7), ("99999999", 3600)):
        peer.answer_next(Fault(429, headers={"Retry-After": said}))
        error = failure_of(dispatcher().start, order(peer.url))
        assert error.retry_after == timedelta(seconds=wait)

    peer.answer_next(Fault(429, headers={"Retry-After": "soon"}))
    assert failure_of(dispatcher().start, order(peer.url)).retry_after is None


@pytest.mark.parametrize(
    ("operation", "place"),
    [
        ("list_experiments", {"experiment": "drift-retraining"}),
        ("create_experiment", {"experiment": "drift-retraining"}),
        ("get_pipeline", {"pipeline": "uploaded"}),
        ("list_versions", {"pipeline": "uploaded"}),
    ],
)
@pytest.mark.parametrize(
    ("fault", "failure"),
    [
        (Fault(), Failure.UNAVAILABLE),
        (Fault(500), Failure.UNAVAILABLE),
        (Fault(302, headers={"Location": "https://kf.example/dex"}), Failure.UNAVAILABLE),
        (Fault(200, body=LOGIN), Failure.UNAVAILABLE),
        (Fault(400), Failure.REFUSED),
        (Fault(403), Failure.REFUSED),
    ],
)
def test_what_fails_before_the_post_started_nothing(peer, operation, place, fault, failure):
    """Whatever a look-up ends with, no run is in doubt, for none was asked for."""
    peer.upload("uploaded", SPEC)
    peer.answer_next(fault, to=operation)

    error = failure_of(dispatcher().start, order(peer.url, place=place))

    assert error.failure is failure
    assert peer.starts == 0


def test_a_rotated_token_is_taken_up(tmp_path):
    """The file is read for each request; a 401 between two reads is asked once more."""
    token_file = tmp_path / "token"
    with KfpPeer(token="second") as peer:
        token_file.write_text("second\n")
        one = dispatcher(token_file=token_file)
        one.start(order(peer.url))
        peer.token = "third"
        token_file.write_text("third\n")
        one.start(order(peer.url, attempt=2))
        # The server refuses the token, and while it says so, the file is replaced.
        peer.token = "fourth"
        peer.answer_next(Fault(401, act=lambda: token_file.write_text("fourth\n")))

        one.start(order(peer.url, attempt=3))

        assert peer.runs.keys() == {run_of(1), run_of(2), run_of(3)}
        assert peer.starts == 4


def test_what_an_editor_left_around_a_token_is_not_sent(tmp_path):
    """What `check-config` accepts is used as it was meant: no byte order mark, no line end."""
    token_file = tmp_path / "token"
    token_file.write_bytes(b"\xef\xbb\xbfs3cret\r\n")
    with KfpPeer(token="s3cret") as peer:
        dispatcher(token_file=token_file).start(order(peer.url))

        assert peer.starts == 1


def test_a_token_that_is_never_accepted_is_refused_and_kept_secret(tmp_path):
    """One refresh, then a definite no; a proxy that shows the token does not get it into a log."""
    token_file = tmp_path / "token"
    token_file.write_text("s3cret")
    with KfpPeer() as peer:
        peer.answer_next(Fault(401, body=b'{"message": "bad Bearer s3cret"}'), times=9)

        error = failure_of(dispatcher(token_file=token_file).start, order(peer.url))

        assert error.failure is Failure.REFUSED
        assert peer.starts == 2
        assert "s3cret" not in str(error)


@pytest.mark.parametrize("content", [None, b"", b"two\nlines", b"\xff"])
def test_a_token_file_that_cannot_be_used_sends_nothing(peer, tmp_path, content):
    """It is named, what it holds is not, and the dispatch waits for it."""
    token_file = tmp_path / "token"
    if content is not None:
        token_file.write_bytes(content)

    error = failure_of(dispatcher(token_file=token_file).start, order(peer.url))

    assert error.failure is Failure.UNAVAILABLE
    assert str(token_file) in str(error)
    assert "lines" not in str(error)
    assert peer.seen == []
