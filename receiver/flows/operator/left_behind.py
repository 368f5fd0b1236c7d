"""What is stored under names that the configuration does not have, or has for something else."""

from collections.abc import Iterator
from itertools import groupby

from receiver.core.dispatches import Dispatch
from receiver.core.policy_set import PolicySet
from receiver.store.store import Store

MOST_IDS = 3


def left_behind(store: Store, policy_set: PolicySet) -> list[str]:
    """Tell each in a sentence, with its cure."""
    with store.view() as view:
        orphaned = policy_set.orphaned(view.models.pauses(), view.now)
        live = view.dispatches.live()
    told = [
        f"policy {pause.name} is paused by {pause.actor} ({pause.comment}), but is not in the "
        "configuration: a policy of another name is not held by this; lift it with "
        f"'retrain-receiver resume --policy {pause.name}', or it holds a later one of that name"
        for pause in orphaned
    ]
    return [*told, *_of_targets(policy_set, live)]


def _of_targets(policy_set: PolicySet, live: list[Dispatch]) -> Iterator[str]:
    for target, group in groupby(sorted(live, key=_by_target), key=_by_target):
        dispatches = list(group)
        if target not in policy_set.targets:
            yield (
                f"target {target} is not in the configuration, but {_listed(dispatches)}: put it "
                "back, or look at the runs yourself and abandon them"
            )
            continue
        moved = [one for one in dispatches if policy_set.moved(one)]
        if moved:
            yield (
                f"{policy_set.moved(moved[0])}; {_listed(moved)}: what may run waits for a human, "
                "what was not sent is decided again"
            )


def _by_target(dispatch: Dispatch) -> str:
    return dispatch.target


def _listed(dispatches: list[Dispatch]) -> str:
    ids = ", ".join(one.id for one in dispatches[:MOST_IDS])
    more = ", …" if len(dispatches) > MOST_IDS else ""
    count = f"{len(dispatches)} dispatches are" if len(dispatches) > 1 else "1 dispatch is"
    return f"{count} unfinished there ({ids}{more})"
