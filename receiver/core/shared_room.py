"""Shared room: which of the models that wait for a budget fit into it now."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from receiver.core.budgets import Limit, Usage
from receiver.core.models import FiringAlert
from receiver.core.policies import Policy

UsagesOf: TypeAlias = Callable[[Policy, str], Sequence[Usage]]
"""How much of each limit of a policy is used, for one more run of a model."""


class SharedRoom:
    """How much of each limit is left at one moment, and to whom it was given."""

    def __init__(self, usages_of: UsagesOf) -> None:
        self._usages_of = usages_of
        self._given: defaultdict[tuple[Limit, str], float] = defaultdict(float)

    def give_out(
        self, waiting: Sequence[FiringAlert], policies: Mapping[str, Policy]
    ) -> list[str]:
        """The models that fit, in the order of their alerts; each is given one run's room."""
        woken: list[str] = []
        for entry in waiting:
            policy = policies.get(entry.policy)
            if policy is not None and entry.model not in woken and self._give(policy, entry.model):
                woken.append(entry.model)
        return woken

    def _give(self, policy: Policy, model: str) -> bool:
        """Give room to one more run of this model; False if some limit has none left."""
        asked = {
            (usage.limit, usage.limit.whose(policy.name, model)): usage
            for usage in self._usages_of(policy, model)
        }
        if not all(usage.fits(self._given[limit]) for limit, usage in asked.items()):
            return False
        for limit, usage in asked.items():
            self._given[limit] += usage.needed
        return True
