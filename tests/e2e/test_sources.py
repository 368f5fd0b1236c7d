"""A real Alertmanager is asked: what it never tells is known all the same."""

import json
import shutil
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from urllib.request import Request, urlopen

import pytest

from receiver.alertmanager.entries import fingerprint_of
from receiver.core.sources import Hush, SourceDown
from receiver.core.times import stamp
from receiver.sources.alertmanager import AlertmanagerSource
from receiver.sources.fetching import Upstream
from receiver.sources.prometheus import PrometheusSource
from receiver.store.store import Store
from receiver.wiring import SystemClock
from tests.asking import AskingHistory, told
from tests.e2e.alerting import Alerting, program, running
from tests.fakes import FakeTarget, HandClock
from tests.histories import History
from tests.processes import ROOT
from tests.waiting import eventually, free_port

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)

REAL = SystemClock()
"""Alertmanager lives by it; ours moves as the test says."""

CONFIG = """\
route:
  receiver: other
  group_wait: 1s
  routes:
    - matchers: ['user_id="muted"']
      receiver: retrain
      mute_time_intervals: [always]
    - matchers: ['user_id="not-sent"']
      receiver: quiet.one
    - matchers: ['alertname="HighModelMAE"']
      receiver: retrain
inhibit_rules:
  - {source_matchers: ['alertname="DataBroken"'], target_matchers: ['user_id="inhibited"']}
receivers:
  - {name: other}
  - {name: retrain, webhook_configs: [{url: 'http://127.0.0.1:9/webhook'}]}
  - {name: quiet.one, webhook_configs: [{url: 'http://127.0.0.1:9/webhook', send_resolved: false}]}
time_intervals:
  - {name: always, time_intervals: [{times: [{start_time: '00:00', end_time: '24:00'}]}]}
"""


class Alertmanager:
    """A real one that the test tells what fires."""

    def __init__(self, path, folder):
        self._path = path
        self._folder = folder
        self._running = ExitStack()
        self.url = f"http://127.0.0.1:{free_port()}"
        (folder / "alertmanager.yml").write_text(CONFIG)

    def start(self):
        self._running.enter_context(
            running(
                self._folder,
                "alertmanager",
                self._path,
                "--config.file=alertmanager.yml",
                "--storage.path=data",
                "--cluster.listen-address=",
                f"--web.listen-address={self.url.removeprefix('http://')}",
            )
        )
        eventually(self._answers)

    def stop(self):
        self._running.close()

    def lose_its_data(self):
        """It is moved to another machine, without a volume."""
        self.stop()
        shutil.rmtree(self._folder / "data")
        self.start()

    def post(self, path, told):
        body, headers = json.dumps(told).encode(), {"Content-Type": "application/json"}
        with urlopen(Request(f"{self.url}/api/v2/{path}", body, headers), timeout=10) as answer:
            return answer.read()

    def fire(self, labels, *, since, over=False):
        """As Prometheus says it: from then on, and for another day unless it is over."""
        now = REAL.now()
        ends_at = now if over else now + timedelta(days=1)
        told = {"labels": labels, "startsAt": stamp(since), "endsAt": stamp(ends_at)}
        self.post("alerts", [{**told, "annotations": {"value": "0.62"}}])

    def silence(self, name, value, *, ends_at):
        """Somebody silences what has this label."""
        matcher = {"name": name, "value": value, "isRegex": False, "isEqual": True}
        now = stamp(REAL.now())
        told = {"createdBy": "ana", "comment": "new sensor", "matchers": [matcher]}
        self.post("silences", {**told, "startsAt": now, "endsAt": stamp(ends_at)})

    def _answers(self):
        try:
            with urlopen(f"{self.url}/-/ready", timeout=5) as answer:
                return answer.status == HTTPStatus.OK
        except OSError:
            return False


NEWEST = ROOT / ".tools" / "alertmanager"


def installed():
    return program("prometheus-alertmanager", "alertmanager")


def newest():
    """What `make newest-alertmanager` built, where there is a Go that can."""
    if not NEWEST.exists():
        pytest.skip("the newest Alertmanager is not built: make newest-alertmanager")
    return str(NEWEST)


@pytest.fixture(scope="module", params=[installed, newest])
def alertmanager(tmp_path_factory, request):
    peer = Alertmanager(request.param(), tmp_path_factory.mktemp("alertmanager"))
    peer.start()
    yield peer
    peer.stop()


def source_of(alertmanager, receiver="retrain"):
    return AlertmanagerSource(Upstream(alertmanager.url), receiver)


@pytest.fixture
def asking(tmp_path, alertmanager):
    """The real flows and the real source; only our own clock is moved by the test."""
    clock = HandClock(REAL.now())
    store = Store.open(f"sqlite:///{tmp_path}/receiver.db", clock)
    asking = AskingHistory(History(store, clock, FakeTarget()))
    asking.sources = {"main": source_of(alertmanager)}
    yield asking
    store.close()


WAYS = ["silenced", "muted", "not-sent", "data-lost"]


@pytest.mark.parametrize("way", WAYS)
def test_none_of_four_ways_gives_a_recovered_model_a_second_run(asking, alertmanager, way):
    """Silenced, muted, `send_resolved: false`, data lost: each gave a second run before."""
    history = asking.history
    if way == "not-sent":
        asking.sources = {"main": source_of(alertmanager, "quiet.one")}
    bad = told(way, starts_at=history.now().replace(microsecond=0))
    fires(asking, alertmanager, bad)

    asking.wait(2 * MINUTE, step=MINUTE)
    history.run_to_its_end()
    asking.wait(6 * MINUTE, step=MINUTE)
    recover(alertmanager, bad, way)
    asking.wait(8 * HOUR, step=timedelta(minutes=20))

    assert len(history.dispatches()) == 1
    assert history.firing(way) == []
    ended = history.log(reason="resolved", model=way)
    assert [(one.source, "main does not list it" in one.detail) for one in ended] == [
        ("poll", True)
    ]


