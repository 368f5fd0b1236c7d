"""The first page: what needs a human, the models, the latest decisions."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime

from receiver.core.announcements import Announcement, AnnouncementState
from receiver.core.approvals import Approval, in_force
from receiver.core.dispatches import Dispatch
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
from receiver.core.sightings import Belief
from receiver.core.sources import SourceRecord
from receiver.core.target_health import TargetStanding, cure
from receiver.core.tenants import Tenant
from receiver.store.store import Store
from receiver.store.views.decisions import StoredDecision
from receiver.store.views.models import FiringSize
from receiver.store.views.needs import NeedGroup
from receiver.store.views.page import PastRun, PastValue, Wanted
from receiver.store.views.rejections import Rejection
from receiver.store.views.view import View
from receiver.web.page.annotations import Hearsay, Told
from receiver.web.page.sparkline import Point, Sparkline, draw
from receiver.web.page.timeline import StoryLine, fold
from receiver.web.responses import PAGE_BYTES

MODELS_PER_PAGE = 50
SHOWN_ALERTS = 100
LAST_RUNS = 10
LAST_VALUES = 60
RECENT = 60
MOST_WAITING = 20
FEW = 3
"""So many models of one kind are shown one by one; more are a group, told in one row."""

MOST_ALIKE = 3
"""Lines of one policy and reason among the latest decisions."""

MOST_LINES = 3
UNHEARD = {"state": AnnouncementState.GIVEN_UP.value}


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One model as the page shows it.

    Attributes:
        alerts: The oldest of those that fire.
        firing: How many fire.

    """

    model: Model
    state: ModelState
    alerts: Sequence[FiringAlert]
    firing: int
    told: Mapping[str, Told]
    restraints: Restraints | None
    belief: Belief | None
    explained: Explanation
    pause: Pause | None
    asked: Approval | None
    runs: Sequence[PastRun]
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
class FailingTarget:
    """A target that starts nothing, and what would help."""

    standing: TargetStanding
    cure: str


@dataclass(frozen=True, slots=True)
class Overview:
    """The first page.

    Attributes:
        hearing: None for a tenant: Alertmanager speaks of everybody's models.
        total: Of how many `models` are a page; None where a search would have to count.
        known: The models of `recent` and `unheard` that there are: the others have no page.
        silent: Sources that did not answer when they were last asked; a tenant sees none.

    """

    now: datetime
    models: Sequence[ModelCard]
    more: bool
    total: int | None
    counts: Mapping[ModelState, int]
    groups: Sequence[NeedGroup]
    more_needs: int
    waiting: Sequence[Dispatch]
    asking: Sequence[ModelCard]
    rejections: Sequence[Rejection]
    unheard: Sequence[Announcement]
    hearing: Hearing | None
    failing: Sequence[FailingTarget]
    silent: Sequence[SourceRecord]
    wide_pauses: Sequence[Pause]
    observing: Sequence[str]
    recent: Sequence[StoryLine]
    known: AbstractSet[str]


