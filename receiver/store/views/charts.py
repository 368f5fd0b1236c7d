"""What a model's chart reads of the log: a few decisions of each slot of time."""

from collections.abc import Iterator, Sequence
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

LAST_ID = 2**62


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
        longer. An id is never behind its time, and is told apart from it only by a clock that ran
        ahead: what was decided then is read with the last slot.
        """
        d = decisions.c
        chosen = union_all(*_places(storable(model), begin, self._moment.now, slot))
        query = (
            select(
                d.id,
                d.decided_at,
                d.source,
                d.status,
                func.substr(d.alertname, 1, SHORT),
                d.reason,
                func.substr(d.detail, 1, SHORT),
                d.value,
                d.next_check_at,
                d.seen_in,
                d.position,
            )
            # Said like this, both engines look each one up by its id.
            .where(d.id.in_(chosen))
        )
        found = [PastDecision(*row) for row in self._db.execute(query)]
        return sorted(found, key=lambda one: one.id)


def _places(
    model: str, begin: datetime, now: datetime, slot: timedelta
) -> Iterator[Select[tuple[int | None]]]:
    """The newest id of each slot, the one before it, and so on; None where there are no more."""
    width, end = slot // MICROSECOND, to_micros(now)
    slots = select(literal(to_micros(begin), BigInteger).label("low")).cte("slots", recursive=True)
    slots = slots.union_all(select(slots.c.low + width).where(slots.c.low + width < end))
    high = case((slots.c.low + width >= end, LAST_ID), else_=slots.c.low + width)
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
