"""Warns of settings that are valid but dangerous."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from receiver.config.asking import in_the_open
from receiver.config.churning import what_happens
from receiver.config.complaints import show_place
from receiver.config.files import SHORTEST_TOKEN
from receiver.config.values import Role, SubscriberSettings, TargetSettings, TokenFile
from receiver.core.containment import all_implied
from receiver.core.durations import show_duration
from receiver.core.http_api import HttpApi
from receiver.core.matchers import Matcher
from receiver.core.policies import APPROVAL_EXPIRY, Policy, template_parts
from receiver.core.targets import TargetKind
from receiver.secret_files import read_secret, read_secret_file

SHORT_COOLDOWN = timedelta(minutes=10)
"""`group_interval` and the peers' time-outs: within it copies of one delivery still arrive."""

REPEAT_INTERVAL = timedelta(hours=4)
"""Alertmanager's default; only after it an alert that still fires is confirmed again."""

SHORT_WAIT = timedelta(seconds=30)
"""`group_wait`: before it Alertmanager has not told of the first models of a storm."""

UNNAMED = (
    "is not in model.name: of two alerts that differ in it, one is invalid while the other fires; "
    "put it into the name, or leave it out here"
)

GITHUB = "https://api.github.com"
INPUTS_BEFORE = 10
"""Of a workflow, before Enterprise Server 3.20."""

CODE = ("${{ x }}", "x; y")
UPWARDS = "../.."
HOSTILE = (*CODE, "a b\n", UPWARDS)
"""What a workflow, a shell or a path would read otherwise than as a name."""

SAFE_WINDOWS = {
    TargetKind.GITHUB: timedelta(seconds=120),
    TargetKind.KFP: timedelta(seconds=30),
    TargetKind.HTTP: timedelta(seconds=30),
}
"""Shorter look-up windows were seen to be outrun by a target's listing."""


def warnings_of(
    policies: Sequence[Policy],
    targets: Mapping[str, TargetSettings],
    auth: Mapping[Role, tuple[TokenFile, ...]] | None,
    subscribers: Sequence[SubscriberSettings],
    *,
    with_files: bool = True,
) -> Iterator[str]:
    """Tell each danger in a sentence with its place."""
    if not policies:
        yield "policies: there are none, so every alert will be unmatched"
    for number, policy in enumerate(policies):
        for setting, sentence in _of_policy(policy, policies[:number]):
            yield f"{show_place(('policies', number, *setting))}: {sentence}"
    for name, settings in targets.items():
        for sentence in _of_target(settings, policies, with_files=with_files):
            yield f"{show_place(('targets', name))}: {sentence}"
    for told in subscribers:
        yield from _of_subscriber(told)
    if not with_files:
        return
    for role, tokens in (auth or {}).items():
        yield from _of_tokens(role, tokens, auth or {})
    yield from _of_files(_secret_files(targets, auth or {}, subscribers))


Warning_ = tuple[tuple[str | int, ...], str]


def _of_policy(policy: Policy, earlier: Sequence[Policy]) -> Iterator[Warning_]:
    if policy.matches({}):
        yield (
            ("match",),
            "takes alerts that lack all of its labels, Watchdog too; add an alertname",
        )
    for other in earlier:
        if all_implied(policy.matchers, other.matchers):
            yield ("match",), f"is never reached: policy {other.name!r} takes all of its alerts"
    yield from (_of_matcher(matcher) for matcher in policy.matchers if "'" in matcher.value[:1])
    yield from _of_model(policy)
    if policy.cooldown < SHORT_COOLDOWN:
        yield ("cooldown",), "is shorter than 10m, in which copies of one delivery still arrive"
    if policy.dedup_window > policy.cooldown:
        sentence = "is longer than the cooldown, so a repeated alert may be taken for a copy"
        yield ("dedup_window",), sentence
    if policy.alert_expiry <= REPEAT_INTERVAL:
        sentence = "is within Alertmanager's repeat_interval (4h): firing alerts will be forgotten"
        yield ("alert_expiry",), sentence
    yield from _of_restraints(policy)


def _of_model(policy: Policy) -> Iterator[Warning_]:
    named = {name for _, name in template_parts(policy.model_name)}
    for label, pattern in policy.identity.items():
        place = ("model", "labels", label)
        happens = what_happens(label)
        if happens is not None:
            yield place, happens
        elif label not in named:
            yield place, UNNAMED
        accepted = [text for text in HOSTILE if pattern.accepts(text)]
        if accepted and accepted[0] in CODE:
            yield place, f"{pattern.pattern!r} lets any text through; write [a-z0-9-]{{1,40}}"
        elif accepted and (accepted[0] != UPWARDS or label not in named):
            # What is in the name must make a valid one: there no path leads upwards.
            said = f"{pattern.pattern!r} lets {accepted[0]!r} through"
            yield place, f"{said}; write what a value may be"


def _of_restraints(policy: Policy) -> Iterator[Warning_]:
    if policy.approval_expiry != APPROVAL_EXPIRY and not policy.asks:
        yield ("approval",), "has no effect: nothing of this policy asks; write mode: approve"
    if policy.storm is not None and policy.storm.wait < SHORT_WAIT:
        sentence = "is shorter than 30s, in which the alerts of one storm still arrive"
        yield ("storm", "wait"), sentence


