"""Finds and cuts stored moments that only a clock that was ahead can have written."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Table,
    and_,
    exists,
    func,
    or_,
    select,
    true,
    tuple_,
    union,
    update,
)

from receiver.core.announcements import WAITS, AnnouncementState
from receiver.core.deadlines import LEASE, SLACK, Spans, spans_of
from receiver.core.dispatches import LIVE, Dispatch
from receiver.store.compiled import Compiled, moment
from receiver.store.dispatch_rows import dispatch_of
from receiver.store.tables import (
    announcements,
    answers,
    approvals,
    costs,
    deliveries,
    dispatches,
    firing_alerts,
    models,
    notifications,
    pauses,
    run_ends,
    sightings,
    sources,
    storm_releases,
    targets,
)
from receiver.store.views.moment import Reads

LONGEST_READ = timedelta(hours=1)
"""The longest wait for the next try to read a report."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """A column whose moments may lie so far ahead, and where a later one is put instead.

    Attributes:
        of: The rows that it is said of.

    """

    column: Column[datetime]
    within: timedelta
    to: timedelta
    of: ColumnElement[bool] = field(default_factory=true)

    @property
    def table(self) -> Table:
        """Whose column it is."""
        return self.column.table

    def later_than(self, bound: datetime | ColumnElement[datetime]) -> ColumnElement[bool]:
        """Whether a row's moment lies further ahead than this."""
        return and_(self.of, self.column > bound)


def moments(spans: Spans) -> Iterator[Ahead]:
    """Those that no model's lock protects: what has happened, and what is to be done when."""
    has_happened = (
        notifications.c.received_at,
        answers.c.answered_at,
        deliveries.c.decided_at,
        deliveries.c.resolved_at,
        sightings.c.missed_since,
        costs.c.ordered_at,
        storm_releases.c.released_at,
        run_ends.c.created_at,
        run_ends.c.ended_at,
        run_ends.c.recovered_at,
        run_ends.c.confirmed_at,
        approvals.c.asked_at,
        approvals.c.answered_at,
        sources.c.asked_at,
        sources.c.last_answer_at,
        sources.c.steady_since,
        sources.c.error_since,
        targets.c.failing_since,
        targets.c.failed_at,
        targets.c.announced_at,
        targets.c.answered_at,
        announcements.c.ended_at,
    )
    yield from (Ahead(column, SLACK, timedelta(0)) for column in has_happened)
    for column, span in (
        (deliveries.c.forget_at, spans.remembered),
        (run_ends.c.settles_at, spans.settle),
        (approvals.c.expires_at, spans.approval),
    ):
        yield Ahead(column, span + SLACK, span)
    # A report read twice is the same report, and subscribers know what they are told twice.
    yield Ahead(run_ends.c.report_due_at, LONGEST_READ, timedelta(0))
    yield Ahead(run_ends.c.rerun_due_at, LONGEST_READ, timedelta(0))
    yield Ahead(sources.c.due_at, LONGEST_READ, timedelta(0))
    yield Ahead(sources.c.leased_until, LEASE + SLACK, LEASE)
    yield from _tries()
    yield Ahead(announcements.c.at, SLACK, timedelta(0))


def _tries() -> Iterator[Ahead]:
    """The next try to tell a subscriber, by how many there were. Its wish for later is not kept.

    Nobody knows which of them wait and which are being sent: each keeps a whole lease.
    """
    tries, last = announcements.c.tries, len(WAITS)
    waits = announcements.c.state == AnnouncementState.PENDING.value
    for number, wait in enumerate(WAITS, start=1):
        so_many = tries <= 1 if number == 1 else tries == number
        so_many = tries >= last if number == last else so_many
        yield Ahead(announcements.c.due_at, max(wait, LEASE), LEASE, and_(waits, so_many))


