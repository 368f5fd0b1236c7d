"""Reads one page of the log for the timeline, with the API's filters and cursor."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request

from receiver.core.tenants import Tenant
from receiver.store.store import Store
from receiver.store.views.decisions import DECISION_FILTERS, StoredDecision
from receiver.store.views.paging import Page
from receiver.store.views.view import View
from receiver.web.decisions import ASKED, WORDS
from receiver.web.page.timeline import RunEndLine, StoryLine, fold, weave
from receiver.web.params import cursor, filters, moment, number
from receiver.web.problems import Problem

ROWS = 200
"""Decisions read for one page; folded they are fewer lines."""

STORY_ROWS = 100
STORY_RUNS = 50

NOTHING: Page[StoredDecision] = Page((), None)


@dataclass(frozen=True, slots=True)
class Log:
    """One page of the timeline.

    Attributes:
        asked: The filters as they were asked for, for the bar.
        older: Address of the next page, None on the last.
        api: The same question to the API.
        wrong: What is wrong with the filters; nothing was looked for then.
        known: Those of their models that there are: the others have no page.

    """

    now: datetime
    entries: Sequence[StoryLine]
    rows: int
    asked: Mapping[str, str]
    choices: Mapping[str, Sequence[str]]
    older: str | None
    api: str
    wrong: Sequence[str] = ()
    known: AbstractSet[str] = frozenset()


def read(store: Store, request: Request, tenant: Tenant | None = None) -> Log:
    """One page, by the filters of the request; what is wrong with them stands over the form."""
    asked = {name: value for name, value in request.query_params.multi_items() if value}
    request = _with_query(request, asked)
    kept = {name: value for name, value in asked.items() if name not in {"cursor", "limit"}}
    with store.view(tenant) as view:
        now = view.now
        wrong = _wrong(request, asked, now)
        page = NOTHING if wrong else _page(view, request, now)
        known = view.models.known([row.model for row in page.rows])
    older = page.next_cursor and f"/ui/decisions?{urlencode({**kept, 'cursor': page.next_cursor})}"
    return Log(
        now=now,
        entries=fold(page.rows),
        rows=len(page.rows),
        asked=kept,
        choices={name: [str(word) for word in words] for name, words in WORDS.items()},
        older=older or None,
        api=f"/decisions?{urlencode(kept)}" if kept else "/decisions",
        wrong=wrong,
        known=known,
    )


def _page(view: View, request: Request, now: datetime) -> Page[StoredDecision]:
    return view.decisions.page(
        filters(request, DECISION_FILTERS, WORDS),
        since=moment(request, "since", now),
        until=moment(request, "until", now),
        before=cursor(request, _number),
        limit=ROWS,
        labels=False,
    )


def _number(text: str) -> int:
    return number("cursor", text)


def _wrong(request: Request, asked: Mapping[str, str], now: datetime) -> Sequence[str]:
    """Everything that is wrong with the filters, not only the first."""
    said = [
        f"{name[:40]!a} is not a filter here; known: {', '.join(ASKED)}"
        for name in asked
        if name not in ASKED
    ]
    checks: list[Callable[[], object]] = [
        *(partial(filters, request, (name,), WORDS) for name in WORDS),
        partial(moment, request, "since", now),
        partial(moment, request, "until", now),
        partial(cursor, request, _number),
    ]
    for check in checks:
        try:
            check()
        except Problem as problem:
            said.append(problem.detail)
    return said


def story_of(
    store: Store, model: str, tenant: Tenant | None = None
) -> Sequence[StoryLine | RunEndLine]:
    """The latest decisions about one model, and the ends of its runs among them."""
    with store.view(tenant) as view:
        page = view.decisions.page({"model": model}, limit=STORY_ROWS, labels=False)
        ends = view.dispatches.ends_of_model(model, STORY_RUNS)
    # Before the oldest decision that is shown the story would be ends alone.
    since = page.rows[-1].decided_at if page.next_cursor else None
    return weave(fold(page.rows), ends, since)


def _with_query(request: Request, asked: Mapping[str, str]) -> Request:
    """The same request without fields that were left empty: a form sends them all."""
    scope: dict[str, Any] = {**request.scope, "query_string": urlencode(asked).encode()}
    return Request(scope)
