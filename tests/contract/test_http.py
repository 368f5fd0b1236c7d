"""The HTTP client beside servers that do everything wrong that a server can do."""

import ast
import gzip
import logging
import socket
import ssl
import threading
from contextlib import closing
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

import kfp_server_api
import pytest

import receiver
from receiver.http import Client, InDoubt, NoAnswer, NotSent, Request, basic, bearer
from receiver.http.client import _Exchange
from receiver.http.routes import proxy_for
from tests.peers.certificates import sign_certificate
from tests.peers.raw import RawPeer, answering, relaying
from tests.waiting import eventually

DEADLINE_SECONDS = 30
"""Far beyond the moment that the client is given, also on a busy machine."""

A_MOMENT = 0.3
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
AUTHORITIES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    for name in (*PROXIES, *(name.upper() for name in PROXIES), *AUTHORITIES):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def authority(tmp_path):
    """A certificate that nobody knows, and the server's side of TLS with it."""
    certificate, key = sign_certificate(tmp_path, "peer.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return certificate, context


def get(url, *, seconds=DEADLINE_SECONDS, ca_file=None, largest=1000, **more):
    return Client(ca_file).send(Request("GET", url, **more), seconds=seconds, largest=largest)


def trouble(url, kind=NoAnswer, **more):
    """The `NoAnswer` that asking ends with, and after how many seconds."""
    began = monotonic()
    with pytest.raises(kind) as caught:
        get(url, **more)
    assert "s3cret" not in str(caught.value) + repr(caught.value)
    return caught.value, monotonic() - began


def nobody_waits():
    """No thread of an exchange is left."""
    return not any(thread.name == "http" for thread in threading.enumerate())


def test_an_answer_is_whole():
    """Status, headers by lower-case name (those of one name joined), and the body."""
    said = b"HTTP/1.1 299 Odd\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 7\r\n\r\n[1, 2]\n and more"
    with RawPeer(answering(said)) as peer:
        response = get(f"{peer.url}/a%20b?c=d", query={"e": "f g"}, headers={"X-Ours": "1"})

    assert (response.status, response.is_success) == (299, True)
    assert response.headers == {"x-a": "1, 2", "content-length": "7"}
    assert response.json() == [1, 2]
    [heard] = peer.heard
    assert heard.startswith(b"GET /a%20b?c=d&e=f+g HTTP/1.1\r\n")
    assert b"\r\nX-Ours: 1\r\n" in heard


@pytest.mark.parametrize(
    ("credentials", "header"),
    [
        (bearer("s3cret"), b"\r\nAuthorization: Bearer s3cret\r\n"),
        (basic("me", "s3:cret"), b"\r\nAuthorization: Basic bWU6czM6Y3JldA==\r\n"),
    ],
)
def test_credentials_go_to_the_server_that_was_named_only(credentials, header):
    """A redirect is an answer, and nobody is asked at its location."""
    with RawPeer(answering(OK)) as elsewhere:
        said = f"HTTP/1.1 307 Go\r\nLocation: {elsewhere.url}\r\nContent-Length: 0\r\n\r\n"
        with RawPeer(answering(said.encode())) as peer:
            response = get(peer.url, credentials=credentials)

    assert (response.status, response.is_success) == (307, False)
    assert header in peer.heard[0]
    assert len(peer.heard) == 1
    assert elsewhere.heard == []


@pytest.mark.parametrize("nested", ["[" * 100_000, "<html>", ""])
def test_what_is_no_json_is_a_value_error(nested):
    """However it is not."""
    body = nested.encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with (
        RawPeer(answering(head + body)) as peer,
        pytest.raises(ValueError, match=r"Expecting|nests"),
    ):
        get(peer.url, largest=200_000).json()


@pytest.mark.parametrize(
    "begins",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-Slow: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;slow=",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Slow: ",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX: ",
    ],
    ids=["status", "headers", "body", "chunk", "trailer", "continue"],
)
def test_the_time_is_for_the_whole_answer(begins):
    """Each byte comes in time and the whole never; in doubt, and nothing of ours goes on."""

    def script(conversation):
        conversation.hear()
        conversation.say(begins)
        conversation.trickle(b"1")

    with RawPeer(script) as peer:
        _, seconds = trouble(peer.url, InDoubt, seconds=A_MOMENT)

        assert A_MOMENT <= seconds < DEADLINE_SECONDS
        assert len(peer.heard) == 1
        eventually(nobody_waits)


