"""The metrics that rules and dashboards may speak of, and those that they do speak of."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.metrics import MetricWrapperBase

from receiver import telemetry
from receiver.gauges import StoreGauges

SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}

MODELS = {"model_mae_score", "model_r2_score", "model_last_eval_timestamp_seconds"}
"""What a model server exports, and is no matter of ours."""

OTHERS = {"ALERTS", "ALERTS_FOR_STATE", "up", "alertmanager_notifications_failed_total"}

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'')
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_RANGE = re.compile(r"\[[^\]]*\]")
_NAME = re.compile(r"(?<![\w:$.])[A-Za-z_:][\w:]*(?!\w|\s*\()")
_WORDS = {"and", "or", "unless", "bool", "offset", "by", "without", "inf", "nan"}


def families() -> list[Metric]:
    """Every metric of the receiver, as it is defined."""
    counted = _without_store(telemetry.registry)
    return [*counted, *StoreGauges(lambda: None, lambda: None, 0).describe()]


def _without_store(registry: CollectorRegistry) -> Iterable[Metric]:
    for collector in list(registry._collector_to_names):
        if not isinstance(collector, StoreGauges):
            yield from collector.collect()


def known() -> set[str]:
    """Every name that a query may use."""
    names = MODELS | OTHERS
    for family in families():
        names |= {family.name + suffix for suffix in SUFFIXES.get(family.type, ("",))}
    return names


def used(query: str) -> set[str]:
    """The names of metrics that a query uses."""
    bare = query
    for part in (_QUOTED, _GROUPING, _RANGE):
        bare = part.sub(" ", bare)
    bare = re.sub(r"\{[^}]*\}", " ", bare)
    return {name for name in _NAME.findall(bare) if name.lower() not in _WORDS}


@dataclass(frozen=True)
class Described:
    """A metric as its documentation should show it; `name` as queries use it."""

    name: str
    type: str
    labels: tuple[str, ...]
    help: str


def described() -> list[Described]:
    """Every metric of ours, in the order of its definition."""
    counted = [
        Described(
            collector._name + ("_total" if collector._type == "counter" else ""),
            collector._type,
            tuple(collector._labelnames),
            collector._documentation,
        )
        for collector in telemetry.registry._collector_to_names
        if isinstance(collector, MetricWrapperBase)
    ]
    read = StoreGauges(lambda: None, lambda: None, 0).describe()
    return counted + [
        Described(family.name, family.type, tuple(family._labelnames), family.documentation)
        for family in read
        if isinstance(family, GaugeMetricFamily)
    ]
