"""Builds the real parts from Config and joins them; no logic."""

import ipaddress
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from receiver.announcers.act_links import LinkMaker
from receiver.announcers.making import announcer_of
from receiver.config import (
    Config,
    ConfigError,
    PeerSettings,
    SubscriberSettings,
    TargetSettings,
    load_config,
)
from receiver.core.policy_set import PolicySet
from receiver.core.ports import AlertSource, Announcer, Dispatcher, ValueSource
from receiver.core.snapshot import Snapshot
from receiver.core.sources import Asking
from receiver.core.targets import TargetKind
from receiver.dispatchers.at_address import AtItsAddress, at_their_addresses
from receiver.dispatchers.lazy import LateDispatcher
from receiver.dispatchers.unconfigured import UnconfiguredTarget
from receiver.flows.intake.committer import Committer
from receiver.flows.intake.taking_in import take_in
from receiver.flows.operator.left_behind import left_behind
from receiver.flows.operator.reloading import apply_configuration
from receiver.flows.worker.loops import Setup, Worker
from receiver.flows.worker.polling import Asked
from receiver.flows.worker.retention import Ages
from receiver.gauges import SparingReads, watch_store
from receiver.store.migrate_subprocess import migrate_apart
from receiver.store.store import Store
from receiver.telemetry import (
    config_reload_successful,
    config_reload_timestamp,
    know_sources,
    know_subscribers,
    know_targets,
    log,
)
from receiver.web.app import build_app
from receiver.web.auth import Tokens
from receiver.web.server import Server
from receiver.web.service import Loaded, Service

if TYPE_CHECKING:
    from receiver.dispatchers.github_tokens import App, TokenPath
    from receiver.dispatchers.http_client import HttpAccess
    from receiver.sources.fetching import Upstream

LOCAL_PYTHON = Path(".venv-kfp/bin/python")
"""A missing interpreter is told with its cure when a run is started."""


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """The wall clock in UTC."""
        return datetime.now(UTC)  # noqa: TID251  the one place that reads it

    def elapsed(self) -> timedelta:
        """The monotonic clock."""
        return timedelta(seconds=time.monotonic())


class CannotServe(Exception):
    """The process can't start like this; the message says what to change."""


class Receiver:
    """All parts of one running receiver."""

    def __init__(self, config: Config) -> None:
        clock = SystemClock()
        self.store = Store.open(
            config.storage.url,
            clock if config.storage.sqlite_path else None,
            min_free=config.storage.min_free,
            network_filesystem=config.storage.network_filesystem,
            migrate=migrate_apart,
            url_file=config.storage.url_file,
        )
        self._config = config
        self._reloading = threading.Lock()
        self._runs_dir = runs_dir(config)
        committer = Committer(lambda arrivals: take_in(self.store, arrivals))
        self._dispatchers = dispatchers_of(config, self._runs_dir)
        setup = setup_of(config, self._dispatchers)
        self.worker = Worker(self.store, clock, setup, missing=UnconfiguredTarget)
        self.service = Service(
            store=self.store,
            clock=clock,
            committer=committer,
            loaded=loaded(config),
            reload=self.reload,
            hint=self.worker.hint,
        )
        free = self.store.free_bytes
        watch_store(SparingReads(self._standing, clock), free, config.storage.min_free)

    def _standing(self) -> Snapshot | None:
        loaded = self.service.loaded.policy_set
        return self.store.snapshot(loaded.policies, loaded.asking)

    def load_clients(self) -> None:
        """Load the targets' client libraries now, so that the first dispatch does not wait."""
        for dispatcher in self._dispatchers.values():
            dispatcher.load()

    def start(self) -> None:
        """Take up what is stored, then begin to work."""
        if self.store.alone:  # else other replicas hold leases, and those of the dead end
            with self.store.begin() as tx:
                tx.release_leases(tx.now())
                tx.free_sources(tx.now())
        self._apply(self._config)
        with self.store.view() as view:
            targets = view.dispatches.live_targets()
            subscribers = set(view.announcements.waiting())
        self.service.committer.start(self.worker.hint)
        self.worker.start(targets, subscribers)

    def stop(self) -> None:
        """Finish what is under way, then give the store back."""
        self.service.backtests.close()
        self.service.committer.stop()
        self.worker.stop()
        self.store.close()

    def reload(self) -> list[str]:
        """Load the configuration file again. Raises `ConfigError` and changes nothing.

        Returns the settings that changed in the file but take effect at the next start only.
        """
        with self._reloading:
            try:
                config = load_config(self._config.path)
            except ConfigError as error:
                config_reload_successful.set(0)
                log().error("config_rejected", problems=list(error.problems))
                raise
            needs_restart = [] if config.storage.same_store(self._config.storage) else ["storage"]
            # First, for what it pauses must be held before the new policies decide.
            told = self._apply(config)
            self._config = config
            self._dispatchers = dispatchers_of(config, self._runs_dir)
            self.worker.change(setup_of(config, self._dispatchers))
            self.service.loaded = replace(loaded(config, self.service.loaded), told=told)
            self.worker.hint()
            self.load_clients()
            return needs_restart

    def _apply(self, config: Config) -> tuple[str, ...]:
        policy_set = policy_set_of(config)
        applied = apply_configuration(self.store, policy_set, config.text)
        told = (*applied.told, *left_behind(self.store, policy_set))
        know_subscribers(told.subscriber.name for told in config.subscribers)
        know_sources(asking.everybody if (asking := policy_set_of(config).asking) else ())
        know_targets({name: target.run_timeout for name, target in config.targets.items()})
        config_reload_successful.set(1)
        config_reload_timestamp.set(self.service.clock.now().timestamp())
        for warning in (*config.warnings, *told):
            log().warning("config_warning", detail=warning)
        log().info("config_loaded", config_hash=config.hash, changed=applied.changed)
        return told


