"""The command `backtest`: what policies would have done with a history of alerts."""

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from receiver.cli.client import FAILED, AskError, UsageError
from receiver.cli.epilog import examples
from receiver.cli.options import Format, Output
from receiver.cli.output import Column, Screen, print_csv, print_json, visible, warn
from receiver.cli.upstream import PrometheusToken, prometheus_at
from receiver.core.durations import parse_duration
from receiver.core.times import parse_time, stamp

if TYPE_CHECKING:  # pydantic and YAML are slow to load; other commands need neither
    from receiver.backtest.histories import History
    from receiver.backtest.study import Study
    from receiver.backtest.truth import Truth
    from receiver.config import Config
    from receiver.core.policy_set import PolicySet

BACKTEST_EXAMPLES = examples(
    "retrain-receiver backtest --config receiver.yaml --prometheus http://prometheus:9090",
    "retrain-receiver backtest --alerts history.json --cost 12USD --bad-hour 3 --html report.html",
    "retrain-receiver backtest --database --against other.yaml --sweep cooldown=1h,3h,6h,12h",
)

COST = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]{1,16}|€|\$)?")

ConfigFile = Annotated[
    Path, typer.Option("--config", help="The configuration whose policies decide.", metavar="FILE")
]
Against = Annotated[
    list[Path] | None, typer.Option(metavar="FILE", help="Another configuration; repeat.")
]
Alerts = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        help="A history: Prometheus' or Alertmanager's answer, our log as NDJSON; repeat.",
    ),
]
Prometheus = Annotated[
    str | None,
    typer.Option("--prometheus", metavar="URL", help="Ask this Prometheus, not its Grafana."),
]
Database = Annotated[
    bool, typer.Option("--database", help="Read the log in the configuration's storage.")
]
Since = Annotated[str, typer.Option(metavar="TIME", help="Where to begin: 90d, or RFC 3339.")]
Until = Annotated[str, typer.Option(metavar="TIME", help="Where to end: 0 is now.")]
Span = Annotated[str, typer.Option(metavar="TIME")]


@dataclass(frozen=True, slots=True)
class Asked:
    """Where the history comes from."""

    alerts: Sequence[Path]
    prometheus: str | None
    token_file: Path | None
    database: bool
    since: datetime
    until: datetime
    step: timedelta
    matching: str


