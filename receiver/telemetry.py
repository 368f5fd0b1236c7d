"""Log set-up and every metric's definition."""

import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from receiver import __version__
from receiver.core.decisions import Reason

registry = CollectorRegistry()
ProcessCollector(registry=registry)
GCCollector(registry=registry)

FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
SLOW = (1, 10, 30, 60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 24 * 3600)

build_info = Gauge(
    "retrain_build_info", "1, with the version as a label.", ["version"], registry=registry
)
build_info.labels(__version__).set(1)

config_reload_successful = Gauge(
    "retrain_config_last_reload_successful",
    "Whether the last load of the configuration succeeded.",
    registry=registry,
)
config_reload_timestamp = Gauge(
    "retrain_config_last_reload_success_timestamp_seconds",
    "When the configuration was last loaded.",
    registry=registry,
)

webhook_requests = Counter(
    "retrain_webhook_requests_total",
    "Answers to POST /webhook by status code. Alertmanager soon retries 5xx only.",
    ["code"],
    registry=registry,
)
webhook_duration = Histogram(
    "retrain_webhook_request_duration_seconds",
    "From the request's first byte at the application to its answer.",
    buckets=FAST,
    registry=registry,
)
webhook_last_received = Gauge(
    "retrain_webhook_last_received_timestamp_seconds",
    "When Alertmanager last told us something that we understood.",
    registry=registry,
)
alerts_received = Counter(
    "retrain_alerts_received_total",
    "Alerts in accepted notifications by status.",
    ["status"],
    registry=registry,
)
alerts_truncated = Counter(
    "retrain_alerts_truncated_total",
    "Alerts that Alertmanager's max_alerts cut off: models we were not told about.",
    registry=registry,
)
decisions = Counter(
    "retrain_decisions_total",
    "Decisions by reason.",
    ["reason"],
    registry=registry,
)
for _reason in Reason:
    decisions.labels(_reason.value)

commit_duration = Histogram(
    "retrain_store_commit_duration_seconds",
    "One deciding transaction, from its begin to its commit.",
    buckets=FAST,
    registry=registry,
)
commit_alerts = Histogram(
    "retrain_store_commit_alerts",
    "Alerts decided in one transaction.",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
    registry=registry,
)
attempts = Counter(
    "retrain_dispatch_attempts_total",
    "Attempts to start a run, by what they told.",
    ["target", "result"],
    registry=registry,
)
transitions = Counter(
    "retrain_dispatch_transitions_total",
    "Dispatches that entered a state.",
    ["target", "state"],
    registry=registry,
)
time_to_dispatch = Histogram(
    "retrain_time_to_dispatch_seconds",
    "From the decision's commit to the beginning of the first attempt at the target.",
    buckets=FAST,
    registry=registry,
)
run_duration = Histogram(
    "retrain_run_duration_seconds",
    "From the sending to the end of a run.",
    ["target", "state"],
    buckets=SLOW,
    registry=registry,
)
worker_errors = Counter(
    "retrain_worker_errors_total",
    "Unexpected errors that a worker's loop survived.",
    ["loop"],
    registry=registry,
)
auth_failures = Counter(
    "retrain_auth_failures_total",
    "Requests with a bad, missing or insufficient token.",
    ["code"],
    registry=registry,
)
rejected = Counter(
    "retrain_rejections_total",
    "Bodies that we could not accept, kept under /rejections.",
    ["code"],
    registry=registry,
)


def set_up_logging(*, stream: Any = None) -> None:
    """One line per finished unit of work: for people on a terminal, JSON otherwise."""
    stream = stream or sys.stderr
    human = stream.isatty()
    renderer: Any = (
        structlog.dev.ConsoleRenderer()
        if human
        else structlog.processors.JSONRenderer(sort_keys=False)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.dict_tracebacks
            if not human
            else structlog.processors.StackInfoRenderer(),
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(stream=stream, level=logging.WARNING, format="%(levelname)s %(message)s")


def log() -> Any:
    """The logger. Keys come from the glossary: `dispatch_id`, `model`, `reason`."""
    return structlog.get_logger()


class StoreState(Collector):
    """Reads, at each scrape, what only the store knows."""

    def __init__(
        self,
        free_bytes: Callable[[], int | None],
        dispatches: Callable[[], Mapping[tuple[str, str], int]],
    ) -> None:
        self._free_bytes = free_bytes
        self._dispatches = dispatches

    def describe(self) -> Iterable[Metric]:
        """Nothing is read before the first scrape."""
        return []

    def collect(self) -> Iterable[Metric]:
        """The room left, and how many dispatches stand in each state."""
        free = self._free_bytes()
        if free is not None:
            yield GaugeMetricFamily(
                "retrain_store_free_bytes", "Room left for the database file.", value=free
            )
        standing = GaugeMetricFamily(
            "retrain_dispatches", "Dispatches by state.", labels=["target", "state"]
        )
        for (target, state), count in self._dispatches().items():
            standing.add_metric([target, state], count)
        yield standing


_watched: list[StoreState] = []


def watch_store(
    free_bytes: Callable[[], int | None],
    dispatches: Callable[[], Mapping[tuple[str, str], int]],
) -> None:
    """Let the metrics show this store from now on, in place of an earlier one."""
    while _watched:
        registry.unregister(_watched.pop())
    _watched.append(StoreState(free_bytes, dispatches))
    registry.register(_watched[-1])
