"""The shapes about the process itself: problems, rejections, reloads."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, NotRequired

from typing_extensions import TypedDict

from receiver.web.shapes.describing import About, Cursor, Moment


class MistakeJson(TypedDict):
    """One thing that is wrong with a request."""

    detail: str


class ProblemJson(TypedDict):
    """RFC 9457, in one line and without secrets."""

    type: Annotated[
        str, About("A URI; `about:blank`: the status says what kind of problem it is.")
    ]
    title: str
    status: int
    detail: str
    errors: NotRequired[
        Annotated[
            Sequence[MistakeJson],
            About("Of a wrong request: each thing that is wrong with it, all at once."),
        ]
    ]


class RejectionJson(TypedDict):
    """A body that we could not accept."""

    id: int
    received_at: Moment
    sender: Annotated[str, About("The name of the token that it came with.")]
    status_code: int
    detail: str
    size: int
    body: Annotated[str, About("Its beginning.")]
    encoding: Literal["utf-8", "base64"]


class RejectionsJson(TypedDict):
    """The newest rejections."""

    rejections: Sequence[RejectionJson]
    next_cursor: Cursor


class ReloadedJson(TypedDict):
    """The configuration that is in force now."""

    config_hash: str
    warnings: Annotated[Sequence[str], About("Also of what it leaves behind under other names.")]
    needs_restart: Annotated[Sequence[str], About("Sections that wait for a restart.")]


class OpenApiJson(TypedDict):
    """This document."""

    openapi: str
    info: dict[str, Any]
    tags: Sequence[dict[str, Any]]
    paths: dict[str, Any]
    components: dict[str, Any]
