"""A stored decision can be replayed: same inputs and policy, same reason."""

import random
from contextlib import suppress
from datetime import datetime, timedelta

import pytest

from receiver.core.alerts import Alert, AlertStatus, Source
from receiver.core.approvals import Approval
from receiver.core.budgets import Counted, Limit, Scope, Usage
from receiver.core.decisions import Facts, Reason
from receiver.core.dispatches import DispatchState
from receiver.core.ladder import LADDER, TIMER_LADDER, Case, decide
from receiver.core.models import LatestDispatch, Pause, PauseScope
from receiver.core.restraints import Restraints, Runs
from receiver.core.runs import RunState
from receiver.core.sightings import Belief, Consensus
from receiver.core.sources import Hush, Quiet
from receiver.core.storms import Gathering, Storm
from receiver.core.times import parse_time
from receiver.flows.operator import approvals, controls
from receiver.flows.operator.acts import Act, Conflict, NotFound
from tests.asking import AskingHistory, silence, told
from tests.examples import DRIFT, alert, observing, policy_set, resolved
from tests.fakes import NOON, accepted_then_cut, refused, unavailable
from tests.restrained import approving, window

ANA = Act("ana", "backfill")

WATCHING = observing(DRIFT)

CAREFUL = approving(
    attempts=1,
    backoff=2.0,
    approval_expiry=timedelta(hours=3),
    cooldown=timedelta(hours=1),
    window=window("06:00-24:00", "sun", zone="Europe/Berlin"),
    storm=Storm(2, timedelta(hours=1), timedelta(minutes=2), timedelta(minutes=10)),
    limits=(
        Limit(Scope.MODEL, Counted.RUNS, 2, timedelta(hours=20)),
        Limit(Scope.TOTAL, Counted.RUNS, 1, timedelta(hours=12), asks=True),
    ),
)

USUAL = {"auto": DRIFT, "observe": WATCHING}
DECKS = {"usual": USUAL, "careful": {"approve": CAREFUL}}
SOON = {
    "usual": {"triggered", "invalid", "cooldown"},
    "careful": {"approval", "exhausted", "window", "storm"},
}

LADDERS = {Source.ALERTMANAGER: LADDER, Source.POLL: LADDER, Source.TIMER: TIMER_LADDER}


def replay(row, book):
    """Decide a stored decision again, from nothing but what is stored with it."""
    saw = {gate["rung"]: gate for gate in row.gates}
    policy = book.policy(saw["unmatched"]["policy"])
    what = Alert(
        status=AlertStatus(row.status) if row.status else None,
        labels=row.labels,
        starts_at=row.starts_at,
        ends_at=moment(saw.get("resolved", {}).get("ends_at")),
        fingerprint=row.fingerprint,
        value=row.value,
        position=0,
    )
    return decide(Case(what, policy, facts(saw), row.decided_at), LADDERS[Source(row.source)])


def facts(saw):
    paused, flight = saw.get("paused", {}), saw.get("in_flight", {})
    cooldown = saw.get("cooldown", {})
    return Facts(
        problem=saw.get("invalid", {}).get("problem"),
        decided_at=moment(saw.get("duplicate", {}).get("decided_at")),
        resolved_at=moment(saw.get("stale", {}).get("resolved_at")),
        stale_until=moment(saw.get("stale", {}).get("stale_until")),
        pause=Pause(
            PauseScope(paused["scope"]),
            paused["name"],
            parse_time(paused["since"]),
            moment(paused["paused_until"]),
            paused["actor"],
            paused["comment"],
        )
        if paused.get("scope")
        else None,
        latest=LatestDispatch(flight["dispatch_id"], DispatchState(flight["state"]))
        if flight.get("state")
        else None,
        cooldown_until=moment(cooldown.get("cooldown_until")),
        backoff_until=moment(cooldown.get("backoff_until")),
        observed_until=moment(cooldown.get("observed_until")),
        belief=belief(saw),
        restraints=restraints(saw),
    )


def belief(saw):
    if "silenced" not in saw:
        return None
    silent, doubt = saw["silenced"], saw.get("unconfirmed", {})
    quiet = None
    if silent["how"] is not None:
        words = silent["id"], silent["author"], silent["comment"]
        quiet = Quiet(Hush(silent["how"]), *words, moment(silent["ends_at"]))
    names = {who: tuple(filter(None, doubt.get(who, "").split(", "))) for who in WHO}
    return Belief(
        confirm_within=timedelta(seconds=doubt.get("confirm_within_seconds", 0)),
        confirmed_at=moment(doubt.get("confirmed_at")) or NOON,
        confirmed_by=doubt.get("confirmed_by", ""),
        held_since=moment(doubt.get("held_since")),
        consensus=Consensus(**names, missed_since=moment(doubt.get("missed_since")), quiet=quiet),
    )


WHO = ("listed_by", "missed_by")


def restraints(saw):
    if "window" not in saw:
        return None
    storm, exhausted = saw.get("storm"), saw.get("exhausted", {"runs": 0, "without_effect": 0})
    if storm is None:
        return Restraints()
    answer = {"approved": True, "rejected": False, None: None}[storm["answer"]]
    return Restraints(
        episode_started_at=moment(storm["episode_started_at"]),
        runs=Runs(exhausted["runs"], exhausted["without_effect"]),
        released_at=moment(storm["released_at"]),
        gathering=Gathering(storm["gathered"], moment(storm["calm_at"])),
        spent=spent(saw.get("budget")),
        approval=Approval(
            model="",
            episode_started_at=NOON,
            rung=storm["asked_by"],
            asked_at=parse_time(storm["asked_at"]),
            expires_at=moment(storm["expires_at"]),
            approved=answer,
            actor=storm.get("actor"),
            comment=storm.get("comment"),
        )
        if storm["asked_at"]
        else None,
    )


