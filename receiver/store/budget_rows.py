"""What runs cost: reserved when they are ordered, corrected when they end."""

from sqlalchemy import Connection, insert, select, update

from receiver.core.budgets import real_cost
from receiver.core.dispatches import Dispatch, DispatchState
from receiver.core.policies import Policy
from receiver.store.tables import costs

NEVER_RAN = frozenset({DispatchState.REFUSED, DispatchState.SUPERSEDED})


class BudgetRows:
    """Statements about what runs cost."""

    _db: Connection

    def add_cost(self, policy: Policy, dispatch: Dispatch) -> None:
        """Reserve what a run will cost."""
        if policy.cost is not None:
            self._db.execute(
                insert(costs).values(
                    dispatch_id=dispatch.id,
                    model=dispatch.model,
                    policy=dispatch.policy,
                    ordered_at=dispatch.created_at,
                    unit=policy.cost.unit,
                    reserved=policy.cost.amount,
                    run_time=policy.cost.run_time,
                    amount=policy.cost.amount,
                )
            )

    def correct_cost(self, dispatch: Dispatch) -> None:
        """Put a run's real cost in place of what was reserved for it, now that it has ended."""
        this = costs.c.dispatch_id == dispatch.id
        row = self._db.execute(
            select(costs.c.reserved, costs.c.run_time).where(this)
        ).one_or_none()
        if row is None:
            return
        took = None
        if dispatch.sent_at and dispatch.ended_at and dispatch.state not in NEVER_RAN:
            took = dispatch.ended_at - dispatch.sent_at
        amount = real_cost(row.reserved, row.run_time, took)
        self._db.execute(update(costs).where(this).values(amount=amount))
