"""Histories of alerts from every kind of file, and what is said of files that are none."""

import json
from datetime import datetime, timedelta
from functools import partial

import pytest

from receiver.backtest.files import read_file, read_files, save
from receiver.backtest.histories import (
    AlertHistory,
    BadHistory,
    Firing,
    History,
    history_of,
    joined,
)
from receiver.backtest.prometheus_history import ask_history
from receiver.backtest.samples import constants, stretches
from receiver.backtest.truth import truth_of
from receiver.core.times import stamp
from tests.examples import policy_set
from tests.fakes import NOON
from tests.simulation.plans import seeded

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
LABELS = {"alertname": "HighModelMAE", "user_id": "42"}
START = NOON.timestamp()


def series(*moments: float, name: str = "ALERTS", value: str = "1", **labels: str):
    """One series of an answer; moments in seconds after noon."""
    metric = {"__name__": name, **LABELS, **labels}
    if name == "ALERTS":
        metric.setdefault("alertstate", "firing")
    return {"metric": metric, "values": [[START + moment, value] for moment in moments]}


def matrix(*found) -> str:
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": found}})


@pytest.fixture
def read(tmp_path):
    """Write a file and read it as a history."""

    def write_and_read(text: str) -> History:
        (tmp_path / "file").write_text(text)
        return read_file(tmp_path / "file")

    return write_and_read


def after(minutes: float) -> datetime:
    return NOON + minutes * MINUTE


def test_samples_become_firings(read):
    """A missing sample is an end; what fires at the last moment has none."""
    one = series(0, 60, 120, 300, 360)

    history = read(matrix(one, series(360, user_id="43")))

    (alert, other) = history.alerts
    assert alert.labels == LABELS
    assert alert.firings == (Firing(NOON, after(3)), Firing(after(5), None))
    assert other.firings == (Firing(after(6), None),)
    assert "read every 1m" in history.notes[-1]


def test_a_restart_of_prometheus_is_no_end(read):
    """ALERTS_FOR_STATE is the same on both sides of the gap: the firing went on."""
    gap = series(0, 60, 300, 360)
    same = series(0, 60, 300, 360, name="ALERTS_FOR_STATE", value=str(START - 600))

    (alert,) = read(matrix(gap, same)).alerts

    assert alert.firings == (Firing(NOON, None),)
    assert "Prometheus was restarted" in read(matrix(gap, same)).notes[0]


def test_an_alert_that_began_anew_is_two_firings(read):
    """ALERTS_FOR_STATE is another one after the gap."""
    gap = series(0, 60, 300, 360)
    then = series(0, 60, name="ALERTS_FOR_STATE", value=str(START))
    later = series(300, 360, name="ALERTS_FOR_STATE", value=str(START + 290))

    (alert,) = read(matrix(gap, then, later)).alerts

    assert len(alert.firings) == 2


def test_replicas_are_one_alert(read):
    """It fires while any of them says so, and the reader is told."""
    history = read(
        matrix(
            series(0, 60, 120, prometheus_replica="a"), series(120, 180, prometheus_replica="b")
        )
    )

    assert history.alerts == (AlertHistory(LABELS, (Firing(NOON, None),)),)
    assert any("2 replicas" in note for note in history.notes)


def test_clusters_are_told(read):
    """They make other alerts, as in Alertmanager; replicas and one cluster are no such."""
    two = read(matrix(*(series(0, 60, cluster=name) for name in ("eu", "us"))))
    one = read(matrix(series(0, 60, cluster="eu"), series(0, 60, user_id="43", cluster="eu")))

    assert len(two.alerts) == 2
    assert any("alerts of 2 clusters (cluster is eu, us)" in note for note in two.notes)
    assert not any("clusters" in note for note in one.notes)


@pytest.mark.parametrize("length", [1, 2, 3, 1000])
def test_stretches_are_those_of_looking_at_each(length):
    """However the gaps lie, as if one had looked at each moment."""
    for every in (2, 3, 7, length + 1):
        moments = [15.0 * n for n in range(length) if n % every or n == 0]
        expected: list[list[float]] = []
        for moment in moments:
            if expected and moment - expected[-1][1] <= 15:
                expected[-1][1] = moment
            else:
                expected.append([moment, moment])
        merged: list[list[float]] = []
        for first, last in stretches(moments, 15):
            if merged and first - merged[-1][1] <= 15:
                merged[-1][1] = last
            else:
                merged.append([first, last])

        assert merged == expected


@pytest.mark.parametrize("seed", range(5))
def test_constants_are_those_of_looking_at_each(seed):
    """A value never comes back, so those between two equal ones need not be looked at."""
    chance = seeded(f"constants/{seed}")
    values, value = [], 0
    for moment in range(chance.randint(1, 200)):
        value += chance.random() < 0.05
        values.append([moment, str(value)])
    found: dict[float, list[float]] = {}
    for value, first, last in constants(values):
        found[value] = [found.get(value, [first])[0], last]

    expected = {
        float(text): [
            min(at for at, other in values if other == text),
            max(at for at, other in values if other == text),
        ]
        for _, text in values
    }
    assert found == expected


