"""A GitHub that misbehaves at every phase: how many POSTs went out, and what became of it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from tests.e2e.picky import Picky
from tests.peers.github_wire import (
    BAD_CREDENTIALS,
    CUT_AFTER,
    CUT_BEFORE,
    HANG_AFTER,
    HANG_BEFORE,
    TRUNCATED,
    Behaviour,
    answering,
)
from tests.posts import entry
from tests.processes import Station, now
from tests.waiting import eventually

COOLDOWN, SETTLE, FIRST_BACKOFF = timedelta(hours=1), timedelta(hours=2), timedelta(minutes=1)

CONFIG = """\
targets:
  wf: {github: &workflow {repository: acme/models, workflow: retrain-model.yaml, token_file: token,
    base_url: "BASE_URL", lookup_window: 2s, inputs: {user_id: "{user_id}"}}}
  slow-1: {github: *workflow}
  slow-2: {github: *workflow}
policies:
  - {name: before, match: ['user_id="hang-before"'], target: slow-1, cooldown: 1h,
    model: &model {name: "{user_id}", labels: {user_id: "[a-z0-9-]{1,40}"}}}
  - {name: after, match: ['user_id="hang-after"'], target: slow-2, model: *model, cooldown: 1h}
  - {name: rest, match: ['user_id!=""'], target: wf, model: *model, cooldown: 1h, settle: 2h}
"""

HTML = b"<!doctype html><title>Sign in</title>"
LIMITED = answering(403, {"message": "secondary rate limit"}, headers={"Retry-After": "7"})
MOVED = {"Location": "/repos/acme/moved/actions/workflows/retrain-model.yaml/dispatches"}
UNEXPECTED = answering(422, {"message": 'Unexpected inputs provided: ["dispatch_id"]'})


@dataclass(frozen=True)
class Case:
    """How the first requests are treated, and what must come of it.

    Attributes:
        failures: What each attempt told; None if it was accepted.
        says: A part of the dispatch's detail: what an operator reads.
        posts: If there are more or fewer than attempts.

    """

    behaviours: tuple[Behaviour, ...]
    failures: tuple[str | None, ...]
    state: str = "running"
    says: str = ""
    posts: int | None = None

    @property
    def held_by(self) -> str:
        """Why another alert of the model starts nothing."""
        return "in_flight" if self.state == "running" else "cooldown"


FOUND = "was found by its dispatch id"
AGAIN = ("unknown", None)

CASES = {
    # Never will be: the detail says what to mend. First, for a back-off is only a minute.
    "401": Case((BAD_CREDENTIALS,) * 2, ("refused",), "refused", "renew the token in", posts=2),
    "403": Case((answering(403),), ("refused",), "refused", "needs 'Actions: write' on acme/mod"),
    "404": Case((answering(404),), ("refused",), "refused", "must be on the default branch"),
    "422": Case((UNEXPECTED,), ("refused",), "refused", "inputs: {dispatch_id: {type: string}"),
    "well": Case((), (None,), says="was started"),
    # Whatever may have started a run is looked up, and made again only if it did not.
    "cut-before": Case((CUT_BEFORE,), AGAIN, says="was started"),
    "cut-after": Case((CUT_AFTER,), ("unknown",), says=FOUND),
    "truncated": Case((TRUNCATED,), ("unknown",), says=FOUND),
    "hang-before": Case((HANG_BEFORE,), AGAIN, says="was started"),
    "hang-after": Case((HANG_AFTER,), ("unknown",), says=FOUND),
    "502-before": Case((answering(502),), AGAIN, says="was started"),
    "500-after": Case((answering(500, accept=True),), ("unknown",), says=FOUND),
    "307-before": Case((answering(307, headers=MOVED),), AGAIN, says="was started"),
    "307-after": Case((answering(307, headers=MOVED, accept=True),), ("unknown",), says=FOUND),
    "html-before": Case((answering(200, HTML),), AGAIN, says="was started"),
    "html-after": Case((answering(200, HTML, accept=True),), ("unknown",), says=FOUND),
    "never": Case((CUT_BEFORE,) * 3, ("unknown",) * 3, "parked", "3 attempts got no clear answer"),
    # A 204 is a yes: looked up, never sent again.
    "204-after": Case((Behaviour(204, accept=True),), (None,), says=FOUND),
    "204-before": Case((Behaviour(204),), (None,), "parked", "no run carries the dispatch id"),
    # Surely not started: tried again when the target wishes.
    "403-limited": Case((LIMITED,), ("unavailable", None), says="was started"),
    "429": Case(
        (answering(429, headers={"Retry-After": "1"}),), ("unavailable", None), says="was started"
    ),
}


@pytest.fixture(scope="module")
def peer():
    with Picky({model: case.behaviours for model, case in CASES.items()}) as peer:
        yield peer


@pytest.fixture(scope="module")
def station(tmp_path_factory, peer):
    """A receiver that was told of all models at once, after it had seen one run's id."""
    folder = tmp_path_factory.mktemp("faults")
    (folder / "token").write_text("peer-token")
    with Station(folder, CONFIG.replace("BASE_URL", peer.base_url)) as station:
        station.api.notify(entry("first", starts_at=now()))
        eventually(lambda: peer.requests("poll"))
        eventually(lambda: station.api.notify(*[entry(m, starts_at=now()) for m in CASES]))
        yield station


