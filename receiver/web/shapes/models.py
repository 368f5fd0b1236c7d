"""The shapes of how models stand."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from typing_extensions import TypedDict

from receiver.core.models import ModelState, PauseScope
from receiver.web.shapes.decisions import GateJson, ReasonWord
from receiver.web.shapes.describing import About, Count, Cursor, Labels, Moment, Words
from receiver.web.shapes.dispatches import DispatchJson, RunEndJson, StateWord


class FiringAlertJson(TypedDict):
    """An alert of the model that fires."""

    fingerprint: str
    alertname: str
    policy: str
    labels: Labels
    value: float | None
    starts_at: Moment
    confirmed_at: Moment
    confirmed_by: Annotated[
        str, About("Who said so last: a source's name, or `webhook` for a delivery.")
    ]
    expires_at: Moment
    stale_until: Moment | None


class PauseJson(TypedDict):
    """The pause in force that lasts longest."""

    scope: Annotated[str, Words(PauseScope)]
    until: Annotated[Moment | None, About("Null: until `resume`.")]
    actor: str
    comment: str


class ApprovalJson(TypedDict):
    """What a rung asks about the model, or was answered, in this episode."""

    rung: ReasonWord
    asked_at: Moment
    expires_at: Annotated[
        Moment | None,
        About(
            "Until then it can be answered, and once approved be used; null: while the episode "
            "lasts."
        ),
    ]
    answer: Annotated[str | None, About(enum=["approved", "rejected", None])]
    answered_at: Moment | None
    actor: str | None
    comment: str | None


class LatestDispatchJson(RunEndJson):
    """The latest dispatch: the only one that can be in flight."""

    id: str
    state: StateWord
    run_id: str | None
    created_at: Moment | None
    due_at: Annotated[Moment | None, About("When it is tried or looked after next.")]
    attempt: int
    sent_at: Moment | None
    failing_since: Moment | None
    ended_at: Moment | None
    detail: str


class ModelJson(TypedDict):
    """How a model stands."""

    model: str
    state: Annotated[Annotated[str, Words(ModelState)], About("The first of them that applies.")]
    policy: str | None
    labels: Labels
    firing_alerts: Annotated[
        Sequence[FiringAlertJson],
        About("The oldest first, 100 at most; `GET /models/{model}` has all of them, in pages."),
    ]
    firing_count: int
    episode_started_at: Moment | None
    cooldown_until: Moment | None
    observed_until: Moment | None
    next_check_at: Annotated[
        Moment | None,
        About("When the timer decides its alerts again; null if only an event can."),
    ]
    paused: PauseJson | None
    approval: ApprovalJson | None
    dispatch: LatestDispatchJson | None


class ExplanationJson(TypedDict):
    """What an alert of the model would meet now."""

    holds: Annotated[
        ReasonWord | None, About("The first rung that applies; null if nothing holds the model.")
    ]
    detail: Annotated[str, About("One sentence: what holds it, and the next attempt.")]
    next_check_at: Moment | None
    gates: Sequence[GateJson]


class WholeModelJson(ModelJson):
    """How a model stands, its last runs, and what holds it."""

    next_cursor: Cursor  # of its firing alerts
    runs: Sequence[DispatchJson]
    explain: ExplanationJson
    links: Annotated[
        Mapping[str, str], About("Where it can be looked at: URLs by what `links` calls them.")
    ]


class GroupJson(TypedDict):
    """Models that need a human for one reason: a storm is one of them."""

    kind: Annotated[
        str,
        About("The rung that asks, `parked`, `refused`, or `waiting`: its target starts nothing."),
    ]
    policy: Annotated[str | None, About("Null for models that wait for a target.")]
    target: Annotated[str | None, About("Of models that wait for it.")]
    count: Count
    since: Annotated[Moment | None, About("Since when the first of them is.")]
    labels: Annotated[Labels, About("What all their alerts share.")]
    examples: Annotated[Sequence[str], About("Three of them.")]
    orders: Annotated[
        int | None, About("How many runs `release` may order at most; null if it is no storm.")
    ]
    detail: str


class ModelsJson(TypedDict):
    """A page of models, and on the first one what needs a human in groups, the gravest first."""

    groups: Annotated[
        Sequence[GroupJson],
        About(
            "Whole groups, as far as `state`, `policy` and `target` ask for them; none where `q` "
            "or `labels` is asked for, since some of a group can't be told, and none on later "
            "pages. What waits for a target is of many policies: with `policy` it is not told."
        ),
    ]
    models: Sequence[ModelJson]
    next_cursor: Cursor
