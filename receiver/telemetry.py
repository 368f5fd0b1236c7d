"""Sets the log up and defines the counters and histograms; `gauges` reads the store."""

import logging
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import timedelta
from functools import cache
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

from receiver import __version__
from receiver.core.decisions import Reason
from receiver.core.dispatches import DispatchState, Failure
from receiver.core.reports import Verdict
from receiver.json_text import encode

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
webhook_answers = cache(lambda code: webhook_requests.labels(str(code)))
"""The counter of one status code; looking it up takes longer than counting."""

webhook_duration = Histogram(
    "retrain_webhook_request_duration_seconds",
    "From the request's first byte at the application to its answer.",
    buckets=FAST,
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

recoveries = Counter(
    "retrain_recoveries_total",
    "Models whose last firing alert was resolved after it had fired until a run succeeded.",
    registry=registry,
)
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
reports = Counter(
    "retrain_reports_total",
    "Runs by what they reported of themselves; unreadable: it could not be told.",
    ["target", "verdict"],
    registry=registry,
)
target_run_timeout = Gauge(
    "retrain_target_run_timeout_seconds",
    "run_timeout of each configured target: a run that is older is parked.",
    ["target"],
    registry=registry,
)
announcement_tries = Counter(
    "retrain_announcement_tries_total",
    "Tries to tell a subscriber, by what came of them; given_up: it was the last.",
    ["subscriber", "result"],
    registry=registry,
)
source_answers = Counter(
    "retrain_source_answers_total",
    "Tries to ask a source which alerts fire, by what came of them: answered or failed.",
    ["source", "result"],
    registry=registry,
)
worker_errors = Counter(
    "retrain_worker_errors_total",
    "Unexpected errors that a worker's loop survived.",
    ["loop"],
    registry=registry,
)
clock_steps_back = Counter(
    "retrain_clock_steps_back_total",
    "Times that the clock was found set back by more than a minute.",
    registry=registry,
)
auth_failures = Counter(
    "retrain_auth_failures_total",
    "Requests with a bad, missing or insufficient token; 503 while a token file can't be used.",
    ["code"],
    registry=registry,
)
broken_token_files = Gauge(
    "retrain_auth_token_files_broken",
    "Token files of a role that can't be used now: their last good tokens stay in force.",
    ["role"],
    registry=registry,
)
rejected = Counter(
    "retrain_rejections_total",
    "Bodies that we could not accept, kept under /rejections.",
    ["code"],
    registry=registry,
)

ACCEPTED = "accepted"
"""The result of an attempt that the target said yes to."""

NO_VERDICT, UNREADABLE = "none", "unreadable"
"""What stands for a verdict where there is none."""

TRIED = ("delivered", "failed", "given_up")
"""What can come of a try to tell a subscriber."""

ENDS = (
    DispatchState.SUCCEEDED,
    DispatchState.FAILED,
    DispatchState.CANCELLED,
    DispatchState.PARKED,
)
"""How a run that was followed can end."""

# A counter that begins at 1 hides its first increase from every rate.
for _loop in ("committer", "timer", "clock", "retention", "send", "follow", "announce", "ask"):
    worker_errors.labels(_loop)
for _code in ("401", "403"):
    auth_failures.labels(_code)
for _code in ("400", "413"):
    rejected.labels(_code)
for _code in ("200", "400", "401", "403", "413", "503"):
    webhook_requests.labels(_code)
for _status in ("firing", "resolved", "unreadable"):
    alerts_received.labels(_status)


def know_subscribers(names: Iterable[str]) -> None:
    """Let the counters of these subscribers begin at zero."""
    for name in names:
        for result in TRIED:
            announcement_tries.labels(name, result)


def know_sources(names: Iterable[str]) -> None:
    """Let the counters of these sources begin at zero."""
    for name in names:
        for result in ("answered", "failed"):
            source_answers.labels(name, result)


def know_targets(run_timeouts: Mapping[str, timedelta]) -> None:
    """Let the counters of these targets begin at zero, and show their limits."""
    target_run_timeout.clear()
    for target, limit in run_timeouts.items():
        target_run_timeout.labels(target).set(limit.total_seconds())
        for result in (ACCEPTED, *Failure):
            attempts.labels(target, str(result))
        for state in DispatchState:
            transitions.labels(target, state.value)
        for end in ENDS:
            run_duration.labels(target, end.value)
        for verdict in (*Verdict, NO_VERDICT, UNREADABLE):
            reports.labels(target, str(verdict))


class Forgiving:
    """A stream that may fail: when its disk is full, a line is lost, and not what it tells of."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, line: str) -> None:
        """Write if possible."""
        with suppress(OSError):
            self._stream.write(line)

    def flush(self) -> None:
        """Let it be seen if possible."""
        with suppress(OSError):
            self._stream.flush()


def set_up_logging(*, stream: Any = None) -> None:
    """One line per finished unit of work: for people on a terminal, JSON otherwise."""
    stream = stream or sys.stderr
    human = stream.isatty()
    stream = Forgiving(stream)
    renderer: Any = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if human
        else structlog.processors.JSONRenderer(serializer=lambda line, **_: encode(line))
    )
    stamped = structlog.processors.TimeStamper(fmt="iso", utc=True)
    writer = structlog.WriteLogger(stream)  # one for all lines: each would make its own
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            stamped,
            structlog.processors.ExceptionRenderer(
                # A frame's local variables may be tokens; the other renderer is told so, too.
                structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
            )
            if not human
            else structlog.processors.StackInfoRenderer(),
            renderer,
        ],
        logger_factory=lambda *_names: writer,
        cache_logger_on_first_use=True,
    )
    # What libraries say through `logging` becomes lines of the same form.
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            foreign_pre_chain=[structlog.stdlib.add_log_level, stamped],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def log() -> Any:
    """The logger. Keys come from the glossary: `dispatch_id`, `model`, `reason`."""
    return structlog.get_logger()
