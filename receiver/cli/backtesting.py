"""The command `backtest`: what policies would have done with a history of alerts."""

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from receiver.cli.backtest_histories import (
    Asked,
    curves_asked_for,
    history_asked_for,
    save_history,
    tell,
)
from receiver.cli.backtest_output import decision_lines, show
from receiver.cli.client import FAILED, AskError, UsageError
from receiver.cli.epilog import examples
from receiver.cli.options import Format, Output
from receiver.cli.upstream import PrometheusToken
from receiver.core.durations import parse_duration
from receiver.core.times import parse_time

if TYPE_CHECKING:  # pydantic and YAML are slow to load; other commands need neither
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
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="EXPR", help="Draw it over each timeline; with --prometheus, --html."
        ),
    ] = None,
    save: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep the history, for --alerts.")
    ] = None,
    run_duration: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="How long a run takes; usual: 40m. Two are a pair."),
    ] = None,
    helps: Annotated[
        str | None,
        typer.Option(metavar="CHANCE", help="That a run helps; usual: 0.8. Two are a pair."),
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
    route_file: Annotated[
        Path | None,
        typer.Option(
            "--route", metavar="FILE", help="Alertmanager's configuration, for grouping."
        ),
    ] = None,
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
        metric=metric,
        save=save,
    )
    amount, unit = _cost(cost)
    usual = [
        RunModel((took,), chance, amount, unit, _span(shows_after, "--shows-after"))
        for took, chance in _pair(run_duration, helps)
    ]
    route = Route(
        group_wait=_span(group_wait, "--group-wait"),
        group_interval=_span(group_interval, "--group-interval"),
        repeat_interval=_span(repeat_interval, "--repeat-interval"),
        group_by=None if group_by is None else tuple(filter(None, group_by.split(","))),
    )
    if no_grouping:
        route = replace(UNGROUPED, repeat_interval=route.repeat_interval)
    loaded = _load(config)
    policies = _policies([config, *(against or [])])
    first = next(iter(policies.values()))
    try:
        history = history_asked_for(asked, loaded)
        if save is not None:
            save_history(history, save)
        truth, notes = truth_of(history, first)
        if route_file is not None:
            from receiver.backtest.user_route import route_in  # noqa: PLC0415

            route, more = route_in(route_file, history)
            notes += more
        given = run_duration is not None or helps is not None
        runs = [RunModels(one) if given else learned(one, history.runs) for one in usual]
        changed = swept(first, sweep) if sweep is not None else None
        for name, other in policies.items():
            _require_same_models(name, truth, other)
        curves = curves_asked_for(asked, truth, first)
    except BadHistory as error:
        raise AskError(str(error), FAILED) from None
    found = [
        study(
            policies,
            Setting(truth, route, one, draws=draws, seed=seed),
            bad_hour=amount / PATIENCE if bad_hour is None else bad_hour,
            notes=(*history.notes, *notes),
            changed=changed,
            curves=curves,
            keeps_log=decisions is not None,
            workers=min(os.cpu_count() or 1, 4),
            progress=lambda what: tell(f"replaying {what} …"),
        )
        for one in runs
    ]
    tell("")
    if html is not None:
        from receiver.backtest.report import report  # noqa: PLC0415

        _write(html, report(found[0], now))
    if decisions is not None:
        _write(decisions, decision_lines(found[0]))
    show(found, output)


def _require_same_models(name: str, truth: "Truth", policy_set: "PolicySet") -> None:
    from receiver.backtest.histories import BadHistory  # noqa: PLC0415
    from receiver.backtest.truth import require_same_models  # noqa: PLC0415

    try:
        require_same_models(truth, policy_set)
    except BadHistory as error:
        raise BadHistory(f"{name}: {error}") from None


def _load(path: Path) -> "Config":
    from receiver.config import ConfigError, load_config  # noqa: PLC0415

    try:
        return load_config(path)
    except ConfigError as error:
        raise AskError(str(error), FAILED) from None


def _policy_set(config: "Config") -> "PolicySet":
    from receiver.wiring import policy_set_of  # noqa: PLC0415

    return policy_set_of(config)


def _policies(paths: Sequence[Path]) -> "dict[str, PolicySet]":
    """Each by its file's name, or by its path where two files have one name."""
    names = [path.name for path in paths]
    return {
        str(path) if names.count(path.name) > 1 else path.name: _policy_set(_load(path))
        for path in paths
    }


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


def _pair(took: str | None, helps: str | None) -> "list[tuple[timedelta, float]]":
    """What is assumed of runs: once, or twice where one of both has two values."""
    from receiver.backtest.runs import HELPS, USUAL  # noqa: PLC0415

    spans = [USUAL] if took is None else [_span(one, "--run-duration") for one in took.split(",")]
    chances = [HELPS] if helps is None else [_chance(one) for one in helps.split(",")]
    many = max(len(spans), len(chances))
    if many > 2 or not {len(spans), len(chances)} <= {1, many}:  # noqa: PLR2004  a pair
        raise UsageError("--run-duration and --helps take one value, or two: 30m,2h and 0.9,0.5")
    return [(spans[n % len(spans)], chances[n % len(chances)]) for n in range(many)]


def _chance(text: str) -> float:
    try:
        chance = float(text)
    except ValueError:
        chance = -1
    if not 0 <= chance <= 1:
        raise UsageError(f"--helps {text!r}: write a chance from 0 to 1, as 0.8")
    return chance


def _cost(text: str) -> tuple[float, str]:
    match = COST.fullmatch(text)
    if match is None:
        raise UsageError(f"--cost {text!r}: write an amount and a unit, as 12USD")
    return float(match[1]), match[2] or "runs"


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise AskError(f"{path} can't be written: {error.strerror}", FAILED) from None


def _now() -> datetime:
    # We look back from where we stand.
    return datetime.now(UTC)  # noqa: TID251
