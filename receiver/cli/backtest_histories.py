"""Gets the history that the command `backtest` was asked for: Prometheus, files, the database."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from receiver.cli.client import FAILED, AskError, UsageError
from receiver.cli.output import warn
from receiver.cli.upstream import prometheus_at
from receiver.core.times import stamp

if TYPE_CHECKING:  # as in the command itself
    from receiver.backtest.curves import Curve
    from receiver.backtest.histories import History
    from receiver.backtest.truth import Truth
    from receiver.config import Config
    from receiver.core.policy_set import PolicySet


@dataclass(frozen=True, slots=True)
class Asked:
    """Where the history comes from, and where it goes."""

    alerts: Sequence[Path]
    prometheus: str | None
    token_file: Path | None
    database: bool
    since: datetime
    until: datetime
    step: timedelta
    matching: str
    metric: str | None
    save: Path | None


def history_asked_for(asked: Asked, config: "Config") -> "History":
    """The history that the options name. A usage error unless it is exactly one."""
    from receiver.backtest.files import read_files  # noqa: PLC0415
    from receiver.backtest.prometheus_history import ask_history  # noqa: PLC0415

    named = [bool(asked.alerts), asked.prometheus is not None, asked.database]
    if sum(named) != 1:
        raise UsageError("give one of --prometheus URL, --alerts FILE and --database")
    if asked.alerts:
        return read_files(asked.alerts)
    if asked.prometheus is not None:
        return ask_history(
            prometheus_at(asked.prometheus, asked.token_file).data,
            since=asked.since,
            until=asked.until,
            step=asked.step,
            matching=asked.matching,
            progress=lambda done, of: tell(f"asking Prometheus: {done} of {of} parts"),
            keep=lambda history: _keep(history, asked),
        )
    return _stored(config, asked.since)


def curves_asked_for(
    asked: Asked, truth: "Truth", policy_set: "PolicySet"
) -> "Mapping[str, Curve]":
    """The metric behind the rule, if --metric asks for it. Raises `AskError`, `BadHistory`."""
    from receiver.backtest.curves import ask_curves  # noqa: PLC0415

    if asked.metric is None:
        return {}
    if asked.prometheus is None:
        raise UsageError("--metric asks Prometheus: give --prometheus URL")
    ask = prometheus_at(asked.prometheus, asked.token_file).data
    return ask_curves(ask, asked.metric, truth, policy_set)


def _keep(history: "History", asked: Asked) -> None:
    """What Prometheus had told until it could not go on, and how to go on from there."""
    reached = stamp(history.until)
    if asked.save is None:
        warn(f"it had told all until {reached}: with --save FILE that would have been kept")
        return
    save_history(history, asked.save)
    warn(
        f"what it told until {reached} is in {asked.save}: go on with --since {reached} --save "
        f"REST, then give both: --alerts {asked.save} --alerts REST"
    )


def _stored(config: "Config", since: datetime) -> "History":
    from receiver.backtest.log_history import history_in_store  # noqa: PLC0415
    from receiver.store.store import Store, StoreRefused, StoreUnavailable  # noqa: PLC0415
    from receiver.wiring import SystemClock  # noqa: PLC0415

    def refuse(_store: Store) -> NoReturn:
        raise StoreRefused("its tables are of another release: start the receiver first")

    path = config.storage.sqlite_path
    if path is not None and not path.exists():
        raise AskError(f"there is no database {path}: is `storage.url` right?", FAILED)
    try:
        clock = None if path is None else SystemClock()
        store = Store.open(config.storage.url, clock, migrate=refuse)
    except (StoreRefused, StoreUnavailable) as error:
        raise AskError(
            f"{error}; beside a running receiver export its log instead: curl -H 'Accept: "
            "application/x-ndjson' …/decisions > log.ndjson, then --alerts log.ndjson",
            FAILED,
        ) from None
    try:
        return history_in_store(store, since)
    finally:
        store.close()


def save_history(history: "History", path: Path) -> None:
    """Write it for --alerts. Raises `BadHistory`."""
    from receiver.backtest.files import save  # noqa: PLC0415

    save(history, path)


def tell(text: str) -> None:
    """Progress, on a terminal only."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()