def test_a_server_that_does_not_read_is_left():
    """A body that can't be sent to its end may have been enough for the other side."""
    with RawPeer(lambda conversation: conversation.hang()) as peer:
        request = Request("POST", peer.url, body=b"x" * 50_000_000)
        with pytest.raises(InDoubt, match="timed out"):
            Client().send(request, seconds=A_MOMENT)


def test_a_body_may_be_refused_before_it_is_sent():
    """The answer counts, though the other side hung up while we were sending."""

    def script(conversation):
        conversation.connection.recv(1)
        conversation.say(b"HTTP/1.1 413 Large\r\nContent-Length: 2\r\n\r\nno")

    with RawPeer(script) as peer:
        request = Request("POST", peer.url, body=b"x" * 50_000_000)
        answer = Client().send(request, seconds=DEADLINE_SECONDS)

    assert (answer.status, answer.body) == (413, b"no")


@pytest.mark.parametrize("framing", ["length", "chunked", "gzip"])
def test_an_answer_that_is_cut_is_in_doubt(framing):
    """After whatever byte; only once the headers ended may the status be known."""
    body = gzip.compress(b"{}" * 20) if framing == "gzip" else b"{}" * 20
    head = b"HTTP/1.1 200 OK\r\n"
    if framing == "gzip":
        head += b"Content-Encoding: gzip\r\n"
    if framing == "chunked":
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        head += b"Transfer-Encoding: chunked\r\n\r\n"
    else:
        head += b"Content-Length: %d\r\n\r\n" % len(body)
    cuts = [*range(len("HTTP/1.1 200")), *range(len(head), len(head + body) - 1, 5)]
    whole = {"chunked": len(head + body) - len(b"\r\n")}.get(framing, len(head + body))
    with RawPeer(answering(head + body)) as peer:
        assert get(peer.url).body == b"{}" * 20
    for cut in (cut for cut in cuts if cut < whole):
        with RawPeer(answering((head + body)[:cut])) as peer:
            trouble(peer.url, InDoubt)
            assert len(peer.heard) == 1


@pytest.mark.parametrize("packed", [False, True])
def test_a_large_answer_is_none(packed):
    """Its bytes are counted as they are unpacked, and reading stops there."""
    body = gzip.compress(b"x" * 50_000_000) if packed else b"x" * 1001
    encoding = "Content-Encoding: gzip\r\n" if packed else ""
    head = f"HTTP/1.1 200 OK\r\n{encoding}Content-Length: {len(body)}\r\n\r\n".encode()
    with RawPeer(answering(head + body)) as peer:
        error, _ = trouble(peer.url, InDoubt)

    assert str(error) == "the answer is larger than 1000 bytes"


