"""Thirty days, decided by the real flows on a real store, and by the backtest: the same."""

from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
import structlog
from sqlalchemy import text

from receiver.backtest.alertmanager import UNGROUPED, Route
from receiver.backtest.answers import Picture
from receiver.backtest.histories import Firing, history_of
from receiver.backtest.ladder_rule import LadderRule
from receiver.backtest.replay import Replay
from receiver.backtest.rules import Answer, Order
from receiver.backtest.runs import RunModel, RunModels
from receiver.backtest.truth import truth_of
from receiver.core.budgets import Cost, Counted, Limit, Scope
from receiver.core.policies import Mode
from receiver.core.runs import RunState
from receiver.core.storms import Storm
from receiver.store.column_types import from_micros, to_micros
from receiver.store.store import Store
from tests.examples import DRIFT, policy_set
from tests.fakes import NOON, FakeTarget, HandClock
from tests.histories import History
from tests.restrained import window
from tests.simulation.plans import seeded
from tests.simulation.running import silence_the_log

DAYS = 30
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)

DUE = """
SELECT min(next_check_at) FROM models UNION ALL SELECT min(expires_at) FROM firing_alerts"""

WAITING = """
SELECT 1 FROM firing_alerts
WHERE held_by IN ('budget', 'storm') AND held_until IS NULL LIMIT 1"""

POLLED = """
UPDATE dispatches SET due_at = CASE WHEN id = :id THEN :now ELSE :now + 86400000000 END
WHERE state = 'running'"""
"""Only the poll that finds a run ended is made: the fifty before it would find that it runs."""

EDGES = """
SELECT created_at FROM dispatches UNION ALL SELECT emptied_at FROM models"""

SPANS = (timedelta(minutes=30), timedelta(hours=24), timedelta(hours=48))
"""What the policies below count or wait for: a release is possible so long after an edge."""

TICK = timedelta(seconds=1)
"""So often the worker looks whom an event has released."""


@dataclass
class Flows:
    """The receiver itself as a rule of a replay: its flows, its store, its worker's steps."""

    history: History
    clock: HandClock
    told: int = 0
    looked: datetime = NOON
    decisions: list = field(default_factory=list)

    def hear(self, alerts, now):
        self._at(now)
        self.history.deliver(*alerts)
        return self._answer()

    def wakes_at(self):
        now = self.clock.now()
        moments = self._moments(DUE)
        with self.history.store._connection() as db:
            waits = db.execute(text(WAITING)).first() is not None
        if waits:
            later = [edge + span for edge in self._moments(EDGES) for span in SPANS]
            moments += [moment for moment in later if moment > now]
            moments += [now + TICK] if self.looked < now else []
        return max(min(moments), now) if moments else None

    def _moments(self, query):
        with self.history.store._connection() as db:
            return [from_micros(micros) for (micros,) in db.execute(text(query)) if micros]

    def wake(self, now):
        self._at(now)
        self.history.tick()
        self.looked = now
        return self._answer()

    def end(self, order, began, ended):
        """When the next poll comes; `test_the_follower_polls_as_said` holds that to the flows."""
        self.history.target.states[order.id] = RunState.SUCCEEDED
        return LadderRule.end(self, order, began, ended)

    def learn(self, order, began, now):
        del began
        self._at(now)
        with self.history.store.begin() as tx:
            tx._db.execute(text(POLLED), {"id": order.id, "now": to_micros(now)})
        while self.history.follow():
            pass
        return self._answer()

    def _at(self, now):
        self.clock.pass_(now - self.clock.now())

    def _answer(self):
        while self.history.send():
            pass
        fresh = self.history.target.starts[self.told :]
        self.told += len(fresh)
        orders = []
        for dispatch_id in fresh:
            with self.history.store.view() as view:
                dispatch = view.dispatches.find(dispatch_id)
            orders.append(Order(dispatch.id, dispatch.model, dispatch.policy))
        return Answer(orders)


