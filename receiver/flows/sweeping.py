"""Sees to every model that fires after something changed for all of them, in short steps.

The transaction that changes it writes down that they must be seen to, and does the first step; the
timer does the others. A death between two steps loses nothing: the next process goes on after the
last model that was seen to. Between the steps the webhook gets its turn.
"""

from collections.abc import Sequence

from receiver.core.policy_set import PolicySet
from receiver.core.sweeps import Sweep
from receiver.flows.portions import portion
from receiver.flows.unit_of_work import UnitOfWork
from receiver.store.advisory_locks import AdvisoryLock
from receiver.store.store import Store, Tx

AT_ONCE = 500
"""Models in one transaction, if they have few alerts: most stores need one step."""


def begin_sweep(tx: Tx, policy_set: PolicySet, kind: Sweep) -> None:
    """Let every model that fires be seen to, the first of them now."""
    tx.take_advisory_lock(AdvisoryLock.PAUSE, shared=True)
    tx.begin_sweep(kind)
    _step(tx, policy_set, kind)


def sweep_next(store: Store, policy_set: PolicySet, *, blindly: bool = False) -> bool:
    """See to the next models. False if no sweep is under way.

    Blindly, if some can't be read: they are all made due, and the timer finds out which.
    """
    with store.view() as view:
        kind = view.holds.sweep()
    if kind is None:
        return False
    with store.begin() as tx:
        tx.take_advisory_lock(AdvisoryLock.PAUSE, shared=True)
        _step(tx, policy_set, kind, blindly=blindly)
    return True


def _step(tx: Tx, policy_set: PolicySet, kind: Sweep, *, blindly: bool = False) -> None:
    names = tx.claim_sweep(kind, AT_ONCE)
    if names is None:
        return  # another replica has come to its end
    seen = names
    if blindly or kind is Sweep.DECIDE:
        tx.make_due(names, tx.now())
        if kind is Sweep.DECIDE:
            tx.end_backoffs(names)
    else:
        seen = portion(names, tx.alerts_of_each(names))
        _look_at(tx, policy_set, seen)
    is_last = len(names) < AT_ONCE and len(seen) == len(names)
    tx.move_sweep(kind, None if is_last else seen[-1])


def _look_at(tx: Tx, policy_set: PolicySet, names: Sequence[str]) -> None:
    """Let each of these models say when its alerts are to be decided again."""
    unit = UnitOfWork(tx, policy_set, models=names)
    for model in list(unit.models.values()):
        unit.update(model)
    unit.save()
