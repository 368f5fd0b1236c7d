"""Thirty days that a receiver lived through, exported from a real Prometheus: decided the same."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from receiver.backtest.alertmanager import Route
from receiver.backtest.answers import Picture
from receiver.backtest.histories import Firing, history_of
from receiver.backtest.replay import Replay
from receiver.backtest.runs import RunModel, RunModels
from receiver.backtest.truth import truth_of
from receiver.config import load_config
from receiver.core.times import parse_time, stamp
from receiver.store.views.decisions import StoredDecision
from receiver.wiring import policy_set_of
from tests.e2e.alerting import program, running
from tests.fakes import NOON
from tests.integration.test_backtest_proof import DAYS, drawn, flows, silence
from tests.serving import NO_AUTH, Peer
from tests.waiting import eventually, free_port

__all__ = ["flows", "silence"]

STEP = timedelta(seconds=15)
END = NOON + timedelta(days=DAYS)
RUN = timedelta(minutes=35)

CONFIGS = {
    "usual": "",
    "exhausted": "    attempts: 2\n    backoff: 2\n    cooldown: 2h\n    settle: 1h\n",
    "storm": "    storm: {models: 2, within: 30m, wait: 5m}\n",
    "budget": "    budget: {runs: 4 in 1d, in_flight: 1}\n",
}


def evaluated(moment: datetime, offset: timedelta) -> datetime:
    """When Prometheus sees it: at its next evaluation of the rule."""
    behind = moment - NOON - offset
    return NOON + offset + -(-behind // STEP) * STEP


class Evaluated(Replay):
    """A life in which alerts begin and end when Prometheus evaluates their rule."""

    offset = timedelta(0)

    def _cure(self, spell, now):
        seen = evaluated(now, self.offset)
        if seen == now:
            super()._cure(spell, now)
        else:
            self._at(seen, 0, lambda then: Replay._cure(self, spell, then))


class Noting:
    """Stands before the Alertmanager of a life and notes what it is told: that is `ALERTS`."""

    def __init__(self, manager):
        self._manager = manager
        self.firings = {}

    def fires(self, key, member, now):
        firing = [dict(member.labels), now, END + STEP]
        self.firings.setdefault(member.fingerprint, []).append(firing)
        self._manager.fires(key, member, now)

    def ends(self, key, fingerprint, now):
        self.firings[fingerprint][-1][2] = now
        self._manager.ends(key, fingerprint, now)

    def __getattr__(self, name):
        return getattr(self._manager, name)


def lived(flows, policies, offset):
    """Let the receiver live through it. What Prometheus saw meanwhile."""
    seen = [
        (labels, [Firing(evaluated(f.began, offset), evaluated(f.ended, offset)) for f in own])
        for labels, own in drawn(7)
    ]
    truth, _ = truth_of(history_of(NOON, END, seen), policies)
    runs = RunModels(RunModel(durations=(RUN,), helps=0.4))
    life = Evaluated(truth, flows, Route(), runs=runs, seed=3, witness=Picture(runs))
    life.offset = offset
    noting = life._manager = Noting(life._manager)
    life.run()
    return [firing for own in noting.firings.values() for firing in own]


def samples(firings, offset) -> Iterator[str]:
    """What Prometheus writes of it: a sample an evaluation, in OpenMetrics."""
    for name, value in (("ALERTS", None), ("ALERTS_FOR_STATE", "began")):
        for labels, began, ended in firings:
            state = {"alertstate": "firing"} if value is None else {}
            text = ",".join(f'{key}="{text}"' for key, text in {**labels, **state}.items())
            said = "1" if value is None else f"{began.timestamp():.0f}"
            at = evaluated(began, offset)
            while at < min(ended, END + STEP):
                yield f"{name}{{{text}}} {said} {at.timestamp():.0f}"
                at += STEP
    yield "# EOF"


@contextmanager
def prometheus(folder: Path, lines: Iterator[str]):
    """A real one that has these samples.

    Samples that are written so have no end: a look-back of less than a step stands for the marker
    that Prometheus writes when an alert is over.
    """
    (folder / "samples").write_text("\n".join([*lines, ""]))
    (folder / "prometheus.yml").write_text("{}")
    command = [program("promtool"), "tsdb", "create-blocks-from", "openmetrics", "samples", "data"]
    subprocess.run(
        [*command, "--max-block-duration=720h"], cwd=folder, check=True, capture_output=True
    )
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with running(
        folder,
        "prometheus",
        program("prometheus"),
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=data",
        "--storage.tsdb.retention.time=100y",
        "--query.lookback-delta=14s",
        f"--web.listen-address=127.0.0.1:{port}",
    ):
        eventually(lambda: ready(url))
        yield url


def ready(url: str) -> bool:
    try:
        return Peer(url).get("/-/ready").status == 200
    except OSError:
        return False


@pytest.mark.parametrize(
    ("name", "offset"),
    [*((name, 0) for name in CONFIGS), ("usual", 7)],
    ids=str,
)
def test_a_life_that_prometheus_remembers_is_decided_the_same(flows, cli, tmp_path, name, offset):
    """Each decision: about which alert, why, and when it is looked at again.

    Where Prometheus evaluates at the moments that are asked for, each is decided at the same
    moment too. Where it evaluates between two of them, each is decided as much later as the next
    moment that is asked for: less than a step.
    """
    config = tmp_path / "receiver.yaml"
    config.write_text(NO_AUTH + CONFIGS[name])
    flows.history.policy_set = policy_set_of(load_config(config))
    firings = lived(flows, flows.history.policy_set, timedelta(seconds=offset))
    kept = tmp_path / "decisions"

    with prometheus(tmp_path, samples(firings, timedelta(seconds=offset))) as url:
        ended = cli(
            *["backtest", "--config", str(config), "--prometheus", url, "--step", "15s"],
            *["--since", stamp(NOON), "--until", stamp(END), "--decisions", str(kept)],
            *["--run-duration", "35m", "--helps", "0", "-o", "csv"],
        )

    assert ended.code == 0, ended.err
    late = timedelta(seconds=-offset % 15)
    told = [json.loads(line) for line in kept.read_text().splitlines()]
    mine = sorted(compared(one, late) for one in told)
    real = sorted(compared(as_told(one)) for one in flows.history.every_decision())
    assert len(real) > 100
    assert mine == real


def as_told(one: StoredDecision) -> dict[str, Any]:
    """A stored decision as `--decisions` writes it."""
    return {
        "decided_at": stamp(one.decided_at),
        "model": one.model,
        "alertname": one.alertname,
        "fingerprint": one.fingerprint,
        "source": str(one.source),
        "reason": str(one.reason),
        "outcome": str(one.outcome),
        "next_check_at": stamp(one.next_check_at),
    }


COMPARED = ("model", "alertname", "fingerprint", "source", "reason", "outcome")


def compared(one: Mapping[str, Any], late: timedelta = timedelta(0)) -> tuple[str, ...]:
    """What is compared of a decision, `late` taken off its moments."""
    again = one["next_check_at"]
    return (
        stamp(parse_time(one["decided_at"]) - late),
        *(str(one[name]) for name in COMPARED),
        "" if again is None else stamp(parse_time(again) - late),
    )
