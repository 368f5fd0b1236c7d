"""Reads one page of runs: who ordered each, how long it took, how it ended, what it brought."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from starlette.requests import Request

from receiver.core.dispatches import LIVE, Dispatch, DispatchState
from receiver.core.policies import shown
from receiver.core.run_ends import RunEnd
from receiver.core.tenants import Tenant
from receiver.store.store import Store
from receiver.store.views.dispatches import Origin
from receiver.store.views.model_lists import Wanted
from receiver.store.views.paging import Page
from receiver.store.views.view import View

ROWS = 50
FILTERS = ("q", "state", "policy", "target")
MOST_MODELS = 100
"""Models whose names hold the text; who asks for more of them writes more of the name."""

NOTHING: Page[Dispatch] = Page((), None)


@dataclass(frozen=True, slots=True)
class ListedRun:
    """A run as a row; `took` until now while it goes on, None before it was sent."""

    row: Dispatch
    end: RunEnd | None
    origin: Origin | None
    took: timedelta | None

    @property
    def goes_on(self) -> bool:
        """Whether nobody has seen its end yet."""
        return self.row.state in LIVE


@dataclass(frozen=True, slots=True)
class Runs:
    """One page of runs.

    Attributes:
        asked: The filters as they were asked for.
        older: Address of the next page, None on the last.
        narrow: Whether more models have the text in their names than were looked at.
        wrong: What is wrong with the filters; nothing was looked for then.
        known: Those of their models that there are: the others have no page.

    """

    now: datetime
    rows: Sequence[ListedRun]
    asked: Mapping[str, str]
    older: str | None
    narrow: bool
    wrong: Sequence[str]
    known: AbstractSet[str]


def read(store: Store, request: Request, tenant: Tenant | None = None) -> Runs:
    """One page, by the filters of the request; what is wrong with them stands over the form."""
    given = {name: value.strip() for name, value in request.query_params.multi_items() if value}
    asked = {name: given[name] for name in FILTERS if given.get(name)}
    wrong = list(_wrong(given))
    with store.view(tenant) as view:
        names, narrow = (None, False) if wrong else _models(view, asked.get("q", ""))
        page = NOTHING
        if not wrong:
            filters = {name: value for name, value in asked.items() if name != "q"}
            before = given.get("cursor") or None
            page = view.dispatches.page(filters, before=before, limit=ROWS, models=names)
        ends = view.dispatches.ends([row.id for row in page.rows])
        origins = view.dispatches.origins([row.decision_id for row in page.rows])
        known = view.models.known([row.model for row in page.rows])
        now = view.now
    older = page.next_cursor and f"/ui/runs?{urlencode({**asked, 'cursor': page.next_cursor})}"
    return Runs(
        now=now,
        rows=[
            ListedRun(row, ends.get(row.id), origins.get(row.decision_id), _took(row, now))
            for row in page.rows
        ],
        asked=asked,
        older=older or None,
        narrow=narrow,
        wrong=wrong,
        known=known,
    )


def _models(view: View, text: str) -> tuple[Sequence[str] | None, bool]:
    """The models that have a text in their names, and whether there are more of them."""
    if not text:
        return None, False
    found = view.lists.by_name(Wanted(text=text), after=None, limit=MOST_MODELS)
    # One that was forgotten is in no list; its runs are kept, and found by its whole name.
    return [*(model.name for model in found.rows), text], found.more


def _took(row: Dispatch, now: datetime) -> timedelta | None:
    if row.sent_at is None:
        return None
    end = now if row.state in LIVE else row.ended_at
    return None if end is None else max(end - row.sent_at, timedelta(0))


def _wrong(given: Mapping[str, str]) -> Sequence[str]:
    """Everything that is wrong with the filters."""
    known = (*FILTERS, "cursor")
    said = [
        f"{name[:40]!a} is not a filter here; known: {', '.join(known)}"
        for name in given
        if name not in known
    ]
    state = given.get("state", "")
    if state and state not in list(DispatchState):
        said.append(f"state can be {', '.join(DispatchState)}; not {shown(state)}")
    return said
