"""Checks readers that are limited to labels: who may be, by which, and what they see anyway."""

from collections.abc import Iterator, Mapping, Sequence

from receiver.config.complaints import Complaint, Place, did_you_mean, show_place
from receiver.config.sections import FileSection, ProxySection
from receiver.config.values import ProxySettings, Role, ServerSettings, TokenFile
from receiver.core.tenants import Tenant
from receiver.secret_files import read_secret_file

EVERYBODY = "*"


def check_tenants(file: FileSection) -> Iterator[Complaint]:
    """Find limits that limit nobody, or to nothing. Settings that could not be read are None."""
    if not file.auth:
        return
    for role in (Role.WEBHOOK, Role.OPERATOR):
        for number, token in enumerate(getattr(file.auth, role, None) or ()):
            if "labels" in token.model_fields_set:
                yield Complaint(
                    ("auth", role, number, "labels"),
                    f"limit readers only, and the role {role} is for all models; leave them out, "
                    "or move the token to auth.reader",
                )
    known = sorted({name for one in file.policies if one.model for name in one.model.labels or ()})
    for place, labels in _limits(file):
        for name in labels if known else ():
            if name not in known:
                yield Complaint(
                    (*place, name),
                    f"no policy has {name!r} under model.labels, so no model has it; "
                    f"{did_you_mean(name, known)}",
                )
    if file.auth.proxy:
        yield from _check_groups(file.auth.proxy)


def _limits(file: FileSection) -> Iterator[tuple[Place, Mapping[str, str]]]:
    """Each limit, with its place."""
    if not file.auth:
        return
    for number, token in enumerate(file.auth.reader or ()):
        yield ("auth", "reader", number, "labels"), token.labels or {}
    tenants = file.auth.proxy.tenants if file.auth.proxy else None
    for group, labels in (tenants or {}).items():
        yield ("auth", "proxy", "tenants", group), labels


def _check_groups(proxy: ProxySection) -> Iterator[Complaint]:
    """A group that reads everything is limited to nothing."""
    whole = {
        *((proxy.roles.operator or ()) if proxy.roles else ()),
        *((proxy.roles.reader or ()) if proxy.roles else ()),
    }
    for group in proxy.tenants or ():
        if EVERYBODY in whole:
            yield Complaint(
                ("auth", "proxy", "tenants", group),
                "limits nobody while roles lets '*' read everything; name the groups there that "
                "may, as in {reader: [platform]}",
            )
        elif group in whole:
            yield Complaint(
                ("auth", "proxy", "tenants", group),
                "limits nobody: the group reads everything by roles; keep it in one of them",
            )


def tenant_warnings(
    server: ServerSettings,
    auth: Mapping[Role, tuple[TokenFile, ...]] | None,
    proxy: ProxySettings | None,
    *,
    with_files: bool,
) -> Iterator[str]:
    """Tell how a tenant would see more than what is theirs."""
    readers = (auth or {}).get(Role.READER, ())
    tenants = [token.tenant for token in readers if token.tenant is not None]
    if server.metrics_open and (tenants or (proxy is not None and proxy.tenants)):
        yield (
            "server: metrics_open tells everybody the names of all models, also readers that are "
            "limited to labels; leave it out, and give Prometheus a token"
        )
    if tenants and with_files:
        yield from _shared_tokens(readers)


def _shared_tokens(readers: Sequence[TokenFile]) -> Iterator[str]:
    seen: dict[str, Tenant | None] = {}
    for number, token in enumerate(readers):
        secret = read_secret_file(token.path).text
        if seen.setdefault(secret, token.tenant) != token.tenant:
            yield (
                f"{show_place(('auth', Role.READER, number))}: a token with other labels is the "
                "same, and shows what both show; each tenant needs its own"
            )
