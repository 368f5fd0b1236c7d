"""Checks of Alertmanager's settings on the way to us: its times against ours, its webhook."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from receiver.config import Role
from receiver.core.durations import format_duration, parse_duration
from receiver.core.policies import Policy, shown
from receiver.lint.alertmanager_files import OUR_PATH, AlertmanagerFile, Route, Webhook, setting
from receiver.lint.chain import Chain
from receiver.lint.documents import mapping, truth
from receiver.lint.findings import CheckId, Finding, Severity

SHORTEST_TIMEOUT = timedelta(seconds=5)
"""An answer waits for its commit, which a busy disk makes late."""

CREDENTIALS = (
    "authorization",
    "basic_auth",
    "bearer_token",
    "bearer_token_file",
    "bearer_token_secret",
    "oauth2",
)

POLLED = "polls find out only minutes later"

ASK = "or let us ask Alertmanager itself (`sources`)"


def check_alertmanager(chain: Chain) -> Iterator[Finding]:
    """Compare the settings of each route and webhook of ours with what the policies need."""
    file = chain.alertmanager
    if file is None:
        return
    for webhook in chain.our_webhooks:
        yield from _webhook(chain, file, webhook)
    for route, policy in chain.pairs:
        yield from _times(chain, file, route, policy)
        yield from _grouping(file, route, policy)
    for path in dict.fromkeys(route.path for route, _ in chain.pairs):
        yield from _muted(chain, file, path)


def _times(
    chain: Chain, file: AlertmanagerFile, route: Route, policy: Policy
) -> Iterator[Finding]:
    between = route.repeat_interval + route.group_interval
    repeat = file.place(route.settings.get("repeat_interval", route.path))
    interval, window = route.group_interval, policy.dedup_window
    if interval >= window:
        yield Finding(
            CheckId.GROUP_INTERVAL_OUTLASTS_DEDUP,
            Severity.WARNING,
            file.place(route.settings.get("group_interval", route.path)),
            f"group_interval {format_duration(interval)} is not shorter than the dedup_window "
            f"{format_duration(window)} of {policy.name}",
            "a late copy of an alert that is over may start a run before `resolved` is repeated",
            f"write dedup_window: {format_duration(2 * interval)} in the policy, or a shorter "
            "group_interval here",
        )
    if chain.is_confirmed:  # its polls confirm what fires
        return
    said = (
        f"repeat_interval {format_duration(route.repeat_interval)} and group_interval "
        f"{format_duration(interval)} together are longer than the "
    )
    if between > policy.alert_expiry:
        longer = format_duration(between + timedelta(hours=1))
        yield Finding(
            CheckId.EXPIRY_BEFORE_REPEAT,
            Severity.ERROR,
            repeat,
            f"{said}alert_expiry {format_duration(policy.alert_expiry)} of {policy.name}",
            "an alert that still fires is forgotten before Alertmanager repeats it",
            f"write alert_expiry: {longer} or more in the policy, a shorter repeat_interval "
            f"here, {ASK}",
        )
    elif between > policy.cooldown:
        yield Finding(
            CheckId.COOLDOWN_BEFORE_REPEAT,
            Severity.NOTE,
            repeat,
            f"{said}cooldown {format_duration(policy.cooldown)} of {policy.name}",
            "a second run is ordered for an alert that Alertmanager has not repeated since the "
            "first; if it was silenced meanwhile, nobody knows whether it still fires",
            f"write a repeat_interval shorter than the cooldown here, {ASK}",
        )


def _grouping(file: AlertmanagerFile, route: Route, policy: Policy) -> Iterator[Finding]:
    if "..." in route.group_by or policy.identity.keys() & set(route.group_by):
        return
    labels = ", ".join(policy.identity)
    yield Finding(
        CheckId.GROUPS_ALL_MODELS,
        Severity.NOTE,
        file.place(route.settings.get("group_by", route.path)),
        f"group_by has none of the labels that name a model of {policy.name} ({labels})",
        "all models share a group: the second one that gets worse waits for group_interval "
        f"({format_duration(route.group_interval)}), and each change sends all of them again",
        f"write group_by: [alertname, {labels}]",
    )


def _muted(chain: Chain, file: AlertmanagerFile, path: tuple[str | int, ...]) -> Iterator[Finding]:
    if chain.is_confirmed:
        return
    route = next(route for route, _ in chain.pairs if route.path == path)
    for name in ("mute_time_intervals", "active_time_intervals"):
        if name in route.settings:
            yield Finding(
                CheckId.MUTED,
                Severity.WARNING,
                file.place(route.settings[name]),
                f"{name} keeps Alertmanager from telling us when an alert ends",
                "a model that recovers meanwhile is retrained again at its cooldown's end",
                "use the policy's `window` for the hours of runs, and no mute times here; "
                "or let us ask Alertmanager itself (`sources`)",
            )


def _webhook(chain: Chain, file: AlertmanagerFile, webhook: Webhook) -> Iterator[Finding]:
    asked = chain.is_confirmed
    if not truth(webhook.get("send_resolved"), otherwise=True):
        yield Finding(
            CheckId.RESOLVED_NOT_SENT,
            Severity.NOTE if asked else Severity.ERROR,
            file.place(webhook.path_of("send_resolved")),
            "send_resolved is off: Alertmanager does not tell us when an alert ends",
            POLLED if asked else "a model that recovered is retrained again at its cooldown's end",
            "leave it out: true is the default",
        )
    if str(webhook.get("max_alerts") or "0") != "0":
        yield Finding(
            CheckId.ALERTS_TRUNCATED,
            Severity.WARNING if asked else Severity.ERROR,
            file.place(webhook.path_of("max_alerts")),
            f"max_alerts {webhook.get('max_alerts')} cuts what does not fit, and says not what",
            POLLED if asked else "models whose alerts were cut are never retrained",
            "leave it out: 0, the default, cuts nothing",
        )
    if webhook.get("payload") is not None:
        yield Finding(
            CheckId.WEBHOOK_PAYLOAD,
            Severity.ERROR,
            file.place(webhook.path_of("payload")),
            "a payload of one's own replaces the notification that we read",
            "every notification is refused with 400",
            "leave payload out",
        )
    yield from _timeout(file, webhook)
    yield from _address(chain, file, webhook)
    yield from _credentials(chain, file, webhook)


def _timeout(file: AlertmanagerFile, webhook: Webhook) -> Iterator[Finding]:
    written = str(webhook.get("timeout") or "0")
    said, cure = "", "leave it out (group_interval bounds it then), or write 30s"
    if written.isdigit() and int(written) > 0:
        said = f"timeout {written} without a unit is {written} nanoseconds"
        severity, follows = Severity.ERROR, "no notification can be delivered"
    else:
        try:
            span = parse_duration(written)
        except ValueError:
            return  # Alertmanager says so itself
        if not span or span >= SHORTEST_TIMEOUT:
            return
        said = f"timeout {written} is short for an answer that waits for its commit"
        severity = Severity.WARNING
        follows = "on a busy disk each notification is sent several times, and counted as failed"
    place = file.place(webhook.path_of("timeout"))
    yield Finding(CheckId.WEBHOOK_TIMEOUT, severity, place, said, follows, cure)


def _address(chain: Chain, file: AlertmanagerFile, webhook: Webhook) -> Iterator[Finding]:
    url = str(webhook.get("url") or "")
    if "$" in url:
        yield Finding(
            CheckId.WEBHOOK_PATH,
            Severity.WARNING,
            file.place(webhook.path_of("url")),
            f"{shown(url)} names a variable, and Alertmanager expands none",
            "it refuses the whole file, unless something fills the variable in before",
            "write the address, or a file that holds it as url_file",
        )
        return
    if not url.startswith(("http://", "https://")):  # hidden, or in a file
        return
    place, parts = file.place(webhook.path_of("url")), urlsplit(url)
    if parts.path.rstrip("/") != OUR_PATH and not parts.path.rstrip("/").endswith(OUR_PATH):
        yield Finding(
            CheckId.WEBHOOK_PATH,
            Severity.ERROR,
            place,
            f"{parts.path or '/'} is not where notifications are taken",
            "each is refused, repeated for ever, and kept under GET /rejections",
            f"write {parts.scheme}://{parts.netloc}{OUR_PATH}",
        )
    ours = urlsplit(chain.config.server.external_url or "")
    if parts.scheme == "http" and ours.scheme == "https" and parts.hostname == ours.hostname:
        yield Finding(
            CheckId.WEBHOOK_REDIRECTED,
            Severity.WARNING,
            place,
            f"http://{parts.netloc} is the receiver's external address, which is https",
            "what redirects to https turns the POST into a GET without body: nothing arrives",
            f"write https://{ours.netloc}{OUR_PATH}, or the address within the cluster",
        )


def _credentials(chain: Chain, file: AlertmanagerFile, webhook: Webhook) -> Iterator[Finding]:
    auth = chain.config.auth
    if auth is None:
        return
    written = mapping(webhook.get("http_config")) or _global_http(file)
    given = [name for name in CREDENTIALS if setting(written, name)[1] is not None]
    if not auth.get(Role.WEBHOOK):
        yield Finding(
            CheckId.WEBHOOK_UNAUTHORISED,
            Severity.ERROR,
            chain.document.place(("auth", "webhook")),
            "auth names no token for webhook, which closes it",
            "every notification is refused with 401",
            "write webhook: [{name: alertmanager, token_file: secrets/webhook}]",
        )
    elif not given and "@" not in urlsplit(str(webhook.get("url") or "")).netloc:
        yield Finding(
            CheckId.WEBHOOK_UNAUTHORISED,
            Severity.ERROR,
            file.place(webhook.path_of("http_config")),
            "no token is sent to us, and our file asks for one (auth.webhook)",
            "every notification is refused with 401",
            "write http_config: {authorization: {type: Bearer, credentials_file: FILE}}",
        )
    else:
        yield from _kind_of_token(file, webhook, written)


def _global_http(file: AlertmanagerFile) -> Mapping[str, Any]:
    return mapping(mapping(mapping(file.document.data).get("global")).get("http_config"))


def _kind_of_token(
    file: AlertmanagerFile, webhook: Webhook, written: Mapping[str, Any]
) -> Iterator[Finding]:
    kind = str(mapping(setting(written, "authorization")[1]).get("type") or "Bearer")
    if kind.lower() not in {"bearer", "basic"}:
        yield Finding(
            CheckId.WEBHOOK_UNAUTHORISED,
            Severity.ERROR,
            file.place((*webhook.path_of("http_config"), "authorization", "type")),
            f"authorization of the type {kind} is none that we read",
            "every notification is refused with 401",
            "write type: Bearer, or use basic_auth with the token as password",
        )
