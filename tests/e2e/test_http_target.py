"""Airflow and Argo Workflows, as `examples/http` describes them, under a real process."""

import pytest

from tests.contract.http_setup import bridge, example
from tests.peers.http_apis import AirflowPeer, ArgoPeer, BridgePeer, Fault
from tests.posts import entry
from tests.processes import Station, now
from tests.waiting import eventually

AIRFLOW = ("airflow-2", AirflowPeer, "success", "failed")
AIRFLOW_3 = ("airflow-3", lambda: AirflowPeer(3), "success", "failed")
ARGO = ("argo-workflows", ArgoPeer, "Succeeded", "Error")


def hurried(text, kind):
    """The example, acting, with a short look-up window and without its secrets."""
    lines = [line for line in text.splitlines() if "secrets/" not in line]
    acting = "\n".join(lines).replace("mode: observe # then auto", "mode: auto")
    return acting.replace(f"  {kind}:\n", f"  {kind}:\n    lookup_window: 2s\n", 1) + "\n"


def reaches(api, model, *states):
    """The model's only dispatch, with its history, once it stands so."""

    def ask():
        (dispatch,) = api.dispatches(model=model)
        return api.dispatch(dispatch["id"]) if dispatch["state"] in states else None

    return eventually(ask)


@pytest.fixture(params=[AIRFLOW, AIRFLOW_3, ARGO], ids=lambda param: param[0], scope="module")
def way(request, tmp_path_factory):
    name, make, succeeded, failed = request.param
    with make() as peer:
        text = hurried(example(name, peer.url), name.partition("-")[0])
        with Station(tmp_path_factory.mktemp(name), text) as station:
            station.words = {"succeeded": succeeded, "failed": failed}
            yield station.api, peer, station.words


def test_an_alert_becomes_one_run_that_is_followed_to_its_end(way):
    """Whichever end it has."""
    api, peer, words = way
    for model, state in (("well", "succeeded"), ("ill", "failed")):
        api.notify(entry(model, starts_at=now()))
        dispatch = reaches(api, model, "running")
        assert dispatch["run_id"] == f"retrain-{dispatch['id']}"
        assert dispatch["inputs"]["user_id"] == model
        peer.finish(dispatch["run_id"], words[state], "no data")
        ended = reaches(api, model, state)
        assert words[state] in ended["detail"]
        assert ended["kind"] == "http"


def test_a_lost_answer_is_looked_up_by_our_id(way):
    """The run is taken over; nothing is sent again."""
    api, peer, _ = way
    before = peer.starts
    peer.answer_next(Fault(accept=True))
    api.notify(entry("cut", starts_at=now()))

    dispatch = reaches(api, "cut", "running")

    assert peer.starts == before + 1
    assert dispatch["attempt"] == 1


def test_a_run_that_is_proven_absent_is_asked_for_again(way):
    """Others were seen at their addresses, check_url answers, and the window is over."""
    api, peer, _ = way
    api.notify(entry("seen", starts_at=now()))
    reaches(api, "seen", "running")
    before = peer.starts
    peer.answer_next(Fault(502))
    api.notify(entry("lost", starts_at=now()))

    dispatch = reaches(api, "lost", "running")

    assert peer.starts == before + 2
    assert dispatch["attempt"] == 2


@pytest.mark.parametrize(
    ("promise", "state", "starts"), [("false", "parked", 1), ("true", "running", 2)]
)
def test_a_run_that_nobody_can_look_up_needs_a_promise(tmp_path, promise, state, starts):
    """Without it a human looks; with it the same key gives the same run."""
    with BridgePeer() as peer:
        text = bridge(peer.url, answer="{id: /job/id}", idempotent=promise, lookup_window="2s")
        peer.answer_next(Fault(accept=True))
        with Station(tmp_path, text) as station:
            station.api.notify(entry("one", starts_at=now()))

            reaches(station.api, "one", state)

            assert peer.starts == starts
            assert len(peer.runs) == 1
