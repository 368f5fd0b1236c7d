"""What a policy of a history has between `cooldown` and `observed`; most have nothing there."""

from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random
from zoneinfo import ZoneInfo

from receiver.config.restraint_fields import parse_hours
from receiver.core.budgets import Cost, Counted, Limit, Scope
from receiver.core.policies import APPROVAL_EXPIRY, Mode, Policy
from receiver.core.storms import Storm
from receiver.core.windows import Window

HOURS = timedelta(hours=1)
MINUTES = timedelta(minutes=1)


@dataclass(frozen=True)
class Rungs:
    """The keys of one policy that say no more often; absent ones are as in `Policy`."""

    mode: Mode = Mode.AUTO
    approval_expiry: timedelta = APPROVAL_EXPIRY
    window: Window | None = None
    storm: Storm | None = None
    attempts: int | None = None
    backoff: float = 1
    limits: tuple[Limit, ...] = ()
    cost: Cost | None = None

    def put_on(self, policy: Policy) -> Policy:
        """The same policy, restrained."""
        return replace(policy, **vars(self))


NONE = Rungs()

COMMON = 0.5
"""Share of histories in which no policy has any."""


def draw_rungs(random: Random) -> tuple[Rungs, Rungs]:
    """What the usual policy has, and what the second one has where there are two.

    The numbers bite within a day: a handful of models, cooldowns of two or six hours.
    """
    if random.random() < COMMON:
        return NONE, NONE
    kinds = set(random.sample(KINDS, random.choice((1, 1, 1, 2, 3, len(KINDS)))))
    total = draw_limits(random, Scope.TOTAL) if random.random() < 0.5 else ()
    cost = Cost(10, "EUR", random.choice((None, 5 * MINUTES, 10 * MINUTES)))
    first = draw_some(random, kinds, total, cost)
    other = replace(cost, amount=random.choice((4, 10)))
    second = draw_some(random, kinds & set(random.sample(KINDS, 3)), total, other)
    return first, second


def draw_some(random: Random, kinds: set[str], total: tuple[Limit, ...], cost: Cost) -> Rungs:
    """Draw one policy's; what all policies share is drawn once."""
    rungs = Rungs(
        mode=Mode.APPROVE if "approval" in kinds else Mode.AUTO,
        approval_expiry=random.choice((HOURS / 2, 24 * HOURS)),
        window=draw_window(random) if "window" in kinds else None,
        storm=draw_storm(random) if "storm" in kinds else None,
    )
    if "attempts" in kinds:
        backoff = random.choice((1, 1.5, 2))
        rungs = replace(rungs, attempts=random.choice((1, 2, 3)), backoff=backoff)
    if "budget" in kinds:
        own = draw_limits(random, random.choice((Scope.MODEL, Scope.POLICY)))
        rungs = replace(rungs, limits=(*own, *total), cost=cost)
    return rungs


KINDS = ("approval", "window", "storm", "attempts", "budget")

PLACES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata")
"""None of them sets its clocks in the week of these histories, which begins on a Sunday."""


def draw_window(random: Random) -> Window:
    """Some hours of the day, perhaps other ones on one of the days."""
    place = random.choice(PLACES)
    if random.random() < 0.5:  # so short that a target in trouble misses its end
        step = random.choice((2, 3, 4))
        times = [(half_hours(begin), half_hours(begin + 1)) for begin in range(0, 47, step)]
        texts = [f"daily {begin}-{end}" for begin, end in times]
        return Window(place, ZoneInfo(place), tuple(parse_hours(text) for text in texts))
    texts = []
    for days in random.choice((("daily",), ("sun", "mon-sat"), ("sun-tue", "mon"))):
        begin, length = random.randrange(48), random.randint(2, 24)
        end = (begin + length) % 48
        texts.append(f"{days} {half_hours(begin)}-{half_hours(end)}")
    return Window(place, ZoneInfo(place), tuple(parse_hours(text) for text in texts))


def half_hours(number: int) -> str:
    """So many half hours after midnight, as a clock shows it."""
    return f"{number // 2:02}:{number % 2 * 30:02}"


def draw_storm(random: Random) -> Storm:
    """One or two models are no storm."""
    return Storm(
        models=random.choice((1, 1, 2)),
        within=random.choice((5 * MINUTES, 20 * MINUTES, 2 * HOURS)),
        wait=random.choice((2 * MINUTES, 5 * MINUTES)),
        calm=random.choice((5 * MINUTES, HOURS)),
    )


def draw_limits(random: Random, scope: Scope) -> tuple[Limit, ...]:
    """One or two caps of a scope."""
    asks = random.random() < 0.4
    span = random.choice((3 * HOURS, 6 * HOURS, 12 * HOURS))
    runs = Limit(scope, Counted.RUNS, random.choice((1, 1, 2, 3)), span, asks=asks)
    if scope is Scope.MODEL:
        return (runs,)
    others = (
        Limit(scope, Counted.IN_FLIGHT, random.choice((1, 1, 2)), asks=asks),
        Limit(scope, Counted.COST, random.choice((10, 25, 40)), span, "EUR", asks=asks),
    )
    return tuple(random.sample((runs, *others), random.choice((1, 1, 2))))
