"""The gauges, which are read from the store at each scrape."""

import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple, TypeAlias

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from receiver.core.ports import Clock
from receiver.core.snapshot import ModelSnapshot, Snapshot
from receiver.telemetry import registry


class _Defined(NamedTuple):
    help: str
    labels: tuple[str, ...] = ()


_DEFINITIONS: Mapping[str, _Defined] = {
    "retrain_store_available": _Defined("Whether the store could be read for this scrape."),
    "retrain_store_free_bytes": _Defined("Room left for the database file (SQLite only)."),
    "retrain_store_min_free_bytes": _Defined(
        "storage.min_free: with less room intake answers 503 (SQLite only)."
    ),
    "retrain_webhook_last_received_timestamp_seconds": _Defined(
        "When Alertmanager last told us something that was stored; 0 if it never did."
    ),
    "retrain_dispatches": _Defined(
        "Dispatches that are not over, by state; a parked or refused one only while it is its "
        "model's latest.",
        ("target", "state"),
    ),
    "retrain_dispatch_oldest_timestamp_seconds": _Defined(
        "Since when the oldest dispatch that is not over is in its state (pending: since it was "
        "ordered).",
        ("target", "state"),
    ),
    "retrain_models": _Defined("Models by state.", ("state",)),
    "retrain_models_firing_since_timestamp_seconds": _Defined(
        "When the oldest episode among the models that fire began, by the models' state.",
        ("state",),
    ),
    "retrain_models_held": _Defined(
        "Models that fire and are held by this rung below the cooldown.", ("reason",)
    ),
    "retrain_models_asking": _Defined("Models of which this rung asks a human.", ("reason",)),
    "retrain_unheld_since_timestamp_seconds": _Defined(
        "Since when a model fires with nothing holding it and is not decided: seconds ago at most "
        "if all is well. Absent if none waits."
    ),
    "retrain_model_state": _Defined(
        "1, with the model's present state as a label.", ("model", "state")
    ),
    "retrain_model_firing_alerts": _Defined("Alerts of the model that fire.", ("model",)),
    "retrain_model_cooldown_until_timestamp_seconds": _Defined(
        "Until when the model's latest cooldown or back-off holds it.", ("model",)
    ),
    "retrain_model_last_run_sent_timestamp_seconds": _Defined(
        "When the model's latest run was asked for.", ("model",)
    ),
    "retrain_model_last_run_ended_timestamp_seconds": _Defined(
        "When the model's latest run ended, and how.", ("model", "state")
    ),
    "retrain_policy_runs": _Defined(
        "Runs that ended in the last 90 days, by what they brought.", ("policy", "effect")
    ),
    "retrain_budget_used": _Defined(
        "How much is used of a limit that models share; policy is empty for one of all policies.",
        ("policy", "limit"),
    ),
    "retrain_budget_limit": _Defined("How much it allows.", ("policy", "limit")),
    "retrain_source_up": _Defined(
        "Whether a source's last answer could be read: what it says is believed.", ("source",)
    ),
    "retrain_source_last_answer_timestamp_seconds": _Defined(
        "When a source last said which alerts fire; 0 if it never did.", ("source",)
    ),
    "retrain_entries_unconfirmed": _Defined(
        "Firing alerts that nobody has confirmed for sources.confirm_within: no run is ordered "
        "for them. Absent without sources."
    ),
    "retrain_target_up": _Defined(
        "Whether a target answered when it was last asked, or nothing waits for it since it "
        "failed. Absent before it was asked.",
        ("target",),
    ),
    "retrain_target_failing_since_timestamp_seconds": _Defined(
        "Since when a target starts nothing that is asked for. Absent while it answers.",
        ("target",),
    ),
    "retrain_target_waiting_models": _Defined(
        "Models whose dispatch is tried again because their target started nothing yet.",
        ("target",),
    ),
    "retrain_announcements_pending": _Defined(
        "Announcements that a subscriber has not said yes to. Absent if there are none.",
        ("subscriber",),
    ),
    "retrain_announcement_oldest_timestamp_seconds": _Defined(
        "When the oldest of them was made. Absent if there are none.", ("subscriber",)
    ),
    "retrain_model_ineffective_runs": _Defined(
        "Runs of the present episode that ended well and helped nobody, of a model that fires. "
        "Absent if there are none.",
        ("model",),
    ),
}
"""Only names that begin with `retrain_model_` carry a model."""


KEPT_FOR = 10
"""A tenth of the time at most is spent on snapshots."""

QUICK = timedelta(milliseconds=250)
"""What is read within this is read at each scrape."""

LONGEST_KEPT = timedelta(seconds=15)


