"""`GET /models` by state, policy, target, name and labels, in pages that read little else."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import insert

from receiver.core.models import ModelState, PauseScope
from receiver.flows.operator import controls
from receiver.flows.operator.acts import Act
from receiver.store.store import Store
from receiver.store.tables import models
from receiver.store.views.model_lists import WORST_FIRST, Wanted
from tests.described import DescribedPeer
from tests.examples import alert, resolved
from tests.fakes import FakeTarget, refused, unavailable
from tests.histories import History
from tests.serving import host, refusal

HOUR = timedelta(hours=1)
ACT = Act("ops", "a test")

CONFIG = """\
storage: {min_free: 0}
targets:
  pipeline: {kfp: {endpoint: "http://127.0.0.1:9", pipeline: retrain}}
  other: {kfp: {endpoint: "http://127.0.0.1:9", pipeline: another}}
policies:
  - name: drift
    match: ['alertname=~"HighModelMAE|LowModelR2"']
    model: {name: "{user_id}", labels: {user_id: "[a-z0-9-]{1,40}"}}
    target: pipeline
  - name: age
    match: ['alertname="ModelTooOld"']
    model: {name: "{region}.{user_id}", labels: {user_id: "[a-z0-9-]{1,40}", region: "[a-z]+"}}
    target: other
