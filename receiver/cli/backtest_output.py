"""What the command `backtest` prints and writes: tables, JSON, decisions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from receiver.cli.options import Format
from receiver.cli.output import Column, Screen, print_csv, print_json, visible, warn
from receiver.core.times import stamp

if TYPE_CHECKING:  # as in the command itself
    from receiver.backtest.study import Study

COLUMNS = ("name", "runs", "in_vain", "money", "bad_hours", "cost", "cost_to_oracle")


def show(found: Sequence["Study"], output: Format) -> None:
    """What was found, as it was asked for: of a pair of assumptions one after the other."""
    told = [one.as_json() for one in found]
    if output is Format.JSON:
        print_json(told[0] if len(told) == 1 else {"pair": told})
    elif output is Format.CSV:
        print_csv(COLUMNS, [_flat(row) for one in told for row in _rows(one)])
    else:
        for number, one in enumerate(told):
            _table(one, _rows(one), number=number)
        for note in dict.fromkeys(note for one in told for note in one["notes"]):
            warn(visible(f"note: {note}"))


def _rows(told: dict[str, Any]) -> list[dict[str, Any]]:
    return [*told["results"], *told["sweep"]]


def _table(told: dict[str, Any], rows: Sequence[dict[str, Any]], *, number: int) -> None:
    screen = Screen()
    if number:
        screen.line()
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
    screen.line()
    for name, peak in told["peaks"].items():
        screen.line(f"{visible(name)} in the first draw: {_peak(peak)}")


def _peak(peak: dict[str, Any]) -> str:
    spans = ", ".join(f"{most} in {days}d" for days, most in peak["in_span"].items())
    return f"at most {spans}, {peak['at_once']} at once; a budget that is not lower holds none"


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


def decision_lines(found: "Study") -> str:
    """Each decision of the first draw, as JSON."""
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