def spent(budget):
    if budget is None:
        return ()
    return tuple(
        Usage(limit, budget[str(limit)], frees_at=moment(budget[f"{limit}: free at"]))
        for limit in CAREFUL.limits
    )


def moment(text: str | None) -> datetime | None:
    return None if text is None else parse_time(text)


@pytest.mark.parametrize(
    ("url", "seed", "deck"),
    [
        *[("postgresql", 0, deck) for deck in DECKS],
        *[("sqlite", seed, "usual") for seed in range(5)],
        *[("sqlite", seed, "careful") for seed in range(2)],
    ],
    indirect=["url"],
)
def test_a_whole_log_replays_to_the_same_reasons(history, seed, deck):
    """Whatever happened, each decision follows from what is stored with it."""
    chance = random.Random(seed)  # noqa: S311  a history, no secret
    policies = DECKS[deck]
    history.policy_set = policy_set(next(iter(policies.values())))
    for _ in range(60):
        something_happens(history, chance, list(policies.values()), answers=deck != "usual")
        history.wait(timedelta(minutes=chance.randrange(120)), step=timedelta(minutes=20))

    told = [row for row in history.log() if row.source != "operator"]
    rows = [history.whole(row) for row in told if row.reason != "expired"]
    for row in rows:
        modes = {gate.get("mode") for gate in row.gates} - {None}
        ruling = policies[modes.pop()] if modes else next(iter(policies.values()))
        again = replay(row, policy_set(ruling))
        assert again.reason.value == row.reason, row.gates
        assert [gate.rung.value for gate in again.gates] == [gate["rung"] for gate in row.gates]
        # What the timer adds of when the alert was last heard of is no part of the ladder.
        same = row.detail.startswith(again.detail)
        assert same or again.reason in {Reason.COOLDOWN, Reason.IN_FLIGHT}
        assert again.next_check_at == row.next_check_at
    met = {row.reason for row in rows}
    assert met >= SOON[deck]
    assert "budget" in met or deck == "usual" or seed > 0


@pytest.mark.parametrize("seed", range(3))
def test_a_log_with_sources_replays_too(history, seed):
    """What was silenced, unconfirmed, found by asking or ended by it follows from its row."""
    chance = random.Random(seed)  # noqa: S311  a history, no secret
    asking = AskingHistory(history, "a", "b")
    for _ in range(40):
        what_sources_say(asking, chance)
        asking.wait(timedelta(minutes=chance.randrange(90)), step=timedelta(minutes=15))

    rows = [history.whole(row) for row in history.log() if row.reason != "expired"]
    for row in rows:
        again = replay(row, history.policy_set)
        assert again.reason.value == row.reason, row.gates
        assert [gate.rung.value for gate in again.gates] == [gate["rung"] for gate in row.gates]
        same = row.detail.startswith(again.detail)
        assert same or again.reason in {Reason.COOLDOWN, Reason.IN_FLIGHT}
        assert again.next_check_at == row.next_check_at
    assert {row.reason for row in rows} >= {"unconfirmed", "triggered"}


def what_sources_say(asking, chance):
    history = asking.history
    source = chance.choice(list(asking.sources.values()))
    what = told(chance.choice("123"), starts_at=history.now())
    match chance.randrange(8):
        case 0 | 1:
            source.fire(what)
        case 2:
            source.fire(what)
            history.deliver(what)
        case 3:
            with suppress(KeyError):
                source.end(what)
        case 4:
            source.hush(silence(history.now() + timedelta(hours=2)))
        case 5:
            source.hush(None)
        case 6:
            source.down = chance.choice([None, "away"])
        case _:
            history.target.finish(RunState.SUCCEEDED)


def something_happens(history, chance, policies, *, answers):
    user = chance.choice("123")
    name = chance.choice(["HighModelMAE", "LowModelR2", "Watchdog"])
    starts_at = history.now() - timedelta(minutes=chance.randrange(30))
    match chance.randrange(16 if answers else 8):
        case 0:
            history.deliver(alert(user, name=name, starts_at=starts_at))
        case 1:
            history.deliver(*history_of(history, user))
        case 2:
            history.deliver(alert("not valid"))
        case 3:
            history.deliver(resolved(user, name=name, starts_at=starts_at, ends_at=history.now()))
        case 4:
            length = timedelta(minutes=chance.randrange(1, 90))
            policy = PauseScope.POLICY, "drift"
            controls.pause(history.store, history.policy_set, ANA, *policy, length=length)
        case 5:
            accidents = [refused, unavailable, accepted_then_cut]
            history.target.accidents.append(chance.choice(accidents))
        case 6 | 8:
            history.target.finish(chance.choice([RunState.SUCCEEDED, RunState.FAILED]))
        case 7:
            history.policy_set = policy_set(chance.choice(policies))
        case _:
            with suppress(NotFound, Conflict):
                way = chance.choice([approvals.approve, approvals.approve, approvals.reject])
                way(history.store, history.policy_set, ANA, user)


def history_of(history, user):
    """What fires for a model, delivered again as it is."""
    try:
        entries = history.firing(user)
    except AssertionError:
        entries = []
    return [alert(user, name=entry.alertname, starts_at=entry.starts_at) for entry in entries]
