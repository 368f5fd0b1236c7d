"""Reads a history from a file: Prometheus' answers, Alertmanager's exports, our own log."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from receiver.backtest.histories import BadHistory, Firing, History, history_of, joined
from receiver.backtest.log_history import LogEntry, history_from_log
from receiver.backtest.samples import Samples, usual_step
from receiver.core.policies import shown
from receiver.core.times import parse_time, stamp
from receiver.json_text import decode

LARGEST = 128 * 1024 * 1024
"""Bytes of one file: read as JSON it takes several times as much memory."""

KINDS = (
    "an answer of Prometheus' /api/v1/query_range?query=ALERTS, of Alertmanager's /api/v2/alerts "
    "(`amtool alert query -o json`), or our own log (`curl -H 'Accept: application/x-ndjson' "
    "…/decisions`)"
)

SAVED = "retrain_receiver_history"
"""The first key of a file that `--save` wrote."""


def read_files(paths: Sequence[Path]) -> History:
    """One history from all files. Raises `BadHistory`."""
    return joined([read_file(path) for path in paths])


def read_file(path: Path) -> History:
    """The history in a file, whatever kind it is. Raises `BadHistory`."""
    try:
        if path.stat().st_size > LARGEST:
            raise BadHistory(f"{path} is longer than 128 MiB: export it in parts, one file each")
        text = path.read_text("utf-8", errors="replace").strip()
    except OSError as error:
        raise BadHistory(f"{path} can't be read: {error.strerror}") from None
    try:
        return _history(text)
    except BadHistory as error:
        raise BadHistory(f"{path}: {error}") from None


def _history(text: str) -> History:
    if not text:
        raise BadHistory(f"it is empty; give {KINDS}")
    if text[0] == "<":
        raise BadHistory(
            "it is a web page, perhaps of Grafana or of a log-in before it: ask the API of "
            f"Prometheus itself, and give {KINDS}"
        )
    body = _decoded(text)
    for reads, read in READERS:
        if reads(body):
            try:
                return read(body)
            except (AttributeError, LookupError, TypeError, ValueError) as error:
                if isinstance(error, BadHistory):
                    raise
                raise BadHistory(f"it is damaged ({error}); export it again") from None
    raise BadHistory(f"it begins with {shown(text, 40)} and is no history; give {KINDS}")


def _decoded(text: str) -> Any:
    """JSON, or one object a line as a list of our decisions."""
    try:
        return decode(text)
    except ValueError:
        pass
    lines = text.splitlines()
    try:
        return {"decisions": [decode(line) for line in lines if line.strip()]}
    except ValueError:
        raise BadHistory(
            f"it begins with {shown(text, 40)} and is neither JSON nor a JSON object a line; give "
            f"{KINDS}"
        ) from None


def _is_prometheus(body: Any) -> bool:
    return isinstance(body, dict) and body.get("status") in {"success", "error"}


def _from_prometheus(body: Mapping[str, Any]) -> History:
    if body["status"] == "error":
        raise BadHistory(f"Prometheus refused: {shown(str(body.get('error')), 200)}")
    data = body["data"]
    if data.get("resultType") != "matrix":
        raise BadHistory(
            f"it is a {shown(str(data.get('resultType')), 20)} of one moment; ask "
            "/api/v1/query_range, or /api/v1/query?query=ALERTS[30d], for a matrix"
        )
    return matrix_history(data["result"])


def matrix_history(result: Sequence[Mapping[str, Any]]) -> History:
    """The history in the series of one answer. Raises `BadHistory`."""
    fired = [one for one in result if one["metric"].get("alertstate") == "firing"]
    active = [one for one in result if one["metric"].get("__name__") == "ALERTS_FOR_STATE"]
    if not fired:
        names = {str(one["metric"].get("__name__", "no name")) for one in result}
        raise BadHistory(
            f'none of its {len(result)} series has alertstate="firing" (they are '
            f"{', '.join(sorted(names)[:3]) or 'none'}): ask for ALERTS, or for a longer range"
        )
    moments = [[float(at) for at, _ in one["values"]] for one in fired]
    samples = Samples(usual_step(moments))
    for one, own in zip(fired, moments, strict=True):
        samples.add(one["metric"], own)
    for one in active:
        samples.add_active(one["metric"], one["values"])
    everything = [at for own in moments for at in own]
    return samples.history(min(everything), max(everything))


def _is_alertmanager(body: Any) -> bool:
    return isinstance(body, list) and all(
        isinstance(one, dict) and {"labels", "startsAt"} <= one.keys() for one in body
    )


def _from_alertmanager(body: Sequence[Mapping[str, Any]]) -> History:
    """Alertmanager tells what it lists now; what ended before is not in it."""
    if not body:
        raise BadHistory(
            "Alertmanager listed no alert; it remembers only what fires: export it every few "
            "minutes and give all files, or ask Prometheus (--prometheus), which remembers"
        )
    taken = max(parse_time(one.get("updatedAt") or one["startsAt"]) for one in body)
    found, since = [], taken
    for one in body:
        began, ends = parse_time(one["startsAt"]), one.get("endsAt")
        since = min(since, began)
        ended = parse_time(ends) if ends else None
        over = ended if ended is not None and ended <= taken else None
        found.append((one["labels"], [Firing(began, over)]))
    note = (
        "an export of Alertmanager holds what fired at that moment, not what had ended before: "
        "the history is as dense as the exports"
    )
    return history_of(since, taken, found, [note])


def _is_log(body: Any) -> bool:
    rows = body.get("decisions") if isinstance(body, dict) else None
    return bool(rows) and all(isinstance(one, dict) and "decided_at" in one for one in rows or ())


def _from_log(body: Mapping[str, Any]) -> History:
    return history_from_log(log_entries(body["decisions"]))


def log_entries(rows: Iterable[Mapping[str, Any]]) -> Iterator[LogEntry]:
    """Rows of `GET /decisions`, whatever their order."""
    for row in sorted(rows, key=lambda one: parse_time(one["decided_at"])):
        began = row.get("starts_at")
        yield LogEntry(
            decided_at=parse_time(row["decided_at"]),
            reason=row["reason"],
            fingerprint=row.get("fingerprint") or "",
            labels=row.get("labels") or {},
            starts_at=parse_time(began) if began else None,
        )


def _is_saved(body: Any) -> bool:
    return isinstance(body, dict) and SAVED in body


def _from_saved(body: Mapping[str, Any]) -> History:
    found = [
        (
            one["labels"],
            [Firing(parse_time(a), parse_time(b) if b else None) for a, b in one["firings"]],
        )
        for one in body["alerts"]
    ]
    since, until = parse_time(body["since"]), parse_time(body["until"])
    return history_of(since, until, found, body["notes"])


def save(history: History, path: Path) -> None:
    """Write a history that `read_file` reads again. Raises `BadHistory`."""
    body = {
        SAVED: 1,
        "since": stamp(history.since),
        "until": stamp(history.until),
        "notes": list(history.notes),
        "alerts": [
            {
                "labels": dict(alert.labels),
                "firings": [[stamp(one.began), stamp(one.ended)] for one in alert.firings],
            }
            for alert in history.alerts
        ],
    }
    try:
        path.write_text(json.dumps(body) + "\n")
    except OSError as error:
        raise BadHistory(f"{path} can't be written: {error.strerror}") from None


READERS: tuple[tuple[Callable[[Any], bool], Callable[[Any], History]], ...] = (
    (_is_saved, _from_saved),
    (_is_prometheus, _from_prometheus),
    (_is_alertmanager, _from_alertmanager),
    (_is_log, _from_log),
)
"""Each kind of file: how it is known, and how it is read."""