def drawn(seed: int, models: int = 4):
    """A history with rests, flapping, and a storm in the middle."""
    chance = seeded(f"backtest/{seed}")
    hours = chance.expovariate
    for number in range(models):
        names = chance.choice((("HighModelMAE", "LowModelR2"), ("HighModelMAE",)))
        labels = [{"alertname": name, "user_id": f"m{number}"} for name in names]
        firings: list[list[Firing]] = [[] for _ in names]
        at, end = NOON + hours(1 / 30) * HOUR, NOON + DAYS * 24 * HOUR
        while at < end:
            if chance.random() < 0.2:  # all models get worse together
                at = max(at, NOON + 240 * HOUR + hours(6) * HOUR)
            ended = at + hours(1 / 9) * HOUR
            for own in firings:
                own.append(Firing(at + chance.choice((0, 2)) * MINUTE, ended + 3 * MINUTE))
            rest = chance.choice((10 * MINUTE, 4 * HOUR, 90 * HOUR))
            at = ended + 5 * MINUTE + hours(1 / (rest / HOUR)) * HOUR
        yield from zip(labels, firings, strict=True)


def storm(models: int) -> Storm:
    return Storm(models, 30 * MINUTE, 5 * MINUTE, 30 * MINUTE)


LIMITS = (
    Limit(Scope.TOTAL, Counted.RUNS, 4, 24 * HOUR),
    Limit(Scope.POLICY, Counted.IN_FLIGHT, 1),
    Limit(Scope.MODEL, Counted.COST, 30, 48 * HOUR, "USD"),
)

POLICIES = {
    "usual": DRIFT,
    "short": replace(DRIFT, cooldown=2 * HOUR, settle=3 * HOUR),
    "exhausted": replace(DRIFT, attempts=2, backoff=2, cooldown=2 * HOUR),
    "window": replace(DRIFT, window=window("20:00-06:00")),
    "storm": replace(DRIFT, storm=storm(2)),
    "budget": replace(DRIFT, limits=LIMITS, cost=Cost(12, "USD", 30 * MINUTE)),
    "observing": replace(DRIFT, mode=Mode.OBSERVE),
    "approving": replace(DRIFT, mode=Mode.APPROVE),
    "expiring": replace(DRIFT, alert_expiry=2 * HOUR),
}


@pytest.fixture(autouse=True)
def silence():
    """Thousands of lines say nothing here."""
    usual = structlog.get_config()
    silence_the_log()
    yield
    structlog.configure(**usual)


@pytest.fixture
def flows(sqlite_url):
    """The receiver on an empty store, with a clock that the replay moves."""
    clock = HandClock()
    with closing(Store.open(sqlite_url, clock)) as store:
        yield Flows(History(store, clock, FakeTarget()), clock)


@pytest.mark.parametrize(
    ("policy", "route"),
    [
        ("usual", Route()),
        ("usual", Route(group_by=())),
        ("usual", UNGROUPED),
        *[(name, Route(group_by=("user_id",))) for name in POLICIES if name != "usual"],
    ],
)
def test_thirty_days_are_decided_the_same(flows, policy, route):
    """Each decision: when, about which alert, why, and when it is looked at again."""
    book = policy_set(POLICIES[policy])
    flows.history.policy_set = book
    end = NOON + DAYS * 24 * HOUR
    truth, _ = truth_of(history_of(NOON, end, drawn(7)), book)
    runs = RunModels(RunModel(durations=(20 * MINUTE, 50 * MINUTE), helps=0.4))
    picture = Picture(runs, keeps_log=True)
    rule = LadderRule(book, sorted(truth.spells), NOON)

    Replay(truth, rule, route, runs=runs, seed=3, witness=picture).run()
    Replay(truth, flows, route, runs=runs, seed=3, witness=Picture(runs)).run()

    real = [line(row) for row in flows.history.every_decision()]
    mine = [line(one) for one in picture.log]
    assert len(real) > 100
    assert sorted(mine) == sorted(real)


def line(one):
    """What is compared of a decision."""
    return (
        one.decided_at,
        one.fingerprint,
        str(one.source),
        str(one.reason),
        str(one.next_check_at),
        one.detail.replace(one.dispatch_id or "none", "ID") if "run " not in one.detail else "",
    )
