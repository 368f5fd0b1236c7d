"""The policy set: policies and targets of one configuration; matches alerts to policies."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from receiver.core.alerts import VALUE, Alert
from receiver.core.announcements import Subscriber
from receiver.core.models import Pause, PauseScope
from receiver.core.policies import Identity, Mode, NoIdentity, Policy, first_match, identify
from receiver.core.sources import Asking
from receiver.core.targets import Placed, Target, address_of


@dataclass(frozen=True, slots=True)
class Matched:
    """An alert with the policy and the model that it belongs to.

    Attributes:
        problem: Why the alert or its model's name can't be understood.

    """

    alert: Alert
    policy: Policy | None
    identity: Identity | None
    problem: str | None

    @property
    def named(self) -> tuple[Policy, Identity]:
        """The policy and the model, for what follows below `invalid`."""
        if self.policy is None or self.identity is None:
            raise ValueError(
                "nothing names a model; `unmatched` and `invalid` must be asked first"
            )
        return self.policy, self.identity


@dataclass(frozen=True, slots=True)
class PolicySet:
    """What a flow needs of the configuration to decide.

    Attributes:
        policies: In the file's order; the first that matches wins.
        targets: By name.
        subscribers: Who is told what becomes of the models.
        config_hash: Names the stored configuration in every decision.
        subscribers: Who is told.
        asking: Who can be asked whether an alert still fires; None if nobody.

    """

    policies: tuple[Policy, ...] = ()
    targets: Mapping[str, Target] = field(default_factory=dict)
    config_hash: str = ""
    subscribers: tuple[Subscriber, ...] = ()
    asking: Asking | None = None

    def match(self, alert: Alert) -> Matched:
        """Find an alert's policy and model."""
        if alert.cut:
            return Matched(alert, None, None, alert.problem)
        policy = first_match(self.policies, alert.labels)
        if policy is None:
            return Matched(alert, None, None, alert.problem)
        try:
            identity = identify(policy, alert.labels)
        except NoIdentity as problem:
            return Matched(alert, policy, None, alert.problem or str(problem))
        return Matched(alert, policy, identity, alert.problem)

    def match_new(self, alert: Alert) -> Matched:
        """The same for an alert as it was sent, whose value the policy says where to find.

        What is stored has its value already.
        """
        matched = self.match(alert)
        if matched.policy is None or matched.policy.value_annotation == VALUE:
            return matched
        return replace(matched, alert=alert.valued_by(matched.policy.value_annotation))

    def policy(self, name: str | None) -> Policy | None:
        """The policy of that name, if the configuration still has it."""
        return next((policy for policy in self.policies if policy.name == name), None)

    def moved(self, dispatch: Placed) -> str | None:
        """Why nobody may be asked about a dispatch any more, if its target has moved away.

        Its place was stored with it, but credentials are for where the targets are now. Another
        target of the same kind that is at the dispatch's address lends its own.
        """
        now = self.targets.get(dispatch.target)
        if now is None:
            return None  # gone, which is another matter
        then = address_of(dispatch.kind, dispatch.place)
        if then in {one.address for one in self.targets.values() if one.kind is now.kind}:
            return None
        return (
            f"target {dispatch.target} moved from {then} to {now.address}, and no other target is "
            "at the old address, whose credential could be used there"
        )

    def orphaned(self, pauses: Iterable[Pause], now: datetime) -> list[Pause]:
        """The pauses in force whose policy is not in the configuration: they hold nothing."""
        named = {policy.name for policy in self.policies}
        return [
            pause
            for pause in pauses
            if pause.scope is PauseScope.POLICY and pause.name not in named and pause.holds(now)
        ]

    def acts(self, policy_name: str) -> bool:
        """Whether this policy still exists and starts runs."""
        policy = self.policy(policy_name)
        return policy is not None and policy.mode is not Mode.OBSERVE