def policy_set_of(config: Config) -> PolicySet:
    """What the flows need of a configuration."""
    targets = {name: settings.target for name, settings in config.targets.items()}
    subscribers = tuple(settings.subscriber for settings in config.subscribers)
    asking = None
    if config.sources is not None and config.sources.confirms:
        names = frozenset(source.name for source in config.sources.alertmanagers)
        asks_prometheus = config.sources.prometheus is not None
        asking = Asking(names, config.sources.confirm_within, prometheus=asks_prometheus)
    return PolicySet(config.policies, targets, config.hash, subscribers, asking)


def loaded(config: Config, before: Loaded | None = None) -> Loaded:
    """What the routes need of a configuration, which may take another's place."""
    tokens = Tokens(config.auth, None if before is None else before.tokens, config.proxy)
    return Loaded(config, policy_set_of(config), tokens, values=values_of(config))


def setup_of(config: Config, dispatchers: Mapping[str, Dispatcher]) -> Setup:
    """What the workers need of a configuration."""
    kept = config.retention
    ages = Ages(kept.decisions, kept.skips, kept.notifications, kept.runs, kept.announcements)
    prometheus = prometheus_of(config)
    return Setup(
        policy_set_of(config),
        dispatchers,
        ages,
        announcers_of(config),
        asked_of(config, prometheus),
        prometheus,
    )


def prometheus_of(config: Config) -> AlertSource | None:
    """Who is asked what Prometheus' own rules find; None if nobody."""
    if config.sources is None or config.sources.prometheus is None:
        return None
    from receiver.sources.prometheus import PrometheusSource  # noqa: PLC0415

    return PrometheusSource(_peer(config.sources.prometheus))


def values_of(config: Config) -> ValueSource | None:
    """Who is asked what a model's value was between deliveries; None if nobody."""
    if config.sources is None or config.sources.prometheus is None:
        return None
    from receiver.sources.prometheus import PrometheusValues  # noqa: PLC0415

    return PrometheusValues(_peer(config.sources.prometheus))


def asked_of(config: Config, prometheus: AlertSource | None) -> dict[str, Asked]:
    """Who is asked which alerts fire; Prometheus may object to an end."""
    sources = config.sources
    if sources is None:
        return {}
    from receiver.sources.alertmanager import AlertmanagerSource  # noqa: PLC0415

    return {
        one.name: Asked(
            one.name, AlertmanagerSource(_peer(one.peer), one.receiver), one.poll, prometheus
        )
        for one in sources.alertmanagers
    }


def _peer(settings: PeerSettings) -> "Upstream":
    from receiver.sources.fetching import Upstream  # noqa: PLC0415  its client is slow to load

    return Upstream(
        url=settings.url,
        token_file=settings.token_file,
        username=settings.username,
        password_file=settings.password_file,
        ca_file=settings.ca_file,
    )


def announcers_of(config: Config) -> dict[str, Announcer]:
    """How each subscriber is told."""
    return {
        told.subscriber.name: announcer_of(
            url=told.url,
            url_file=told.url_file,
            secret_file=told.secret_file,
            ca_file=told.ca_file,
            external_url=config.server.external_url,
            teams=told.teams,
            act_links=_links_of(told, config.server.external_url),
        )
        for told in config.subscribers
    }


def _links_of(told: SubscriberSettings, external_url: str | None) -> LinkMaker | None:
    if told.act_links is None or external_url is None:
        return None
    links = told.act_links
    return LinkMaker(secret_file=links.secret_file, life=links.life, external_url=external_url)


def dispatchers_of(config: Config, runs: Path) -> dict[str, AtItsAddress]:
    """The targets' dispatchers; their client libraries are not loaded yet."""
    targets = {name: settings.target for name, settings in config.targets.items()}
    return at_their_addresses(targets, late_dispatchers(config, runs))


