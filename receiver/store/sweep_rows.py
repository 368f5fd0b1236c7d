"""Sweeps over all models that fire: how far each has come, so that a death loses none."""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, exists, or_, select, update

from receiver.core.sweeps import Sweep
from receiver.store.compiled_upsert import upsert
from receiver.store.tables import firing_alerts, models, sweeps


class SweepRows:
    """Statements about sweeps. The `PAUSE` lock is held before, models are locked after."""

    _db: Connection

    def begin_sweep(self, kind: Sweep) -> None:
        """See to every model; one that is under way begins anew."""
        upsert(self._db, sweeps, ("kind",), [{"kind": kind.value, "after": ""}])

    def claim_sweep(self, kind: Sweep, limit: int) -> Sequence[str] | None:
        """Names of the next models, which may be fewer or none; None without such a sweep.

        Its row stays locked until this transaction ends.
        """
        this = select(sweeps.c.after).where(sweeps.c.kind == kind.value)
        after = self._db.scalar(this.with_for_update())
        if after is None:
            return None
        fires = exists().where(firing_alerts.c.model == models.c.name)
        query = (
            select(models.c.name)
            .where(models.c.name > after, or_(fires, models.c.backoff_until.is_not(None)))
            .order_by(models.c.name)
            .limit(limit)
        )
        return list(self._db.scalars(query))

    def move_sweep(self, kind: Sweep, after: str | None) -> None:
        """Models up to this one have been seen to; None for all."""
        this = sweeps.c.kind == kind.value
        if after is None:
            self._db.execute(delete(sweeps).where(this))
        else:
            self._db.execute(update(sweeps).where(this).values(after=after))
