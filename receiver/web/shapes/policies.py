"""The shapes of policies: what they are, what is left of budgets, what their runs brought."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from typing_extensions import TypedDict

from receiver.core.budgets import Counted, Scope
from receiver.core.policies import Mode
from receiver.web.shapes.describing import About, Count, Moment, Words


class BudgetUsageJson(TypedDict):
    """How much is used of one limit that models share."""

    limit: Annotated[str, About("In words, for example `20 runs in 1d in total`.")]
    scope: Annotated[str, Words(Scope)]
    counted: Annotated[str, Words(Counted)]
    unit: Annotated[str | None, About("Of a cost.")]
    used: Annotated[float, About(minimum=0)]
    most: float
    spent: Annotated[bool, About("Whether one more run does not fit now.")]
    frees_at: Annotated[
        Moment | None,
        About("From when one more fits; null if now, or if only a run's end can tell."),
    ]
    asks: Annotated[bool, About("Whether a human may approve a run beyond it.")]
    detail: Annotated[str, About("The same in words.")]


class StatedPolicyJson(TypedDict):
    """A policy as its file says it."""

    name: str
    mode: Annotated[str, Words(Mode)]
    target: str
    settings: Annotated[Mapping[str, Any], About("As in the file, defaults filled in.")]


class PolicyUseJson(TypedDict):
    """Whom a policy decides, and what is left of its budget."""

    models: Annotated[Count, About("Models that it named last.")]
    firing: Annotated[Count, About("Models with an alert that fires and that it decides.")]
    budget: Annotated[
        Sequence[BudgetUsageJson],
        About("How much is used of the limits that its models share."),
    ]


class EffectsJson(TypedDict):
    """How many runs there were, and what they brought."""

    runs: Annotated[Count, About("Its runs that ended since `since`.")]
    helped: Annotated[Count, About("Runs after which the model recovered.")]
    no_effect: Annotated[Count, About("Runs that ended well and helped nobody.")]
    rejected: Annotated[Count, About("Those of them that said so themselves.")]
    failed: Count
    cancelled: Count
    settling: Annotated[Count, About("Runs of which it is too early to tell.")]
    unclear: Annotated[Count, About("Runs at whose end nothing fired.")]
    unknown: Annotated[Count, About("Runs after which nobody said if an alert fires.")]


class PolicyJson(StatedPolicyJson, PolicyUseJson, EffectsJson):
    """A policy, and what its runs brought."""

    median_recovery_seconds: Annotated[
        float | None, About("From a run's end until its model's last alert was resolved.")
    ]


class OrphanedPauseJson(TypedDict):
    """A pause whose policy is not in the configuration: it holds nothing now."""

    policy: str
    since: Moment
    until: Annotated[Moment | None, About("Null: until `resume`.")]
    actor: str
    comment: str


class PoliciesJson(TypedDict):
    """The policies, in the order of the file."""

    since: Moment
    policies: Sequence[PolicyJson]
    orphaned_pauses: Annotated[
        Sequence[OrphanedPauseJson], About("Pauses of policies that the file does not have.")
    ]