def test_nobody_listens():
    """A refused connection and an unknown name prove that nothing was sent."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    error, _ = trouble(f"{url}/s3cret", NotSent)
    assert isinstance(error.reason, ConnectionRefusedError)
    trouble("https://no-such-host.invalid/s3cret", NotSent)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "ftp://127.0.0.1/s3cret",
        "http://[::1",
        "http://127.0.0.1:0/s3cret",
        "http://127.0.0.1:99999/s3cret",
        "http://127.0.0.1/a b/s3cret",
        "http://127.0.0.1/\ns3cret",
        "http://127.0.0.1/\u00e4/s3cret",
        "http://me:s3cret@127.0.0.1/",
    ],
)
def test_what_is_no_address_is_not_asked(url):
    """And not shown: it may be a secret."""
    error, _ = trouble(url, NotSent)

    assert str(error).startswith("the address ")


def test_a_name_that_can_not_be_one_is_not_asked():
    """Nor is it a fault of ours."""
    trouble(f"http://{'a' * 70}.example/s3cret", NotSent)


@pytest.mark.parametrize("secret", ["s3cret\nX: y", "s3cret\r", "s3cret\u00e4"])
def test_a_header_is_one_line(secret):
    """A file that holds more than a token smuggles nothing in, and is not shown."""
    with RawPeer(answering(OK)) as peer:
        trouble(peer.url, NotSent, credentials=bearer(secret))

    assert peer.heard == []


def test_what_comes_too_late_is_not_sent_any_more():
    """A look-up of a name can last longer than we wait: the request must not follow then."""
    with RawPeer(answering(OK)) as peer:
        slow = threading.Event()
        exchange = _Exchange(Request("POST", peer.url), None, A_MOMENT)

        with pytest.raises(NotSent, match="timed out"):
            exchange.within(lambda: slow.wait() and exchange.ask())
        slow.set()
        eventually(nobody_waits)

        assert b"".join(peer.heard) == b""


class TestTls:
    """Whom we trust."""

    def test_an_own_authority(self, authority):
        """`ca_file` makes a certificate known; without it nothing is sent."""
        certificate, context = authority
        with RawPeer(answering(OK), tls=context) as peer:
            assert get(peer.url, ca_file=certificate).status == 200
            error, _ = trouble(peer.url, NotSent)

        assert isinstance(error.reason, ssl.SSLCertVerificationError)
        assert [bool(heard) for heard in peer.heard] == [True, False]

    @pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
    def test_the_environments_authorities(self, authority, monkeypatch, name):
        """What operators set for other programs holds for us, but a `ca_file` is the last word."""
        certificate, context = authority
        monkeypatch.setenv(name, str(certificate))
        with RawPeer(answering(OK), tls=context) as peer:
            assert get(peer.url).status == 200
            monkeypatch.delenv(name)
            trouble(peer.url, NotSent)

    def test_a_certificate_file_that_can_not_be_read(self, tmp_path):
        """It is named."""
        for content in (None, "no certificate"):
            file = tmp_path / "ca.pem"
            if content is not None:
                file.write_text(content)
            error, _ = trouble("https://127.0.0.1:1", NotSent, ca_file=file)
            assert "ca.pem" in str(error)

    def test_another_hosts_certificate(self, authority):
        """A known authority does not speak for every name."""
        certificate, context = authority
        with RawPeer(answering(OK), tls=context) as peer:
            url = peer.url.replace("127.0.0.1", "localhost")
            error, _ = trouble(url, NotSent, ca_file=certificate)

        assert isinstance(error.reason, ssl.SSLCertVerificationError)

    @pytest.mark.parametrize("byte", [None, b"\x16\x03\x03\x40\x00", b"no TLS"])
    def test_a_handshake_without_an_end(self, byte):
        """Silent, slow or no TLS: nothing was sent."""

        def script(conversation):
            conversation.hang() if byte is None else conversation.trickle(byte)

        with RawPeer(script) as peer:
            url = peer.url.replace("http:", "https:")
            _, seconds = trouble(url, NotSent, seconds=A_MOMENT, credentials=bearer("s3cret"))

        assert seconds < DEADLINE_SECONDS


class TestProxies:
    """The environment's proxies."""

    def test_http_goes_through_it(self, monkeypatch):
        """The proxy gets the whole address, and its own login."""
        with RawPeer(relaying) as proxy:
            monkeypatch.setenv("http_proxy", f"http://me:pass%20word@127.0.0.1:{proxy.port}")
            assert get("http://peer.example:81/a?b=c").body == b"proxy"

        [heard] = proxy.heard
        assert heard.startswith(b"GET http://peer.example:81/a?b=c HTTP/1.1\r\n")
        assert b"\r\nHost: peer.example:81\r\n" in heard
        assert b"\r\nProxy-Authorization: Basic bWU6cGFzcyB3b3Jk\r\n" in heard

    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_https_goes_through_a_tunnel(self, authority, monkeypatch, scheme):
        """The proxy sees neither request nor credentials; a `ca_file` holds for it too."""
        certificate, context = authority
        tls = context if scheme == "https" else None
        with (
            RawPeer(answering(OK), tls=context) as peer,
            RawPeer(relaying, tls=tls) as proxy,
        ):
            monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://127.0.0.1:{proxy.port}")
            # The proxy leads every name to loopback.
            url = peer.url.replace("127.0.0.1", "peer.example")
            assert get(url, ca_file=certificate, credentials=bearer("s3cret")).status == 200

        [heard] = proxy.heard
        assert heard.startswith(f"CONNECT peer.example:{peer.port} HTTP/1".encode())
        assert b"s3cret" not in heard
        assert b"\r\nAuthorization: Bearer s3cret\r\n" in peer.heard[0]

    def test_a_proxy_that_refuses(self, monkeypatch):
        """The order did not leave it."""
        refusal = b"HTTP/1.1 407 Login\r\nContent-Length: 0\r\n\r\n"
        with RawPeer(answering(refusal)) as proxy:
            monkeypatch.setenv("https_proxy", f"127.0.0.1:{proxy.port}")
            error, _ = trouble("https://peer.example", NotSent)

        assert "407" in str(error)

    def test_a_proxy_that_trickles(self, monkeypatch):
        """Its answer has no more time than the server's."""

        def script(conversation):
            conversation.hear()
            conversation.trickle(b"H")

        with RawPeer(script) as proxy:
            monkeypatch.setenv("https_proxy", f"127.0.0.1:{proxy.port}")
            _, seconds = trouble("https://peer.example", NotSent, seconds=A_MOMENT)

        assert seconds < DEADLINE_SECONDS

    @pytest.mark.parametrize("proxy", ["socks5://me:s3cret@h:1", "http://", "http://h:s3cret"])
    def test_a_proxy_that_we_can_not_use(self, monkeypatch, proxy):
        """Going past it would be what nobody wanted."""
        monkeypatch.setenv("ALL_PROXY", proxy)

        error, _ = trouble("http://peer.example", NotSent)

        assert "the environment's proxy for http can't be used" in str(error)

    @pytest.mark.parametrize(
        ("url", "no_proxy", "through"),
        [
            ("http://peer.example", "", "one"),
            ("https://peer.example", "", "two"),
            ("http://peer.example", "*", None),
            ("http://peer.example", "example", None),
            ("http://peer.example", "other, .example", None),
            ("http://peer.example:81", "peer.example:81", None),
            ("http://peer.example:82", "peer.example:81", "one"),
            ("http://pear.example", "peer.example", "one"),
            ("http://10.1.2.3", "10.0.0.0/8", None),
            ("http://10.1.2.3:80", "a/b,10.1.0.0/33, 10.1.2.9/16", None),
            ("http://11.1.2.3", "10.0.0.0/8", "one"),
            ("http://10.1.2.3", "10.1.2.3", None),
            ("https://[fd00::1]:8443", "fd00::/8", None),
            ("https://[fd00::1]", "fe80::/8", "two"),
            ("http://peer.example", "10.0.0.0/8", "one"),
            ("http://localhost:9090", "", None),
            ("http://a.localhost", "", None),
            ("http://127.8.8.8", "", None),
            ("https://[::1]:8443", "", None),
        ],
    )
    def test_who_is_asked_directly(self, monkeypatch, url, no_proxy, through):
        """`NO_PROXY` names hosts, domains, ports and networks; loopback needs no naming."""
        monkeypatch.setenv("http_proxy", "http://one:3128")
        monkeypatch.setenv("HTTPS_PROXY", "two:3128")
        monkeypatch.setenv("NO_PROXY", no_proxy)

        proxy = proxy_for(urlsplit(url))

        assert (proxy and proxy.hostname) == through

    def test_one_proxy_for_all(self, monkeypatch):
        """`ALL_PROXY` stands behind the one of a scheme."""
        monkeypatch.setenv("ALL_PROXY", "http://all:1")
        monkeypatch.setenv("https_proxy", "http://secure:1")

        places = [urlsplit(f"{scheme}://peer.example") for scheme in ("http", "https")]

        assert [proxy_for(place).hostname for place in places] == ["all", "secure"]


