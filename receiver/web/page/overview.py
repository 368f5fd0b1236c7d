"""What the first page shows: the models, what needs a human, what was just decided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from receiver.core.announcements import Announcement, AnnouncementState
from receiver.core.approvals import Approval, in_force
from receiver.core.explaining import Explanation, explain
from receiver.core.models import (
    FiringAlert,
    Model,
    ModelState,
    Pause,
    PauseScope,
    pause_in_force,
    state_of,
)
from receiver.core.policies import Mode
from receiver.core.policy_set import PolicySet
from receiver.core.restraints import Restraints
from receiver.core.run_ends import RunEnd
from receiver.store import page_rows, queries
from receiver.store.announcement_rows import list_announcements
from receiver.store.budget_rows import Usages
from receiver.store.restraint_rows import approvals_of, explained_restraints
from receiver.store.run_end_rows import run_ends_of
from receiver.store.snapshot import last_received_at, models_by_state
from receiver.store.store import Store
from receiver.web.page.annotations import Hearsay, Told
from receiver.web.page.sparkline import Point, Sparkline, draw
from receiver.web.page.timeline import StoryLine, fold

MODELS_PER_PAGE = 50
LAST_RUNS = 10
LAST_VALUES = 60
RECENT = 60
MOST_WAITING = 20
MOST_LINES = 3
UNHEARD = {"state": AnnouncementState.GIVEN_UP.value}


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One model as the page shows it."""

    model: Model
    state: ModelState
    alerts: Sequence[FiringAlert]
    told: Mapping[str, Told]
    restraints: Restraints | None
    explained: Explanation
    pause: Pause | None
    asked: Approval | None
    runs: Sequence[Row[Any]]
    ends: Mapping[str, RunEnd]
    lines: Sequence[Sparkline]


@dataclass(frozen=True, slots=True)
class Close:
    """One model seen from close by, with what it was judged by."""

    it: ModelCard
    pauses: Sequence[Pause]
    policy_set: PolicySet
    now: datetime


@dataclass(frozen=True, slots=True)
class Hearing:
    """When Alertmanager was last heard, and whether that is worrying."""

    received_at: datetime | None
    expired_at: datetime | None

    @property
    def silent(self) -> bool:
        """Whether alerts were given up because nobody confirmed them, and nothing came since."""
        if self.received_at is None or self.expired_at is None:
            return False
        return self.received_at < self.expired_at


@dataclass(frozen=True, slots=True)
class Overview:
    """The first page."""

    now: datetime
    models: Sequence[ModelCard]
    more: bool
    counts: Mapping[ModelState, int]
    waiting: Sequence[Row[Any]]
    asking: Sequence[ModelCard]
    rejections: Sequence[Row[Any]]
    unheard: Sequence[Announcement]
    hearing: Hearing
    wide_pauses: Sequence[Pause]
    observing: Sequence[str]
    recent: Sequence[StoryLine]


class Overviews:
    """Reads overviews; remembers what alerts told."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._hearsay = Hearsay()

    def read(
        self, policy_set: PolicySet, wanted: page_rows.Wanted, *, skip: int, rejections: bool
    ) -> Overview:
        """One view of everything."""
        with self._store.read() as db:
            now = self._store.now(db)
            pauses = queries.list_pauses(db)
            found, more = page_rows.worst_models(
                db, wanted, skip=skip, limit=MODELS_PER_PAGE, now=now
            )
            return Overview(
                now=now,
                models=self._standings(db, policy_set, found, pauses, now),
                more=more,
                counts={one.state: one.count for one in models_by_state(db, now)},
                waiting=page_rows.waiting_dispatches(db, MOST_WAITING),
                asking=self._standings(
                    db, policy_set, page_rows.asking_models(db, MOST_WAITING), pauses, now
                ),
                rejections=queries.list_rejections(db, MOST_WAITING) if rejections else (),
                unheard=list_announcements(db, UNHEARD, before=None, limit=MOST_WAITING)[0],
                hearing=Hearing(last_received_at(db), page_rows.expired_at(db)),
                wide_pauses=[
                    p for p in pauses if p.scope is not PauseScope.MODEL and p.holds(now)
                ],
                observing=[p.name for p in policy_set.policies if p.mode is Mode.OBSERVE],
                recent=fold(queries.list_decisions(db, {}, limit=RECENT).rows),
            )

    def one(self, policy_set: PolicySet, name: str) -> Close | None:
        """One model as it stands; None if nothing named it yet."""
        with self._store.read() as db:
            now = self._store.now(db)
            model = queries.find_model(db, name)
            if model is None:
                return None
            pauses = queries.list_pauses(db)
            [it] = self._standings(db, policy_set, [model], pauses, now)
            return Close(it, pauses, policy_set, now)

    def _standings(
        self,
        db: Connection,
        policy_set: PolicySet,
        found: Sequence[Model],
        pauses: Sequence[Pause],
        now: datetime,
    ) -> list[ModelCard]:
        names = [model.name for model in found]
        sets = queries.alerts_of_models(db, names)
        told = self._hearsay.of(db, [alert for alerts in sets.values() for alert in alerts])
        runs = page_rows.last_runs(db, names, LAST_RUNS)
        ends = run_ends_of(db, [run.id for some in runs.values() for run in some])
        values = page_rows.last_values(db, names, LAST_VALUES)
        approvals = approvals_of(db, names)
        usages = Usages(db, now)
        standings = []
        for model in found:
            alerts, last = sets[model.name], runs[model.name]
            restraints = explained_restraints(db, model, alerts, policy_set, now, usages=usages)
            asked = in_force(
                approvals.get(model.name), model.episode_started_at, model.latest, now
            )
            standings.append(
                ModelCard(
                    model=model,
                    state=state_of(model, alerts, pauses, now),
                    alerts=alerts,
                    told=told,
                    restraints=restraints,
                    explained=explain(
                        model, alerts, pauses, policy_set, now, restraints=restraints
                    ),
                    pause=pause_in_force(pauses, model=model.name, policy=model.policy, now=now),
                    asked=asked if alerts else None,
                    runs=last,
                    ends=ends,
                    lines=_lines(values[model.name], alerts, told, last, now),
                )
            )
        return standings


def _lines(
    values: Sequence[Row[Any]],
    alerts: Sequence[FiringAlert],
    told: Mapping[str, Told],
    runs: Sequence[Row[Any]],
    now: datetime,
) -> list[Sparkline]:
    """A line for each alert that brought values, those that fire first."""
    series: dict[str, list[Point]] = {alert.alertname: [] for alert in alerts}
    for row in reversed(values):
        if row.value is not None:
            series.setdefault(row.alertname, []).append(Point(row.decided_at, row.value))
    thresholds = {alert.alertname: told[alert.fingerprint].threshold for alert in alerts}
    sent = [run.sent_at for run in runs if run.sent_at is not None]
    drawn = (
        draw(name, points, thresholds.get(name), sent, now) for name, points in series.items()
    )
    return [line for line in drawn if line is not None][:MOST_LINES]
