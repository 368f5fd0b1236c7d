"""An alert as a real rule would make it: exactly its labels, for a test of the way to us."""

from collections.abc import Mapping

from receiver.core.policies import Policy
from receiver.lint.chain import Chain, Taken

TESTED = "retrain-test"
NAMESPACE = "namespace"


def sample(chain: Chain, given: Mapping[str, str]) -> tuple[str, dict[str, str]] | None:
    """A rule's name and the labels of its alerts; None without a rule that a policy takes.

    What names the model is `given`, or taken from an alert that fires, or made up.
    """
    taken = next((each for each in chain.ours if each.sure), None)
    if taken is None:
        return None
    policy = taken.policies[-1][0]
    labels = {
        name: next(iter(values))
        for name, values in taken.labels.values.items()
        if values is not None and len(values) == 1 and values != {""}
    }
    return taken.rule.name, {**labels, **_identity(taken, policy), **given}


def _identity(taken: Taken, policy: Policy) -> dict[str, str]:
    """The labels that name a model, where the rule itself does not set them."""
    firing = taken.rule.firing[0] if taken.rule.firing else {}
    found = {}
    for label, pattern in policy.identity.items():
        if taken.labels.possible(label) is not None:
            continue  # set by the rule, or surely missing: a test must not help it out
        real = firing.get(label, "")
        # No model of anybody's is touched; but routes ask where an alert comes from.
        tried = (real, TESTED) if label == NAMESPACE else (TESTED, real, "1")
        texts = [text for text in tried if pattern.accepts(text)]
        if texts:
            found[label] = texts[0]
    return found
