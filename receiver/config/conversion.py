"""Converts the file's sections to plain values: defaults filled in, paths absolute."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

from receiver.config.asking import source_hints, source_warnings, sources_of
from receiver.config.checks import is_package
from receiver.config.fields import compile_pattern
from receiver.config.files import in_folder
from receiver.config.http_targets import http_target
from receiver.config.restraint_values import cost_of, limits_of, storm_of, window_of
from receiver.config.sections import (
    LOCAL,
    AuthSection,
    FileSection,
    GithubSection,
    HttpSection,
    KfpSection,
    PolicySection,
    ProxySection,
    StorageSection,
    TargetSection,
    TokenSection,
    TotalBudgetSection,
    check_storage_url,
)
from receiver.config.subscribing import link_warnings, subscriber_of
from receiver.config.tenants import tenant_warnings
from receiver.config.values import (
    Config,
    GithubApp,
    ProxySettings,
    RetentionSettings,
    Role,
    ServerSettings,
    StorageSettings,
    TargetSettings,
    TokenFile,
)
from receiver.config.warning_checks import warnings_of
from receiver.core.durations import format_duration
from receiver.core.matchers import parse_matchers
from receiver.core.policies import APPROVAL_EXPIRY, Policy
from receiver.core.targets import Target, TargetKind
from receiver.core.tenants import Tenant
from receiver.secret_files import read_secret

DEFAULT_URL = "sqlite:///receiver.db"
RUN_TIMEOUT = timedelta(hours=24)
LOOKUP_WINDOWS = {
    TargetKind.GITHUB: timedelta(seconds=300),
    TargetKind.KFP: timedelta(seconds=180),
    TargetKind.KFP_LOCAL: timedelta(seconds=30),
    TargetKind.HTTP: timedelta(seconds=180),
}
"""Longer than a target's listing was seen to lag behind a start."""


def convert(
    file: FileSection, path: Path, environment: Path, *, with_files: bool = True
) -> Config:
    """Make the configuration of a file without problems."""
    folder = path.parent
    targets = {
        name: _target(name, section, folder, environment, file.server.external_url)
        for name, section in file.targets.items()
    }
    policies = tuple(_policy(section, file.budget) for section in file.policies)
    auth = None if file.auth is None else _auth(file.auth, folder)
    subscribers = tuple(subscriber_of(section, folder) for section in file.announcements)
    sources = sources_of(file.sources, folder)
    text = _text(file, targets)
    server = ServerSettings(
        external_url=file.server.external_url,
        max_body=file.server.max_body,
        metrics_open=file.server.metrics_open,
    )
    proxy = _proxy(file.auth.proxy) if file.auth and file.auth.proxy else None
    return Config(
        server=server,
        storage=_storage(file.storage, folder, with_files=with_files),
        retention=RetentionSettings(
            decisions=file.retention.decisions,
            skips=file.retention.skips,
            notifications=file.retention.notifications,
            runs=file.retention.runs,
            announcements=file.retention.announcements,
        ),
        auth=auth,
        targets=targets,
        policies=policies,
        path=path,
        text=text,
        hash=hashlib.sha256(text.encode()).hexdigest(),
        warnings=(
            *warnings_of(policies, targets, auth, subscribers, with_files=with_files),
            *tenant_warnings(server, auth, proxy, with_files=with_files),
            *source_warnings(sources),
            *link_warnings(server.external_url, subscribers),
        ),
        subscribers=subscribers,
        sources=sources,
        hints=tuple(source_hints(sources, policies)),
        links=file.links,
        proxy=proxy,
    )


def _text(file: FileSection, targets: Mapping[str, TargetSettings]) -> str:
    """Serialise everything but secrets in one canonical form."""
    data = file.model_dump(mode="json", exclude_none=True)
    if file.storage.url_file is None:
        data["storage"].setdefault("url", DEFAULT_URL)
    for name, settings in targets.items():
        section = data["targets"][name]
        kind = next(kind for kind in ("github", "kfp", "http") if kind in section)
        beside = {key: value for key, value in section.items() if key != kind}
        spans = {
            "lookup_window": format_duration(settings.lookup_window),
            "run_timeout": format_duration(settings.run_timeout),
        }
        data["targets"][name] = {kind: section[kind] | beside | spans}
    return json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _storage(section: StorageSection, folder: Path, *, with_files: bool) -> StorageSettings:
    url = section.url or DEFAULT_URL
    url_file = None if section.url_file is None else in_folder(folder, section.url_file)
    if url_file is not None and with_files:
        url = check_storage_url(read_secret(url_file))
    if url.startswith("sqlite:///"):
        path, mark, query = url.removeprefix("sqlite:///").partition("?")
        url = f"sqlite:///{in_folder(folder, path)}{mark}{query}"
    return StorageSettings(
        url=url,
        min_free=section.min_free,
        network_filesystem=section.network_filesystem,
        url_file=url_file,
    )


def _proxy(section: ProxySection) -> ProxySettings:
    return ProxySettings(
        user_header=section.user_header,
        groups_header=section.groups_header,
        groups_separator=section.groups_separator,
        roles={
            Role.OPERATOR: frozenset(section.roles.operator),
            Role.READER: frozenset(section.roles.reader),
        },
        trusted=tuple(map(ip_network, section.trusted)),
        tenants={group: Tenant.of(labels) for group, labels in (section.tenants or {}).items()},
    )