class Overviews:
    """Reads overviews; remembers what alerts told."""

    def __init__(self, store: Store, hearsay: Hearsay) -> None:
        self._store = store
        self._hearsay = hearsay

    def read(
        self,
        policy_set: PolicySet,
        wanted: Wanted,
        tenant: Tenant | None = None,
        *,
        skip: int,
        rejections: bool,
    ) -> Overview:
        """One view of everything, or of what is a tenant's."""
        with self._store.view(tenant) as view:
            now, page = view.now, view.page
            pauses = view.models.pauses()
            needs = view.needs.groups()
            if tenant is not None:  # no banner tells of the target
                needs = [group for group in needs if group.target is None]
            groups = [group for group in needs if group.count > FEW]
            found, more = page.worst_models(
                wanted,
                skip=skip,
                limit=MODELS_PER_PAGE,
                beside=groups if wanted == EVERYONE else (),
            )
            waiting = view.dispatches.waiting(MOST_WAITING, groups)
            asking = page.asking_models(max(0, MOST_WAITING - len(waiting)), groups)
            shown = {model.name: model for model in (*found, *asking)}
            every = self._cards(view, policy_set, list(shown.values()), pauses)
            cards = {card.model.name: card for card in every}
            unheard = view.announcements.page(UNHEARD, limit=MOST_WAITING).rows
            recent = view.decisions.page({}, limit=RECENT, labels=False).rows
            counts = page.counts()
            single = sum(one.count for one in needs if one not in groups and one.target is None)
            return Overview(
                now=now,
                models=[cards[model.name] for model in found],
                more=more,
                total=_total(wanted, counts, groups),
                counts=counts,
                groups=[group for group in groups if group.target is None],
                more_needs=max(0, single - len(waiting) - len(asking)),
                waiting=waiting,
                asking=[cards[model.name] for model in asking],
                rejections=view.rejections.newest(MOST_WAITING) if rejections else (),
                unheard=unheard,
                hearing=None if tenant is not None else _hearing(view),
                failing=_failing(view, policy_set),
                silent=[] if tenant is not None else view.sources.down(policy_set.asking),
                wide_pauses=[
                    p for p in pauses if p.scope is not PauseScope.MODEL and p.holds(now)
                ],
                observing=[] if tenant is not None else _observing(policy_set),
                recent=_varied(fold(recent)),
                known=_known(view, recent, unheard),
            )

    def one(self, policy_set: PolicySet, name: str, tenant: Tenant | None = None) -> Close | None:
        """One model as it stands; None if nothing named it yet, or if it is not the tenant's."""
        with self._store.view(tenant) as view:
            model = view.models.find(name)
            if model is None:
                return None
            pauses = view.models.pauses()
            [it] = self._cards(view, policy_set, [model], pauses)
            return Close(it, pauses, policy_set, view.now)

    def _cards(
        self,
        view: View,
        policy_set: PolicySet,
        found: Sequence[Model],
        pauses: Sequence[Pause],
    ) -> list[ModelCard]:
        now, names = view.now, [model.name for model in found]
        sizes = view.models.firing_sizes(names)
        most = FiringSize(SHOWN_ALERTS, PAGE_BYTES // max(1, len(names)))
        whole = all(size.within(most) for size in sizes.values())
        sets = view.models.firing(names, most=None if whole else most)
        told = self._hearsay.of(view, [alert for alerts in sets.values() for alert in alerts])
        runs = view.page.last_runs(names, LAST_RUNS)
        ends = view.dispatches.ends([run.id for some in runs.values() for run in some])
        values = view.page.last_values(names, LAST_VALUES)
        approvals = view.models.approvals(names)
        oldest = [alerts[0] for alerts in sets.values() if alerts]
        beliefs = view.sources.beliefs(oldest, policy_set.asking)
        restraints = view.models.restraints(found, sets, policy_set)
        cards = []
        for model in found:
            alerts, last = sets[model.name], runs[model.name]
            asked = in_force(
                approvals.get(model.name), model.episode_started_at, model.latest, now
            )
            cards.append(
                ModelCard(
                    model=model,
                    state=state_of(model, alerts, pauses, now),
                    alerts=alerts,
                    firing=sizes[model.name].alerts if alerts else 0,
                    told=told,
                    restraints=restraints[model.name],
                    explained=explain(
                        model,
                        alerts,
                        pauses,
                        policy_set,
                        now,
                        restraints=restraints[model.name],
                        belief=beliefs.get(alerts[0].fingerprint) if alerts else None,
                    ),
                    belief=beliefs.get(alerts[0].fingerprint) if alerts else None,
                    pause=pause_in_force(pauses, model=model.name, policy=model.policy, now=now),
                    asked=asked if alerts else None,
                    runs=last,
                    ends=ends,
                    lines=_lines(values[model.name], alerts, told, last, now),
                )
            )
        return cards


EVERYONE = Wanted()


def _total(
    wanted: Wanted, counts: Mapping[ModelState, int], groups: Sequence[NeedGroup]
) -> int | None:
    """How many there are of what is asked for: without those that the groups tell of."""
    if wanted == EVERYONE:
        return max(0, sum(counts.values()) - sum(group.count for group in groups))
    if wanted == Wanted(state=wanted.state) and wanted.state is not None:
        return counts.get(wanted.state, 0)
    return None


def _varied(lines: Sequence[StoryLine]) -> list[StoryLine]:
    """The latest lines without the tenth like one: a storm would hide everything else."""
    seen: dict[tuple[str, str | None], int] = {}
    shown = []
    for line in lines:
        kind = (line.newest.reason, line.newest.policy)
        seen[kind] = seen.get(kind, 0) + 1
        if line.newest.outcome != "hold" or seen[kind] <= MOST_ALIKE:
            shown.append(line)
    return shown


def _known(
    view: View, decisions: Sequence[StoredDecision], told: Sequence[Announcement]
) -> frozenset[str]:
    return view.models.known([*(row.model for row in decisions), *(one.model for one in told)])


def _hearing(view: View) -> Hearing:
    return Hearing(view.page.last_received_at(), view.decisions.expired_at())


def _observing(policy_set: PolicySet) -> list[str]:
    return [policy.name for policy in policy_set.policies if policy.mode is Mode.OBSERVE]


def _failing(view: View, policy_set: PolicySet) -> list[FailingTarget]:
    """The targets that fail, the one with the most models behind it first."""
    found = []
    for standing in view.targets.standing():
        record, target = standing.record, policy_set.targets.get(standing.record.name)
        if standing.fails and target is not None:
            what = cure(target.kind, target.place, record.error, record.status_code)
            found.append(FailingTarget(standing, what))
    return sorted(found, key=lambda one: -one.standing.waiting)


def _lines(
    values: Sequence[PastValue],
    alerts: Sequence[FiringAlert],
    told: Mapping[str, Told],
    runs: Sequence[PastRun],
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
