"""Releases models whose hold an event ends: room in a budget, the end of a storm, a reload."""

from collections.abc import Sequence

from receiver.core.decisions import Reason
from receiver.core.models import FiringAlert
from receiver.core.policies import Policy
from receiver.core.policy_set import PolicySet
from receiver.core.shared_room import SharedRoom
from receiver.core.storms import gather
from receiver.store.store import Store
from receiver.store.views.view import View


def release_shared(store: Store, policy_set: PolicySet) -> None:
    """Make due the models whose hold an event has ended.

    A storm is over, or a budget has room: for those first that wait longest; the others go on
    waiting without a word in the log. Another configuration decided after this one was loaded:
    replicas load a file one after the other, and a step that began before does not see it. The
    clock was set back into the hours of a window.
    """
    capped = {policy.name: policy for policy in policy_set.policies if policy.limits}
    stormy = [policy for policy in policy_set.policies if policy.storm]
    with store.view() as view:
        waiting = view.holds.held_by(Reason.BUDGET) if capped else []
        names = view.holds.decided_otherwise(policy_set.config_hash)
        names += _shut_out(view, policy_set)
        names += SharedRoom(view.usages.of).give_out(waiting, capped) if waiting else []
        held = view.holds.held_by(Reason.STORM) if stormy else []
        for policy in stormy:
            names += _calmed(view, policy, [one for one in held if one.policy == policy.name])
    if names:
        with store.begin() as tx:
            tx.check_models(names, tx.now())


def _shut_out(view: View, policy_set: PolicySet) -> list[str]:
    """The models that wait although their window is open: the clock was set back."""
    windows = [(one.name, one.window) for one in policy_set.policies if one.window]
    open_now = [name for name, window in windows if window.is_open(view.now)]
    return view.holds.waiting_for_hours(open_now) if open_now else []


def _calmed(view: View, policy: Policy, held: Sequence[FiringAlert]) -> list[str]:
    """The models of a policy whose storm has calmed down."""
    storm, names = policy.storm, {one.model for one in held if one.held_until is None}
    if storm is None or not names:
        return []
    onsets = view.holds.onsets(policy.name, storm)
    return [
        name
        for name in sorted(names & onsets.keys())
        if gather(onsets.values(), onsets[name].began_at, storm, view.now).count <= storm.models
    ]
