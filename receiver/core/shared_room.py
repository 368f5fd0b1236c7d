"""Shared room: which of the models that wait for a budget fit into it now."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeAlias

from receiver.core.budgets import Limit, Usage
from receiver.core.policies import Policy

UsagesOf: TypeAlias = Callable[[Policy, str], Sequence[Usage]]
"""How much of each limit of a policy is used, for one more run of a model."""

SharedUsages: TypeAlias = Callable[[Policy], Sequence[Usage]]
"""The same of those limits only that all models of the policy share."""


class Held(NamedTuple):
    """A held alert: whose it is, and whether the timer is about to decide its model anyway."""

    model: str
    policy: str
    is_due: bool = False


class SharedRoom:
    """How much of each limit is left at one moment, and to whom it was given.

    Attributes:
        open: The policies whose shared limits have room for one more run, by name.

    """

    def __init__(
        self, usages_of: UsagesOf, shared_usages: SharedUsages, policies: Iterable[Policy]
    ) -> None:
        self._usages_of = usages_of
        self._shared_usages = shared_usages
        self._given: defaultdict[tuple[Limit, str], float] = defaultdict(float)
        self.open = {one.name: one for one in policies if self._has_room(one)}

    def give_out(self, waiting: Iterable[Held]) -> list[str]:
        """The models that fit, in the order of their alerts; each is given one run's room.

        Those among them that the timer is about to decide anyway take room, but are not named.
        A policy without room left is passed over, however many of its models wait.
        """
        given: dict[str, bool] = {}
        for held in waiting:
            policy = self.open.get(held.policy)
            if policy is None or held.model in given:
                continue
            if self._give(policy, held.model):
                given[held.model] = held.is_due
                continue
            self.open = {name: one for name, one in self.open.items() if self._has_room(one)}
            if not self.open:
                break
        return [model for model, is_due in given.items() if not is_due]

    def _has_room(self, policy: Policy) -> bool:
        """Whether the limits that its models share would let one more run go."""
        return all(
            usage.fits(self._given[usage.limit, usage.limit.whose(policy.name, "")])
            for usage in self._shared_usages(policy)
        )

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