class SparingReads:
    """Reads the snapshot, and what took long is shown for a while: scrapes may come from many."""

    def __init__(self, read: Callable[[], Snapshot | None], clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._reading = threading.Lock()
        self._kept: Snapshot | None = None
        self._until = timedelta(0)

    def __call__(self) -> Snapshot | None:
        """The snapshot, a few seconds old perhaps; None if the store can't be read."""
        with self._reading:
            began = self._clock.elapsed()
            if self._kept is None or began >= self._until:
                self._kept = self._read()
                ended = self._clock.elapsed()
                took = ended - began
                kept_for = min(KEPT_FOR * took, LONGEST_KEPT) if took > QUICK else timedelta(0)
                self._until = ended + kept_for
            return self._kept


class StoreGauges(Collector):
    """Reads, at each scrape, what only the store knows.

    `free_bytes` tells the room left on the disk, None if there is no disk of ours.
    """

    def __init__(
        self,
        read: Callable[[], Snapshot | None],
        free_bytes: Callable[[], int | None],
        min_free: int,
    ) -> None:
        self._read = read
        self._free_bytes = free_bytes
        self._min_free = min_free

    def describe(self) -> Iterable[Metric]:
        """What can be there. Nothing is read before the first scrape."""
        return _families().values()

    def collect(self) -> Iterable[Metric]:
        """What the store holds now; only that it is away, if it can't be read."""
        families = _families()
        free = self._free_bytes()
        if free is not None:
            families["retrain_store_free_bytes"].add_metric([], free)
            families["retrain_store_min_free_bytes"].add_metric([], self._min_free)
        snapshot = self._read()
        families["retrain_store_available"].add_metric([], snapshot is not None)
        if snapshot is not None:
            _show(families, snapshot)
        return families.values()


def _families() -> dict[str, GaugeMetricFamily]:
    return {
        name: GaugeMetricFamily(name, defined.help, labels=defined.labels)
        for name, defined in _DEFINITIONS.items()
    }


def _show(families: Mapping[str, GaugeMetricFamily], snapshot: Snapshot) -> None:
    def show(name: str, labels: list[str], value: float | datetime | None) -> None:
        if isinstance(value, datetime):
            value = value.timestamp()
        if value is not None:
            families[name].add_metric(labels, value)

    received_at = snapshot.last_received_at or 0
    show("retrain_webhook_last_received_timestamp_seconds", [], received_at)
    show("retrain_unheld_since_timestamp_seconds", [], snapshot.unheld_since)
    for some in snapshot.dispatches:
        labels = [some.target, some.state.value]
        show("retrain_dispatches", labels, some.count)
        show("retrain_dispatch_oldest_timestamp_seconds", labels, some.since)
    for group in snapshot.states:
        show("retrain_models", [group.state.value], group.count)
        since = group.firing_since
        show("retrain_models_firing_since_timestamp_seconds", [group.state.value], since)
    for rung, count in snapshot.held.items():
        show("retrain_models_held", [rung], count)
    for rung, count in snapshot.asking.items():
        show("retrain_models_asking", [rung], count)
    for model in snapshot.models:
        _show_model(show, model)
    for name, count in snapshot.ineffective.items():
        show("retrain_model_ineffective_runs", [name], count)
    _show_outside(show, snapshot)


Show: TypeAlias = Callable[[str, list[str], float | datetime | None], None]


def _show_outside(show: Show, snapshot: Snapshot) -> None:
    for source in snapshot.sources:
        show("retrain_source_up", [source.name], source.error is None)
        answered = source.last_answer_at or 0
        show("retrain_source_last_answer_timestamp_seconds", [source.name], answered)
    for standing in snapshot.targets:
        name = standing.record.name
        show("retrain_target_up", [name], not standing.fails)
        show("retrain_target_waiting_models", [name], standing.waiting)
        if standing.fails:
            since = standing.record.failing_since
            show("retrain_target_failing_since_timestamp_seconds", [name], since)
    show("retrain_entries_unconfirmed", [], snapshot.unconfirmed)
    for subscriber, (count, since) in snapshot.announcements.items():
        show("retrain_announcements_pending", [subscriber], count)
        show("retrain_announcement_oldest_timestamp_seconds", [subscriber], since)
    for policy, effects in snapshot.effects.items():
        for effect, count in effects.items():
            show("retrain_policy_runs", [policy, effect.value], count)
    limits = {
        (usage.limit.whose(policy, model=""), str(usage.limit)): usage
        for policy, usages in snapshot.budgets.items()
        for usage in usages
    }
    for labels, usage in limits.items():
        show("retrain_budget_used", [*labels], usage.used)
        show("retrain_budget_limit", [*labels], usage.limit.most)


def _show_model(show: Show, model: ModelSnapshot) -> None:
    name = model.name
    show("retrain_model_state", [name, model.state.value], 1)
    show("retrain_model_firing_alerts", [name], model.firing_alerts)
    show("retrain_model_cooldown_until_timestamp_seconds", [name], model.held_until)
    show("retrain_model_last_run_sent_timestamp_seconds", [name], model.run_sent_at)
    if model.run_state is not None:
        ended = [name, model.run_state.value]
        show("retrain_model_last_run_ended_timestamp_seconds", ended, model.run_ended_at)


_watched: list[StoreGauges] = []


def watch_store(
    read: Callable[[], Snapshot | None], free_bytes: Callable[[], int | None], min_free: int
) -> None:
    """Let the metrics show this store from now on, in place of an earlier one."""
    while _watched:
        registry.unregister(_watched.pop())
    _watched.append(StoreGauges(read, free_bytes, min_free))
    registry.register(_watched[-1])
