"""The shapes of what subscribers are told."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from typing_extensions import TypedDict

from receiver.core.announcements import AnnouncementState, Kind
from receiver.web.shapes.describing import About, Count, Cursor, Moment, Words


class AnnouncementJson(TypedDict):
    """One thing told to one subscriber."""

    id: Annotated[str, About("The subscriber sees it as webhook-id.")]
    subscriber: str
    kind: Annotated[str, Words(Kind)]
    model: str
    policy: str | None
    at: Annotated[Moment, About("When it happened.")]
    state: Annotated[str, Words(AnnouncementState)]
    tries: Count
    due_at: Annotated[Moment, About("When a pending one is tried next.")]
    ended_at: Annotated[Moment | None, About("Delivered, or given up.")]
    detail: Annotated[str, About("Why the last try failed.")]
    status_code: int | None
    data: Mapping[str, str | float | bool | None]


class AnnouncementsJson(TypedDict):
    """A page of announcements, newest first."""

    announcements: Sequence[AnnouncementJson]
    next_cursor: Cursor
