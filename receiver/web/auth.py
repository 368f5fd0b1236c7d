"""Authentication: tokens by role, several valid at once."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from http import HTTPStatus
from operator import or_
from urllib.parse import urlsplit

from starlette.requests import Request

from receiver.config import ProxySettings, Role, TokenFile
from receiver.core.actors import ANONYMOUS
from receiver.core.tenants import Tenant
from receiver.telemetry import auth_failures
from receiver.web import proxy_login
from receiver.web.problems import COME_AGAIN, Problem
from receiver.web.token_files import TokenFiles

EVERY_ROLE = frozenset(Role)

CHALLENGE = {"WWW-Authenticate": 'Bearer, Basic realm="retrain-receiver"'}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Attributes:
        name: The token's in the configuration, never its value; or a person's.
        tenant: Whose models this reader sees; None for all.

    """

    name: str
    roles: frozenset[Role]
    tenant: Tenant | None = None


ANYONE = Caller(ANONYMOUS, EVERY_ROLE)
"""Without an `auth` section, which is allowed on loopback only."""


class Tokens:
    """The tokens of one configuration; files are read again when they change."""

    def __init__(
        self,
        roles: Mapping[Role, tuple[TokenFile, ...]] | None,
        before: "Tokens | None" = None,
        proxy: ProxySettings | None = None,
    ) -> None:
        known = None if before is None else before.files
        self.proxy = proxy
        self.files: TokenFiles | None = None if roles is None else TokenFiles(roles, known)

    def caller(self, authorization: str | None, *wanted: Role) -> Caller:
        """Who sends this `Authorization`. Raises `Problem` unless it has one of these roles.

        Is it no token of theirs while a file of theirs can't be used, then it may be our fault:
        503, for Alertmanager never tries again after a 401.
        """
        if self.files is None:
            return ANYONE
        presented = _token(authorization)
        if presented is None:
            raise _refused(
                HTTPStatus.UNAUTHORIZED,
                "a token is needed: Authorization: Bearer TOKEN, or Basic",
                CHALLENGE,
            )
        caller = _known(self.files, hashlib.sha256(presented).digest())
        if caller is not None and caller.roles.intersection(wanted):
            return caller
        problems = [problem for role in wanted for problem in self.files.problems(role)]
        if problems:
            detail = f"a token file of ours can't be used now: {'; '.join(problems)}"
            raise _refused(HTTPStatus.SERVICE_UNAVAILABLE, detail, COME_AGAIN)
        if caller is None:
            raise _refused(HTTPStatus.UNAUTHORIZED, "this token is not known here", CHALLENGE)
        raise _refused(HTTPStatus.FORBIDDEN, f"this needs the role {' or '.join(wanted)}")


def _known(files: TokenFiles, digest: bytes) -> Caller | None:
    # Every token is compared, in constant time each.
    found = [
        (role, file) for role, file, known in files.digests() if hmac.compare_digest(known, digest)
    ]
    if not found:
        return None
    roles = frozenset(role for role, _ in found)
    shows = [file.tenant for role, file in found if role is not Role.WEBHOOK]
    limits = [tenant for tenant in shows if tenant is not None]
    limited = bool(limits) and len(limits) == len(shows)
    return Caller(found[0][1].name, roles, reduce(or_, limits) if limited else None)


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


def _refused(status: HTTPStatus, detail: str, headers: dict[str, str] | None = None) -> Problem:
    auth_failures.labels(str(status.value)).inc()
    return Problem(status, detail, headers)


def require(request: Request, tokens: Tokens, *roles: Role) -> Caller:
    """The caller, if it has one of these roles. Raises `Problem` 401, 403 or 503.

    What readers may ask in this way tells of all models, so none who is limited may: see
    `require_reader`.
    """
    caller = _require(request, tokens, *roles)
    if caller.tenant is not None and Role.READER in roles:
        raise _refused(
            HTTPStatus.FORBIDDEN,
            f"this tells of all models, and you may read those with {caller.tenant}: ask for "
            "/models, /decisions, /dispatches, /events or the page, or for a reader's token "
            "without labels",
        )
    return caller


def require_reader(request: Request, tokens: Tokens) -> Caller:
    """The caller, if it may read; what it is shown must be its `tenant`'s.

    Raises `Problem` 401, 403 or 503.
    """
    return _require(request, tokens, Role.READER, Role.OPERATOR)


def _require(request: Request, tokens: Tokens, *roles: Role) -> Caller:
    """The caller, if it has one of these roles.

    Whom a trusted proxy names needs no token; an `Authorization` beside it is the proxy's. To post
    notifications takes a token all the same: no person does that.
    """
    authorization = request.headers.get("authorization")
    proxy = tokens.proxy
    if proxy is None or roles == (Role.WEBHOOK,):
        return tokens.caller(authorization, *roles)
    try:
        name = proxy_login.person(proxy, request)
    except proxy_login.UnusableName as error:
        raise _refused(HTTPStatus.FORBIDDEN, str(error)) from None
    if name is not None:
        groups = proxy_login.roles_of(proxy, request), proxy_login.tenant_of(proxy, request)
        return _logged_in(Caller(name, *groups), *roles)
    if authorization is None and proxy_login.claims_to_be_somebody(proxy, request):
        raise _refused(
            HTTPStatus.FORBIDDEN,
            f"{proxy.user_header} is believed of the addresses in auth.proxy.trusted only, and "
            "only once in a request",
        )
    return tokens.caller(authorization, *roles)


def _logged_in(caller: Caller, *wanted: Role) -> Caller:
    if caller.roles.isdisjoint(wanted):
        detail = f"this needs the role {' or '.join(wanted)}, which no group of yours has"
        raise _refused(HTTPStatus.FORBIDDEN, detail)
    return caller


def person_named(request: Request, tokens: Tokens) -> str | None:
    """Whom a login or a token names, whatever they may do; None if nobody is named.

    For what needs no login, but should be known by the name of who did it.
    """
    if tokens.proxy is not None:
        with suppress(proxy_login.UnusableName):
            name = proxy_login.person(tokens.proxy, request)
            if name is not None:
                return name
    presented = _token(request.headers.get("authorization"))
    if tokens.files is None or presented is None:
        return None
    caller = _known(tokens.files, hashlib.sha256(presented).digest())
    return None if caller is None else caller.name


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
