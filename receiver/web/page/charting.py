"""Reads what a model's chart shows: from the log, and between deliveries from Prometheus.

The store is read in one transaction, which is over before Prometheus is asked; an answer that does
not come is told in a sentence, and the chart is drawn without it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from receiver.core.alerts import AlertStatus, Source
from receiver.core.decisions import Reason
from receiver.core.expressions import of_labels
from receiver.core.models import Pause, PauseScope
from receiver.core.policies import Policy
from receiver.core.ports import ValueSource
from receiver.core.run_ends import Effect, RunEnd
from receiver.core.tenants import Tenant
from receiver.core.times import read_clock_time
from receiver.store.store import Store
from receiver.store.views.charts import PastDecision
from receiver.store.views.page import PastRun
from receiver.store.views.view import View
from receiver.web.page.annotations import NOTHING, Hearsay, Told
from receiver.web.page.chart import Chart, Hold, Range, Series, ShownRun, draw
from receiver.web.page.labels import ago, number
from receiver.web.page.sparkline import Point
from receiver.web.page.value_answers import UNSET, Answer, ValueAnswers

MOST_SERIES = 3
MOST_RUNS = 200
DELIVERIES = frozenset({Source.ALERTMANAGER.value, Source.POLL.value})
"""Who brings a new value: the timer only repeats the last one."""

REPEATS = frozenset({Reason.DUPLICATE.value, Reason.STALE.value})
"""Decisions that say nothing of what holds a model."""

PAUSED = re.compile(
    r"model \S+ paused until (resumed|(?:\d{4}-\d\d-\d\d )?\d\d:\d\d UTC) by ", re.ASCII
)
"""So a decision begins that an operator's pause of a model left."""

HOLDS = {Reason.PAUSED.value: "paused", Reason.SILENCED.value: "silenced"}


