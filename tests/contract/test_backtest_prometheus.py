"""A real Prometheus tells the history that was written into it."""

import subprocess
from datetime import UTC, datetime, timedelta

from receiver.backtest.histories import Firing
from receiver.backtest.prometheus_history import ask_history
from receiver.cli.upstream import prometheus_at
from receiver.core.durations import parse_duration
from tests.e2e.alerting import program, running
from tests.serving import Peer
from tests.waiting import eventually, free_port

STEP = timedelta(seconds=15)
BEGAN = datetime(2026, 11, 1, 6, tzinfo=UTC)
LABELS = {"alertname": "HighModelMAE", "user_id": "42"}


def lines(began: datetime, ended: datetime, step: timedelta = STEP):
    """The samples of one firing in OpenMetrics, with what tells since when it is active."""
    said = 'alertname="HighModelMAE",user_id="42"'
    at = began
    while at < ended:
        yield f'ALERTS{{alertstate="firing",{said}}} 1 {at.timestamp():.0f}'
        yield f"ALERTS_FOR_STATE{{{said}}} {began.timestamp():.0f} {at.timestamp():.0f}"
        at += step


def test_it_tells_what_fired(tmp_path):
    """Over several parts, to a step and Prometheus' look-back (5m: these blocks hold no end)."""
    prometheus, promtool = program("prometheus"), program("promtool")
    hours = timedelta(hours=1)
    firings = [(BEGAN, BEGAN + 2 * hours), (BEGAN + 8 * hours, BEGAN + 21 * hours)]
    text = [line for began, ended in firings for line in lines(began, ended)]
    alerts = [line for line in text if line.startswith("ALERTS{")]
    states = [line for line in text if not line.startswith("ALERTS{")]
    (tmp_path / "samples").write_text("\n".join([*alerts, *states, "# EOF", ""]))
    (tmp_path / "prometheus.yml").write_text("{}")
    subprocess.run(
        [promtool, "tsdb", "create-blocks-from", "openmetrics", "samples", "data"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with running(
        tmp_path,
        "prometheus",
        prometheus,
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=data",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address=127.0.0.1:{port}",
    ):
        eventually(lambda: _ready(url))
        history = ask_history(
            prometheus_at(url, None).data,
            since=BEGAN - 3 * hours,
            until=BEGAN + 30 * hours,
            step=STEP,
        )

    (alert,) = history.alerts
    assert alert.labels == LABELS
    late = parse_duration("5m") + STEP
    for told, (began, ended) in zip(alert.firings, firings, strict=True):
        assert told.began == began
        assert isinstance(told, Firing)
        assert told.ended is not None
        assert ended <= told.ended <= ended + late


def _ready(url: str) -> bool:
    try:
        return Peer(url).get("/-/ready").status == 200
    except OSError:
        return False
