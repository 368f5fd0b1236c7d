"""Releases models whose hold an event ends: room in a budget, the end of a storm, a reload."""

from collections.abc import Iterator, Sequence

from receiver.core.decisions import Reason
from receiver.core.policies import Policy
from receiver.core.policy_set import PolicySet
from receiver.core.shared_room import SharedRoom
from receiver.store.store import Store
from receiver.store.views.view import View

AT_ONCE = 500
"""Models in one transaction."""


def release_shared(store: Store, policy_set: PolicySet) -> None:
    """Make due the models whose hold an event has ended.

    A storm is over, or a budget has room: for those first that wait longest; the others go on
    waiting without a word in the log. Another configuration decided after this one was loaded:
    replicas load a file one after the other, and a step that began before does not see it. The
    clock was set back into the hours of a window.
    """
    with store.view() as view:
        names = view.holds.decided_otherwise(policy_set.config_hash)
        names += _shut_out(view, policy_set)
        names += _given_room(view, [one for one in policy_set.policies if one.limits])
        for policy in policy_set.policies:
            names += _calmed(view, policy)
    for few in _batches(names):
        with store.begin() as tx:
            tx.check_models(few, tx.now())


def _batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """So many in one transaction that the webhook hardly waits."""
    return (names[at : at + AT_ONCE] for at in range(0, len(names), AT_ONCE))


def _shut_out(view: View, policy_set: PolicySet) -> list[str]:
    """The models that wait although their window is open: the clock was set back."""
    windows = [(one.name, one.window) for one in policy_set.policies if one.window]
    open_now = [name for name, window in windows if window.is_open(view.now)]
    return view.holds.waiting_for_hours(open_now) if open_now else []


def _given_room(view: View, policies: Sequence[Policy]) -> list[str]:
    """The models that fit into what is left of the budgets, those first that wait longest."""
    waiting = view.holds.policies_held_by(Reason.BUDGET) if policies else frozenset()
    asking = [one for one in policies if one.name in waiting]
    room = SharedRoom(view.usages.of, view.usages.shared, asking)
    return room.give_out(view.holds.held_by(Reason.BUDGET, room.open)) if room.open else []


def _calmed(view: View, policy: Policy) -> list[str]:
    """The models of a policy whose storm has calmed down."""
    if policy.storm is None:
        return []
    held = view.holds.held_by(Reason.STORM, [policy.name])
    names = {one.model for one in held if not one.is_due}
    if not names:
        return []
    return sorted(view.holds.onsets(policy.name, policy.storm).calm_models(names))