@dataclass(frozen=True, slots=True)
class Facts:
    """What the store knows of a model's last hours or days.

    Attributes:
        labels: Those that name it.
        told: What its alerts told last, by name.

    """

    now: datetime
    labels: Mapping[str, str]
    rows: Sequence[PastDecision]
    runs: Sequence[ShownRun]
    holds: Sequence[Hold]
    told: Mapping[str, Told]


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a value is good now, in words; `side` is `good`, `bad` or empty."""

    words: str
    side: str = ""


@dataclass(frozen=True, slots=True)
class ShownSeries:
    """One alert's values, with what is said beside their drawing.

    Attributes:
        about: Where threshold and line come from, or why one is missing.

    """

    series: Series
    standing: Standing
    about: Sequence[str]


@dataclass(frozen=True, slots=True)
class ShownChart:
    """A chart and the same facts as text."""

    wanted: Range
    chart: Chart
    series: Sequence[ShownSeries]
    runs: Sequence[ShownRun]
    holds: Sequence[Hold]


class Charting:
    """Makes charts; remembers for a moment what Prometheus said."""

    def __init__(self, store: Store, hearsay: Hearsay, answers: ValueAnswers) -> None:
        self._store = store
        self._hearsay = hearsay
        self._answers = answers

    def of(
        self,
        name: str,
        wanted: Range,
        source: ValueSource | None,
        policy: Policy | None,
        tenant: Tenant | None = None,
    ) -> ShownChart | None:
        """A model's chart; None if nothing named it yet, or it is not the tenant's."""
        facts = self._facts(name, wanted, policy, tenant)
        if facts is None:
            return None
        names = _names(facts)
        shown = []
        asking = self._answers.asking(source, wanted, facts.now)
        for each in names[:MOST_SERIES]:
            told = facts.told.get(each, NOTHING)
            measured = told.comparison and of_labels(told.comparison.measured, facts.labels)
            answer = asking.of(measured) if measured else Answer(why=_unasked(source, told))
            shown.append(_shown(_series(each, facts, told, answer, wanted), told, answer, facts))
        series = [one.series for one in shown]
        begin = facts.now - wanted.span
        return ShownChart(
            wanted=wanted,
            chart=draw(wanted, facts.now, series, facts.runs, facts.holds),
            series=shown,
            runs=[one for one in facts.runs if (one.ended_at or facts.now) >= begin],
            holds=[one for one in facts.holds if (one.end or facts.now) >= begin],
        )

    def _facts(
        self, name: str, wanted: Range, policy: Policy | None, tenant: Tenant | None
    ) -> Facts | None:
        with self._store.view(tenant) as view:
            model, now = view.models.find(name), view.now
            if model is None:
                return None
            rows = view.charts.sampled(name, now - wanted.span, wanted.slot)
            pauses = view.models.pauses()
            told = self._told(view, rows)
            runs = view.page.last_runs([name], MOST_RUNS)[name]
            ends = view.dispatches.ends([run.id for run in runs])
        of_model = [one for one in pauses if _is_of(one, name, policy.name if policy else None)]
        return Facts(
            now=now,
            labels=model.labels,
            rows=rows,
            runs=[_run(run, ends.get(run.id), now) for run in reversed(runs)],
            holds=holds_of(rows, of_model, now),
            told=told,
        )

    def _told(self, view: View, rows: Sequence[PastDecision]) -> Mapping[str, Told]:
        """What the last delivery of each alert told."""
        places = {
            row.alertname: (row.seen_in, row.position or 0)
            for row in rows
            if row.seen_in is not None
        }
        return self._hearsay.at(view, dict(list(places.items())[-2 * MOST_SERIES :]))


def _is_of(pause: Pause, model: str, policy: str | None) -> bool:
    if pause.scope is PauseScope.EVERYTHING:
        return True
    return pause.name == (model if pause.scope is PauseScope.MODEL else policy)


def _run(run: PastRun, end: RunEnd | None, now: datetime) -> ShownRun:
    effect = end.effect(now) if end else None
    recovered = end.recovered_at if end and effect is Effect.RECOVERED else None
    return ShownRun(
        run.id, run.state, run.created_at, run.ended_at, effect.value if effect else "", recovered
    )


def holds_of(
    rows: Sequence[PastDecision], pauses: Sequence[Pause], now: datetime
) -> Sequence[Hold]:
    """When a model was paused or silenced, as far as the log and the present pauses tell.

    A hold that the log tells lasts until something else was decided, or until it was to end.
    """
    found = [
        Hold("paused", one.since, one.until if _over(one.until, now) else None) for one in pauses
    ]
    last: Hold | None = None
    for row in rows:
        hold = _hold_told(row)
        if hold is None and row.reason in REPEATS:
            continue
        goes_on = last is not None and (last.end is None or row.decided_at <= last.end)
        if last is not None and hold is not None and goes_on and last.kind == hold.kind:
            last = replace(last, end=hold.end)
            continue
        if last is not None:
            found.append(_ended(last, row.decided_at))
        last = hold
    if last is not None:
        found.append(replace(last, end=last.end if _over(last.end, now) else None))
    return _joined(found)


def _hold_told(row: PastDecision) -> Hold | None:
    """The hold that a decision tells of, with the end that it was to have."""
    paused = PAUSED.match(row.detail) if row.reason == Reason.OPERATOR.value else None
    if paused is not None:
        until = read_clock_time(paused[1], row.decided_at)
        return Hold("paused", row.decided_at, until)
    kind = HOLDS.get(row.reason)
    return Hold(kind, row.decided_at, row.next_check_at) if kind else None


def _over(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment <= now


def _ended(hold: Hold, at: datetime) -> Hold:
    return replace(hold, end=at if hold.end is None else min(hold.end, at))


def _joined(holds: Sequence[Hold]) -> Sequence[Hold]:
    """Holds of one kind that overlap are one: a pause is told by itself, and by what it held."""
    found: list[Hold] = []
    for hold in sorted(holds, key=lambda one: (one.kind, one.begin)):
        last = found[-1] if found else None
        if (
            last is None
            or last.kind != hold.kind
            or (last.end is not None and hold.begin > last.end)
        ):
            found.append(hold)
        elif last.end is not None:
            found[-1] = replace(last, end=None if hold.end is None else max(last.end, hold.end))
    return sorted(found, key=lambda one: one.begin)


def _names(facts: Facts) -> Sequence[str]:
    """The alerts that brought values, the one that was heard of last first."""
    return list(dict.fromkeys(row.alertname for row in reversed(facts.rows) if _is_delivery(row)))


def _is_delivery(row: PastDecision) -> bool:
    """Whether it brought a value of that time: `resolved` brings the last that was seen firing."""
    return (
        row.value is not None
        and row.source in DELIVERIES
        and row.status == AlertStatus.FIRING.value
    )


def _series(name: str, facts: Facts, told: Told, answer: Answer, wanted: Range) -> Series:
    return Series(
        name=name,
        delivered=[
            Point(row.decided_at, row.value)
            for row in facts.rows
            if row.alertname == name and row.value is not None and _is_delivery(row)
        ],
        between=answer.points,
        step=wanted.slot,
        ended=[
            row.decided_at
            for row in facts.rows
            if row.alertname == name and row.status == AlertStatus.RESOLVED.value
        ],
        threshold=told.threshold,
        comparison=told.comparison,
    )


def _shown(series: Series, told: Told, answer: Answer, facts: Facts) -> ShownSeries:
    about = []
    if told.threshold is not None:
        about.append(f"Threshold {number(told.threshold)}, from {told.threshold_from}.")
    about.append(answer.why or "The line is what Prometheus says, the dots are deliveries.")
    return ShownSeries(series, _standing(series, answer, facts.now), about)


def _standing(series: Series, answer: Answer, now: datetime) -> Standing:
    """Whether the model is good now, and how that is known."""
    if answer.points and now - answer.points[-1].at < max(series.step, timedelta(minutes=5)):
        return _judged(series, answer.points[-1].value, "now")
    asked = "Prometheus has no value of now; " if answer.asked else ""
    last = series.delivered[-1]
    return _judged(series, last.value, f"when last delivered, {ago(last.at, now)}", asked)


def _judged(series: Series, value: float, when: str, before: str = "") -> Standing:
    words = f"{before}{number(value)} {when}"
    if series.comparison is None:
        return Standing(words)
    bad = series.comparison.is_bad(value)
    far = "above" if series.comparison.bad_above else "below"
    limit = number(series.comparison.threshold)
    return Standing(
        f"{words}: {'bad' if bad else 'good'}, {far if bad else 'not ' + far} {limit}",
        "bad" if bad else "good",
    )


def _unasked(source: ValueSource | None, told: Told) -> str:
    """Why Prometheus was not asked."""
    if source is None:
        return UNSET
    if told.comparison is None:
        return (
            "Between deliveries nobody knows: the alert's link to Prometheus holds no comparison "
            "with a number."
        )
    return "Between deliveries nobody knows: no label that names the model can be asked for."