class TestStreaming:
    """Answers that are read while they come."""

    def test_lines_come_one_by_one(self):
        """The first is there before the last was sent, and the whole may last longer."""

        def script(conversation):
            conversation.hear()
            conversation.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            conversation.say(b"7\r\none\ntwo\r\n")
            conversation.hang()
            conversation.say(b"1\r\n\n\r\n5\r\nthree\r\n0\r\n\r\n")

        with (
            RawPeer(script) as peer,
            Client().open(Request("GET", peer.url), seconds=DEADLINE_SECONDS) as answer,
        ):
            lines = answer.lines()
            first = next(lines)
            peer.released.set()
            rest = list(lines)

        assert answer.is_success
        assert [first, *rest] == [b"one\n", b"two\n", b"three"]

    @pytest.mark.parametrize("then", ["cut", "hang"])
    def test_lines_that_end_too_early(self, then):
        """What came was given; the rest is in doubt, not silently left out."""

        def script(conversation):
            conversation.hear()
            conversation.say(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n"
            )
            if then == "hang":
                conversation.hang()

        got = []
        with (
            RawPeer(script) as peer,
            pytest.raises(InDoubt),
            Client().open(Request("GET", peer.url), seconds=A_MOMENT) as answer,
        ):
            got.extend(answer.lines())

        assert got == [b"one\n"]

    def test_a_status_without_a_body(self):
        """Whoever needs no more waits for no more; whoever does has a deadline."""

        def script(conversation):
            conversation.hear()
            conversation.say(b"HTTP/1.1 503 No\r\nContent-Length: 900\r\n\r\n")
            conversation.trickle(b"x")

        with (
            RawPeer(script) as peer,
            Client().open(Request("GET", peer.url), seconds=1) as answer,
        ):
            assert answer.status == 503
            with pytest.raises(InDoubt, match="timed out"):
                answer.read()
        eventually(nobody_waits)


