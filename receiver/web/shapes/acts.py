"""The bodies of operators' acts. Unknown fields are refused: a misspelt one would do too much."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from receiver.core.durations import parse_duration


def _pause_length(value: object) -> timedelta | None:
    if value is None:
        return None
    span = parse_duration(value)
    if span <= timedelta(0):
        raise ValueError("a pause lasts longer than nothing; leave it out for one without end")
    return span


class CommentBody(BaseModel):
    """Why it is done: others will read it in the log."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    comment: Annotated[str, Field(min_length=1, max_length=1000)]


class PolicyBody(CommentBody):
    """Why, and for which policy; without one for everything."""

    policy: str | None = None


class OnePolicyBody(CommentBody):
    """Why, and for which policy."""

    policy: str


class NamingBody(PolicyBody):
    """Why, and for a model never seen what names it: its policy and labels."""

    labels: dict[str, str] | None = None


class Lasting(BaseModel):
    """For how long; without an end if it is left out."""

    for_: Annotated[
        timedelta | None,
        BeforeValidator(_pause_length),
        WithJsonSchema({"type": ["string", "null"], "examples": ["4h", "1h30m"]}),
    ] = Field(default=None, alias="for")


class PauseBody(NamingBody, Lasting):
    """Why, for how long, and for a model never seen what names it."""


class PausePolicyBody(PolicyBody, Lasting):
    """Why, for how long, and for which policy; without one everything is held back."""


FIELDS = frozenset({"comment", "policy", "labels", "for"})
"""Fields that some act knows."""


def with_every_field(body: CommentBody) -> Mapping[str, Any]:
    """What a body says, with the fields that other acts have.

    Of this a fingerprint is kept for 24 hours, by which a repeated request is known: it must not
    change when an act gets a field.
    """
    return dict.fromkeys(sorted(FIELDS)) | body.model_dump(mode="json", by_alias=True)