def test_alertmanagers_listing(read):
    """What it lists fires, up to the moment of the export."""
    listed = {
        "labels": LABELS,
        "startsAt": stamp(NOON),
        "endsAt": stamp(after(64)),
        "updatedAt": stamp(after(60)),
        "status": {"state": "active"},
    }

    history = read(json.dumps([listed]))

    assert history.alerts == (AlertHistory(LABELS, (Firing(NOON, None),)),)
    assert history.until == after(60)


def decision(minutes: float, reason: str, status: str = "firing", *, began: float = 0):
    return {
        "decided_at": stamp(after(minutes)),
        "reason": reason,
        "status": status,
        "fingerprint": "f",
        "labels": LABELS,
        "starts_at": stamp(after(began)),
    }


def test_our_own_log_line_by_line(read):
    """An alert fires from its beginning until it was told resolved; newest first, as exported."""
    rows = [
        decision(90, "cooldown", began=80),
        decision(61, "resolved", "resolved"),
        decision(31, "in_flight"),
        decision(1, "triggered"),
    ]

    history = read("\n".join(json.dumps(row) for row in rows))

    (alert,) = history.alerts
    assert alert.firings == (Firing(NOON, after(61)), Firing(after(80), None))


def test_several_files_are_one_history(tmp_path):
    """What lies between two of them is unknown, and told."""
    (tmp_path / "a").write_text(matrix(series(0, 60, 120)))
    (tmp_path / "b").write_text(matrix(series(3600, 3660)))

    history = read_files([tmp_path / "b", tmp_path / "a"])

    assert history.alerts[0].firings == (Firing(NOON, after(2)), Firing(after(60), None))
    assert "nothing is known for 58m" in history.notes[-1]


def test_what_is_saved_is_read_again(read, tmp_path):
    """A long question need not be asked twice."""
    history = read(matrix(series(0, 60, 300)))

    save(history, tmp_path / "saved")

    assert read_file(tmp_path / "saved") == history


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "it is empty; give an answer of Prometheus"),
        ("<!DOCTYPE html><title>Grafana</title>", "a web page, perhaps of Grafana"),
        ("groups:\n- name: x", "neither JSON nor a JSON object a line"),
        ('{"results": {"A": {}}}', "is no history; give"),
        ('{"status": "error", "error": "bad_data"}', "Prometheus refused: 'bad_data'"),
        ('{"status": "success", "data": {"resultType": "vector"}}', "ask /api/v1/query_range"),
        (matrix(series(0, name="up")), 'none of its 1 series has alertstate="firing"'),
        (matrix(), "ask for ALERTS, or for a longer range"),
        ('{"status": "success", "data": 7}', "it is damaged"),
        ("[]", "Alertmanager listed no alert"),
        ('{"decisions": []}', "is no history; give"),
    ],
)
def test_what_is_no_history_is_told_with_a_cure(read, text, told):
    """One sentence: what it is, and what to give instead."""
    with pytest.raises(BadHistory) as caught:
        read(text)

    assert told in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    """So is one that can't be read."""
    with pytest.raises(BadHistory, match="can't be read: No such file"):
        read_file(tmp_path / "none")


def test_a_file_that_would_fill_the_memory(tmp_path):
    """It is not read at all."""
    with (tmp_path / "large").open("wb") as large:
        large.truncate(128 * 1024 * 1024 + 1)

    with pytest.raises(BadHistory, match="longer than 128 MiB: export it in parts"):
        read_file(tmp_path / "large")


def test_series_without_the_label_that_names_the_model():
    """The label is named, and so is the rule that dropped it."""
    history = history_of(NOON, after(60), [({"alertname": "HighModelMAE"}, [Firing(NOON, None)])])

    with pytest.raises(BadHistory, match=r"label user_id that names the model is missing; let"):
        truth_of(history, policy_set())


def test_alerts_that_no_policy_matches():
    """Their names are told."""
    history = history_of(NOON, after(60), [({"alertname": "DiskFull"}, [Firing(NOON, None)])])

    with pytest.raises(BadHistory, match="matches a policy: they are DiskFull"):
        truth_of(history, policy_set())


def test_a_rule_that_was_changed_is_told():
    """From when on its alerts have other labels; what is the same all the time is no news."""
    before = {"alertname": "A", "user_id": "1"}
    history = history_of(
        NOON,
        after(60),
        [
            (before, [Firing(NOON, after(1))]),
            ({**before, "user_id": "2"}, [Firing(after(9), None)]),
            ({**before, "model": "x"}, [Firing(after(5), None)]),
            ({"alertname": "B", "user_id": "1"}, [Firing(NOON, None)]),
        ],
    )

    (note,) = history.notes
    assert note.startswith(
        "A has other labels from 2026-11-22 12:05 UTC on (alertname, model, user_id where it had "
        "alertname, user_id): its rule was changed"
    )


