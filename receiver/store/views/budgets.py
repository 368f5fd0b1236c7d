"""Counts what budgets limit: runs within a span, runs in flight, money."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Table, select

from receiver.core.budgets import Cost, Counted, Limit, Scope, Spending, Usage, usage
from receiver.core.dispatches import LIVE
from receiver.core.policies import Policy
from receiver.store.tables import costs, dispatches, run_ends
from receiver.store.views.run_ends import unended


class Usages:
    """How much of limits is used, in one view of the store: each is read once."""

    def __init__(self, db: Connection, now: datetime) -> None:
        self._db = db
        self._now = now
        self._read: dict[tuple[Limit, str, Cost | None], Usage] = {}

    def of(self, policy: Policy, model: str) -> tuple[Usage, ...]:
        """Each of a policy's limits, for one more run of this model."""
        return tuple(self._of(limit, policy, model) for limit in policy.limits)

    def shared(self, policy: Policy) -> tuple[Usage, ...]:
        """Those of them that its models share."""
        return tuple(self._of(limit, policy, "") for limit in policy.limits if limit.is_wide)

    def _of(self, limit: Limit, policy: Policy, model: str) -> Usage:
        # What one more run needs is a matter of its policy, also where all share a limit.
        key = (limit, limit.whose(policy.name, model), policy.cost)
        if key not in self._read:
            self._read[key] = _usage_of(self._db, limit, policy, model, self._now)
        return self._read[key]


def _usage_of(db: Connection, limit: Limit, policy: Policy, model: str, now: datetime) -> Usage:
    whose = limit.whose(policy.name, model)

    def mine(table: Table) -> list[ColumnElement[bool]]:
        return [] if limit.scope is Scope.TOTAL else [table.c[limit.scope.value] == whose]

    if limit.span is None:
        live = select(dispatches.c.created_at).where(
            dispatches.c.state.in_(sorted(LIVE)), *mine(dispatches)
        )
        return usage(limit, [Spending(at) for at in db.scalars(live)], 1)
    since = now - limit.span
    if limit.counted is Counted.COST:
        query = select(costs.c.ordered_at, costs.c.amount).where(
            costs.c.ordered_at > since, costs.c.unit == limit.unit, *mine(costs)
        )
        spent = [Spending(at, amount) for at, amount in db.execute(query.order_by("ordered_at"))]
        return usage(limit, spent, policy.cost.amount if policy.cost else 0)
    return usage(limit, _runs(db, since, mine(run_ends), mine(dispatches)), 1)


def _runs(
    db: Connection,
    since: datetime,
    ended: Sequence[ColumnElement[bool]],
    going_on: Sequence[ColumnElement[bool]],
) -> list[Spending]:
    """Runs that were ordered since then. Those that ended are told from `run_ends`.

    No run ends before it is ordered, so the index on the end bounds the search.
    """
    over = select(run_ends.c.created_at).where(
        run_ends.c.ended_at > since, run_ends.c.created_at > since, *ended
    )
    others = select(dispatches.c.created_at).where(
        unended(), dispatches.c.created_at > since, *going_on
    )
    return [Spending(at) for at in sorted([*db.scalars(over), *db.scalars(others)])]
