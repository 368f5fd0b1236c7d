"""Logins by a proxy in front: who it says is there is believed of trusted addresses only."""

import ipaddress
from collections.abc import Set as AbstractSet
from functools import reduce
from operator import or_

from starlette.requests import Request

from receiver.config import ProxySettings, Role
from receiver.core.actors import is_no_person
from receiver.core.policies import shown
from receiver.core.tenants import Tenant

ANYBODY = "*"
"""In place of a group: whoever the proxy let in."""

LONGEST_NAME = 128
"""Characters of a person's name, which becomes the `actor` of their acts."""


class UnusableName(ValueError):
    """A trusted proxy calls somebody what no actor can be called; the message says why not."""


def person(settings: ProxySettings, request: Request) -> str | None:
    """The name of who is there, as a trusted proxy says; None if no such proxy says so.

    A header that comes twice was added to one that a client sent, and says nothing. Raises
    `UnusableName`.
    """
    if not _is_trusted(settings, request):
        return None
    names = request.headers.getlist(settings.user_header)
    name = _text(names[0]).strip() if len(names) == 1 else ""
    if len(name) > LONGEST_NAME:
        said = f"is {len(name)} characters long; {LONGEST_NAME} are taken"
        raise UnusableName(f"{settings.user_header} {said}: {CURE}")
    if not name.isprintable():
        said = "has characters that can't be printed, which the log does not take"
        raise UnusableName(f"{settings.user_header} {said}: {CURE}")
    if is_no_person(name):
        said = f"is {shown(name)}, as the log calls what no person does"
        raise UnusableName(f"{settings.user_header} {said}: {CURE}")
    return name or None


CURE = "let the proxy send another header of who is there, such as the mail address"


def claims_to_be_somebody(settings: ProxySettings, request: Request) -> bool:
    """Whether the header that only the proxy may set is there."""
    return settings.user_header in request.headers


def roles_of(settings: ProxySettings, request: Request) -> frozenset[Role]:
    """The roles that the groups of who is there have."""
    groups = _groups(settings, request)
    roles = {role for role, members in settings.roles.items() if _has_one(members, groups)}
    if _has_one(settings.tenants.keys(), groups):
        roles.add(Role.READER)
    return frozenset(roles)


def tenant_of(settings: ProxySettings, request: Request) -> Tenant | None:
    """Whose models the groups of who is there show; None if one of them shows all, or none any."""
    groups = _groups(settings, request)
    if any(_has_one(members, groups) for members in settings.roles.values()):
        return None
    theirs = [one for group, one in settings.tenants.items() if _has_one({group}, groups)]
    return reduce(or_, theirs) if theirs else None


def _has_one(members: AbstractSet[str], groups: frozenset[str]) -> bool:
    return ANYBODY in members or not groups.isdisjoint(members)


def _groups(settings: ProxySettings, request: Request) -> frozenset[str]:
    """As the proxy writes them: `a,b` (oauth2-proxy, Authelia) or `a|b` (Authentik).

    By its own separator only: whoever may call a group `fans|sre` would else be one of `sre`.
    """
    told = request.headers.getlist(settings.groups_header) if settings.groups_header else []
    if len(told) != 1:
        return frozenset()
    each = _text(told[0]).split(settings.groups_separator)
    return frozenset(filter(None, map(str.strip, each)))


def _text(header: str) -> str:
    """What was read as Latin-1, as servers do, though proxies write UTF-8 by now."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeDecodeError:
        return header


def _is_trusted(settings: ProxySettings, request: Request) -> bool:
    """Whether the connection comes from a proxy; `X-Forwarded-For` is never asked."""
    try:
        peer = ipaddress.ip_address(request.client.host if request.client else "")
    except ValueError:
        return False
    if isinstance(peer, ipaddress.IPv6Address) and peer.ipv4_mapped is not None:
        peer = peer.ipv4_mapped
    return any(peer in network for network in settings.trusted)
