"""What one history is like: everything that is drawn once, from its seed."""

from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random
from typing import Any

from receiver.flows.worker.retention import Ages
from tests.simulation.rungs import NONE, Rungs, draw_rungs

USUAL_AGES = Ages()

SECOND, MINUTE, HOUR = 1.0, 60.0, 3600.0


def seeded(seed: str) -> Random:
    """Make chances that come again with the same seed."""
    return Random(seed)  # noqa: S311  nothing here is a secret


@dataclass(frozen=True)
class Plan:
    """The installation, its settings, and how often which fault strikes.

    A fault that is off in a history leaves room for the others: each is drawn apart.

    Attributes:
        replicas: One: on a store of its own. Several: on one store, by its clock.
        ends: Faults and new alerts stop at this second of the history.
        heals: For so long after that everything works, and nothing may stay undone.
        group_by: Labels that make Alertmanager's groups.
        listing: `always` shows our ids, `run-name` once it was polled, or `hidden`.
        follow_pace: How often a process looks after its runs, at most.
        rungs: What the usual policy, and the second where there are two, have below `cooldown`.
        split: Whether the usual policies are two, each with some of a model's alerts.
        answers: How often an operator answers what a rung asks.
        gales: How often all models get worse together.
        hiding: Chance at each run that its target's listing hides all runs for hours.
        denial: Chance at each run that its target says for minutes that it knows no run.
        sources: How many Alertmanagers are asked, every `poll`.
        objector: Whether Prometheus may object to the end of an alert.
        source_faults: How often one that is asked can't be, lies, or restarts empty.
        source_trouble: Chance at each question that there is no answer.
        subscribers: How many are told of what happens.
        deafness: Chance at each telling that the subscriber does not hear it.
        token_faults: How often a process has no tokens for a while.
        aheads: How often the clock is ahead for a while.
        crash, store_fault, stall: Chance at each step of a process.
        crash_at: The number of a step at which a process surely dies; 0 for none.
        kept: How long things are kept; the usual is longer than any history.

    """

    seed: int
    replicas: int
    alertmanagers: int
    models: int
    ends: float
    heals: float
    group_by: tuple[str, ...]
    group_wait: float
    group_interval: float
    repeat_interval: float
    peer_timeout: float
    send_resolved: bool
    max_alerts: int
    cooldown: timedelta
    settle: timedelta
    dedup_window: timedelta
    alert_expiry: timedelta
    lookup_window: timedelta
    run_timeout: timedelta
    listing: str
    follow_pace: float
    crash: float
    store_fault: float
    stall: float
    target_trouble: float
    poll_trouble: float
    answer_loss: float
    downtime: float
    jumps: int
    acts: int
    reloads: int
    outages: int
    alertmanager_faults: int
    prometheus_faults: int
    silences: int
    rungs: tuple[Rungs, Rungs] = (NONE, NONE)
    split: bool = False
    answers: int = 0
    gales: int = 0
    hiding: float = 0
    denial: float = 0
    sources: int = 0
    poll: timedelta = timedelta(minutes=5)
    confirm_within: timedelta = timedelta(minutes=5)
    objector: bool = False
    source_faults: int = 0
    source_trouble: float = 0
    subscribers: int = 0
    deafness: float = 0
    token_faults: int = 0
    aheads: int = 0
    crash_at: int = 0
    kept: Ages = USUAL_AGES


def draw(seed: int, *, replicas: int | None = None) -> Plan:
    """Draw the plan of a history."""
    plan = draw_sources(draw_absences(draw_world(seed, replicas)))
    random = seeded(f"rungs/{seed}")
    rungs = draw_rungs(random)
    if rungs == (NONE, NONE):
        return plan
    return replace(
        plan,
        rungs=rungs,
        split=seeded(f"split/{seed}").random() < SPLIT,
        models=max(plan.models, random.choice((2, 3, 4))),
        answers=random.choice((0, 12, 36)),
        gales=random.choice((0, 1, 2)) if any(one.storm for one in rungs) else 0,
    )


SPLIT = 0.2
"""Share of restrained histories with two policies from the start."""


def draw_absences(plan: Plan) -> Plan:
    """Draw how often a target does not show what runs there."""
    random = seeded(f"absences/{plan.seed}")
    return replace(plan, hiding=random.choice((0, 0.1, 0.4)), denial=random.choice((0, 0.1, 0.4)))


