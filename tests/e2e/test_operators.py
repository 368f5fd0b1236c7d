"""What happens before a POST and after a fault: superseding, pauses, retries, orders."""

from datetime import datetime, timedelta

import pytest

from tests.e2e.picky import Picky
from tests.peers.github_wire import CUT_AFTER, Behaviour, answering
from tests.posts import entry
from tests.processes import Station, now
from tests.waiting import eventually

CONFIG = """\
targets:
  wf: {lookup_window: 1s, github: &workflow {repository: acme/models, token_file: token,
    workflow: retrain-model.yaml, base_url: "BASE_URL", inputs: {user_id: "{user_id}"}}}
  patient: {lookup_window: 1m, github: *workflow}
policies:
  - name: waiting
    match: ['user_id="listed-late"']
    model: {name: "{user_id}", labels: {user_id: "[a-z0-9-]{1,40}"}}
    target: patient
  - name: watching
    match: ['user_id=~"watched.*"']
    model: {name: "{user_id}", labels: {user_id: "[a-z0-9-]{1,40}"}}
    target: wf
    mode: observe
  - name: acting
    match: ['user_id!=""']
    model: {name: "{user_id}", labels: {user_id: "[a-z0-9-]{1,40}"}}
    target: wf
    cooldown: 1h
    settle: 2h
"""

BUSY = answering(429, headers={"Retry-After": "1"})
LIE = Behaviour(204)
SILENT_YES = Behaviour(204, accept=True)


@pytest.fixture(scope="module")
def peer():
    with Picky() as peer:
        yield peer


@pytest.fixture(scope="module")
def station(tmp_path_factory, peer):
    folder = tmp_path_factory.mktemp("operators")
    (folder / "token").write_text("peer-token")
    with Station(folder, CONFIG.replace("BASE_URL", peer.base_url)) as station:
        yield station


@pytest.fixture
def api(station):
    return station.api


def order(api, model):
    """Let an alert order a run; the dispatch's id."""
    (decision,) = api.notify(entry(model, starts_at=now()))
    return decision["dispatch_id"]


def reaches(api, dispatch_id, state):
    """The dispatch, once it stands so."""

    def ask():
        dispatch = api.dispatch(dispatch_id)
        return dispatch if dispatch["state"] == state else None

    return eventually(ask)


def done(answer):
    """The decision that an operator's act left."""
    assert answer.status == 200, answer
    return answer.json()


def test_a_dispatch_is_superseded_if_its_alert_resolves_while_it_waits(api, peer):
    """The dispatch is superseded and gives its cooldown back: the next firing starts a run."""
    peer.treat("heals", *[BUSY] * 5)
    began = now()
    (decision,) = api.notify(entry("heals", starts_at=began))
    eventually(lambda: peer.posts_of("heals"))
    api.notify(entry("heals", starts_at=began, status="resolved", ends_at=now()))
    dispatch = reaches(api, decision["dispatch_id"], "superseded")

    assert "no alert of the model fires any more" in dispatch["detail"]
    assert peer.posts_of("heals") == len(dispatch["attempts"])
    assert peer.runs_of("heals") == []
    assert api.model("heals")["cooldown_until"] is None
    assert api.model("heals")["state"] == "quiet"

    peer.mend("heals")
    again = order(api, "heals")
    reaches(api, again, "running")
    assert len(peer.runs_of("heals")) == 1


def test_a_paused_dispatch_is_not_sent_until_resume(api, peer):
    """Asked again while the pause holds, it stays pending; after `resume` it is sent once."""
    peer.treat("held", *[BUSY] * 5)
    dispatch_id = order(api, "held")
    eventually(lambda: peer.posts_of("held"))
    done(api.act("/models/held/pause"))
    pending = reaches(api, dispatch_id, "pending")
    sent = peer.posts_of("held")
    peer.mend("held")
    # It comes due, is looked at, and is put off: what would have been the next POST.
    eventually(lambda: seconds(pending["due_at"], api.dispatch(dispatch_id)["due_at"]) > 5)

    assert peer.posts_of("held") == sent
    assert reaches(api, dispatch_id, "pending")
    assert api.model("held")["explain"]["holds"] == "paused"

    done(api.act("/models/held/resume"))
    reaches(api, dispatch_id, "running")
    assert peer.posts_of("held") == sent + 1


