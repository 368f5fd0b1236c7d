"""What a field's type can't tell: its words and what it is about, for `/openapi.json`.

Imports no pydantic, for the command line shares the shapes.
"""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, TypeAlias


class About:
    """One sentence about a field, and what its JSON Schema says besides the type."""

    def __init__(self, description: str = "", **schema: Any) -> None:
        self._said = ({"description": description} if description else {}) | schema

    def __get_pydantic_json_schema__(
        self, described: Any, handler: Callable[[Any], dict[str, Any]]
    ) -> dict[str, Any]:
        """Add it to the schema of the type."""
        return handler(described) | self._said


class Words:
    """A text that is one of our words.

    Stored ones are text, for a release that came later may have written words that this one lacks.
    """

    def __init__(self, kind: type[StrEnum]) -> None:
        self._kind = kind

    def __get_pydantic_core_schema__(self, _source: Any, handler: Any) -> Any:
        """Describe it as the words' own type."""
        return handler.generate_schema(self._kind)


Labels: TypeAlias = dict[str, str]

Count: TypeAlias = Annotated[int, About(minimum=0)]

Cursor: TypeAlias = Annotated[
    str | None, About("The parameter `cursor` of the next page; null on the last one.")
]

Moment: TypeAlias = datetime
"""UTC, written in RFC 3339."""

Stamp: TypeAlias = Annotated[str, About(format="date-time")]
"""The same, stored as it is written."""
