"""What is stored under names that the configuration does not have, or has for something else."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from receiver.core.policy_set import PolicySet
from receiver.store.store import Store
from receiver.store.views.dispatches import MOST_NAMED, Unfinished


def left_behind(store: Store, policy_set: PolicySet) -> list[str]:
    """Tell each in a sentence, with its cure."""
    with store.view() as view:
        orphaned = policy_set.orphaned(view.models.pauses(), view.now)
        unfinished = view.dispatches.unfinished()
    told = [
        f"policy {pause.name} is paused by {pause.actor} ({pause.comment}), but is not in the "
        "configuration: a policy of another name is not held by this; lift it with "
        f"'retrain-receiver resume --policy {pause.name}', or it holds a later one of that name"
        for pause in orphaned
    ]
    return [*told, *_of_targets(policy_set, unfinished)]


def _of_targets(policy_set: PolicySet, unfinished: Sequence[Unfinished]) -> Iterator[str]:
    for target, group in groupby(unfinished, key=lambda one: one.target):
        places = list(group)
        if target not in policy_set.targets:
            yield (
                f"target {target} is not in the configuration, but {_listed(places)}: put it "
                "back, or look at the runs yourself and abandon them"
            )
            continue
        moved = [one for one in places if policy_set.moved(one)]
        if moved:
            yield (
                f"{policy_set.moved(moved[0])}; {_listed(moved)}: what may run waits for a human, "
                "what was not sent is decided again"
            )


def _listed(places: Sequence[Unfinished]) -> str:
    number = sum(one.count for one in places)
    ids = sorted(id_ for one in places for id_ in one.oldest)[:MOST_NAMED]
    more = ", …" if number > len(ids) else ""
    count = f"{number} dispatches are" if number > 1 else "1 dispatch is"
    return f"{count} unfinished there ({', '.join(ids)}{more})"