def test_a_run_that_is_listed_late_is_waited_for(api, peer):
    """A look that finds nothing proves nothing before `lookup_window` is over: one POST."""
    order(api, "seen-before")
    eventually(lambda: peer.requests("poll"))
    peer.unlisted.add("listed-late")
    peer.treat("listed-late", CUT_AFTER)
    looks = len(peer.requests("list"))
    dispatch_id = order(api, "listed-late")
    eventually(lambda: len(peer.requests("list")) > looks)
    peer.list_runs()

    found = reaches(api, dispatch_id, "running")
    assert found["run_id"] == str(peer.runs_of("listed-late")[0].id)
    assert peer.posts_of("listed-late") == 1


def test_retry_finds_the_run_of_a_parked_dispatch(api, peer):
    """A run that the listing shows at last is taken over; nothing is sent again."""
    peer.unlisted.add("late")
    peer.treat("late", SILENT_YES)
    dispatch_id = order(api, "late")
    parked = reaches(api, dispatch_id, "parked")
    assert "the target said yes, but no run carries the dispatch id" in parked["detail"]
    peer.list_runs()

    decision = done(api.act(f"/dispatches/{dispatch_id}/retry"))
    found = reaches(api, dispatch_id, "running")

    assert (decision["reason"], decision["dispatch_id"]) == ("operator", dispatch_id)
    assert found["run_id"] == str(peer.runs_of("late")[0].id)
    assert peer.posts_of("late") == len(peer.runs_of("late")) == 1


def test_retry_sends_what_left_no_run(api, peer):
    """Parked and really absent: one look, then one more POST. In flight it is refused: 409."""
    peer.treat("absent", LIE)
    dispatch_id = order(api, "absent")
    reaches(api, dispatch_id, "parked")

    done(api.act(f"/dispatches/{dispatch_id}/retry"))
    reaches(api, dispatch_id, "running")

    assert peer.posts_of("absent") == 2
    assert len(peer.runs_of("absent")) == 1
    assert api.act(f"/dispatches/{dispatch_id}/retry").status == 409


def test_retry_of_a_refused_dispatch_sends_it_once_more(api, peer):
    """When what was refused is mended, the operator need not wait for the back-off."""
    peer.treat("mended", answering(404))
    dispatch_id = order(api, "mended")
    reaches(api, dispatch_id, "refused")

    done(api.act(f"/dispatches/{dispatch_id}/retry"))
    reaches(api, dispatch_id, "running")

    assert peer.posts_of("mended") == 2
    assert len(peer.runs_of("mended")) == 1


def test_abandon_ends_a_running_dispatch_on_our_side(api):
    """The run goes on at the target, so its model settles as after a run; nothing is sent."""
    dispatch_id = order(api, "given-up")
    reaches(api, dispatch_id, "running")

    done(api.act(f"/dispatches/{dispatch_id}/abandon"))
    abandoned = api.dispatch(dispatch_id)

    assert abandoned["state"] == "abandoned"
    assert abandoned["transitions"][-1]["actor"] == "anonymous"
    assert "is not stopped" in abandoned["detail"]
    until = api.model("given-up")["cooldown_until"]
    assert seconds(abandoned["ended_at"], until) == timedelta(hours=2).total_seconds()
    assert api.act(f"/dispatches/{dispatch_id}/abandon").status == 409


def test_an_operator_may_order_a_run_where_a_policy_only_observes(api, peer):
    """The alert alone starts nothing; `retrain` does, once, and says who ordered it."""
    (observed,) = api.notify(entry("watched-1", starts_at=now()))
    assert (observed["reason"], observed["dispatch_id"]) == ("observed", None)

    ordered = done(api.act("/models/watched-1/retrain"))
    dispatch = reaches(api, ordered["dispatch_id"], "running")
    again = done(api.act("/models/watched-1/retrain"))

    assert (ordered["reason"], ordered["source"]) == ("triggered", "operator")
    assert (again["reason"], again["dispatch_id"]) == ("in_flight", dispatch["id"])
    assert dispatch["ordered"]
    assert peer.posts_of("watched-1") == 1


def test_an_operator_may_order_a_run_of_a_model_never_seen(api, peer):
    """With policy and labels; without them the answer says what is missing."""
    assert api.act("/models/watched-2/retrain").status == 404
    named = {"policy": "watching", "labels": {"user_id": "watched-2"}}
    ordered = done(api.act("/models/watched-2/retrain", **named))

    reaches(api, ordered["dispatch_id"], "running")
    assert peer.posts_of("watched-2") == 1


def seconds(earlier, later):
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()
