"""Alertmanager as a replay plays it: groups, `group_wait`, `group_interval`, repeats."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias

from receiver.core.alerts import Alert, AlertStatus

GroupKey: TypeAlias = tuple[str, ...]

SECOND = timedelta(seconds=1)

MOMENT = timedelta(milliseconds=1)
"""Alertmanager notes that it sent when it was answered: the flush that comes just
`repeat_interval` after the last is a moment too early, and the next one repeats."""

RESOLVED_FOR = timedelta(minutes=15)
"""Prometheus sends resolved alerts again for so long: Alertmanager lists them meanwhile."""


@dataclass(frozen=True, slots=True)
class Route:
    """How a route groups and repeats.

    Attributes:
        group_by: Names of labels; None: by alertname and model, as docs/operations.md advises.
        repeats: Whether alerts that go on are sent again. Without them a replay decides the same
            runs in a fraction of the time, as long as no alert would expire between two of them.

    """

    group_wait: timedelta = timedelta(seconds=30)
    group_interval: timedelta = timedelta(minutes=5)
    repeat_interval: timedelta = timedelta(hours=4)
    group_by: tuple[str, ...] | None = None
    repeats: bool = True

    def key(self, model: str, labels: Mapping[str, str]) -> GroupKey:
        """The group of an alert."""
        if self.group_by is None:
            return (labels.get("alertname", ""), model)
        return tuple(labels.get(name, "") for name in self.group_by)


UNGROUPED = Route(timedelta(0), timedelta(0))
"""Each model's alerts are told at once, and no other model's beside them."""


@dataclass(slots=True)
class Member:
    """One alert as Alertmanager knows it."""

    fingerprint: str
    labels: Mapping[str, str]
    starts_at: datetime
    ends_at: datetime | None = None

    def sent(self, position: int) -> Alert:
        """As it is in a notification."""
        status = AlertStatus.FIRING if self.ends_at is None else AlertStatus.RESOLVED
        return Alert(
            status=status,
            labels=self.labels,
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            fingerprint=self.fingerprint,
            value=None,
            position=position,
        )


@dataclass(slots=True)
class Group:
    """One group: its members, when it is flushed, and what was sent last.

    Attributes:
        base: When it was first flushed; later flushes are whole intervals behind that.
        due: The flush that is planned.
        firing: Fingerprints that fired when it was last sent.
        resolved: Those that were told resolved then.

    """

    members: dict[str, Member] = field(default_factory=dict)
    base: datetime | None = None
    due: datetime | None = None
    sent_at: datetime | None = None
    firing: frozenset[str] = frozenset()
    resolved: frozenset[str] = frozenset()


class Alertmanager:
    """All groups of one route. `plan` is told when a group is to be flushed."""

    def __init__(self, route: Route, plan: Callable[[datetime, GroupKey], None]) -> None:
        self._route = route
        self._plan = plan
        self._groups: dict[GroupKey, Group] = {}
        self._interval = max(route.group_interval, SECOND)

    def fires(self, key: GroupKey, member: Member, now: datetime) -> None:
        """Prometheus says that an alert fires."""
        group = self._groups.setdefault(key, Group())
        if self._purged(group, now):
            group.base = None
        group.members[member.fingerprint] = member
        self._touch(key, group, now)

    def ends(self, key: GroupKey, fingerprint: str, now: datetime) -> None:
        """Prometheus says that it is over."""
        group = self._groups[key]
        group.members[fingerprint].ends_at = now
        self._touch(key, group, now)

    def is_firing(self, key: GroupKey, fingerprint: str) -> bool:
        """Whether an alert fires, as it knows."""
        group = self._groups.get(key)
        member = group.members.get(fingerprint) if group is not None else None
        return member is not None and member.ends_at is None

    def flush(self, key: GroupKey, now: datetime) -> list[Alert]:
        """What a group sends at a moment that was planned; nothing if that was put off."""
        group = self._groups.get(key)
        if group is None or group.due != now:
            return []
        group.due = None
        self._purged(group, now)
        members = sorted(group.members.values(), key=lambda one: one.fingerprint)
        firing = frozenset(one.fingerprint for one in members if one.ends_at is None)
        resolved = frozenset(one.fingerprint for one in members if one.ends_at is not None)
        alerts: list[Alert] = []
        if self._is_due(group, firing, resolved, now):
            news = members if self._route.repeats else self._news(group, members)
            alerts = [one.sent(position) for position, one in enumerate(news)]
            group.sent_at, group.firing, group.resolved = now, firing, resolved
        if self._route.repeats and group.sent_at is not None and group.firing:
            self._touch(key, group, group.sent_at + self._route.repeat_interval + MOMENT)
        return alerts

    @staticmethod
    def _purged(group: Group, now: datetime) -> bool:
        """Let go of what was resolved long ago; whether nothing is left."""
        over = [
            one.fingerprint
            for one in group.members.values()
            if one.ends_at is not None and one.ends_at + RESOLVED_FOR < now
        ]
        for fingerprint in over:
            del group.members[fingerprint]
        return not group.members

    def _is_due(
        self, group: Group, firing: frozenset[str], resolved: frozenset[str], now: datetime
    ) -> bool:
        """Alertmanager's own rule (dedup_stage.go)."""
        if group.sent_at is None:
            return bool(firing)
        if not firing <= group.firing:
            return True
        if not firing:
            return bool(group.firing)
        if not resolved <= group.resolved:
            return True
        return self._route.repeats and now > group.sent_at + self._route.repeat_interval

    @staticmethod
    def _news(group: Group, members: Iterable[Member]) -> list[Member]:
        """Those that were not sent so before."""
        since = group.sent_at
        return [
            one
            for one in members
            if since is None
            or one.starts_at > since
            or (one.ends_at is not None and one.fingerprint not in group.resolved)
            or (one.ends_at is None and one.fingerprint not in group.firing)
        ]

    def _touch(self, key: GroupKey, group: Group, earliest: datetime) -> None:
        """Something may be to be sent from then on: at the group's next flush."""
        if group.base is None:
            group.base = earliest + self._route.group_wait
        behind = max(earliest - group.base, timedelta(0))
        due = group.base + -(-behind // self._interval) * self._interval
        if group.due is None or due < group.due:
            group.due = due
            self._plan(due, key)
