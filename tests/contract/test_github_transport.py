"""How requests reach GitHub: connections, certificates, time-outs, threads."""

import json
import socket
import ssl
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from receiver.core.dispatches import Failure
from tests.contract.github_setup import (
    NOON,
    dispatch_to,
    dispatch_to_url,
    dispatcher_with,
    failure_to_start,
    token_file,
)
from tests.peers.certificates import sign_certificate
from tests.peers.github import GithubPeer
from tests.peers.github_wire import HANG_AFTER, HANG_BEFORE, TRICKLE

A_MOMENT = timedelta(milliseconds=200)


@pytest.fixture
def certificate(tmp_path):
    """Sign a certificate for 127.0.0.1 with its own key."""
    return sign_certificate(tmp_path)


@pytest.fixture
def peer():
    with GithubPeer(now=lambda: NOON) as peer:
        yield peer


@pytest.fixture
def dispatcher(tmp_path):
    return dispatcher_with(token_file(tmp_path))


@pytest.mark.parametrize(
    "behaviour",
    [HANG_BEFORE, HANG_AFTER, TRICKLE],
    ids=lambda behaviour: f"{behaviour.then}-{behaviour.accept}",
)
def test_an_answer_that_does_not_come_is_unknown(peer, tmp_path, behaviour):
    """Waiting ends while the peer still hangs, or still sends byte after byte."""
    dispatcher = dispatcher_with(token_file(tmp_path), timeout=A_MOMENT)
    peer.answer_next(behaviour)

    error = failure_to_start(dispatcher, dispatch_to(peer))

    assert error.failure is Failure.UNKNOWN
    assert not peer.released.is_set()
    assert peer.starts == 1


def test_a_peer_that_is_not_there_got_nothing(dispatcher):
    """A refused connection and an unknown name prove that nothing was sent."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        for host in (f"127.0.0.1:{port}", "no-such-host.invalid"):
            error = failure_to_start(dispatcher, dispatch_to_url(f"http://{host}"))

            assert error.failure is Failure.UNAVAILABLE


def test_a_connection_that_dies_before_the_request_is_out_got_nothing(dispatcher):
    """A handshake that is cut looks like a lost answer from outside, but nothing left us."""

    def cut(server):
        connection, _ = server.accept()
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        cutting = pool.submit(cut, server)
        base_url = f"https://127.0.0.1:{server.getsockname()[1]}"
        error = failure_to_start(dispatcher, dispatch_to_url(base_url))
        cutting.result()

    assert error.failure is Failure.UNAVAILABLE


def test_certificates_are_checked(tmp_path, certificate):
    """An unknown certificate ends it before anything is sent; `ca_file` makes it known."""
    cert, key = certificate
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(cert, key)
    with GithubPeer(tls=tls) as peer:
        strict = dispatcher_with(token_file(tmp_path))
        trusting = dispatcher_with(token_file(tmp_path), ca_file=cert)
        missing = dispatcher_with(token_file(tmp_path), ca_file=tmp_path / "missing.pem")

        for dispatcher in (strict, missing):
            error = failure_to_start(dispatcher, dispatch_to(peer))
            assert error.failure is Failure.UNAVAILABLE
            assert peer.starts == 0

        assert trusting.start(dispatch_to(peer)).id == "8001"


def test_the_environments_proxy_is_used(peer, dispatcher, monkeypatch):
    """`HTTP_PROXY` leads to a server that only the proxy knows, `NO_PROXY` goes past it."""
    dispatch = dispatch_to(peer, place={**peer.place, "base_url": "http://github.invalid"})
    monkeypatch.setenv("http_proxy", peer.place["base_url"])
    assert dispatcher.start(dispatch).id == "8001"

    monkeypatch.setenv("no_proxy", "other.example,.invalid")
    error = failure_to_start(dispatcher, dispatch)

    assert error.failure is Failure.UNAVAILABLE
    assert peer.starts == 1


def test_threads_never_mix_their_dispatches(peer, dispatcher):
    """Every dispatch is sent exactly once, with its own inputs, however the threads interleave."""
    dispatches = [
        dispatch_to(peer, id=f"{n:026}", inputs={"user_id": f"model-{n}"}) for n in range(200)
    ]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(8) as pool:
            runs = list(pool.map(dispatcher.start, dispatches))
    finally:
        sys.setswitchinterval(interval)

    started = {str(run.id): run.inputs for run in peer.runs}
    assert peer.starts == len(started) == 200
    for dispatch, run in zip(dispatches, runs, strict=True):
        assert started[run.id] == {**dispatch.inputs, "dispatch_id": dispatch.id}


def test_no_more_than_the_promise_is_sent(peer, dispatcher):
    """Nothing but the inputs, the ref and the token leaves us."""
    dispatcher.start(dispatch_to(peer, policy="SECRET", target="SECRET", run_url="SECRET"))

    [asked] = peer.asked
    assert "SECRET" not in json.dumps([asked.path, asked.headers, asked.body])
