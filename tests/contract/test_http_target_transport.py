"""What becomes of a run when an HTTP target, the way to it or our credential fails."""

import socket
from contextlib import closing
from datetime import timedelta
from time import monotonic

import pytest

from receiver.core.dispatches import DispatchError, Failure
from receiver.dispatchers.checks import check_http
from receiver.dispatchers.http_client import LARGEST_ANSWER, HttpAccess
from tests.contract.http_setup import (
    LOGIN,
    OUR_ID,
    bridge,
    dispatcher,
    example,
    failure_of,
    order,
    target_of,
)
from tests.peers.http_apis import AirflowPeer, ArgoPeer, BridgePeer, Fault
from tests.peers.raw import RawPeer

HTML = {"Content-Type": "text/html"}


@pytest.fixture(params=["airflow-2", "argo-workflows", "bridge"])
def peer(request, tmp_path):
    """A server of each sort, and the target for it."""
    make = {"airflow-2": AirflowPeer, "argo-workflows": ArgoPeer, "bridge": BridgePeer}
    with make[request.param]() as server:
        text = (
            bridge(server.url, answer="{id: /job/id}")
            if request.param == "bridge"
            else example(request.param, server.url)
        )
        server.chooses = request.param == "bridge"
        server.target = target_of(text, tmp_path)
        yield server


@pytest.mark.parametrize(
    ("fault", "failure"),
    [
        *[
            (Fault(status), Failure.REFUSED)
            for status in (400, 401, 403, 404, 405, 406, 410, 413, 415, 422)
        ],
        (Fault(429), Failure.UNAVAILABLE),
        *[(Fault(status), Failure.UNKNOWN) for status in (402, 408, 418, 425, 500, 502, 503, 504)],
        (Fault(500, accept=True), Failure.UNKNOWN),
        (Fault(503, accept=True), Failure.UNKNOWN),
        (Fault(), Failure.UNKNOWN),
        (Fault(accept=True), Failure.UNKNOWN),
        (Fault(200, headers={"Content-Length": "9999"}, accept=True), Failure.UNKNOWN),
        (Fault(599), Failure.UNKNOWN),
        (Fault(600), Failure.UNKNOWN),
    ],
    ids=lambda value: str(value) if isinstance(value, Failure) else None,
)
def test_a_bad_answer_is_translated_and_not_repeated(peer, fault, failure):
    """Each answer gets its meaning, and only the outbox may ask again."""
    peer.answer_next(fault)

    error = failure_of(dispatcher().start, order(peer.target))

    assert error.failure is failure
    assert peer.starts == 1
    assert len(peer.seen) == 1


def test_a_target_that_speaks_tls_is_told_with_its_cure(peer):
    """Its 400 is about the scheme, not about what was sent."""
    said = b"Client sent an HTTP request to an HTTPS server."
    peer.answer_next(Fault(400, body=said))

    error = failure_of(dispatcher().start, order(peer.target))

    assert "write https:// in place of http://" in str(error)
    assert "body" not in str(error)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(peer, tmp_path, status):
    """Neither with the POST nor with the credential: not to another server, nor within this."""
    token = tmp_path / "token"
    token.write_text("s3cret")
    peer.answer_next(Fault(status, headers={"Location": f"{peer.url}/dex/auth"}))

    error = failure_of(dispatcher(token_file=token).start, order(peer.target))

    assert error.failure is Failure.UNKNOWN
    assert len(peer.seen) == 1
    assert "login" in str(error)


def test_a_server_may_say_when_to_come_back(peer):
    """A stranger's header cannot hold us for ever."""
    for said, wait in (("7", 7), ("99999999", 3600)):
        peer.answer_next(Fault(429, headers={"Retry-After": said}))
        error = failure_of(dispatcher().start, order(peer.target))
        assert error.retry_after == timedelta(seconds=wait)

    for said in ("soon", "-1", "1" * 10):
        peer.answer_next(Fault(429, headers={"Retry-After": said}))
        assert failure_of(dispatcher().start, order(peer.target)).retry_after is None


def test_a_503_that_asks_to_wait_is_a_wait_only_where_a_second_post_is_harmless(peer):
    """A gateway that says so may have passed the order on before."""
    peer.answer_next(Fault(503, headers={"Retry-After": "9"}))

    error = failure_of(dispatcher().start, order(peer.target))

    if peer.chooses:
        assert error.failure is Failure.UNKNOWN
        assert error.retry_after is None
    else:
        assert error.failure is Failure.UNAVAILABLE
        assert error.retry_after == timedelta(seconds=9)


def test_a_hanging_server_is_left_after_the_time_limit(peer):
    """The run may have been started before it fell silent."""
    peer.hang(accept=True)
    began = monotonic()

    error = failure_of(dispatcher(timeout=0.3).start, order(peer.target))

    assert error.failure is Failure.UNKNOWN
    assert monotonic() - began >= 0.3
    assert not peer.released.is_set()
    assert peer.starts == 1


