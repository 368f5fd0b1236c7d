"""Does what a signed link of a message says: once, and only to the question that it is about."""

from collections.abc import Collection

from receiver.core.act_links import ActLink, LinkAct, LinkEnd, end_of
from receiver.core.decisions import Decision
from receiver.core.models import PauseScope
from receiver.core.policy_set import PolicySet
from receiver.flows.operator import approvals, controls
from receiver.flows.operator.acts import ANSWERS_KEPT, Act, once
from receiver.flows.unit_of_work import UnitOfWork
from receiver.store.advisory_locks import AdvisoryLock
from receiver.store.log_rows import StoredAnswer
from receiver.store.store import Store, Tx
from receiver.store.views.act_links import LINKS


class Ended(Exception):
    """The link does nothing any more.

    Attributes:
        why: Which of the ends it met.

    """

    def __init__(self, why: LinkEnd) -> None:
        super().__init__(why.value)
        self.why = why


def told_policies(policy_set: PolicySet, subscriber: str) -> Collection[str]:
    """The policies of the configuration that a subscriber is told of."""
    told = {one.name: one.policies for one in policy_set.subscribers}
    only = told.get(subscriber, frozenset())
    known = frozenset(policy.name for policy in policy_set.policies)
    return known if only is None else known & only


def act_by_link(store: Store, policy_set: PolicySet, act: Act, link: ActLink) -> int:
    """Do what the link says. The decision's id. Raises `Ended`, and nothing changes then.

    That it was used is stored in the transaction of the act. All links of a message are about one
    model, or one policy's storm, and wait for the same lock.
    """

    def do(tx: Tx) -> Decision:
        decision = _do(tx, policy_set, act, link)
        used = StoredAnswer(request=link.act.value, decision_id=decision.id)
        tx.save_answer(LINKS, link.id, used, decision.decided_at)
        return decision

    return once(store, act, do)


def _do(tx: Tx, policy_set: PolicySet, act: Act, link: ActLink) -> Decision:
    if link.act is LinkAct.RELEASE:
        # Nobody decides meanwhile, so that the storm that is asked about is the one let go.
        tx.take_advisory_lock(AdvisoryLock.PAUSE)
        _require_open(tx, policy_set, link)
        return controls.release_in(tx, policy_set, act, PauseScope.POLICY, link.policy)
    if not tx.has_model(link.model):
        _require_open(tx, policy_set, link)
    unit = UnitOfWork(tx, policy_set, models=[link.model])
    _require_open(tx, policy_set, link)
    return approvals.answer_in(unit, act, link.model, approved=link.act is LinkAct.APPROVE)


def _require_open(tx: Tx, policy_set: PolicySet, link: ActLink) -> None:
    """Raise `Ended` unless the question is the one that the link is about, and open."""
    now = tx.now()
    question = tx.question(link, now - ANSWERS_KEPT)
    why = end_of(link, question, told_policies(policy_set, link.subscriber), now)
    if why is not None:
        raise Ended(why)