"""


@pytest.fixture
def peer(history, tmp_path):
    """Models in every state, of two policies with a target each."""
    with host(history, tmp_path, CONFIG) as plain:
        fill(history)
        yield DescribedPeer(plain.url)


def fill(history):
    for name in ("quiet-1", "quiet-2", "quiet-3"):
        history.deliver(alert(name))
        history.run_to_its_end()
        history.deliver(resolved(name, ends_at=history.now()))
    history.clock.pass_(10 * HOUR)
    history.deliver(alert("held-1"))
    history.run_to_its_end()
    history.clock.pass_(HOUR / 2)
    history.deliver(alert("held-2", starts_at=history.now()))
    history.run_to_its_end()
    history.deliver(alert("u1", name="ModelTooOld", region="eu"))
    history.deliver(alert("u2", name="ModelTooOld", region="us"))
    controls.pause(
        history.store, history.policy_set, ACT, PauseScope.MODEL, "quiet-3", length=None
    )
    history.target.accidents = [refused]
    history.deliver(alert("refused"))
    history.send()
    history.target.accidents = [unavailable]
    history.deliver(alert("waits"))
    history.send()
    history.deliver(alert("runs"))
    history.send()


def names(peer, **query):
    return [one["model"] for one in peer.get("/models", query).json()["models"]]


ALL = ["eu.u1", "held-1", "held-2", "quiet-1", "quiet-2", "quiet-3", "refused", "runs"]
ALL += ["us.u2", "waits"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ALL),
        ({"state": "attention"}, ["refused"]),
        ({"state": "waiting"}, ["waits"]),
        ({"state": "running"}, ["eu.u1", "runs", "us.u2"]),
        ({"state": "paused"}, ["quiet-3"]),
        ({"state": "held"}, ["held-1", "held-2"]),
        ({"state": "firing"}, []),
        ({"state": "quiet"}, ["quiet-1", "quiet-2"]),
        ({"policy": "age"}, ["eu.u1", "us.u2"]),
        ({"policy": "none"}, []),
        ({"target": "other"}, ["eu.u1", "us.u2"]),
        ({"target": "none"}, []),
        ({"target": "other", "policy": "drift"}, []),
        ({"target": "pipeline", "state": "held"}, ["held-1", "held-2"]),
        ({"policy": "age", "state": "running", "q": "U2"}, ["us.u2"]),
        ({"q": "QUIET"}, ["quiet-1", "quiet-2", "quiet-3"]),
        ({"q": "quiet", "state": "quiet"}, ["quiet-1", "quiet-2"]),
        ({"q": "%"}, []),
        ({"q": "quiet", "policy": "drift"}, ["quiet-1", "quiet-2", "quiet-3"]),
        ({"labels": "region=eu"}, ["eu.u1"]),
        ({"labels": "region=EU"}, []),
        ({"labels": "region=eu,user_id=u1"}, ["eu.u1"]),
        ({"labels": "region=eu,user_id=u2"}, []),
        ({"labels": "user_id=u2", "policy": "age", "state": "running"}, ["us.u2"]),
        ({"labels": 'user_id=u2"'}, []),
    ],
)
def test_filters_agree(peer, query, found):
    """All that are given must apply, by name and by the worst, and in pages of one."""
    assert names(peer, **query) == found
    assert sorted(names(peer, sort="worst", **query)) == found
    for sort in ("name", "worst"):
        paged, cursor = [], None
        while cursor is not None or not paged:
            more = {} if cursor is None else {"cursor": cursor}
            page = peer.get("/models", {**query, "sort": sort, "limit": "1", **more}).json()
            paged += [one["model"] for one in page["models"]]
            cursor = page["next_cursor"]
            if not page["models"]:
                break
        assert sorted(paged) == found, sort


def test_the_worst_come_first(peer):
    """What needs a human, then what nobody repairs; of these what fires longest."""
    listed = peer.get("/models", {"sort": "worst"}).json()["models"]

    ranks = [WORST_FIRST.index(ModelState(one["state"])) for one in listed]
    assert ranks == sorted(ranks)
    assert [one["model"] for one in listed][:4] == ["refused", "waits", "held-1", "held-2"]
    assert [one["model"] for one in listed][-2:] == ["quiet-1", "quiet-2"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"state": "sleepy"}, "state can be attention, waiting, running"),
        ({"sort": "best"}, "sort can be name, worst"),
        ({"labels": "region"}, "labels are written as region=eu,tier=gold"),
        ({"labels": "=eu"}, "labels are written as"),
        ({"stat": "held"}, "did you mean state?"),
        ({"sort": "worst", "cursor": "x"}, "cursor"),
        ({"sort": "worst", "cursor": "0.0.999999999999999999.x"}, "cursor"),
        ({"sort": "worst", "cursor": "22.0.1.x"}, "cursor"),
    ],
)
def test_what_cannot_be_asked_is_refused(peer, query, said):
    """A misspelt filter would answer too much."""
    assert said in refusal(peer.get("/models", query), 400)


def test_under_a_pause_of_everything_filters_hold(history, peer):
    """All are busy then."""
    controls.pause(history.store, history.policy_set, ACT, PauseScope.EVERYTHING, "", length=None)

    assert names(peer, state="quiet") == []
    assert names(peer, state="paused", policy="drift") == [
        "held-1",
        "held-2",
        "quiet-1",
        "quiet-2",
        "quiet-3",
    ]


MANY = 20_000


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(),
        Wanted(policies={"small"}),
        Wanted(policies={"small", "large"}),
        Wanted(state=ModelState.HELD),
        Wanted(state=ModelState.QUIET),
        Wanted(state=ModelState.RUNNING, policies={"large"}),
        Wanted(text="m00"),
    ],
)
@pytest.mark.parametrize("worst", [False, True])
def test_a_page_does_not_read_all_models(sqlite_store, wanted, worst):
    """It takes a few hundred steps of the database's machine per row, however many there are."""
    with sqlite_store.view() as view:
        steps = 0

        def step():
            nonlocal steps
            steps += 1

        raw = view._moment.db.connection.dbapi_connection
        raw.set_progress_handler(step, 100)
        read = view.lists.by_worst if worst else view.lists.by_name
        page = read(wanted, after=None, limit=50)
        raw.set_progress_handler(None, 0)

    assert page.rows
    assert steps > 0
    assert steps * 100 < 3 * MANY, "reading every row takes a dozen steps for each"


@pytest.fixture
def sqlite_store(clock, sqlite_url):
    store = Store.open(sqlite_url, clock)
    rows = [
        {
            "name": f"m{number:05}",
            "labels": {},
            "refusals": 0,
            "policy": "small" if number % 1000 == 999 else "large",
        }
        for number in range(MANY)
    ]
    with store._engine.begin() as db:
        db.execute(insert(models), rows)
    history = History(store, clock, FakeTarget())
    history.policy_set = replace(
        history.policy_set,
        policies=tuple(replace(one, name="large") for one in history.policy_set.policies),
    )
    history.deliver(*(alert(f"m{number:05}") for number in range(0, 100, 2)))
    history.run_to_its_end()
    history.deliver(*(alert(f"m{number:05}") for number in range(101, 201, 2)))
    yield store
    store.close()
