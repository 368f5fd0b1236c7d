"""The page of the policies: modes, budgets, how often retraining helped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from receiver.core.decisions import Reason
from receiver.core.models import Pause, PauseScope
from receiver.core.policies import Policy
from receiver.core.policy_set import PolicySet
from receiver.store.store import Store
from receiver.store.views.view import View
from receiver.web.policies import LOOK_BACK, policies_json
from receiver.web.service import Loaded


@dataclass(frozen=True, slots=True)
class Wide:
    """What a pause, its end or a release would be about: one policy, or everything.

    Attributes:
        name: The policy's; empty for everything.
        pause: The one in force.
        firing: How many of its models fire.
        asking: About how many of them a rung asks a human.
        stormed: How many of them a storm holds; only `release` lets them go.

    """

    name: str
    now: datetime
    pause: Pause | None
    firing: int
    stormed: int
    asking: int = 0


@dataclass(frozen=True, slots=True)
class PolicyStanding:
    """One policy: what `GET /policies` tells of it, and what can be done to it."""

    told: Mapping[str, Any]
    wide: Wide


@dataclass(frozen=True, slots=True)
class PoliciesSeen:
    """The page."""

    now: datetime
    since: datetime
    policies: Sequence[PolicyStanding]
    everything: Wide
    orphaned: Sequence[Wide]


def read(store: Store, loaded: Loaded) -> PoliciesSeen:
    """Every policy of the configuration, in its order."""
    with store.view() as view:
        since = view.now - LOOK_BACK
        pauses = view.models.pauses()
        return PoliciesSeen(
            now=view.now,
            since=since,
            policies=[
                PolicyStanding(told, _wide(view, loaded.policy_set, told["name"], pauses))
                for told in policies_json(view, loaded, since)
            ],
            everything=_wide(view, loaded.policy_set, "", pauses),
            orphaned=[
                _wide(view, loaded.policy_set, pause.name, pauses)
                for pause in loaded.policy_set.orphaned(pauses, view.now)
            ],
        )


def one(store: Store, policy_set: PolicySet, name: str) -> Wide | None:
    """A policy, or everything if the name is empty; None if there is no such policy.

    A name that only a pause has is one, too: that can be lifted.
    """
    with store.view() as view:
        pauses = view.models.pauses()
        names = {pause.name for pause in policy_set.orphaned(pauses, view.now)}
        if name and policy_set.policy(name) is None and name not in names:
            return None
        return _wide(view, policy_set, name, pauses)


def _wide(view: View, policy_set: PolicySet, name: str, pauses: Sequence[Pause]) -> Wide:
    now = view.now
    scope = PauseScope.POLICY if name else PauseScope.EVERYTHING
    mine = (one for one in pauses if (one.scope, one.name) == (scope, name) and one.holds(now))
    storms = [p for p in policy_set.policies if p.storm and name in {"", p.name}]
    return Wide(
        name=name,
        now=now,
        pause=next(mine, None),
        firing=view.models.count_firing(name),
        stormed=_stormed(view, storms),
        asking=sum(
            group.count for group in view.needs.groups() if group.asks and group.policy == name
        ),
    )


def _stormed(view: View, storms: Sequence[Policy]) -> int:
    held = Reason.STORM.value
    return sum(view.models.count_firing(policy.name, held) for policy in storms)