@pytest.mark.parametrize("way", WAYS)
def test_without_sources_each_of_them_does(asking, way):
    """What the receiver believed before: the timer orders a run, and says how old its news is."""
    history = asking.history
    asking.sources = {}
    history.policy_set = replace(history.policy_set, asking=None)
    history.deliver(told(way, starts_at=history.now()))
    history.run_to_its_end()

    asking.wait(8 * HOUR, step=timedelta(minutes=20))

    assert len(history.dispatches()) == 2
    again = history.log(reason="triggered")[-1]
    assert "the alert was last heard of 6h" in again.detail


def test_what_fires_while_nobody_of_ours_is_up_is_decided(asking, alertmanager):
    """Ten minutes without a receiver, and no delivery that reached it: two polls are enough."""
    history = asking.history
    asking.wait(2 * MINUTE, step=MINUTE)
    bad = told("unheard", starts_at=history.now().replace(microsecond=0))
    fires(asking, alertmanager, bad)
    history.clock.pass_(10 * MINUTE)

    asking.wait(2 * MINUTE, step=MINUTE)

    [decided] = history.log(model="unheard")
    assert (decided.source, decided.reason) == ("poll", "triggered")


def test_an_alert_that_prometheus_shows_is_not_over(asking, alertmanager, tmp_path):
    """Alertmanager has lost its data; Prometheus, asked beside it, knows that the alert fires."""
    history = asking.history
    with Alerting(tmp_path, "http://127.0.0.1:9/webhook") as alerting:
        prometheus = PrometheusSource(Upstream(alerting.prometheus))
        alerting.exporter.scores["objected"] = (0.9, 0.9)
        eventually(lambda: prometheus.ask().alerts)
        [shown] = prometheus.ask().alerts
        asking.prometheus = prometheus
        asked = replace(history.policy_set.asking, prometheus=True)
        history.policy_set = replace(history.policy_set, asking=asked)
        bad = replace(told(), labels=shown.labels, starts_at=shown.starts_at)
        fires(asking, alertmanager, bad)
        asking.wait(6 * MINUTE, step=MINUTE)
        [entry] = history.firing("objected")

        alertmanager.lose_its_data()
        asking.wait(20 * MINUTE, step=MINUTE)
        assert [one.fingerprint for one in history.firing("objected")] == [entry.fingerprint]

        alerting.exporter.scores["objected"] = (0.1, 0.9)
        eventually(lambda: not prometheus.ask().alerts)
        asking.wait(6 * MINUTE, step=MINUTE)
        assert history.firing("objected") == []


def fires(asking, alertmanager, bad):
    labels = dict(bad.labels)
    alertmanager.fire(labels, since=bad.starts_at)
    eventually(lambda: settled(asking.main, labels))


def settled(source, labels):
    return any(dict(one.labels) == labels and one.settled for one in source.ask().alerts)


def recover(alertmanager, bad, way):
    labels = dict(bad.labels)
    if way == "silenced":
        alertmanager.silence("user_id", way, ends_at=REAL.now() + 2 * HOUR)
    if way == "data-lost":
        alertmanager.lose_its_data()
    else:
        alertmanager.fire(labels, since=bad.starts_at, over=True)
        source = source_of(alertmanager, "quiet.one" if way == "not-sent" else "retrain")
        eventually(lambda: not settled(source, labels))


def test_a_silence_is_read_with_its_words(alertmanager):
    """Author, comment and end, as the API has them."""
    began = REAL.now().replace(microsecond=0)
    ends_at = began + 2 * HOUR
    labels = {"alertname": "HighModelMAE", "user_id": "held"}
    alertmanager.fire(labels, since=began)
    alertmanager.silence("user_id", "held", ends_at=ends_at)
    source = source_of(alertmanager)

    def quiet():
        return next(o.quiet for o in source.ask().alerts if o.labels["user_id"] == "held")

    eventually(quiet)
    found = quiet()
    assert (found.how, found.author, found.comment) == (Hush.SILENCED, "ana", "new sensor")
    assert found.ends_at == ends_at


def test_what_is_inhibited_is_not_settled(alertmanager):
    """It is listed, but Alertmanager would tell nobody."""
    began = REAL.now()
    alertmanager.fire({"alertname": "DataBroken"}, since=began)
    labels = {"alertname": "HighModelMAE", "user_id": "inhibited"}
    alertmanager.fire(labels, since=began)
    source = source_of(alertmanager)

    def unsettled():
        return [o for o in source.ask().alerts if dict(o.labels) == labels and not o.settled]

    eventually(unsettled)


def test_a_receiver_that_its_configuration_lacks_is_told(alertmanager):
    """The names it has stand in the sentence."""
    with pytest.raises(SourceDown, match=r"no receiver 'retrian'; write one of .*'quiet\.one'"):
        source_of(alertmanager, "retrian").ask()


def test_alertmanager_names_alerts_as_we_do(alertmanager):
    """Its fingerprint is the hash of the labels, so that a delivery and a listing are one."""
    labels = {"alertname": "HighModelMAE", "user_id": "hash", "note": "ünï ☃"}
    alertmanager.fire(labels, since=REAL.now())
    source = source_of(alertmanager)
    eventually(lambda: any(dict(one.labels) == labels for one in source.ask().alerts))

    one = next(one for one in source.ask().alerts if dict(one.labels) == labels)

    assert one.fingerprint == fingerprint_of(labels)
