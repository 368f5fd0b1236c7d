"""Questions to a human, and the answers: one row per model, about its present episode."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, select

from receiver.core.approvals import Approval
from receiver.store.bulk import upsert
from receiver.store.column_types import storable
from receiver.store.restraint_tables import approvals


class ApprovalRows:
    """Statements about approvals. The model's row is locked by this transaction."""

    _db: Connection

    def approval(self, model: str) -> Approval | None:
        """What was asked last about a model."""
        return approvals_of(self._db, [model]).get(model)

    def save_approval(self, approval: Approval) -> None:
        """Write a question or an answer, in place of what was asked before."""
        upsert(self._db, approvals, ("model",), [asdict(approval)])


def approvals_of(db: Connection, names: Sequence[str]) -> dict[str, Approval]:
    """What was asked last about each of these models."""
    query = select(approvals).where(approvals.c.model.in_([storable(name) for name in names]))
    return {row.model: Approval(**row._mapping) for row in db.execute(query)}
