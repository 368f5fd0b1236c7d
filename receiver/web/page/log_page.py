"""Reads one page of the log for the timeline, with the API's filters and cursor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request

from receiver.store.store import Store
from receiver.store.views.decisions import DECISION_FILTERS
from receiver.web.decisions import ASKED, WORDS
from receiver.web.page.timeline import StoryLine, fold
from receiver.web.params import bad, cursor, filters, moment, number

ROWS = 200
"""Decisions read for one page; folded they are fewer lines."""

STORY_ROWS = 100


@dataclass(frozen=True, slots=True)
class Log:
    """One page of the timeline.

    Attributes:
        asked: The filters as they were asked for, for the bar.
        older: Address of the next page, None on the last.
        api: The same question to the API.

    """

    now: datetime
    entries: Sequence[StoryLine]
    rows: int
    asked: Mapping[str, str]
    choices: Mapping[str, Sequence[str]]
    older: str | None
    api: str


def read(store: Store, request: Request) -> Log:
    """One page, by the filters of the request. Raises `Problem` 400."""
    asked = {name: value for name, value in request.query_params.multi_items() if value}
    unknown = next((name for name in asked if name not in ASKED), None)
    if unknown is not None:
        raise bad(f"{unknown[:40]!a} is not a filter here; known: {', '.join(ASKED)}")
    request = _with_query(request, asked)
    with store.view() as view:
        now = view.now
        page = view.decisions.page(
            filters(request, DECISION_FILTERS, WORDS),
            since=moment(request, "since", now),
            until=moment(request, "until", now),
            before=cursor(request, lambda text: number("cursor", text)),
            limit=ROWS,
            labels=False,
        )
    kept = {name: value for name, value in asked.items() if name not in {"cursor", "limit"}}
    older = page.next_cursor and f"/ui/decisions?{urlencode({**kept, 'cursor': page.next_cursor})}"
    return Log(
        now=now,
        entries=fold(page.rows),
        rows=len(page.rows),
        asked=kept,
        choices={name: [str(word) for word in words] for name, words in WORDS.items()},
        older=older or None,
        api=f"/decisions?{urlencode(kept)}" if kept else "/decisions",
    )


def story_of(store: Store, model: str) -> Sequence[StoryLine]:
    """The latest decisions about one model."""
    with store.view() as view:
        return fold(view.decisions.page({"model": model}, limit=STORY_ROWS, labels=False).rows)


def _with_query(request: Request, asked: Mapping[str, str]) -> Request:
    """The same request without fields that were left empty: a form sends them all."""
    scope: dict[str, Any] = {**request.scope, "query_string": urlencode(asked).encode()}
    return Request(scope)