def backtest(
    *,
    config: ConfigFile = Path("receiver.yaml"),
    against: Against = None,
    alerts: Alerts = None,
    prometheus: Prometheus = None,
    prometheus_token_file: PrometheusToken = None,
    database: Database = False,
    since: Since = "90d",
    until: Until = "0",
    step: Annotated[
        str, typer.Option(metavar="TIME", help="Of the question to Prometheus.")
    ] = "15s",
    matching: Annotated[
        str, typer.Option(metavar="MATCHERS", help="Alerts to ask Prometheus for.")
    ] = "",
    save: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep the history, for --alerts.")
    ] = None,
    run_duration: Annotated[
        str | None, typer.Option(metavar="TIME", help="How long a run takes; usual: 40m.")
    ] = None,
    helps: Annotated[
        float | None,
        typer.Option(min=0, max=1, metavar="CHANCE", help="That a run helps; usual: 0.8."),
    ] = None,
    cost: Annotated[str, typer.Option(metavar="MONEY", help="Of one run, as 12USD.")] = "1runs",
    bad_hour: Annotated[
        float | None,
        typer.Option(
            min=0, metavar="NUMBER", help="What a bad hour costs; usual: a sixth of a run."
        ),
    ] = None,
    shows_after: Annotated[
        str, typer.Option(metavar="TIME", help="From a run's end to its alerts' end.")
    ] = "0",
    draws: Annotated[int, typer.Option(min=1, help="Throws of the dice at most.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="The same seed, the same luck.")] = 1,
    group_by: Annotated[
        str | None,
        typer.Option(metavar="LABELS", help="Alertmanager's; usual: alertname and model."),
    ] = None,
    group_wait: Span = "30s",
    group_interval: Span = "5m",
    repeat_interval: Span = "4h",
    no_grouping: Annotated[
        bool, typer.Option("--no-grouping", help="Each alert is told at once.")
    ] = False,
    sweep: Annotated[
        str | None,
        typer.Option(metavar="SETTING=…", help="Try values: cooldown=1h,3h,6h,12h,24h."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a report with timelines.")
    ] = None,
    decisions: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write each decision of the first draw.")
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Replay a history of alerts: runs, money and bad hours under a policy, and under others.

    The ladder decides as it does in the receiver. Nothing is sent and nothing is stored.
    """
    from receiver.backtest.alertmanager import UNGROUPED, Route  # noqa: PLC0415
    from receiver.backtest.answers import Setting  # noqa: PLC0415
    from receiver.backtest.histories import BadHistory  # noqa: PLC0415
    from receiver.backtest.runs import (  # noqa: PLC0415
        PATIENCE,
        USUAL,
        RunModel,
        RunModels,
        learned,
    )
    from receiver.backtest.study import study, swept  # noqa: PLC0415
    from receiver.backtest.truth import truth_of  # noqa: PLC0415

    now = _now()
    asked = Asked(
        alerts=alerts or [],
        prometheus=prometheus,
        token_file=prometheus_token_file,
        database=database,
        since=_moment(since, "--since", now),
        until=_moment(until, "--until", now),
        step=_span(step, "--step"),
        matching=matching,
    )
    amount, unit = _cost(cost)
    usual = RunModel(
        durations=(USUAL if run_duration is None else _span(run_duration, "--run-duration"),),
        helps=0.8 if helps is None else helps,
        cost=amount,
        unit=unit,
        shows_after=_span(shows_after, "--shows-after"),
    )
    route = Route(
        group_wait=_span(group_wait, "--group-wait"),
        group_interval=_span(group_interval, "--group-interval"),
        repeat_interval=_span(repeat_interval, "--repeat-interval"),
        group_by=None if group_by is None else tuple(filter(None, group_by.split(","))),
    )
    if no_grouping:
        route = replace(UNGROUPED, repeat_interval=route.repeat_interval)
    loaded = _load(config)
    policies = {path.name: _policy_set(_load(path)) for path in [config, *(against or [])]}
    first = policies[config.name]
    try:
        history = _history(asked, loaded)
        if save is not None:
            _save(history, save)
        truth, notes = truth_of(history, first)
        given = run_duration is not None or helps is not None
        runs = RunModels(usual) if given else learned(usual, history.runs)
        changed = swept(first, sweep) if sweep is not None else None
        for name, other in policies.items():
            _require_same_models(name, truth, other)
    except BadHistory as error:
        raise AskError(str(error), FAILED) from None
    found = study(
        policies,
        Setting(truth, route, runs, draws=draws, seed=seed),
        bad_hour=amount / PATIENCE if bad_hour is None else bad_hour,
        notes=(*history.notes, *notes),
        changed=changed,
        keeps_log=decisions is not None,
        workers=min(os.cpu_count() or 1, 4),
        progress=lambda what: _tell(f"replaying {what} …"),
    )
    _tell("")
    if html is not None:
        from receiver.backtest.report import report  # noqa: PLC0415

        _write(html, report(found, now))
    if decisions is not None:
        _write(decisions, _lines(found))
    _show(found, output)


def _history(asked: Asked, config: "Config") -> "History":
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
            progress=lambda done, of: _tell(f"asking Prometheus: {done} of {of} parts"),
        )
    return _stored(config, asked.since)


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


def _require_same_models(name: str, truth: "Truth", policy_set: "PolicySet") -> None:
    from receiver.backtest.histories import BadHistory  # noqa: PLC0415
    from receiver.backtest.truth import require_same_models  # noqa: PLC0415

    try:
        require_same_models(truth, policy_set)
    except BadHistory as error:
        raise BadHistory(f"{name}: {error}") from None


def _save(history: "History", path: Path) -> None:
    from receiver.backtest.files import save  # noqa: PLC0415

    save(history, path)


def _load(path: Path) -> "Config":
    from receiver.config import ConfigError, load_config  # noqa: PLC0415

    try:
        return load_config(path)
    except ConfigError as error:
        raise AskError(str(error), FAILED) from None


def _policy_set(config: "Config") -> "PolicySet":
    from receiver.wiring import policy_set_of  # noqa: PLC0415

    return policy_set_of(config)


def _moment(text: str, option: str, now: datetime) -> datetime:
    try:
        return parse_time(text) if "T" in text.upper() else now - parse_duration(text)
    except ValueError:
        raise UsageError(f"{option} {text!r}: write 90d, 12h or 2026-11-22T09:14:00Z") from None


def _span(text: str, option: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def _cost(text: str) -> tuple[float, str]:
    match = COST.fullmatch(text)
    if match is None:
        raise UsageError(f"--cost {text!r}: write an amount and a unit, as 12USD")
    return float(match[1]), match[2] or "runs"


COLUMNS = ("name", "runs", "in_vain", "money", "bad_hours", "cost", "cost_to_oracle")


def _show(found: "Study", output: Format) -> None:
    told = found.as_json()
    rows = [*told["results"], *told["sweep"]]
    if output is Format.JSON:
        print_json(told)
    elif output is Format.CSV:
        print_csv(COLUMNS, [_flat(row) for row in rows])
    else:
        _table(told, rows)


def _table(told: dict[str, Any], rows: Sequence[dict[str, Any]]) -> None:
    screen = Screen()
    bound = told["oracle"]
    oracle = {
        "name": "clairvoyant oracle",
        "runs": bound["runs"],
        "in_vain": None,
        "money": None,
        "bad_hours": bound["bad_hours"],
        "cost": bound["cost"],
        "cost_to_oracle": 1.0,
        "held": {},
    }
    screen.line(
        f"{told['since'][:10]} to {told['until'][:10]}: {told['models']} models, "
        f"{told['spells']} spells, {told['bad_hours_untreated']:,.0f} bad hours if nobody did "
        "anything"
    )
    for line in told["runs"]:
        screen.line(visible(line))
    screen.line(f"an hour with a bad model costs {told['bad_hour']:g} {told['unit']}")
    screen.line()
    screen.table(TABLE, [*rows, oracle])
    for note in told["notes"]:
        warn(visible(f"note: {note}"))


def _number(heading: str, name: str) -> Column:
    return Column(heading, lambda row: _range(row[name]))


def _range(one: dict[str, float] | None) -> str:
    if one is None:
        return ""
    mean, low, high = one["mean"], one["low"], one["high"]
    return f"{mean:,.0f}" if low == high else f"{mean:,.0f} ({low:,.0f}-{high:,.0f})"


def _named(row: dict[str, Any] | Any) -> str:
    return visible(row["name"]) + (" *" if row.get("pareto") else "")


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _held(row: Any) -> str:
    return ", ".join(f"{rung} {hours:,.0f}" for rung, hours in row["held"].items() if hours >= 1)


TABLE = (
    Column("RULE", _named),
    _number("RUNS", "runs"),
    _number("IN VAIN", "in_vain"),
    _number("MONEY", "money"),
    _number("BAD HOURS", "bad_hours"),
    Column("COST", lambda row: f"{row['cost']:,.1f}"),
    Column("÷ ORACLE", lambda row: _ratio(row["cost_to_oracle"])),
    Column("BAD HOURS BY HOLD", _held),
)


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: row[name]["mean"] if isinstance(row[name], dict) else row[name] for name in COLUMNS
    }


def _lines(found: "Study") -> str:
    from receiver.json_text import encode  # noqa: PLC0415

    return "".join(
        encode(
            {
                "decided_at": stamp(one.decided_at),
                "source": one.source.value,
                "policy": one.policy,
                "model": one.model,
                "alertname": one.alertname,
                "fingerprint": one.fingerprint,
                "status": one.status.value if one.status else None,
                "starts_at": stamp(one.starts_at),
                "labels": dict(one.labels or {}),
                "reason": one.reason.value,
                "outcome": one.outcome.value,
                "detail": one.detail,
                "next_check_at": stamp(one.next_check_at),
            }
        )
        + "\n"
        for one in found.picture.log
    )


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise AskError(f"{path} can't be written: {error.strerror}", FAILED) from None


def _tell(text: str) -> None:
    """Progress, on a terminal only."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


def _now() -> datetime:
    # We look back from where we stand.
    return datetime.now(UTC)  # noqa: TID251
