"""The replay: alerts begin and end, Alertmanager tells, a rule decides, runs go and may help."""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Protocol

from receiver.backtest.alertmanager import Alertmanager, GroupKey, Member, Route
from receiver.backtest.histories import Firing
from receiver.backtest.rules import Answer, Order, Rule
from receiver.backtest.runs import RunModels, RunOutcome
from receiver.backtest.truth import Spell, TrueAlert, Truth
from receiver.core.decisions import Decision

UNHEARD = "unheard"
"""A model is bad, and nothing was decided about that yet."""


@dataclass(frozen=True, slots=True)
class ReplayedRun:
    """One run of a replay.

    Attributes:
        helped: Whether it made its model good.

    """

    model: str
    policy: str
    began: datetime
    ended: datetime
    helped: bool


class Witness(Protocol):
    """Is told what happens in a replay, in order."""

    def decided(self, decisions: Sequence[Decision]) -> None:
        """The rule has decided these."""

    def ran(self, run: ReplayedRun) -> None:
        """A run has ended."""

    def was_bad(self, model: str, held_by: str, began: datetime, ended: datetime) -> None:
        """A model was bad meanwhile, and this is what was done about it."""


@dataclass(slots=True)
class Standing:
    """How a model stands in a replay.

    Attributes:
        spell: The one that goes on.
        firing: How many of its alerts fire.
        held_by: The rung that holds it, or `in_flight`, or `unheard`.
        since: From when on it has been both bad and held so; None while it is good.
        runs: Runs of the spell that had a chance to help, for their luck.

    """

    spell: Spell | None = None
    firing: int = 0
    held_by: str = UNHEARD
    since: datetime | None = None
    runs: int = 0
    in_flight: int = 0
    cured: set[int] = field(default_factory=set)


