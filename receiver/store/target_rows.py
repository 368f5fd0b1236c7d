"""How targets answered: one row for each that was ever asked."""

from collections.abc import Callable
from dataclasses import asdict

from sqlalchemy import Connection, select

from receiver.core.target_health import TargetRecord
from receiver.store.compiled import Compiled, given
from receiver.store.compiled_select import columns_of
from receiver.store.compiled_upsert import insert_into, upsert
from receiver.store.tables import targets


class TargetRows:
    """Statements about targets. The models that a transaction changes are locked before."""

    _db: Connection

    def change_target(
        self, name: str, change: Callable[[TargetRecord], TargetRecord]
    ) -> TargetRecord:
        """Lock a target's row, made if it is missing, and change it."""
        row = LOCK.row(self._db, of_name=name)
        if row is None:
            fresh = {"name": name, "error": ""}
            self._db.execute(insert_into(self._db, targets).on_conflict_do_nothing(), [fresh])
            (row,) = LOCK.rows(self._db, of_name=name)
        known = TargetRecord(*row)
        changed = change(known)
        if changed != known:
            upsert(self._db, targets, ("name",), [asdict(changed)])
        return changed

    def is_failing(self, name: str) -> bool | None:
        """Whether a target failed when it was last asked; None if it never was."""
        row = FAILING.row(self._db, of_name=name)
        return None if row is None else row[0] is not None


_NAMED = targets.c.name == given("of_name", targets.c.name)

FAILING = Compiled(select(targets.c.failing_since).where(_NAMED))

LOCK = Compiled(select(*columns_of(targets, TargetRecord)).where(_NAMED).with_for_update())