class ClockRows:
    """Statements that cut. Whoever cuts what belongs to a model has locked it."""

    _db: Connection

    def dispatches_of(self, ids: Collection[str]) -> list[Dispatch]:
        """These dispatches."""
        query = select(dispatches).where(dispatches.c.id.in_(ids)).order_by(dispatches.c.id)
        return [dispatch_of(row) for row in self._db.execute(query)]

    def mend_dispatch(self, mended: Dispatch) -> None:
        """Write a dispatch's moments; whose claim it is does not change."""
        values = {name: getattr(mended, name) for name in MENDED}
        self._db.execute(update(dispatches).where(dispatches.c.id == mended.id).values(**values))

    def longest_taken(self, names: Collection[str]) -> dict[str, timedelta]:
        """The longest cooldown or settle of each model's stored dispatches."""
        each = dispatches.c
        query = select(each.model, func.max(each.cooldown), func.max(each.settle))
        rows = self._db.execute(query.where(each.model.in_(names)).group_by(each.model))
        return {model: max(cooldown, settle) for model, cooldown, settle in rows}

    def mend_questions(self, names: Collection[str], now: datetime) -> None:
        """Let questions about these models belong to the episode whose beginning was cut."""
        began = approvals.c.episode_started_at
        these = update(approvals).where(approvals.c.model.in_(names), began > now + SLACK)
        self._db.execute(these.values(episode_started_at=now))

    def cut_column(self, ahead: Ahead, now: datetime, limit: int) -> int:
        """Cut at most `limit` moments of a column. How many there were."""
        table = ahead.table
        key = table.primary_key.columns
        late = (
            select(*key)
            .where(ahead.later_than(now + ahead.within))
            .order_by(*key)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        rows = self._db.execute(late).all()
        if rows:
            these = update(table).where(tuple_(*key).in_([tuple(row) for row in rows]))
            values = {ahead.column.name: now + ahead.to}
            if ahead.column is announcements.c.at:  # its waits were counted from then
                values[announcements.c.due_at.name] = now + LEASE
            self._db.execute(these.values(values))
        return len(rows)


MENDED = (
    "created_at",
    "sent_at",
    "doubt_since",
    "missing_since",
    "failing_since",
    "ended_at",
    "due_at",
    "cooldown_before",
)
"""The moments of a dispatch that a clock of ours wrote."""


class AheadReads(Reads):
    """Reads of what lies too far ahead."""

    def models(self, spans: Spans) -> list[str]:
        """Models that have such a moment, or one of whose alerts has."""
        now = self._moment.now
        names = MODELS.column(
            self._db,
            happened=now + SLACK,
            cools=now + spans.cooldown,
            expires=now + spans.expiry,
            is_stale=now + spans.dedup,
            **{f"by_{rung}": now + span for rung, span in spans.held.items()},
        )
        return sorted(names)

    def pauses(self) -> bool:
        """Whether a pause began so."""
        return bool(PAUSES.rows(self._db, happened=self._moment.now + SLACK))

    def checks(self) -> list[str]:
        """Models that fire, are decided later than now, and that nothing holds until then.

        They were due at once by a clock that was ahead.
        """
        return sorted(CHECKS.column(self._db, happened=self._moment.now + SLACK))

    def dispatches(self, spans: Spans) -> list[str]:
        """Dispatches that have such a moment."""
        now = self._moment.now
        return DISPATCHES.column(
            self._db, happened=now + SLACK, leased=now + LEASE, cools=now + spans.cooldown
        )

    def columns(self, spans: Spans) -> list[Ahead]:
        """Other columns that have one."""
        now = self._moment.now
        asked = list(moments(spans))
        bounds = {f"bound_{place}": now + one.within for place, one in enumerate(asked)}
        (found,) = COLUMNS.rows(self._db, **bounds)
        return [one for one, is_ahead in zip(asked, found, strict=True) if is_ahead]


def _models() -> Compiled:
    mine, each = models.c, firing_alerts.c
    of_models = select(mine.name).where(
        or_(
            mine.cooldown_until > moment("cools"),
            mine.backoff_until > moment("cools"),
            mine.observed_until > moment("cools"),
            mine.episode_started_at > moment("happened"),
            mine.emptied_at > moment("happened"),
        )
    )
    held = [
        and_(each.held_by == rung, each.held_until > moment(f"by_{rung}"))
        for rung in sorted(spans_of(()).held)
    ]
    of_alerts = select(each.model).where(
        or_(
            each.confirmed_at > moment("happened"),
            each.held_since > moment("happened"),
            each.expires_at > moment("expires"),
            each.stale_until > moment("is_stale"),
            *held,
        )
    )
    return Compiled(union(of_models, of_alerts))


def _checks() -> Compiled:
    """What `receiver.core.models.next_check` takes a model's next check from is left alone."""
    mine, alert, pause = models.c, firing_alerts.c, pauses.c
    check = mine.next_check_at
    of_model = (mine.cooldown_until, mine.backoff_until, mine.observed_until)
    return Compiled(
        select(mine.name).where(
            check > moment("happened"),
            *(or_(until.is_(None), until != check) for until in of_model),
            ~exists().where(pause.until == check),
            exists().where(alert.model == mine.name),
            ~exists().where(
                alert.model == mine.name,
                or_(alert.held_until == check, alert.stale_until == check),
            ),
        )
    )


def _dispatches() -> Compiled:
    each = dispatches.c
    live = each.state.in_(sorted(LIVE))
    happened = (
        each.created_at,
        each.sent_at,
        each.doubt_since,
        each.missing_since,
        each.failing_since,
        each.ended_at,
    )
    is_ahead = or_(
        and_(live, each.due_at > moment("leased")),
        and_(live, each.cooldown_before > moment("cools")),
        *(column > moment("happened") for column in happened),
    )
    return Compiled(select(each.id).where(is_ahead))


def _columns() -> Compiled:
    """Whether each of `moments` has one, in their order: one statement instead of thirty."""
    asked = enumerate(moments(spans_of(())))
    return Compiled(
        select(*(exists().where(one.later_than(moment(f"bound_{place}"))) for place, one in asked))
    )


MODELS, CHECKS, DISPATCHES, COLUMNS = _models(), _checks(), _dispatches(), _columns()

PAUSES = Compiled(select(pauses.c.name).where(pauses.c.since > moment("happened")).limit(1))
