"""Prints one decision, explanation or dispatch in full, and lists."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from receiver.cli.client import MOST_ROWS
from receiver.cli.options import Format
from receiver.cli.output import (
    STYLES,
    Column,
    Screen,
    clock,
    column,
    moment,
    print_csv,
    print_json,
    shown,
    visible,
    warn,
)

TRANSITION_TABLE = (
    moment("TIME (UTC)", "at"),
    column("STATE", "state", style_by="state"),
    column("BY", "actor"),
    column("DETAIL", "detail", cuts=True),
)
ATTEMPT_TABLE = (
    column("ATTEMPT", "number"),
    moment("BEGUN (UTC)", "begun_at"),
    moment("ENDED (UTC)", "ended_at"),
    column("FAILURE", "failure", style_by="failure"),
    column("STATUS", "status_code"),
    column("DETAIL", "detail", cuts=True),
)
RUN_TABLE = (
    moment("CREATED (UTC)", "created_at"),
    column("DISPATCH", "id"),
    column("STATE", "state", style_by="state"),
    column("RUN", "run_id"),
    column("EFFECT", "effect", style_by="effect"),
    column("VERDICT", "verdict"),
    column("DETAIL", "detail", cuts=True),
)

LAST_RUNS = 5


def show_list(page: Mapping[str, Any], name: str, output: Format, table: Sequence[Column]) -> None:
    """Show a page of a list; as CSV every field that the API has."""
    if output is Format.JSON:
        print_json(page)
        return
    if output is Format.CSV:
        from receiver.web.shapes.lists import FIELDS  # noqa: PLC0415  policies are slow to load

        print_csv(FIELDS[name], page[name])
    else:
        Screen().table(table, page[name])
    hint_at_more(page)


def hint_at_more(page: Mapping[str, Any]) -> None:
    """Say, beside the answer, that it is not all."""
    if page["next_cursor"] is not None:
        warn(f"there are more: --all, or --limit up to {MOST_ROWS}")


def show_decision(decision: Mapping[str, Any], output: Format) -> None:
    """Show one decision with the rungs up to the one that decided, and the alert as it came."""
    if output is not Format.TABLE:
        _print_one(decision, output, nested=("gates", "alert"))
        return
    screen = Screen()
    _headline(screen, decision)
    screen.line()
    screen.facts(
        [
            ("decision", shown(decision["id"])),
            ("time", f"{clock(decision['decided_at'])} UTC"),
            ("source", shown(decision["source"])),
            ("by", shown(decision["actor"])),
            ("model", shown(decision["model"])),
            ("policy", shown(decision["policy"])),
            ("alert", shown(decision["alertname"])),
            ("status", shown(decision["status"])),
            ("value", _value(decision)),
            ("labels", shown(decision["labels"])),
            ("fingerprint", shown(decision["fingerprint"])),
            ("next check", _utc(decision["next_check_at"])),
            ("dispatch", shown(decision["dispatch_id"])),
            ("notification", shown(decision["notification_id"])),
        ]
    )
    _rungs(screen, decision["gates"])
    if decision["alert"] is not None:
        screen.line()
        screen.line("the alert as it came:")
        screen.line(json.dumps(decision["alert"], indent=2))


def show_act(decision: Mapping[str, Any], output: Format) -> None:
    """Show the decision that an operator's act left."""
    if output is not Format.TABLE:
        _print_one(decision, output, nested=("gates", "alert"))
        return
    screen = Screen()
    _headline(screen, decision)
    screen.line(f"decision {shown(decision['id'])}")
    if decision["dispatch_id"] is not None:
        screen.line(f"see: retrain-receiver dispatches {shown(decision['dispatch_id'])}")


