"""Clashes: two sets of labels that give one model name at the same time."""

from collections.abc import Iterable, Mapping

from receiver.core.models import FiringAlert, Model
from receiver.core.policies import Identity, NoIdentity, Policy, identify, shown


def clash(
    policy: Policy, identity: Identity, model: Model, alerts: Iterable[FiringAlert]
) -> str | None:
    """Why an alert may not name this model, in one clause; None if it may.

    A run is told the labels that named its model, so an alert of other labels would have the wrong
    model retrained, or its own never. The labels that were there first keep the name for as long
    as an alert of theirs fires; then the name is free, and nothing has to be done for it.

    The old labels are seen through the policy as it is now: what it names otherwise since a change
    of its labels, patterns or template is no clash, nor is what another policy names by other
    labels on purpose, for a model belongs to everybody. (Between two such policies the model
    remembers the labels of the one that named it last.)
    """
    if model.labels == identity.labels:  # nearly always
        return None
    first = _named(policy, model.labels, model.name)
    if first is None or first == identity.labels:
        return None
    if all(_named(policy, alert.labels, model.name) != first for alert in alerts):
        return None
    return (
        f"it would name the model {model.name} by {_told(identity.labels)}, but an alert that "
        f"fires named it by {_told(first)}; tell the two apart in model.name of policy "
        f"{policy.name}"
    )


def _named(policy: Policy, labels: Mapping[str, str], name: str) -> Mapping[str, str] | None:
    """The labels by which this policy would give them this name."""
    try:
        identity = identify(policy, labels)
    except NoIdentity:
        return None
    return identity.labels if identity.model == name else None


def _told(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{label}={shown(value)}" for label, value in labels.items())
