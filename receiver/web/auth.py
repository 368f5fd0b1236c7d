"""Authentication: tokens by role, several valid at once."""

import base64
import binascii
import hashlib
import hmac
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import Request

from receiver.config import Role, TokenFile
from receiver.telemetry import auth_failures
from receiver.web.problems import Problem

EVERY_ROLE = frozenset(Role)

CHALLENGE = {"WWW-Authenticate": 'Bearer, Basic realm="retrain-receiver"'}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the token's name in the configuration, never its value."""

    name: str
    roles: frozenset[Role]


ANYONE = Caller("anonymous", EVERY_ROLE)
"""Without an `auth` section, which is allowed on loopback only."""


class Tokens:
    """The tokens of one configuration; files are read again when they change."""

    def __init__(self, roles: Mapping[Role, tuple[TokenFile, ...]] | None) -> None:
        self._roles = roles
        self._digests: dict[Path, tuple[tuple[int, int, int], bytes | None]] = {}
        self._lock = threading.Lock()

    def caller(self, authorization: str | None) -> Caller:
        """Who sends this `Authorization`. Raises `Problem` 401 if nobody we know."""
        if self._roles is None:
            return ANYONE
        presented = _token(authorization)
        if presented is None:
            raise _unauthorized("a token is needed: Authorization: Bearer TOKEN, or Basic")
        digest = hashlib.sha256(presented).digest()
        names, roles = [], set()
        for role, files in self._roles.items():
            for file in files:
                known = self._digest(file.path)
                # Every token is compared, in constant time each.
                if known is not None and hmac.compare_digest(known, digest):
                    names.append(file.name)
                    roles.add(role)
        if not roles:
            raise _unauthorized("this token is not known here")
        return Caller(names[0], frozenset(roles))

    def _digest(self, path: Path) -> bytes | None:
        try:
            stat = os.stat(path)  # noqa: PTH116  three times as fast as Path.stat, per request
        except OSError:
            return None
        version = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        with self._lock:
            known = self._digests.get(path)
            if known is None or known[0] != version:
                known = (version, _read(path))
                self._digests[path] = known
            return known[1]


def _read(path: Path) -> bytes | None:
    try:
        token = path.read_bytes().strip()
    except OSError:
        return None
    return hashlib.sha256(token).digest() if token else None


def _token(authorization: str | None) -> bytes | None:
    """The token of a Bearer header, or the password of a Basic one."""
    scheme, _, rest = (authorization or "").strip().partition(" ")
    rest = rest.strip()
    if scheme.lower() == "bearer" and rest:
        return rest.encode("latin-1", "replace")
    if scheme.lower() == "basic":
        try:
            pair = base64.b64decode(rest, validate=True)
        except (binascii.Error, ValueError):
            return None
        return pair.partition(b":")[2] or None
    return None


def _unauthorized(detail: str) -> Problem:
    auth_failures.labels("401").inc()
    return Problem(HTTPStatus.UNAUTHORIZED, detail, CHALLENGE)


def require(request: Request, tokens: Tokens, *roles: Role) -> Caller:
    """The caller, if it has one of these roles. Raises `Problem` 401 or 403."""
    caller = tokens.caller(request.headers.get("authorization"))
    if not caller.roles.intersection(roles):
        auth_failures.labels("403").inc()
        needed = " or ".join(roles)
        raise Problem(HTTPStatus.FORBIDDEN, f"this needs the role {needed}")
    return caller


def require_same_site(request: Request, external_url: str | None) -> None:
    """Refuse what a page of another origin makes a browser send. Raises `Problem` 403.

    Over plain HTTP browsers leave `Sec-Fetch-Site` out; then the origin must be our own.
    """
    site = request.headers.get("sec-fetch-site")
    if site is None:
        origin = request.headers.get("origin")
        ours = {request.headers.get("host"), urlsplit(external_url or "").netloc or None}
        allowed = origin is None or _netloc(origin) in ours - {None}
    else:
        allowed = site in {"same-origin", "none"}
    if not allowed:
        raise Problem(HTTPStatus.FORBIDDEN, "acts are refused across origins")


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""
