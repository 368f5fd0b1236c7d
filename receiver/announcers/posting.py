"""One POST to a subscriber: no redirects, and an end after a few seconds whatever it does."""

import base64
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, InvalidURL
from pathlib import Path
from threading import Event, Timer
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from receiver.core.announcements import NotDelivered
from receiver.core.policies import shown

LONGEST_CONNECT = 5.0
LONGEST_SENDING = 20.0
LARGEST_ANSWER = 64 * 1024
"""So much is read of a no, for the log's sake; nobody needs the body of a yes."""

LONGEST_QUOTE = 120

GONE = 410
"""Standard Webhooks: whoever answers so does not want to be told any more."""


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    ca_file: Path | None = None,
    seconds: float = LONGEST_SENDING,
) -> None:
    """POST once. Raises `NotDelivered` unless the answer was a 2xx.

    The address may be a secret: only its host is told.
    """
    try:
        place = urlsplit(url)
        connection, path = _connection(place, ca_file, seconds)
    except ValueError:
        raise NotDelivered("the address can't be understood; write https://HOST/PATH") from None
    sent = {"User-Agent": "retrain-receiver", "Connection": "close", **headers}
    # A socket's own time-out counts anew with each byte: a trickle would last for ever.
    late = Event()
    watchdog = Timer(seconds, _cut, [connection, late])
    watchdog.daemon = True
    watchdog.start()
    try:
        connection.request("POST", path, body, sent)
        with connection.getresponse() as response:
            if late.is_set():  # headers that were cut look as if they had ended
                raise TimeoutError("timed out")
            _require_yes(place, response)
    except (InvalidURL, UnicodeError):  # their words would quote the address
        raise NotDelivered(f"the address at {place.hostname} can't be asked for") from None
    except (OSError, HTTPException, ValueError) as error:
        words = shown(str(error) or type(error).__name__, 200)
        raise NotDelivered(f"{place.hostname} gave no whole answer: {words}") from error
    finally:
        watchdog.cancel()
        connection.close()


def _require_yes(place: SplitResult, response: HTTPResponse) -> None:
    status = response.status
    if 200 <= status < 300:  # noqa: PLR2004  HTTP's successes
        return
    said = response.read(LARGEST_ANSWER)
    raise NotDelivered(
        f"{place.hostname} answered {status}{_quoted(said)}",
        status_code=status,
        retry_after=_asked_wait(response.getheader("retry-after")),
        hopeless=status == GONE,
    )


def _quoted(said: bytes) -> str:
    """A short word of the subscriber's; an error page may show the address, which is a secret."""
    text = said.decode(errors="replace").strip()
    harmless = 0 < len(text) <= LONGEST_QUOTE and not {"/", "%", "&"} & set(text)
    return f": {shown(text, LONGEST_QUOTE)}" if harmless else ""


def _connection(
    place: SplitResult, ca_file: Path | None, seconds: float
) -> tuple[HTTPConnection, str]:
    """A connection to the subscriber, or to the proxy that the environment names; and the path."""
    path = place.path or "/"
    path += f"?{place.query}" if place.query else ""
    timeout = min(LONGEST_CONNECT, seconds)
    secure = place.scheme == "https"
    host, port = place.hostname or "", place.port or (443 if secure else 80)
    proxy = None if proxy_bypass(host) else getproxies().get(place.scheme)
    if proxy is None:
        return _connect(host, port, _trust(ca_file) if secure else None, timeout), path
    via = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    connection = _connect(
        via.hostname or "", via.port or 80, _trust(ca_file) if secure else None, timeout
    )
    if not secure:
        return connection, f"http://{place.netloc}{path}"
    connection.set_tunnel(host, port, _proxy_login(via))
    return connection, path


def _connect(host: str, port: int, trust: ssl.SSLContext | None, timeout: float) -> HTTPConnection:
    if trust is None:
        return HTTPConnection(host, port, timeout=timeout)
    return HTTPSConnection(host, port, timeout=timeout, context=trust)


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    try:
        if ca_file is not None:
            return ssl.create_default_context(cafile=str(ca_file))
        import certifi  # noqa: PLC0415  an address with http needs none

        return ssl.create_default_context(cafile=certifi.where())
    except OSError as error:
        raise NotDelivered(f"cannot use the certificates: {shown(str(error), 200)}") from error


def _proxy_login(via: SplitResult) -> dict[str, str]:
    if via.username is None:
        return {}
    login = f"{unquote(via.username)}:{unquote(via.password or '')}".encode()
    return {"Proxy-Authorization": f"Basic {base64.b64encode(login).decode()}"}


def _cut(connection: HTTPConnection, late: Event) -> None:
    """End a conversation from another thread."""
    late.set()
    if connection.sock is not None:
        with suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)


def _asked_wait(text: str | None) -> timedelta | None:
    """Read `Retry-After`: seconds, or a date."""
    if text is None:
        return None
    if text.isascii() and text.strip().isdigit():
        return timedelta(seconds=min(int(text.strip()[:9]), 86400 * 7))
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    now = datetime.now(UTC)  # noqa: TID251  a header's date is on the wall clock
    return max(moment.astimezone(UTC) - now, timedelta(0))


def read_secret_file(path: Path | None) -> str:
    """Read a secret anew for each sending, so that it can be replaced. Raises `NotDelivered`."""
    if path is None:
        raise NotDelivered("the configuration names no file for the secret")
    try:
        text = path.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise NotDelivered(f"cannot read {str(path)!r}: {why}") from None
    if not text:
        raise NotDelivered(f"{str(path)!r} is empty")
    return text