class Replay:
    """One history, one rule, one throw of the dice."""

    def __init__(
        self,
        truth: Truth,
        rule: Rule,
        route: Route,
        *,
        runs: RunModels,
        seed: int,
        witness: Witness,
    ) -> None:
        self._truth = truth
        self._rule = rule
        self._runs = runs
        self._seed = seed
        self._witness = witness
        self._route = route
        self._manager = Alertmanager(route, self._plan_flush)
        self._coming: list[tuple[datetime, int, int, Callable[[datetime], None]]] = []
        self._numbers = count()
        self._models = {name: Standing() for name in truth.spells}

    def run(self) -> None:
        """Live through all of it."""
        for spells in self._truth.spells.values():
            self._plan_spell(spells, 0)
        until = self._truth.until
        while True:
            wakes = self._rule.wakes_at()
            comes = self._coming[0][0] if self._coming else None
            moment = min((one for one in (wakes, comes) if one is not None), default=None)
            if moment is None or moment > until:
                break
            if comes is not None and comes <= moment:
                now, _, _, happens = heapq.heappop(self._coming)
                happens(now)
            else:
                self._take(self._rule.wake(moment), moment)
        for name, standing in self._models.items():
            self._measure(name, standing, until)

    def _at(self, when: datetime, rank: int, happens: Callable[[datetime], None]) -> None:
        heapq.heappush(self._coming, (when, rank, next(self._numbers), happens))

    def _plan_spell(self, spells: Sequence[Spell], number: int) -> None:
        """Plan a spell's first alerts; the next spell when this one begins."""
        if number >= len(spells):
            return
        spell = spells[number]
        self._at(spell.began, 0, lambda _now: self._begin(spells, number))
        for alert in spell.alerts:
            self._plan_firing(spell, alert, 0)

    def _begin(self, spells: Sequence[Spell], number: int) -> None:
        standing = self._models[spells[number].model]
        standing.spell, standing.runs = spells[number], 0
        self._plan_spell(spells, number + 1)

    def _plan_firing(self, spell: Spell, alert: TrueAlert, number: int) -> None:
        if number < len(alert.firings):
            firing = alert.firings[number]
            self._at(firing.began, 1, lambda now: self._fires(spell, alert, number, now))

    def _fires(self, spell: Spell, alert: TrueAlert, number: int, now: datetime) -> None:
        standing = self._models[spell.model]
        if spell.number in standing.cured:
            return
        firing: Firing = alert.firings[number]
        key = self._route.key(spell.model, alert.labels)
        self._change(spell.model, now, +1)
        member = Member(alert.fingerprint, alert.labels, now)
        self._manager.fires(key, member, now)

        def ends(then: datetime) -> None:
            if self._manager.is_firing(key, alert.fingerprint):
                self._ends(spell.model, key, alert, then)
            self._plan_firing(spell, alert, number + 1)

        if firing.ended is not None:
            self._at(firing.ended, 0, ends)

    def _ends(self, model: str, key: GroupKey, alert: TrueAlert, now: datetime) -> None:
        self._change(model, now, -1)
        self._manager.ends(key, alert.fingerprint, now)

    def _change(self, model: str, now: datetime, by: int) -> None:
        """One more, or one less, of a model's alerts fires."""
        standing = self._models[model]
        self._measure(model, standing, now)
        if standing.firing == 0 and not standing.in_flight:
            standing.held_by = UNHEARD
        standing.firing += by
        standing.since = now if standing.firing else None

    def _measure(self, model: str, standing: Standing, now: datetime) -> None:
        if standing.since is not None and standing.since < now:
            self._witness.was_bad(model, standing.held_by, standing.since, now)
            standing.since = now

    def _plan_flush(self, when: datetime, key: GroupKey) -> None:
        self._at(when, 3, lambda now: self._flush(key, now))

    def _flush(self, key: GroupKey, now: datetime) -> None:
        alerts = self._manager.flush(key, now)
        if alerts:
            self._take(self._rule.hear(alerts, now), now)

    def _take(self, answer: Answer, now: datetime) -> None:
        """Let what the rule has said happen."""
        if answer.decisions:
            self._witness.decided(answer.decisions)
        for model, held_by in answer.holds:
            self._call(model, held_by, now)
        for order in answer.orders:
            self._start(order, now)

    def _call(self, model: str, held_by: str, now: datetime) -> None:
        standing = self._models[model]
        if standing.held_by != held_by:
            self._measure(model, standing, now)
            standing.held_by = held_by

    def _start(self, order: Order, now: datetime) -> None:
        standing, model = self._models[order.model], self._runs.of(order.policy)
        spell = standing.spell
        number = spell.number if spell is not None else -1
        if spell is not None and spell.curable_from is not None and now < spell.curable_from:
            outcome = RunOutcome(model.draw(self._seed, order.model, number, -1).took, helps=False)
        else:
            outcome = model.draw(self._seed, order.model, number, standing.runs)
            standing.runs += 1
        standing.in_flight += 1
        helps = outcome.helps and spell is not None and spell.curable
        ended = now + outcome.took
        self._at(ended, 2, lambda _then: self._end(order, now, ended, spell if helps else None))

    def _end(self, order: Order, began: datetime, ended: datetime, cures: Spell | None) -> None:
        standing = self._models[order.model]
        standing.in_flight -= 1
        goes_on = cures is not None and self._goes_on(cures, standing, ended)
        self._witness.ran(ReplayedRun(order.model, order.policy, began, ended, goes_on))
        if cures is not None and goes_on:
            standing.cured.add(cures.number)
            shows = ended + self._runs.of(order.policy).shows_after
            self._at(shows, 0, lambda now: self._cure(cures, now))
        learns = self._rule.end(order, began, ended)
        self._at(learns, 2, lambda now: self._take(self._rule.learn(order, began, now), now))

    def _goes_on(self, spell: Spell, standing: Standing, now: datetime) -> bool:
        """Whether the spell in which a run began is neither over nor cured."""
        last = spell.bad[-1].ended
        return (
            standing.spell is spell
            and spell.number not in standing.cured
            and (last is None or now < last)
        )

    def _cure(self, spell: Spell, now: datetime) -> None:
        """The model is good: what fires of it ends."""
        if self._models[spell.model].spell is not spell:
            return
        for alert in spell.alerts:
            key = self._route.key(spell.model, alert.labels)
            if self._manager.is_firing(key, alert.fingerprint):
                self._ends(spell.model, key, alert, now)
