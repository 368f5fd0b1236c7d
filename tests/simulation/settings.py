"""The configurations that a history may load."""

from collections.abc import Mapping
from dataclasses import replace

from receiver.core.announcements import Subscriber
from receiver.core.budgets import Scope
from receiver.core.matchers import parse_matchers
from receiver.core.policies import Mode, Policy
from receiver.core.policy_set import PolicySet
from receiver.core.sources import Asking
from receiver.core.targets import Target
from tests.examples import DRIFT, PIPELINE
from tests.simulation.plans import Plan

WORKFLOW = replace(PIPELINE, name="workflow")
TARGETS: Mapping[str, Target] = {"pipeline": PIPELINE, "workflow": WORKFLOW}
ELSEWHERE = replace(PIPELINE, place={**PIPELINE.place, "endpoint": "http://elsewhere"})


def policy_of(plan: Plan) -> Policy:
    """The usual policy, without the rungs below `cooldown`."""
    return replace(
        DRIFT,
        cooldown=plan.cooldown,
        settle=plan.settle,
        dedup_window=plan.dedup_window,
        alert_expiry=plan.alert_expiry,
    )


def policy_sets(plan: Plan) -> dict[str, PolicySet]:
    """Every configuration by its hash; `usual` is the one to begin and to end with."""
    bare = policy_of(plan)
    first, second = plan.rungs
    usual = first.put_on(bare)
    other = second.put_on(bare)
    mae = replace(
        shared(usual, other), name="mae", matchers=parse_matchers('alertname="HighModelMAE"')
    )
    r2 = replace(
        shared(other, usual),
        name="r2",
        matchers=parse_matchers('alertname="LowModelR2"'),
        target="workflow",
        settle=bare.settle / 2,
    )
    variants = {
        "usual": (mae, r2) if plan.split else (usual,),
        "shorter": (replace(usual, cooldown=bare.cooldown / 2, settle=bare.settle / 2),),
        "observing": (replace(usual, mode=Mode.OBSERVE),),
        "gone": (),
        "two policies": (mae, r2),
        "renamed": (replace(usual, name="drift-2"),),
    }
    if first != second:
        variants["other"] = (shared(other, usual),)
    elsewhere = {**TARGETS, "pipeline": ELSEWHERE}
    told = (Subscriber("chat"),) if plan.subscribers else ()
    return {
        name: PolicySet(
            policies, elsewhere if name == "moved" else TARGETS, name, told, asking_of(plan)
        )
        for name, policies in (variants | {"moved": variants["usual"]}).items()
    }


def shared(policy: Policy, other: Policy) -> Policy:
    """The same policy; what all share holds it too, as the configuration gives it to each."""
    total = [one for one in other.limits if one.scope is Scope.TOTAL and one not in policy.limits]
    return replace(policy, limits=(*policy.limits, *total))


def asking_of(plan: Plan) -> Asking | None:
    """Whom a configuration lets the receiver ask."""
    if not plan.sources:
        return None
    names = frozenset(f"am{number}" for number in range(plan.sources))
    return Asking(names, plan.confirm_within, prometheus=plan.objector)
