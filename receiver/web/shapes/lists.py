"""The fields of lists' entries, in their order: the headings of tables, also of empty ones."""

from collections.abc import Mapping, Sequence

from receiver.web.shapes.announcements import AnnouncementJson
from receiver.web.shapes.decisions import DecisionJson
from receiver.web.shapes.dispatches import DispatchJson
from receiver.web.shapes.models import ModelJson

FIELDS: Mapping[str, Sequence[str]] = {
    "announcements": tuple(AnnouncementJson.__annotations__),
    "decisions": tuple(DecisionJson.__annotations__),
    "dispatches": tuple(DispatchJson.__annotations__),
    "models": tuple(ModelJson.__annotations__),
}
"""By the name of the list."""
