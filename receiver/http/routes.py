"""The way to a server: directly, or through the proxy that the environment names."""

import base64
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from urllib3.connection import HTTPConnection, HTTPSConnection, ProxyConfig

from receiver.http.messages import NotSent
from receiver.http.trust import trust

PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Route:
    """A connection that is not made yet, and what is asked for on it."""

    connection: HTTPConnection
    target: str
    headers: dict[str, str]


def route_to(place: SplitResult, ca_file: Path | None, seconds: float) -> Route:
    """How to reach this place; a connection attempt ends after `seconds`. Raises `NotSent`."""
    path = f"{place.path}?{place.query}" if place.query else place.path
    proxy = proxy_for(place)
    if proxy is None:
        return Route(_connection(place, ca_file, seconds), path, {})
    connection = _connection(proxy, ca_file, seconds, tunnel=place.scheme == "https")
    login = _login(proxy)
    if place.scheme == "http":
        return Route(connection, f"http://{place.netloc}{path}", login)
    port = place.port or PORTS["https"]
    connection.set_tunnel(place.hostname or "", port, login, scheme=proxy.scheme)
    return Route(connection, path, {})


def proxy_for(place: SplitResult) -> SplitResult | None:
    """The proxy for this place, or None. Raises `NotSent` for a kind that we do not speak."""
    host = place.hostname or ""
    if is_loopback(host) or _bypassed(host, place.port or PORTS[place.scheme]):
        return None
    known = getproxies()
    named = known.get(place.scheme) or known.get("all")
    if not named:
        return None
    try:
        proxy = urlsplit(named if "://" in named else f"http://{named}")
        usable = proxy.scheme in PORTS and proxy.hostname and proxy.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise NotSent(
            f"the environment's proxy for {place.scheme} can't be used; write http://HOST:PORT"
        )
    return proxy


def is_loopback(host: str) -> bool:
    """Whether it is this machine, about which no proxy knows anything."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _bypassed(host: str, port: int) -> bool:
    """Whether `NO_PROXY` names it: by name, by name and port, by suffix, or by network."""
    if proxy_bypass(f"{host}:{port}"):
        return True
    return any(_contains(each.strip(), host) for each in getproxies().get("no", "").split(","))


def _contains(network: str, host: str) -> bool:
    try:
        return "/" in network and ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False


def _connection(
    place: SplitResult, ca_file: Path | None, seconds: float, *, tunnel: bool = False
) -> HTTPConnection:
    """A connection to this server; `tunnel` for TLS with another one behind it."""
    host, port = place.hostname or "", place.port or PORTS[place.scheme]
    if place.scheme == "http" and not tunnel:
        return HTTPConnection(host, port, timeout=seconds)
    trusted = trust(ca_file)
    config = ProxyConfig(
        trusted, use_forwarding_for_https=False, assert_hostname=None, assert_fingerprint=None
    )
    return HTTPSConnection(
        host,
        port,
        timeout=seconds,
        ssl_context=trusted,
        proxy_config=config if tunnel else None,
    )


def _login(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}".encode()
    return {"Proxy-Authorization": f"Basic {base64.b64encode(login).decode()}"}
