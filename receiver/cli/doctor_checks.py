"""The checks of `doctor`: Prometheus, rules, targets, route; each says how to mend it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from receiver.cli.client import AskError, ReceiverClient
from receiver.cli.doctor_lint import LiveChain
from receiver.cli.metrics import Measured, measure
from receiver.cli.testing import LOST, USUAL_LABELS, marks_of_test, send_through
from receiver.cli.upstream import Alertmanager, Prometheus
from receiver.core.policies import shown

if TYPE_CHECKING:  # pydantic and YAML are slow to load
    from receiver.config import Config

RULES = ("HighModelMAE", "LowModelR2")
"""What rules/model-quality.yaml defines; with --config the policies say what there should be."""

STALE = timedelta(hours=1)
"""As ModelEvaluationStale of rules/model-metrics.yaml."""

MOST_NAMES = 3


class State(StrEnum):
    """How a part stands."""

    OK = "ok"
    WARN = "warn"  # works, but deserves a look
    FAIL = "fail"  # an alert can't get through here
    SKIP = "skip"  # could not be examined


@dataclass(frozen=True, slots=True)
class Check:
    """What was found at one part of the way."""

    what: str
    state: State
    found: str


@dataclass(frozen=True, slots=True)
class Way:
    """The way from metric to run.

    Attributes:
        config: The receiver's file, where it can be read.
        chain: The same as `lint` sees it.

    """

    prometheus: Prometheus
    alertmanager: Alertmanager
    receiver: ReceiverClient
    config: Path | None
    chain: LiveChain

    def examine(self, labels: Mapping[str, str]) -> Iterator[Check]:
        """Each part in the order in which an alert passes it; `labels` name a model."""
        config, about_config = self._load()
        first = _guarded("prometheus", self._prometheus)
        yield first
        for what, examine in (
            ("targets", self._scraped),
            ("models", self._models),
            ("rules", lambda: self._rules(config)),
            ("notifier", self._notifier),
        ):
            if first.state is State.FAIL:
                yield Check(what, State.SKIP, "Prometheus did not answer")
            else:
                yield _guarded(what, examine)
        yield _guarded("alertmanager", self._alertmanager)
        yield _guarded("receiver", self._receiver)
        yield _guarded("rejections", self._rejections)
        yield about_config
        if config is not None:
            yield from self._compared()
            yield from _sources(config)
            yield from _targets(config, labels)

    def _compared(self) -> Iterator[Check]:
        """What does not fit together: a line for each, named as `lint --explain` knows it."""
        states = {"error": State.FAIL, "warning": State.WARN}
        found = [
            Check(
                str(each.check),
                states[each.severity],
                f"{each.place}: {each.said}; so {each.consequence}; cure: {each.cure}",
            )
            for each in self.chain.findings()
        ]
        yield from found
        summary = self.chain.summary
        if not found and summary is not None:
            yield Check("chain", State.OK, summary)

    def examine_route(self, given: Mapping[str, str], wait: timedelta) -> Check:
        """Whether a test alert gets from Alertmanager to a decision of the receiver.

        It has the labels of a real rule and no more, so that a real alert arrives if it does.
        """
        sample = self.chain.sample(given)
        like, labels = sample or ("", {**USUAL_LABELS, **given})
        labels = {**labels, **marks_of_test()}
        what = f"a test alert like {like}'s" if like else "a test alert"

        def examine() -> Check:
            arrived = send_through(self.alertmanager, self.receiver, labels, wait)
            if arrived.decision is None:
                return Check(
                    "route", State.FAIL, f"{what}: {arrived.said}" if like else arrived.said
                )
            reason, detail = arrived.decision["reason"], arrived.decision["detail"]
            said = f"{what}: {arrived.said} and was decided {reason}: {detail}"
            if reason in LOST:
                cure = "; mend `policies`, or give the labels that your alerts have with --label"
                return Check("route", State.FAIL, said + cure)
            return Check("route", State.OK, said)

        return _guarded("route", examine)

    def _load(self) -> "tuple[Config | None, Check]":
        if self.config is None:
            said = "give --config FILE to examine policies and the targets' credentials"
            return None, Check("configuration", State.SKIP, said)
        from receiver.config import ConfigError, load_config  # noqa: PLC0415

        try:
            loaded = load_config(self.config)
        except ConfigError as error:
            problems = "; ".join(error.problems)
            return None, Check("configuration", State.FAIL, f"{self.config}: {problems}")
        count = f"{len(loaded.policies)} policies, {len(loaded.targets)} targets"
        if loaded.warnings:
            return loaded, Check(
                "configuration", State.WARN, f"{count}; {'; '.join(loaded.warnings)}"
            )
        return loaded, Check("configuration", State.OK, f"{self.config} is valid: {count}")

    def _prometheus(self) -> Check:
        version = self.prometheus.data("/api/v1/status/buildinfo").get("version", "unknown")
        return Check(
            "prometheus", State.OK, f"{self.prometheus.url} answers, version {shown(version)}"
        )

    def _scraped(self) -> Check:
        active = self.prometheus.data("/api/v1/targets", {"state": "active"})["activeTargets"]
        down = [each for each in active if each["health"] != "up"]
        if not active:
            cure = "add the model server to scrape_configs, or label its ServiceMonitor"
            return Check("targets", State.FAIL, f"Prometheus scrapes nothing: {cure}")
        if down:
            first = down[0]
            said = (
                f"{len(down)} of {len(active)} are down, such as {shown(first['scrapeUrl'], 120)}"
            )
            return Check(
                "targets",
                State.FAIL,
                f"{said}: {shown(first['lastError'] or 'not asked yet', 200)}",
            )
        if not self.prometheus.samples("group(retrain_decisions_total)"):
            cure = "without it the alerts of rules/receiver.yaml can't fire"
            return Check("targets", State.WARN, f"the receiver is not scraped: {cure}")
        return Check("targets", State.OK, f"all {len(active)} are up, the receiver too")

    def _models(self) -> Check:
        found = measure(self.prometheus)
        if not found:
            said = "no model_mae_score and no model_r2_score: is the exporter a target?"
            return Check("models", State.FAIL, said)
        now = self.prometheus.samples("vector(time())")[0].at
        for troubled, what in (
            ([m for m, each in found.items() if _is_nan(each)], "have a metric that is NaN"),
            (
                [
                    m
                    for m, each in found.items()
                    if each.evaluated_at and now - each.evaluated_at > STALE
                ],
                "were last evaluated more than an hour ago",
            ),
        ):
            if troubled:
                names = _some(
                    f"{namespace}/{user_id}".strip("/") for namespace, user_id in troubled
                )
                cure = "no alert about them can fire; see docs/runbooks.md"
                return Check("models", State.WARN, f"{names} {what}: {cure}")
        return Check("models", State.OK, f"{len(found)} report how good they are")

    def _rules(self, config: "Config | None") -> Check:
        groups = self.prometheus.data("/api/v1/rules", {"type": "alert"})["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        broken = [rule for rule in rules if rule["health"] == "err"]
        if broken:
            first = broken[0]
            said = f"{shown(first['name'])} can't be evaluated: {shown(first['lastError'], 200)}"
            return Check("rules", State.FAIL, said)
        missing = _missing_rules({rule["name"] for rule in rules}, config)
        if missing:
            cure = (
                "name rules/model-quality.yaml under rule_files, or give its PrometheusRule the "
                "label that your Prometheus selects by"
            )
            return Check("rules", State.FAIL, f"{missing} not loaded: {cure}")
        return Check("rules", State.OK, f"{len(rules)} alerts are loaded and evaluated")

    def _notifier(self) -> Check:
        active = self.prometheus.data("/api/v1/alertmanagers")["activeAlertmanagers"]
        if not active:
            cure = "add it under alerting: alertmanagers:"
            return Check("notifier", State.FAIL, f"Prometheus knows no Alertmanager: {cure}")
        urls = _some(each["url"].removesuffix("/api/v2/alerts") for each in active)
        return Check("notifier", State.OK, f"Prometheus tells {urls}")

    def _alertmanager(self) -> Check:
        status = self.alertmanager.get("/api/v2/status")
        version = shown(status["versionInfo"]["version"])
        return Check(
            "alertmanager", State.OK, f"{self.alertmanager.url} answers, version {version}"
        )

    def _receiver(self) -> Check:
        self.receiver.ready()
        models = self.receiver.page("models", {}, None)["models"]
        attention = [model["model"] for model in models if model["state"] == "attention"]
        if attention:
            said = f"{_some(attention)} needs a human: `retrain-receiver explain {attention[0]}`"
            return Check("receiver", State.WARN, said)
        return Check("receiver", State.OK, f"{self.receiver.url} is ready, {len(models)} models")

    def _rejections(self) -> Check:
        try:
            rejected = self.receiver.get("/rejections")["rejections"]
        except AskError as error:
            return Check("rejections", State.SKIP, f"{error} (role operator)")
        if rejected:
            newest = rejected[0]
            said = f"{len(rejected)} bodies could not be accepted, the newest: {newest['detail']}"
            return Check("rejections", State.WARN, said)
        return Check("rejections", State.OK, "every notification could be read")


def _guarded(what: str, examine: Callable[[], Check]) -> Check:
    """Turn an error of a check into a finding."""
    try:
        return examine()
    except AskError as error:
        return Check(what, State.FAIL, str(error))
    except (LookupError, TypeError, AttributeError):
        return Check(what, State.FAIL, f"the answer about {what} can't be understood")


def _missing_rules(loaded: set[str], config: "Config | None") -> str:
    """Alerts that should be loaded and are not, in words; empty if all are there."""
    if config is None or not config.policies:
        missing = [name for name in RULES if name not in loaded]
        return " and ".join(missing) + (" is" if len(missing) == 1 else " are") if missing else ""
    idle = [
        policy.name
        for policy in config.policies
        if not any(
            matcher.matches({"alertname": name})
            for name in loaded
            for matcher in policy.matchers
            if matcher.name == "alertname"
        )
        and any(matcher.name == "alertname" for matcher in policy.matchers)
    ]
    return f"alerts for the policy {_some(idle)} are" if idle else ""


def _sources(config: "Config") -> Iterator[Check]:
    """Ask each source what the receiver asks it, with its credentials and authorities."""
    from receiver.core.sources import PROMETHEUS, SourceDown  # noqa: PLC0415
    from receiver.wiring import asked_of, prometheus_of  # noqa: PLC0415

    sources = {name: asked.source for name, asked in asked_of(config, None).items()}
    prometheus = prometheus_of(config)
    if prometheus is not None:
        sources[PROMETHEUS] = prometheus
    for name, source in sources.items():
        try:
            listed = len(source.ask().alerts)
        except SourceDown as problem:
            yield Check(f"source {name}", State.FAIL, str(problem))
        else:
            ours = "its own rules" if name == PROMETHEUS else "our receiver"
            said = f"it answers, and lists {listed} alerts of {ours}"
            yield Check(f"source {name}", State.OK, said)


def _targets(config: "Config", labels: Mapping[str, str]) -> Iterator[Check]:
    """Ask each target whether it takes our credentials; nothing is started."""
    from receiver.core.dispatches import DispatchError  # noqa: PLC0415
    from receiver.core.inputs import fill_place  # noqa: PLC0415
    from receiver.wiring import check_target  # noqa: PLC0415

    for name, settings in config.targets.items():
        what = f"target {name}"
        try:
            place = fill_place(settings.target, labels)
        except KeyError as missing:
            said = f"its place depends on the model: give --label {missing.args[0]}=…"
            yield Check(what, State.SKIP, said)
            continue
        try:
            said = check_target(settings, place)
        except DispatchError as error:
            yield Check(what, State.FAIL, str(error))
        else:
            yield Check(what, State.OK, said)


def _is_nan(measured: Measured) -> bool:
    return any(number is not None and number != number for number in (measured.mae, measured.r2))  # noqa: PLR0124


def _some(names: Iterable[str]) -> str:
    listed = [*names]
    more = f" and {len(listed) - MOST_NAMES} more" if len(listed) > MOST_NAMES else ""
    return ", ".join(shown(name, 80) for name in listed[:MOST_NAMES]) + more