def _auth(section: AuthSection, folder: Path) -> dict[Role, tuple[TokenFile, ...]]:
    roles = {
        Role.WEBHOOK: section.webhook,
        Role.OPERATOR: section.operator,
        Role.READER: section.reader,
    }
    return {
        role: tuple(_token_file(token, folder) for token in tokens)
        for role, tokens in roles.items()
    }


def _token_file(section: TokenSection, folder: Path) -> TokenFile:
    tenant = None if section.labels is None else Tenant.of(section.labels)
    return TokenFile(section.name, in_folder(folder, section.token_file), tenant)


def _target(
    name: str,
    section: TargetSection,
    folder: Path,
    environment: Path,
    external_url: str | None,
) -> TargetSettings:
    if section.github is not None:
        kind, part = TargetKind.GITHUB, section.github
        target = Target(name, kind, _github_place(part), part.inputs)
        return _settings(target, section, part, folder, app=_app(part, folder))
    if section.http is not None:
        return _http_settings(name, section, section.http, folder, external_url)
    if section.kfp is None:
        raise AssertionError("the checks let a target through that has no kind")
    local = section.kfp.endpoint == LOCAL
    kind = TargetKind.KFP_LOCAL if local else TargetKind.KFP
    target = Target(name, kind, _kfp_place(section.kfp, folder), section.kfp.parameters)
    python = _python(section.kfp, folder, environment) if local else None
    return _settings(target, section, section.kfp, folder, python=python)


def _http_settings(
    name: str, section: TargetSection, part: HttpSection, folder: Path, external_url: str | None
) -> TargetSettings:
    settings = _settings(http_target(name, part, external_url), section, part, folder)
    basic, secret = part.basic, part.secret_file
    return replace(
        settings,
        username=basic.username if basic else None,
        password_file=in_folder(folder, basic.password_file) if basic else None,
        secret_file=None if secret is None else in_folder(folder, secret),
    )


def _app(section: GithubSection, folder: Path) -> GithubApp | None:
    if section.app is None:
        return None
    return GithubApp(
        id=section.app.id,
        installation_id=section.app.installation_id,
        private_key_file=in_folder(folder, section.app.private_key_file),
    )


def _settings(
    target: Target,
    section: TargetSection,
    part: GithubSection | KfpSection | HttpSection,
    folder: Path,
    *,
    app: GithubApp | None = None,
    python: Path | None = None,
) -> TargetSettings:
    window = part.lookup_window or section.lookup_window or LOOKUP_WINDOWS[target.kind]
    ca_file = part.ca_file or section.ca_file
    return TargetSettings(
        target=target,
        lookup_window=window,
        run_timeout=part.run_timeout or section.run_timeout or RUN_TIMEOUT,
        token_file=None if part.token_file is None else in_folder(folder, part.token_file),
        app=app,
        ca_file=None if ca_file is None else in_folder(folder, ca_file),
        python=python,
    )


def _github_place(section: GithubSection) -> dict[str, str]:
    return {
        "base_url": section.base_url,
        "repository": section.repository,
        "workflow": section.workflow,
        "ref": section.ref,
    }


_CACHING = {None: None, True: "true", False: "false"}


def _kfp_place(section: KfpSection, folder: Path) -> dict[str, str]:
    pipeline = section.pipeline
    if section.endpoint == LOCAL or is_package(pipeline):
        # A place is a template; a folder's own braces must stay what they are.
        pipeline = str(in_folder(folder, pipeline)).replace("{", "{{").replace("}", "}}")
    place = {
        "endpoint": section.endpoint,
        "pipeline": pipeline,
        "experiment": section.experiment,
        "namespace": section.namespace,
        "pipeline_version": section.pipeline_version,
        "enable_caching": _CACHING[section.enable_caching],
        "service_account": section.service_account,
        "ui_url": section.ui_url,
    }
    return {key: value for key, value in place.items() if value is not None}


def _python(section: KfpSection, folder: Path, environment: Path) -> Path | None:
    if section.python is not None:
        return in_folder(folder, section.python)
    places = (home / ".venv-kfp" / "bin" / "python" for home in (environment.parent, folder))
    return next((path for path in places if path.exists()), None)


def _policy(section: PolicySection, total: TotalBudgetSection | None) -> Policy:
    return Policy(
        name=section.name,
        matchers=tuple(matcher for text in section.match for matcher in parse_matchers(text)),
        model_name=section.model.name,
        identity={
            label: compile_pattern(pattern) for label, pattern in section.model.labels.items()
        },
        target=section.target,
        mode=section.mode,
        cooldown=section.cooldown,
        settle=section.settle,
        dedup_window=section.dedup_window,
        alert_expiry=section.alert_expiry,
        silenced=section.silenced,
        value_annotation=section.value_annotation,
        attempts=section.attempts,
        backoff=section.backoff or 1,
        window=window_of(section.window),
        storm=storm_of(section.storm),
        limits=limits_of(section.budget, total),
        cost=cost_of(section.cost),
        approval_expiry=section.approval.expiry if section.approval else APPROVAL_EXPIRY,
    )
