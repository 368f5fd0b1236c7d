"""How targets answered: one row for each that was ever asked."""

from collections.abc import Callable
from dataclasses import asdict

from sqlalchemy import Connection, select

from receiver.core.target_health import TargetRecord
from receiver.store.compiled_upsert import insert_into, upsert
from receiver.store.tables import targets


class TargetRows:
    """Statements about targets. The models that a transaction changes are locked before."""

    _db: Connection

    def change_target(
        self, name: str, change: Callable[[TargetRecord], TargetRecord]
    ) -> TargetRecord:
        """Lock a target's row, made if it is missing, and change it."""
        fresh = {"name": name, "error": ""}
        self._db.execute(insert_into(self._db, targets).on_conflict_do_nothing(), [fresh])
        query = select(targets).where(targets.c.name == name).with_for_update()
        known = TargetRecord(**self._db.execute(query).one()._mapping)
        changed = change(known)
        if changed != known:
            upsert(self._db, targets, ("name",), [asdict(changed)])
        return changed

    def is_failing(self, name: str) -> bool | None:
        """Whether a target failed when it was last asked; None if it never was."""
        query = select(targets.c.failing_since.is_not(None)).where(targets.c.name == name)
        failing: bool | None = self._db.scalar(query)
        return failing