def late_dispatchers(config: Config, runs: Path) -> dict[str, LateDispatcher]:
    """Each target's own dispatcher."""
    return {
        name: LateDispatcher(
            partial(build_dispatcher, settings, runs),
            lookup_window=settings.lookup_window,
            run_timeout=settings.run_timeout,
        )
        for name, settings in config.targets.items()
    }


def runs_dir(config: Config) -> Path:
    """Where local pipelines run: beside the database that remembers them."""
    path = config.storage.sqlite_path
    return (path.parent if path else config.path.parent) / "runs"


def build_dispatcher(settings: TargetSettings, runs: Path) -> Dispatcher:
    """The dispatcher of one target. Client libraries are loaded only for the kinds in use."""
    if settings.target.kind is TargetKind.GITHUB:
        return _github(settings)
    if settings.target.kind is TargetKind.KFP:
        from receiver.dispatchers.kfp import KfpDispatcher  # noqa: PLC0415

        return KfpDispatcher(
            token_file=settings.token_file,
            ca_file=settings.ca_file,
            lookup_window=settings.lookup_window,
            run_timeout=settings.run_timeout,
        )
    if settings.target.kind is TargetKind.HTTP:
        from receiver.dispatchers.http import HttpDispatcher  # noqa: PLC0415

        return HttpDispatcher(
            _access(settings),
            lookup_window=settings.lookup_window,
            run_timeout=settings.run_timeout,
        )
    from receiver.dispatchers.kfp_local import KfpLocalDispatcher  # noqa: PLC0415

    return KfpLocalDispatcher(
        python=settings.python or LOCAL_PYTHON,
        runs_dir=runs,
        lookup_window=settings.lookup_window,
        run_timeout=settings.run_timeout,
    )


def check_target(settings: TargetSettings, place: Mapping[str, str]) -> str:
    """Whether a target lets us in, without starting anything. Raises `DispatchError`."""
    from receiver.dispatchers import checks  # noqa: PLC0415

    if settings.target.kind is TargetKind.GITHUB:
        return checks.check_github(place, _credentials(settings), settings.ca_file)
    if settings.target.kind is TargetKind.KFP:
        return checks.check_kfp(place, settings.token_file, settings.ca_file)
    if settings.target.kind is TargetKind.HTTP:
        return checks.check_http(place, _access(settings))
    return checks.check_local(place, settings.python or LOCAL_PYTHON)


def _github(settings: TargetSettings) -> Dispatcher:
    from receiver.dispatchers.github import GithubDispatcher  # noqa: PLC0415

    return GithubDispatcher(
        credentials=_credentials(settings),
        ca_file=settings.ca_file,
        lookup_window=settings.lookup_window,
        run_timeout=settings.run_timeout,
    )


def _access(settings: TargetSettings) -> "HttpAccess":
    from receiver.dispatchers.http_client import HttpAccess  # noqa: PLC0415

    return HttpAccess(
        token_file=settings.token_file,
        username=settings.username,
        password_file=settings.password_file,
        secret_file=settings.secret_file,
        ca_file=settings.ca_file,
    )


def _credentials(settings: TargetSettings) -> "App | TokenPath":
    from receiver.dispatchers.github_tokens import App, TokenPath  # noqa: PLC0415

    if settings.app is not None:
        return App(
            id=settings.app.id,
            installation_id=settings.app.installation_id,
            private_key_file=settings.app.private_key_file,
        )
    if settings.token_file is not None:
        return TokenPath(settings.token_file)
    raise AssertionError("the configuration demands token_file or app")


def split_listen(listen: str) -> tuple[str, int]:
    """`127.0.0.1:8080` or `[::1]:8080` as host and port. Raises `CannotServe`."""
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:  # noqa: PLR2004  ports have 16 bits
        raise CannotServe(f"--listen {listen!r} is not HOST:PORT; write 127.0.0.1:8080")
    return host.strip("[]"), int(port)


def require_auth_or_loopback(config: Config, host: str) -> None:
    """Without tokens anyone who reaches us may start runs. Raises `CannotServe`."""
    if config.auth is not None:
        return
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not loopback:
        raise CannotServe(
            f"without an auth section we listen on loopback only, not on {host}; "
            "add auth to the configuration, or use --listen 127.0.0.1:8080"
        )


def serve(config: Config, listen: str) -> None:
    """Run until SIGTERM or SIGINT. Raises `CannotServe`, `StoreRefused`, `StoreUnavailable`."""
    host, port = split_listen(listen)
    require_auth_or_loopback(config, host)
    receiver = Receiver(config)
    try:
        receiver.start()
        app = build_app(receiver.service)
        Server(app, host, port, receiver.service, then=receiver.load_clients).run()
    finally:
        receiver.stop()
        log().info("stopped")
