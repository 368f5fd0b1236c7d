"""What the rungs below `cooldown` look at, read for deciding; approvals, written."""

from collections.abc import Collection
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Connection, select

from receiver.core.act_links import ActLink, Question
from receiver.core.approvals import Approval
from receiver.core.models import Model
from receiver.core.policies import Policy
from receiver.core.restraints import Restraints, Runs
from receiver.store.advisory_locks import AdvisoryLock, AdvisoryLocks
from receiver.store.budget_rows import BudgetRows
from receiver.store.compiled_upsert import upsert
from receiver.store.storm_rows import StormRows
from receiver.store.tables import approvals, firing_alerts, models
from receiver.store.views.act_links import question_of
from receiver.store.views.budgets import Usages
from receiver.store.views.restraints import Pasts, approvals_of, read_restraints
from receiver.store.views.run_ends import runs_since


class ApprovalRows:
    """Statements about approvals. The model's row is locked by this transaction."""

    _db: Connection

    def approval(self, model: str) -> Approval | None:
        """What was asked last about a model."""
        return approvals_of(self._db, [model]).get(model)

    def question(self, link: ActLink, since: datetime) -> Question:
        """What a link answers, as it is now; what was used before `since` is forgotten."""
        return question_of(self._db, link, since)

    def asking_models(self, policy: str, limit: int) -> list[str]:
        """Models with a question of a rung of this policy that nobody answered, by name.

        Not those that wait for a word that has no answer: they would stay in such a list.
        """
        f, asked = firing_alerts.c, approvals.c
        asks = (
            select(f.model)
            .join(models, models.c.name == f.model)
            .join(approvals, asked.model == f.model)
            .where(
                f.asks,
                f.policy == policy,
                asked.approved.is_(None),
                asked.episode_started_at == models.c.episode_started_at,
            )
        )
        return list(self._db.scalars(asks.distinct().order_by(f.model).limit(limit)))

    def save_approval(self, approval: Approval) -> None:
        """Write a question or an answer, in place of what was asked before."""
        upsert(self._db, approvals, ("model",), [asdict(approval)])


class RestraintRows(ApprovalRows, BudgetRows, StormRows, AdvisoryLocks):
    """Statements about what the rungs below `cooldown` look at."""

    _db: Connection

    def usages(self, now: datetime) -> Usages:
        """How much of limits is used; each is read once, so ask again after an order."""
        return Usages(self._db, now)

    def pasts(self, names: Collection[str], now: datetime) -> Pasts:
        """What was asked about these models and ordered for them. They are locked."""
        return Pasts(self._db, names, now)

    def restraints(
        self, policy: Policy, model: Model, now: datetime, *, usages: Usages, pasts: Pasts
    ) -> Restraints:
        """What the policy's rungs below `cooldown` look at. The model is locked.

        Of transactions whose models share a limit, each sees what the one before it ordered.
        """
        if any(limit.is_wide for limit in policy.limits):
            self.take_advisory_lock(AdvisoryLock.BUDGET)
        return read_restraints(policy, model, now, usages=usages, pasts=pasts)

    def runs_since(self, model: str, since: datetime, now: datetime) -> Runs:
        """The runs of a model that were ordered since then."""
        return runs_since(self._db, model, since, now)
