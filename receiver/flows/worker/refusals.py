"""What a source lists and is `invalid` is decided once, and again when its cause may be gone."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from receiver.core.clashes import clash
from receiver.core.decisions import Decision, Reason
from receiver.core.models import Model
from receiver.core.policy_set import Matched, PolicySet
from receiver.core.sightings import Sighting, seen
from receiver.core.sources import Listed
from receiver.store.store import Store

AT_ONCE = 100
"""Models whose firing sets are read in one view."""


def refusals(
    name: str, news: Sequence[Listed], matched: Sequence[Matched], taken: Sequence[Decision]
) -> list[Sighting]:
    """What this source is remembered to list in vain: it would be decided again at each answer."""
    return [
        replace(
            seen(name, one),
            refused_by=decision.config_hash,
            # What the database refuses names no model; what can't be read has a problem.
            clashes=found.problem is None and decision.model is not None,
        )
        for one, found, decision in zip(news, matched, taken, strict=True)
        if decision.reason is Reason.INVALID
    ]


def taken_up(
    store: Store, policy_set: PolicySet, refused: Sequence[tuple[Listed, Sighting]]
) -> list[Listed]:
    """Those to be decided again: by another configuration, or because their name is free."""
    current = policy_set.config_hash
    again = [one for one, before in refused if before.refused_by != current]
    clashing = [one for one, before in refused if before.refused_by == current and before.clashes]
    for first in range(0, len(clashing), AT_ONCE):
        again += _free(store, policy_set, clashing[first : first + AT_ONCE])
    return again


def _free(store: Store, policy_set: PolicySet, clashing: Sequence[Listed]) -> Iterator[Listed]:
    """Those whose model no alert of other labels names any more."""
    matched = [(one, *policy_set.match(one.alert).named) for one in clashing]
    names = sorted({identity.model for _, _, identity in matched})
    with store.view() as view:
        models, sets = view.models.named(names), view.models.firing(names)
    for one, policy, identity in matched:
        model = models.get(identity.model) or Model(identity.model)
        if clash(policy, identity, model, sets[identity.model]) is None:
            yield one