@pytest.mark.parametrize("model", CASES)
def test_each_fault_leaves_at_most_one_run_and_holds_the_model_back(station, peer, model):
    """Attempts, POSTs, runs, state and detail are the table's.

    A run keeps its cooldown, and so does a doubt; a refusal replaces it by a short back-off.
    """
    case, api = CASES[model], station.api
    known = api.dispatches(model=model)[0]
    settled = eventually(lambda: ready(api.dispatch(known["id"]), case))
    (decision,) = api.notify(entry(model, name="LowModelR2", starts_at=now()))
    until = moment(api.model(model)["cooldown_until"])

    assert case.says in settled["detail"]
    assert tuple(attempt["failure"] for attempt in settled["attempts"]) == case.failures
    assert peer.posts_of(model) == (case.posts or len(case.failures))
    runs = [str(run.id) for run in peer.runs_of(model)]
    assert runs == ([settled["run_id"]] if case.state == "running" else [])
    assert next(d["reason"] for d in api.decisions(dispatch_id=known["id"])) == "triggered"
    assert (decision["reason"], decision["outcome"]) == (case.held_by, "hold")
    assert api.model(model)["state"] == ("running" if case.state == "running" else "attention")
    if case.state == "refused":
        assert until == moment(settled["ended_at"]) + FIRST_BACKOFF
        assert "the target refused dispatch" in api.decisions(model=model)[-1]["detail"]
    else:
        assert until == moment(settled["sent_at"]) + COOLDOWN


def test_a_slow_target_never_holds_up_the_others(station):
    """What hangs at one target is still being sent when the others have long been decided."""
    hung = [
        eventually(lambda m=m: ended_attempt(station, m)) for m in ("hang-before", "hang-after")
    ]
    well = ended_attempt(station, "well")

    assert well is not None
    assert all(well < each for each in hung)


def test_the_target_says_how_long_to_wait(station):
    """After a 403 with `Retry-After: 7` nothing is sent for seven seconds."""
    (known,) = station.api.dispatches(model="403-limited")
    eventually(lambda: ready(station.api.dispatch(known["id"]), CASES["403-limited"]))
    first, second = station.api.dispatch(known["id"])["attempts"]

    assert moment(second["begun_at"]) - moment(first["ended_at"]) >= timedelta(seconds=7)


@pytest.mark.parametrize(
    ("conclusion", "state"),
    [("success", "succeeded"), ("failure", "failed"), ("cancelled", "cancelled")],
)
def test_a_run_that_ends_leaves_the_metric_time_to_settle(station, peer, conclusion, state):
    """However it ended, the model waits for `settle` after it, and a firing alert is held."""
    api, model = station.api, f"ends-in-{conclusion}"
    api.notify(entry(model, starts_at=now()))
    eventually(lambda: peer.runs_of(model))
    peer.finish(peer.runs_of(model)[0].id, conclusion)
    ended = eventually(lambda: [d for d in api.dispatches(model=model) if d["ended_at"]])[0]

    assert ended["state"] == state
    assert moment(api.model(model)["cooldown_until"]) == moment(ended["ended_at"]) + SETTLE
    assert api.model(model)["next_check_at"] == api.model(model)["cooldown_until"]
    assert api.model(model)["explain"]["holds"] == "cooldown"


def ready(dispatch, case):
    """The dispatch, once it stands as the case says and no attempt is to come."""
    attempts = len(dispatch["attempts"])
    done = dispatch["state"] == case.state and attempts == len(case.failures)
    return dispatch if done else None


def ended_attempt(station, model):
    """When the first attempt for a model was over."""
    (known,) = station.api.dispatches(model=model)
    attempts = station.api.dispatch(known["id"])["attempts"]
    return moment(attempts[0]["ended_at"]) if attempts and attempts[0]["ended_at"] else None


def moment(text):
    return datetime.fromisoformat(text)