def test_the_range_is_asked_in_parts():
    """Each part is asked for once, and a firing that lies in two of them is one."""
    asked: list[tuple[str, float, float]] = []

    def ask(_path, query):
        start, end = float(query["start"]), float(query["end"])
        asked.append((query["query"], start, end))
        if not query["query"].startswith("ALERTS{"):
            return {"result": []}
        moments = [at for at in range(int(start), int(end) + 1, 15) if at >= START + 3600]
        values = [[at, "1"] for at in moments]
        return {"result": [{"metric": LABELS, "values": values}] if values else []}

    told: list[tuple[int, int]] = []
    history = ask_history(
        ask,
        since=NOON,
        until=NOON + 13 * HOUR,
        step=timedelta(seconds=15),
        matching='alertname="HighModelMAE"',
        progress=lambda done, of: told.append((done, of)),
    )

    assert told == [(1, 3), (2, 3), (3, 3)]
    assert history.alerts == (AlertHistory(LABELS, (Firing(NOON + HOUR, None),)),)
    assert asked[0][0] == 'ALERTS{alertstate="firing",alertname="HighModelMAE"}'
    starts = [start for query, start, _ in asked if query.startswith("ALERTS{")]
    ends = [end for query, _, end in asked if query.startswith("ALERTS{")]
    assert [after - before for before, after in zip(ends, starts[1:], strict=False)] == [15, 15]


def test_restarts_are_looked_for_only_where_there_may_be_one():
    """ALERTS_FOR_STATE is asked about short gaps, at their sides, and about nothing else."""
    asked: list[dict[str, str]] = []
    gaps = {(3600, 3900), (40_000, 40_060)}

    def ask(_path, query):
        moments = range(int(float(query["start"])), int(float(query["end"])) + 1, 15)
        up = [at for at in moments if not any(a < at - START < b for a, b in gaps)]
        if query["query"].startswith("ALERTS{"):
            up = [at for at in up if not 50_000 < at - START < 60_000]
            return {"result": [{"metric": LABELS, "values": [[at, "1"] for at in up]}]}
        asked.append(query)
        return {"result": [{"metric": LABELS, "values": [[at, "7"] for at in up]}]}

    history = ask_history(ask, since=NOON, until=NOON + 20 * HOUR, step=MINUTE / 4)

    sides = [(float(one["start"]) - START, float(one["end"]) - START) for one in asked]
    assert sides == [(3600, 3900), (40_000 // 15 * 15, 40_065)]
    (alert,) = history.alerts
    assert [(one.began, one.ended) for one in alert.firings] == [
        (NOON, NOON + timedelta(seconds=50_010)),
        (NOON + timedelta(seconds=60_000), None),
    ]
    assert any("2 gaps of up to 5m" in note for note in history.notes)


def test_what_was_told_before_prometheus_was_gone_is_kept():
    """Up to the end of the last part; with the rest it is the whole history."""
    kept: list[History] = []

    def ask(_path, query, *, lives=True):
        start, end = int(float(query["start"])), int(float(query["end"]))
        if not lives and start > START + 5 * 3600:
            raise ConnectionError
        if not query["query"].startswith("ALERTS{"):
            return {"result": []}
        values = [[at, "1"] for at in range(start, end + 1, 15) if at < START + 60_000]
        return {"result": [{"metric": LABELS, "values": values}] if values else []}

    span = {"until": NOON + 20 * HOUR, "step": MINUTE / 4}
    with pytest.raises(ConnectionError):
        ask_history(partial(ask, lives=False), since=NOON, keep=kept.append, **span)

    (part,) = kept
    assert NOON + 5 * HOUR < part.until < NOON + 6 * HOUR
    rest = ask_history(ask, since=part.until, **span)
    whole = ask_history(ask, since=NOON, **span)
    assert joined([part, rest]).alerts == whole.alerts


@pytest.mark.parametrize(
    ("span", "step", "told"),
    [(timedelta(0), MINUTE, "the range is empty"), (10000 * HOUR, MINUTE / 600, "are too many")],
)
def test_a_range_that_makes_no_sense(span, step, told):
    """It is told before anything is asked."""
    with pytest.raises(BadHistory, match=told):
        ask_history(lambda *_: None, since=NOON, until=NOON + span, step=step)


def test_an_answer_of_another_program():
    """The address is wrong: which one is right is said."""
    with pytest.raises(BadHistory, match="not Grafana's"):
        ask_history(lambda *_: {"a": 1}, since=NOON, until=NOON + HOUR, step=MINUTE)


def test_nothing_fired():
    """Where alerts are written is said."""
    with pytest.raises(BadHistory, match="no alert fired between 2026-11-22 12:00"):
        ask_history(lambda *_: {"result": []}, since=NOON, until=NOON + HOUR, step=MINUTE)
