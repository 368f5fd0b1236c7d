"""What a model's chart reads of the log: a few decisions of each slot of time."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import BigInteger, Select, case, func, literal, select, union_all

from receiver.store.column_types import MICROSECOND, storable, to_micros
from receiver.store.tables import decisions
from receiver.store.views.moment import Reads

EACH_SLOT = 4
"""So many decisions of a slot are read, the newest: two alerts, each told by two Alertmanagers."""

SHORT = 300
"""Letters of a name or a sentence: enough to tell series apart, and what an operator did."""

MOST_AHEAD = 2000
"""Decisions whose ids are beyond the present; more than a chart shows."""

COLUMNS = (
    decisions.c.id,
    decisions.c.decided_at,
    decisions.c.source,
    decisions.c.status,
    func.substr(decisions.c.alertname, 1, SHORT),
    decisions.c.reason,
    func.substr(decisions.c.detail, 1, SHORT),
    decisions.c.value,
    decisions.c.next_check_at,
    decisions.c.seen_in,
    decisions.c.position,
)
"""Those of a `PastDecision`."""


@dataclass(frozen=True, slots=True)
class PastDecision:
    """What a chart needs of a decision."""

    id: int
    decided_at: datetime
    source: str
    status: str | None
    alertname: str
    reason: str
    detail: str
    value: float | None
    next_check_at: datetime | None
    seen_in: str | None
    position: int | None


class ChartReads(Reads):
    """Reads for charts."""

    def sampled(self, model: str, begin: datetime, slot: timedelta) -> Sequence[PastDecision]:
        """The newest decisions about a model of each slot since then, oldest first.

        One walk along an index for each slot, so that neither a long log nor a busy model makes it
        longer. An id is never behind its time; those that a clock which was ahead has pushed
        beyond the present are read beside, and told apart by their time.
        """
        name, now = storable(model), self._moment.now
        chosen = union_all(*_places(name, begin, now, slot))
        d = decisions.c
        ahead = (
            select(*COLUMNS)
            .where(d.model == name, d.id >= to_micros(now))
            .order_by(d.id.desc())
            .limit(MOST_AHEAD)
        )
        # Said like this, both engines look each one up by its id.
        within = select(*COLUMNS).where(d.id.in_(chosen))
        rows = [row for query in (ahead, within) for row in self._db.execute(query)]
        return _newest((PastDecision(*row) for row in rows), begin, slot)


def _newest(
    found: Iterable[PastDecision], begin: datetime, slot: timedelta
) -> Sequence[PastDecision]:
    """A few of each slot, by when they were decided; oldest first."""
    kept: list[PastDecision] = []
    many: Counter[int] = Counter()
    for one in sorted(found, key=lambda one: one.id, reverse=True):
        place = (one.decided_at - begin) // slot
        many[place] += 1
        if place >= 0 and many[place] <= EACH_SLOT:
            kept.append(one)
    return kept[::-1]


def _places(
    model: str, begin: datetime, now: datetime, slot: timedelta
) -> Iterator[Select[tuple[int | None]]]:
    """The newest id of each slot, the one before it, and so on; None where there are no more."""
    width, end = slot // MICROSECOND, to_micros(now)
    slots = select(literal(to_micros(begin), BigInteger).label("low")).cte("slots", recursive=True)
    slots = slots.union_all(select(slots.c.low + width).where(slots.c.low + width < end))
    high = case((slots.c.low + width >= end, end), else_=slots.c.low + width)
    d = decisions.alias("within").c
    newest = (
        select(d.id)
        .where(d.model == model, d.id >= slots.c.low, d.id < high)
        .order_by(d.id.desc())
        .limit(1)
        .correlate(slots)
    )
    for place in range(EACH_SLOT):
        yield select(newest.offset(place).scalar_subquery()).select_from(slots)