def test_an_answer_that_drips_or_does_not_end_is_left(tmp_path):
    """Each byte comes in time and the whole never; or it comes and is too much."""

    def drip(conversation):
        conversation.hear()
        conversation.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        conversation.trickle(b" ")

    def flood(conversation):
        conversation.hear()
        conversation.say(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        for _ in range(LARGEST_ANSWER // 65536 + 2):
            conversation.say(b" " * 65536)

    for script, timeout, said in ((drip, 0.3, "timed out"), (flood, 20, "larger than")):
        with RawPeer(script) as raw:
            target = target_of(example("airflow-2", raw.url), tmp_path)
            error = failure_of(dispatcher(timeout).start, order(target))
        assert error.failure is Failure.UNKNOWN
        assert said in str(error)


def test_what_was_never_sent_is_unavailable(tmp_path):
    """Nobody listens, the name is unknown, the certificate is not trusted: nothing can run."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]

    for url in (f"http://127.0.0.1:{port}", f"https://127.0.0.1:{port}", "http://airflow.invalid"):
        error = failure_of(
            dispatcher().start, order(target_of(example("airflow-2", url), tmp_path))
        )
        assert error.failure is Failure.UNAVAILABLE, url
        assert error.status_code is None


def test_basic_authentication_lets_us_in(tmp_path):
    """With the name of the file and the password of another; the password is not told."""
    password = tmp_path / "password"
    password.write_text("pa55:word\n")
    access = {"username": "retrain-receiver", "password_file": password}
    with AirflowPeer() as server:
        server.accept_basic("retrain-receiver", "pa55:word")
        target = target_of(example("airflow-2", server.url), tmp_path)
        assert dispatcher(**access).start(order(target)).id == OUR_ID
        assert dispatcher(**access).find(order(target)).id == OUR_ID

        packed = server.authorization.partition(" ")[2]
        echo = f'{{"detail": "not Basic {packed} alias pa55:word"}}'.encode()
        server.answer_next(Fault(403, body=echo))
        error = failure_of(dispatcher(**access).start, order(target, id="0" * 26))

    assert "'not Basic [secret] alias [secret]'" in str(error)
    assert "a credential that is valid and may start and read runs" in str(error)


def test_a_rotated_token_is_taken_up(tmp_path):
    """The file is read for each request; a 401 is asked again only if another token is there."""
    token = tmp_path / "token"
    token.write_text("first\n")
    with AirflowPeer() as server:
        target = target_of(example("airflow-3", server.url), tmp_path)
        one = dispatcher(token_file=token)
        server.authorization = "Bearer first"
        one.start(order(target, id="0" * 26))
        server.authorization = "Bearer second"
        server.answer_next(Fault(401, act=lambda: token.write_text("second\n")))

        assert one.start(order(target)).id == OUR_ID
        assert server.starts == 3

        server.authorization = "Bearer third"
        error = failure_of(one.start, order(target, id="1" * 26))
        assert error.failure is Failure.REFUSED
        assert "give `token_file` or `basic` a credential that is valid" in str(error)
        assert server.starts == 4


def test_a_token_that_comes_back_is_not_told(peer, tmp_path):
    """Also if the file holds another one by now."""
    token = tmp_path / "token"
    token.write_text("s3cret")
    echo = Fault(400, body=b'{"message": "<b>Bearer s3cret</b>"}', act=token.unlink)
    peer.answer_next(echo)

    error = failure_of(dispatcher(token_file=token).start, order(peer.target))

    assert "<b>Bearer [secret]</b>" in str(error)


@pytest.mark.parametrize("content", [None, b"", b"two\nlines", b"\xff"])
@pytest.mark.parametrize("setting", ["token_file", "password_file", "secret_file"])
def test_a_file_that_cannot_be_used_sends_nothing(peer, tmp_path, setting, content):
    """It is named, what it holds is not, and the dispatch waits for it."""
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)

    error = failure_of(dispatcher(**{setting: path}).start, order(peer.target))

    assert error.failure is Failure.UNAVAILABLE
    assert str(path) in str(error)
    assert "lines" not in str(error).replace(str(path), "")
    assert peer.seen == []


def test_a_signing_secret_of_another_form_sends_nothing(peer, tmp_path):
    """The cure is in the sentence, the secret is not."""
    path = tmp_path / "secret"
    path.write_text("short")

    error = failure_of(dispatcher(secret_file=path).start, order(peer.target))

    assert error.failure is Failure.UNAVAILABLE
    assert "openssl rand" in str(error)
    assert "short" not in str(error)
    assert peer.seen == []


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(200, body=LOGIN, headers=HTML), "Log in to Your Account"),
        (Fault(415), "takes no CloudEvents"),
        (Fault(405), "it takes no POST"),
        (Fault(400, body=b'{"detail": "\\u001b[31mno"}'), "'\\x1b[31mno'; check the target's"),
        (Fault(400, body=b"\xff" * 9999), "answered 400: '\\ufffd"),
        (Fault(422, body=b'{"detail": [{"msg": "Field required"}]}'), "Field required"),
    ],
)
def test_strangers_text_is_escaped_and_cut(tmp_path, fault, said):
    """Whatever a server says, it is one line of a log."""
    with BridgePeer() as server:
        server.answer_next(fault)
        target = target_of(bridge(server.url, answer="{id: /job/id}"), tmp_path)
        error = str(failure_of(dispatcher().start, order(target)))

    assert said in error
    assert error.isprintable()
    assert len(error) < 2000


def test_doctor_reads_the_check(peer, tmp_path):
    """One read that starts nothing; a token that is not taken is told with its cure."""
    place, access = order(peer.target).place, HttpAccess()
    assert "answers" in check_http(place, access)
    assert [seen.operation for seen in peer.seen] == ["check"]

    peer.authorization = "Bearer other"
    with pytest.raises(DispatchError, match="a credential that is valid"):
        check_http(place, access)
    secret = tmp_path / "secret"
    secret.write_text("short")
    with pytest.raises(DispatchError, match="signing secret"):
        check_http(place, HttpAccess(secret_file=secret))


def test_doctor_says_what_it_cannot_ask(tmp_path):
    """Nothing is started to find out."""
    with AirflowPeer() as server:
        text = example("airflow-2", server.url).replace("      check_url:", "      # check_url:")
        said = check_http(order(target_of(text, tmp_path)).place, HttpAccess())

        assert "was not asked" in said
        assert server.seen == []