def show_explanation(model: Mapping[str, Any], output: Format) -> None:
    """Show what holds a model, in the API's own words, and when it is tried next."""
    explained = model["explain"]
    if output is Format.JSON:
        print_json(model)
        return
    if output is Format.CSV:
        print_csv(("rung", "applies", "detail", "until"), explained["gates"])
        return
    screen = Screen()
    state = shown(model["state"])
    screen.line(f"model {shown(model['model'])}: {state}", STYLES.get(state, ""))
    screen.line(visible(explained["detail"]))
    _rungs(screen, explained["gates"])
    screen.line()
    screen.facts(
        [
            ("held by", shown(explained["holds"]) or "nothing"),
            ("next attempt", _utc(explained["next_check_at"]) or _no_attempt(model)),
            ("policy", shown(model["policy"])),
            *(("firing", _firing(alert)) for alert in model["firing_alerts"]),
        ]
    )
    if model["runs"]:
        screen.line()
        screen.table(RUN_TABLE, model["runs"][:LAST_RUNS])


def show_dispatch(dispatch: Mapping[str, Any], output: Format) -> None:
    """Show one dispatch with every transition and attempt."""
    if output is not Format.TABLE:
        _print_one(dispatch, output, nested=("attempts", "transitions"))
        return
    screen = Screen()
    state = shown(dispatch["state"])
    screen.line(f"dispatch {shown(dispatch['id'])}: {state}", STYLES.get(state, ""))
    screen.line(visible(dispatch["detail"]))
    screen.line()
    screen.facts(
        [
            ("model", shown(dispatch["model"])),
            ("policy", shown(dispatch["policy"])),
            ("target", f"{shown(dispatch['target'])} ({shown(dispatch['kind'])})"),
            ("place", shown(dispatch["place"])),
            ("inputs", shown(dispatch["inputs"])),
            ("run", shown(dispatch["run_id"])),
            ("run page", shown(dispatch["run_url"])),
            ("decision", shown(dispatch["decision_id"])),
            ("ordered", "by an operator" if dispatch["ordered"] else ""),
            ("verdict", shown(dispatch["verdict"])),
            ("metrics", shown(dispatch["metrics"])),
            ("report", shown(dispatch["report_detail"])),
            (
                "effect",
                " ".join([shown(dispatch["effect"]), _utc(dispatch["recovered_at"])]).strip(),
            ),
        ]
    )
    screen.line()
    screen.table(TRANSITION_TABLE, dispatch["transitions"])
    if dispatch["attempts"]:
        screen.line()
        screen.table(ATTEMPT_TABLE, dispatch["attempts"])


def _print_one(one: Mapping[str, Any], output: Format, *, nested: Iterable[str]) -> None:
    if output is Format.JSON:
        print_json(one)
    else:
        print_csv([name for name in one if name not in nested], [one])


def _headline(screen: Screen, decision: Mapping[str, Any]) -> None:
    reason, detail = shown(decision["reason"]), visible(decision["detail"])
    screen.line(f"{reason}: {detail}", STYLES.get(decision["outcome"], ""))


def _rungs(screen: Screen, gates: Sequence[Mapping[str, Any]]) -> None:
    """✓ lets an alert pass, ✗ holds it."""
    if not gates:
        return
    screen.line()
    width = max(len(gate["rung"]) for gate in gates)
    for gate in gates:
        stops = gate["applies"] and gate["rung"] != "triggered"
        mark, style = ("✗", "yellow") if stops else ("✓", "green")
        rung = f"{shown(gate['rung']):<{width}}"
        screen.line(f"{mark} {rung}  {visible(gate['detail'])}", style)


def _value(decision: Mapping[str, Any]) -> str:
    """A resolved alert still carries its last firing value, which is no recovered one."""
    if decision["value"] is None:
        return ""
    last = decision["status"] == "resolved"
    return f"{'last seen firing ' if last else ''}{shown(decision['value'])}"


def _firing(alert: Mapping[str, Any]) -> str:
    value = "" if alert["value"] is None else f", value {shown(alert['value'])}"
    return f"{shown(alert['alertname'])} since {clock(alert['starts_at'])} UTC{value}"


def _no_attempt(model: Mapping[str, Any]) -> str:
    return "when this changes" if model["firing_alerts"] else "none: no alert fires"


def _utc(stamp: str | None) -> str:
    return "" if stamp is None else f"{clock(stamp)} UTC"