def _of_matcher(matcher: Matcher) -> Warning_:
    return ("match",), f"the quotes of {matcher.value} are part of the value; use double quotes"


def _of_target(
    settings: TargetSettings, policies: Sequence[Policy], *, with_files: bool
) -> Iterator[str]:
    target = settings.target
    if all(policy.target != target.name for policy in policies):
        yield "no policy uses it"
    safe = SAFE_WINDOWS.get(target.kind)
    if safe is not None and settings.lookup_window < safe:
        yield (
            f"lookup_window {show_duration(settings.lookup_window)} may end before the target "
            "lists a run, which would then be started twice"
        )
    yield from _of_github(settings)
    yield from _of_http(settings)
    if with_files and target.kind is TargetKind.KFP_LOCAL and settings.python is None:
        yield "no .venv-kfp was found, so no run can start; set python or run 'make demo' once"


def _of_github(settings: TargetSettings) -> Iterator[str]:
    """What an Enterprise Server takes otherwise than github.com."""
    target = settings.target
    if target.kind is not TargetKind.GITHUB or target.place["base_url"] == GITHUB:
        return
    url = urlsplit(target.place["base_url"])
    host = url.hostname or ""
    if "." in host and not url.path and not host.startswith("api.") and not _is_number(host):
        yield (
            f"base_url {target.place['base_url']!r} has no path: the API of an Enterprise Server "
            f"is at {target.place['base_url']}/api/v3"
        )
    if len(target.inputs) >= INPUTS_BEFORE:
        yield (
            f"inputs has {len(target.inputs)} entries, and with our dispatch_id an Enterprise "
            f"Server before 3.20 takes {INPUTS_BEFORE}; remove some"
        )


def _of_http(settings: TargetSettings) -> Iterator[str]:
    """What of an HTTP API can be overheard, and what can't be looked up there."""
    if settings.target.kind is not TargetKind.HTTP:
        return
    api, base_url = HttpApi.of(settings.target), settings.target.place["base_url"]
    if settings.has_secret and in_the_open(base_url):
        yield "the credential is sent over http; write https://"
    if api.idempotent:
        return
    if api.run_id is None:
        yield (
            "a POST whose answer is lost can't be looked up, and parks its dispatch: choose the "
            "run's id (run.id), or write idempotent: true if the target starts one run only for "
            "an Idempotency-Key"
        )
    elif api.check_url is None:
        yield (
            "there is no check_url, so a 404 about a run proves nothing: a POST whose answer is "
            "lost may park its dispatch"
        )


def _is_number(host: str) -> bool:
    return host.replace(".", "").isdigit()


def _of_subscriber(settings: SubscriberSettings) -> Iterator[str]:
    url = urlsplit(settings.url or "")
    if url.scheme == "http" and url.hostname not in ("localhost", "127.0.0.1", "::1"):
        yield (
            f"announcements: {settings.subscriber.name} is told over http, so that anyone on the "
            "way can read it; write https://"
        )


def _of_tokens(
    role: Role, tokens: tuple[TokenFile, ...], auth: Mapping[Role, tuple[TokenFile, ...]]
) -> Iterator[str]:
    for number, token in enumerate(tokens):
        place, found = show_place(("auth", role, number)), read_secret_file(token.path)
        secret = found.text
        if len(secret) < SHORTEST_TOKEN:
            yield f"{place}: the token has fewer than {SHORTEST_TOKEN} characters; use a long one"
        for other, others in auth.items():
            if other > role and any(read_secret(each.path) == secret for each in others):
                yield f"{place}: a token of {other} is the same; each role needs its own"


def _secret_files(
    targets: Mapping[str, TargetSettings],
    auth: Mapping[Role, tuple[TokenFile, ...]],
    subscribers: Sequence[SubscriberSettings],
) -> Iterator[tuple[str, Path | None]]:
    """Every file that holds one secret, with its place."""
    for role, tokens in auth.items():
        for number, token in enumerate(tokens):
            yield show_place(("auth", role, number, "token_file")), token.path
    for name, settings in targets.items():
        if settings.target.kind is not TargetKind.KFP_LOCAL:  # which ignores it
            yield show_place(("targets", name)), settings.token_file
        yield show_place(("targets", name)), settings.password_file
        yield show_place(("targets", name)), settings.secret_file
    for number, told in enumerate(subscribers):
        yield show_place(("announcements", number)), told.url_file
        yield show_place(("announcements", number)), told.secret_file
        if told.act_links is not None:
            place = show_place(("announcements", number, "act_links"))
            yield place, told.act_links.secret_file


def _of_files(files: Iterable[tuple[str, Path | None]]) -> Iterator[str]:
    for place, path in files:
        left_out = () if path is None else read_secret_file(path).left_out
        if left_out:
            yield (
                f"{place}: {str(path)!r} holds {' and '.join(left_out)}, which no reader of ours "
                "takes for part of the secret; other programs might: write it without"
            )