def test_nothing_secret_is_logged(caplog):
    """Not even by libraries, which quote addresses beside headers that make no sense."""
    kfp_server_api.Configuration()  # which sets levels of loggers that are not its own
    caplog.set_level(logging.DEBUG)
    said = b"HTTP/1.1 200 OK\r\nno header\r\nContent-Length: 2\r\n\r\n{}"
    request = {"credentials": bearer("s3cret"), "query": {"token": "s3cret"}}
    with RawPeer(answering(said)) as peer:
        get(f"{peer.url}/s3cret", **request, headers={"X-Key": "s3cret"})

    assert b"s3cret" in peer.heard[0]
    assert "s3cret" not in caplog.text
    assert "s3cret" not in repr(Request("POST", "http://h/s3cret", body=b"s3cret", **request))


def test_nothing_else_opens_connections():
    """The standard library's clients have no deadline: what the import contracts can't see."""
    package = Path(receiver.__file__).parent
    clients = {"http.client", "urllib.request", "http.server", "ftplib", "smtplib", "telnetlib"}
    imported = {
        (file.relative_to(package).parts[0], name)
        for file in package.rglob("*.py")
        for name in _imports(file) & clients
    }

    # The demo's model server answers, and asks nobody.
    assert imported == {("http", "urllib.request"), ("demo", "http.server")}


def _imports(file):
    """The modules that a file imports, or imports something from."""
    nodes = list(ast.walk(ast.parse(file.read_text())))
    froms = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    return {
        *(name.name for node in nodes if isinstance(node, ast.Import) for name in node.names),
        *(str(node.module) for node in froms),
        *(f"{node.module}.{name.name}" for node in froms for name in node.names),
    }
