"""Real Prometheus and Alertmanagers, two of them in one cluster: an alert becomes one run."""

import pytest

from tests.e2e.alerting import Alerting
from tests.e2e.picky import Picky
from tests.processes import Station
from tests.waiting import eventually

GOOD, BAD_MAE, BAD_R2, BAD = (0.2, 0.9), (0.62, 0.9), (0.2, 0.4), (0.62, 0.4)

CONFIG = """\
targets:
  wf:
    github:
      repository: acme/models
      workflow: retrain-model.yaml
      token_file: token
      base_url: BASE_URL
      inputs: {user_id: "{user_id}", drift_score: "{value}", reason: "{alertname}"}
policies:
  - name: soon-again
    match: ['action="retrain"', 'user_id="told-once-again"']
    model: {name: "{user_id}", labels: {user_id: "[a-z0-9-]{1,40}"}}
    target: wf
    cooldown: 8s
    settle: 1s
  - name: model-quality
    match: ['alertname=~"HighModelMAE|LowModelR2"']
    model: {name: "{user_id}", labels: {user_id: "[a-z0-9-]{1,40}"}}
    target: wf
    dedup_window: 1s
"""


class Quick(Picky):
    """Ends the runs of some models when they are first asked about."""

    def _poll(self, asked):
        run_id = asked.path.rpartition("/")[2]
        if any(str(run.id) == run_id for run in self.runs_of("told-once-again")):
            self.finish(run_id, "success")
        return super()._poll(asked)


@pytest.fixture(scope="module")
def peer():
    with Quick() as peer:
        yield peer


@pytest.fixture(scope="module")
def station(tmp_path_factory, peer):
    folder = tmp_path_factory.mktemp("receiver")
    (folder / "token").write_text("peer-token")
    with Station(folder, CONFIG.replace("BASE_URL", peer.base_url)) as station:
        yield station


@pytest.fixture(scope="module")
def alerting(tmp_path_factory, station):
    """All models are good at first; then most go bad at once, for the tests of this file."""
    folder = tmp_path_factory.mktemp("alerting")
    with Alerting(folder, f"{station.url}/webhook") as alerting:
        alerting.exporter.scores = {
            "well": GOOD,
            "one": BAD_MAE,
            "both": BAD,
            "heals": BAD_R2,
            "repeated": BAD_MAE,
            "told-once-again": BAD_MAE,
            "outage": GOOD,
        }
        yield alerting


@pytest.fixture
def api(station, alerting):
    return station.api


def delivered(api, model):
    """What Alertmanager told about a model, oldest first."""
    return api.decisions(model=model, source="alertmanager")


def test_an_alert_that_fires_becomes_one_run(api, peer):
    """With the model's name, the number of the rule's annotation, and the alert's name."""
    (dispatch,) = eventually(lambda: api.dispatches(model="one", state="running"))
    first = delivered(api, "one")[0]

    assert (first["reason"], first["dispatch_id"]) == ("triggered", dispatch["id"])
    assert (first["alertname"], first["value"]) == ("HighModelMAE", 0.62)
    (run,) = peer.runs_of("one")
    assert run.inputs == {
        "user_id": "one",
        "drift_score": "0.62",
        "reason": "HighModelMAE",
        "dispatch_id": dispatch["id"],
    }


def test_two_alerts_of_one_model_become_one_run(api, peer):
    """MAE and R² come as two notifications; both fire, one triggers."""
    eventually(lambda: len(api.model("both")["firing_alerts"]) == 2)
    eventually(
        lambda: {d["alertname"] for d in delivered(api, "both")} == {"HighModelMAE", "LowModelR2"}
    )

    eventually(lambda: api.dispatches(model="both", state="running"))
    assert len(api.dispatches(model="both")) == len(peer.runs_of("both")) == 1
    assert api.reasons("both").count("triggered") == 1


def test_a_model_that_is_well_is_never_named(api):
    """Nothing fires for it, so we know nothing of it."""
    eventually(lambda: delivered(api, "one"))

    assert api.get("/models/well").status == 404


def test_a_resolved_alert_is_recorded_and_starts_nothing(api, alerting, peer):
    """The log says `resolved`, the firing set is empty, and the run that began goes on."""
    eventually(lambda: api.dispatches(model="heals", state="running"))
    alerting.exporter.scores["heals"] = GOOD
    last = eventually(lambda: api.decisions(model="heals", reason="resolved"))[-1]

    assert (last["status"], last["outcome"], last["dispatch_id"]) == ("resolved", "skip", None)
    assert api.model("heals")["firing_alerts"] == []
    assert len(api.dispatches(model="heals")) == len(peer.runs_of("heals")) == 1


def test_cooldown_over_and_still_firing_starts_a_second_run_without_a_webhook(api, peer):
    """Alertmanager is silent for hours; the timer decides again when the cooldown ends."""
    eventually(lambda: len(api.decisions(model="told-once-again", reason="triggered")) > 1)
    first, second = api.decisions(model="told-once-again", reason="triggered")[:2]
    told = delivered(api, "told-once-again")

    assert (first["source"], second["source"]) == ("alertmanager", "timer")
    assert second["notification_id"] is None
    assert len({each["notification_id"] for each in told}) <= 2
    assert {each["reason"] for each in told[1:]} <= {"duplicate"}
    eventually(lambda: len(peer.runs_of("told-once-again")) > 1)


def test_repeats_and_a_restart_in_the_middle_start_nothing(api, station, peer):
    """Two Alertmanagers repeat every few seconds, to us and to our successor: still one run."""
    eventually(lambda: len(delivered(api, "repeated")) > 2)
    peer.finish(peer.runs_of("repeated")[0].id, "success")
    eventually(lambda: api.dispatches(model="repeated", state="succeeded"))
    station.stop()
    station.start()
    before = len(delivered(api, "repeated"))
    eventually(lambda: len(delivered(api, "repeated")) > before + 2)

    reasons = api.reasons("repeated")
    assert reasons[0] == "triggered"
    assert set(reasons[1:]) <= {"duplicate", "in_flight", "cooldown"}
    assert reasons[-1] == "cooldown"
    assert len(api.dispatches(model="repeated")) == peer.posts_of("repeated") == 1


def test_an_alert_that_fired_while_we_were_down_becomes_one_run(api, station, alerting, peer):
    """Each Alertmanager has tried in vain, so each delivers once we are back: one run."""
    station.stop()
    before = alerting.failures()
    alerting.exporter.scores["outage"] = BAD_MAE
    eventually(
        lambda: all(now > then + 1 for now, then in zip(alerting.failures(), before, strict=True))
    )
    station.start()
    eventually(lambda: len(delivered(api, "outage")) > 1)

    assert api.reasons("outage")[0] == "triggered"
    assert api.reasons("outage").count("triggered") == 1
    assert len(api.dispatches(model="outage")) == 1
    eventually(lambda: peer.posts_of("outage"))
    assert len(peer.runs_of("outage")) == peer.posts_of("outage") == 1


def test_one_run_for_each_model_in_the_end(api, peer):
    """After all repeats, restarts and outages nobody got a second run but by its cooldown."""
    for model in ("one", "both", "heals", "repeated", "outage"):
        assert len(api.dispatches(model=model)) == len(peer.runs_of(model)) == 1
