"""The report: one HTML file with a timeline per model; it needs no network and no script."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from html import escape

from receiver.backtest.answers import DAYS, Range, Result
from receiver.backtest.curves import Curve
from receiver.backtest.replay import ReplayedRun
from receiver.backtest.study import Study
from receiver.core.durations import show_duration

MOST_MODELS = 100
WIDTH, HEIGHT, BAR, CURVE = 960, 34, 14, 40

COLOURS = {
    "unheard": "#8c8c8c",
    "in_flight": "#3b82c4",
    "cooldown": "#e0a030",
    "window": "#9b6fc3",
    "storm": "#2f9e8f",
    "exhausted": "#c2453d",
    "budget": "#b5651d",
    "approval": "#d06fa0",
    "stale": "#b0b0b0",
    "observed": "#7f9f3f",
}
OTHER = "#666666"

STYLE = (
    """
body{font:15px/1.45 system-ui,sans-serif;max-width:1100px;margin:2rem auto;padding:0 1rem;
color:#1c1c1c;background:#fff}
table{border-collapse:collapse;margin:1rem 0;width:100%}
th,td{text-align:right;padding:.3rem .6rem;border-bottom:1px solid #ddd;vertical-align:top}
th:first-child,td:first-child{text-align:left}
small,.quiet{color:#595959}
svg{display:block;max-width:100%}
.key span{display:inline-block;margin-right:1rem;white-space:nowrap}
.key i{display:inline-block;width:.9em;height:.9em;margin-right:.3em;vertical-align:-.1em}
.model{margin:.6rem 0 0}
"""
    + "".join(f".of-{rung}{{background:{colour}}}\n" for rung, colour in COLOURS.items())
    + f".of-other{{background:{OTHER}}}\n"
)
"""All of it in one element: a page that serves the report allows this text and no other style."""


def report(study: Study, made_at: datetime) -> str:
    """The whole page."""
    truth = study.setting.truth
    title = f"Backtest {truth.since:%Y-%m-%d} to {truth.until:%Y-%m-%d}"
    parts = [
        "<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width'>",
        f"<title>{title}</title><style>{STYLE}</style></head><body>",
        f"<h1>{title}</h1>",
        _summary(study),
        *(f"<p class='quiet'>{escape(note)}</p>" for note in study.notes),
        _table("Policies", study, study.results),
    ]
    if study.sweep:
        parts += [_table("Sweep (* is on the Pareto line)", study, study.sweep), _pareto(study)]
    parts += [
        _peaks(study),
        *_timelines(study),
        f"<p><small>made {made_at:%Y-%m-%d %H:%M} UTC</small></p>",
    ]
    return "\n".join([*parts, "</body></html>", ""])


def _summary(study: Study) -> str:
    truth, usual = study.setting.truth, study.setting.runs.usual
    return (
        f"<p>{len(truth.spells)} models, {sum(map(len, truth.spells.values()))} spells, "
        f"{truth.bad_hours:,.0f} bad hours if nobody did anything; {escape(str(usual))}; an hour "
        f"with a bad model costs {study.bad_hour:g} {escape(usual.unit)}. Ranges hold nine of ten "
        f"of {study.results[0].draws} draws.</p>"
    )


def _table(heading: str, study: Study, results: Sequence[Result]) -> str:
    rows = "".join(_row(study, one) for one in results)
    bound = study.oracle
    oracle = (
        f"<tr><td>clairvoyant oracle</td><td>{_range(bound.runs)}</td><td>0</td><td></td>"
        f"<td>{_range(bound.bad_hours)}</td><td>{bound.cost:,.1f}</td><td>1.00</td></tr>"
    )
    heads = ("", "runs", "in vain", "money", "bad hours", "cost", "÷ oracle")
    head = "".join(f"<th>{name}</th>" for name in heads)
    return f"<h2>{heading}</h2><table><tr>{head}</tr>{rows}{oracle}</table>"


def _row(study: Study, one: Result) -> str:
    star = " *" if one.name in study.pareto else ""
    ratio = study.to_oracle(one)
    shown = "-" if ratio is None else f"{ratio:.2f}"
    held = ", ".join(f"{rung} {hours:,.0f} h" for rung, hours in one.held.items() if hours >= 1)
    cells = (
        f"{escape(one.name)}{star}<br><small>{escape(held)}</small>",
        _range(one.runs),
        _range(one.in_vain),
        _range(one.money),
        _range(one.bad_hours),
        f"{one.cost(study.bad_hour):,.1f}",
        shown,
    )
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _range(one: Range) -> str:
    return f"{one.mean:,.0f}<br><small>{one.low:,.0f}&ndash;{one.high:,.0f}</small>"


def _pareto(study: Study) -> str:
    """Money against bad hours; the line joins what nothing beats in both."""
    points = sorted((one.money.mean, one.bad_hours.mean, one.name) for one in study.sweep)
    most_money = max(money for money, _, _ in points) or 1
    most_hours = max(hours for _, hours, _ in points) or 1

    def place(money: float, hours: float) -> tuple[float, float]:
        return 50 + 480 * money / most_money, 260 - 230 * hours / most_hours

    line = " ".join(
        "{:.1f},{:.1f}".format(*place(money, hours))
        for money, hours, name in points
        if name in study.pareto
    )
    dots = "".join(
        f"<circle cx='{x:.1f}' cy='{y:.1f}' r='4' fill='#3b82c4'/>"
        f"<text x='{x + 7:.1f}' y='{y - 5:.1f}' font-size='12'>{escape(name)}</text>"
        for money, hours, name in points
        for x, y in [place(money, hours)]
    )
    return (
        "<svg viewBox='0 0 640 300' width='640' role='img' aria-label='money against bad hours'>"
        "<path d='M50 20V260H620' fill='none' stroke='#888'/>"
        f"<polyline points='{line}' fill='none' stroke='#c2453d'/>{dots}"
        "<text x='560' y='285' font-size='12'>money</text>"
        "<text x='8' y='15' font-size='12'>bad hours</text></svg>"
    )


def _peaks(study: Study) -> str:
    rows = "".join(
        f"<tr><td>{escape(name)}</td>"
        + "".join(f"<td>{most}</td>" for most in (*one.in_span.values(), one.at_once))
        + "</tr>"
        for name, one in study.peaks.items()
    )
    heads = "".join(f"<th>most in {days}d</th>" for days in DAYS)
    return (
        "<h2>What a limit must allow</h2><p class='quiet'>Runs in the first draw: a budget that "
        f"is not lower would have held none of them.</p><table><tr><th>policy</th>{heads}"
        f"<th>most at once</th></tr>{rows}</table>"
    )


def _timelines(study: Study) -> Iterator[str]:
    """A picture per model of the first policy's first draw, the worst models first."""
    models = study.results[0].models
    worst = sorted(models, key=lambda name: (-models[name].bad_hours, name))
    shown = worst[:MOST_MODELS]
    yield f"<h2>Models under {escape(study.results[0].name)}</h2>"
    rungs = sorted({held for _, held, _, _ in study.picture.stretches})
    key = "".join(
        f"<span><i class='of-{rung if rung in COLOURS else 'other'}'></i>{escape(rung)}</span>"
        for rung in rungs
    )
    yield f"<p class='key'>{key}<span>▲ a run that helped</span><span>△ a run in vain</span></p>"
    if len(worst) > len(shown):
        yield f"<p class='quiet'>The {MOST_MODELS} worst of {len(worst)} models.</p>"
    stretches: dict[str, list[tuple[str, datetime, datetime]]] = {}
    for model, held, began, ended in study.picture.stretches:
        stretches.setdefault(model, []).append((held, began, ended))
    runs: dict[str, list[ReplayedRun]] = {}
    for run in study.picture.drawn_runs:
        runs.setdefault(run.model, []).append(run)
    for name in shown:
        yield _timeline(study, name, stretches.get(name, []), runs.get(name, []))


def _timeline(
    study: Study,
    name: str,
    stretches: Sequence[tuple[str, datetime, datetime]],
    runs: Sequence[ReplayedRun],
) -> str:
    truth, curve = study.setting.truth, study.curves.get(name, ())

    def x(moment: datetime) -> float:
        return WIDTH * ((moment - truth.since) / truth.span)

    bars = "".join(
        f"<rect x='{x(began):.1f}' y='16' width='{max(x(ended) - x(began), 0.7):.1f}' "
        f"height='{BAR}' fill='{COLOURS.get(held, OTHER)}'><title>{escape(held)} for "
        f"{show_duration(ended - began)} from {began:%Y-%m-%d %H:%M} UTC</title></rect>"
        for held, began, ended in stretches
    )
    marks = "".join(_mark(x(run.began), run) for run in runs)
    hours = sum(((ended - began) for _, began, ended in stretches), timedelta(0))
    said = f"{len(runs)} runs, bad for {show_duration(hours)}"
    over = CURVE if curve else 0
    return (
        f"<p class='model'>{escape(name)} <small>{said}</small></p>"
        f"<svg viewBox='0 {-over} {WIDTH} {HEIGHT + over}' width='{WIDTH}' role='img' "
        f"aria-label='{escape(name)}: {said}'>{_drawn(curve, x)}"
        f"<path d='M0 {16 + BAR}H{WIDTH}' stroke='#bbb'/>{bars}{marks}</svg>"
    )


def _drawn(curve: Curve, x: Callable[[datetime], float]) -> str:
    """The metric over a timeline, from its least to its greatest value."""
    if not curve:
        return ""
    values = [value for _, value in curve]
    least, most = min(values), max(values)
    scale = (CURVE - 6) / ((most - least) or 1)
    points = " ".join(f"{x(at):.1f},{-3 - scale * (value - least):.1f}" for at, value in curve)
    return (
        f"<polyline points='{points}' fill='none' stroke='#595959'><title>the metric, from "
        f"{least:.4g} to {most:.4g}</title></polyline>"
    )


def _mark(x: float, run: ReplayedRun) -> str:
    fill = "#1f7a3a" if run.helped else "none"
    word = "helped" if run.helped else "in vain"
    return (
        f"<path d='M{x:.1f} 4l4 9h-8z' fill='{fill}' stroke='#1f7a3a'>"
        f"<title>run of {show_duration(run.ended - run.began)} from {run.began:%Y-%m-%d %H:%M} "
        f"UTC: {word}</title></path>"
    )