def draw_sources(plan: Plan) -> Plan:
    """Draw whom the receiver asks and tells, and what is wrong with that; and a clock ahead."""
    random = seeded(f"sources/{plan.seed}")
    minute = timedelta(minutes=1)
    asked = random.choice((0, 0, 1, min(2, plan.alertmanagers)))
    told = {
        "subscribers": random.choice((0, 0, 1)),
        "deafness": random.choice((0, 0.1, 0.5)),
        "token_faults": random.choice((0, 0, 0, 1, 3)),
        "aheads": random.choice((0, 0, 0, 1, 2)),
    }
    if not asked:
        return replace(plan, **told)
    return replace(
        plan,
        **told,
        sources=asked,
        ends=random.uniform(5, 9) * HOUR,
        heals=4 * HOUR,
        cooldown=random.choice((60, 120, 180)) * minute,
        poll=random.choice((5, 10, 10)) * minute,
        confirm_within=random.choice((5, 10, 30)) * minute,
        objector=random.random() < OBJECTS,
        source_faults=random.choice((0, 2, 6)),
        source_trouble=random.choice((0, 0, 0.1, 0.4)),
        silences=random.choice((0, 1, 3, 6)),
        send_resolved=random.random() < RESOLVES,
    )


OBJECTS, RESOLVES = 0.3, 0.6
"""Where somebody is asked, Prometheus is too in so many histories; and so many tell an end."""


def draw_world(seed: int, replicas: int | None) -> Plan:
    """Draw the plan of a history whose policies have no rung below `cooldown`."""
    random = seeded(f"plan/{seed}")

    def sometimes(value: float, chance: float = 0.5) -> float:
        return value if random.random() < chance else 0

    group_interval = random.choice((MINUTE, 5 * MINUTE))
    repeat_interval = random.choice((HOUR / 3, HOUR / 3, HOUR, 4 * HOUR, 12 * HOUR))
    return Plan(
        seed=seed,
        replicas=random.choice((1, 1, 2, 3)) if replicas is None else replicas,
        alertmanagers=random.choice((1, 2, 3, 3)),
        models=random.choice((1, 2, 3, 4)),
        ends=random.uniform(12, 24) * HOUR,
        heals=6 * HOUR,
        group_by=random.choice((("user_id",), ("alertname", "user_id"), ("alertname",), ())),
        group_wait=random.choice((5.0, 30.0)),
        group_interval=group_interval,
        repeat_interval=repeat_interval,
        peer_timeout=random.choice((2.0, 15.0)),
        send_resolved=random.random() < 0.85,
        max_alerts=int(sometimes(random.choice((1, 2, 3)), 0.2)),
        cooldown=timedelta(hours=random.choice((2, 6, 6))),
        settle=timedelta(minutes=random.choice((10, 60, 90))),
        dedup_window=timedelta(seconds=2 * group_interval),
        alert_expiry=timedelta(seconds=repeat_interval) + timedelta(hours=1),
        lookup_window=timedelta(seconds=random.choice((40, 60, 120))),
        run_timeout=timedelta(hours=random.choice((2, 24))),
        listing=random.choice(("always", "always", "run-name", "hidden")),
        follow_pace=random.choice((120.0, 300.0, 600.0, 600.0)),
        crash=sometimes(random.choice((0.005, 0.01, 0.03)), 0.7),
        store_fault=sometimes(random.choice((0.005, 0.03))),
        stall=sometimes(random.choice((0.05, 0.3)), 0.7),
        target_trouble=sometimes(random.choice((0.2, 0.4, 0.7)), 0.8),
        poll_trouble=sometimes(0.2),
        answer_loss=sometimes(random.choice((0.02, 0.2))),
        downtime=random.choice((5.0, 5 * MINUTE, HOUR)),
        jumps=int(sometimes(random.randint(1, 6), 0.4)),
        acts=int(sometimes(random.randint(1, 12))),
        reloads=int(sometimes(random.randint(1, 4), 0.4)),
        outages=int(sometimes(random.randint(1, 3), 0.3)),
        alertmanager_faults=int(sometimes(random.randint(1, 5))),
        prometheus_faults=int(sometimes(random.randint(5, 40), 0.8)),
        silences=int(sometimes(random.randint(1, 3), 0.3)),
    )


FAULTS = (
    "crash",
    "store_fault",
    "stall",
    "target_trouble",
    "poll_trouble",
    "answer_loss",
    "jumps",
    "acts",
    "reloads",
    "outages",
    "alertmanager_faults",
    "prometheus_faults",
    "silences",
    "max_alerts",
    "answers",
    "gales",
    "hiding",
    "denial",
    "sources",
    "source_faults",
    "source_trouble",
    "subscribers",
    "deafness",
    "token_faults",
    "aheads",
)


def calm(seed: int, **different: Any) -> Plan:
    """Draw a short history with one replica in which nothing goes wrong, but for `different`."""
    quiet = dict.fromkeys(FAULTS, 0)
    short = {
        "replicas": 1,
        "models": 2,
        "ends": 3 * HOUR,
        "heals": 3 * HOUR,
        "listing": "always",
        "cooldown": timedelta(hours=1),
        "settle": timedelta(minutes=10),
        "rungs": (NONE, NONE),
        "split": False,
    }
    return replace(draw(seed), **{**quiet, **short, **different})


def of_moving_targets(seed: int) -> Plan:
    """People order runs, which wait for a token while their targets move away."""
    busy = {"reloads": 60, "acts": 60, "token_faults": 30, "sources": 0}
    return calm(seed, models=4, ends=8 * HOUR, **busy)
