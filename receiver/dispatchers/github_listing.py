"""GitHub's listing of a workflow's runs: read to its end, and tried whether it works.

GitHub's filtered listing has answered "0 of 0" for days while runs existed, and who believed it
started them again. So what it does not hold is asked for in a second way, without a filter.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from receiver.core.dispatches import Dispatch, DispatchError, Failure
from receiver.core.runs import Absent, NotSeen
from receiver.dispatchers.github_answers import GithubAnswer, error, read_error

CLOCK_DIFFERENCE = timedelta(hours=1)
"""The listing is asked from so long before the dispatch, for GitHub's clock counts there: with a
smaller margin, a clock of ours that is ahead would prove a run absent that exists."""

PAGE_SIZE = 100
LAST_PAGE = 10
"""GitHub lists 1,000 runs at most, however many there are."""

READS = 3
DISPATCHED = "workflow_dispatch"

ListedRun = Mapping[str, Any]


class RunListing:
    """The runs of one dispatch's workflow, as GitHub lists them.

    Attributes:
        filtered_ids: What the filtered listing has shown so far.

    """

    def __init__(
        self,
        dispatch: Dispatch,
        ask: Callable[[str, Mapping[str, str]], GithubAnswer],
        credentials: str,
    ) -> None:
        place = dispatch.place
        self._workflow = place["workflow"]
        self._path = (
            f"/repos/{quote(place['repository'])}/actions/workflows/"
            f"{quote(place['workflow'], safe='')}/runs"
        )
        since = dispatch.created_at.astimezone(UTC) - CLOCK_DIFFERENCE
        self._since = f"{since:%Y-%m-%dT%H:%M:%SZ}"
        self._ask = ask
        self._credentials = credentials
        self.filtered_ids: set[int] = set()

    def filtered(self) -> Iterator[ListedRun]:
        """Read all dispatched runs around the order; raises if that can't be done.

        Not filtered by branch, for `ref` may be a tag; and read by what GitHub counts, for its
        pages may come short.
        """
        query = {"event": DISPATCHED, "created": f">={self._since}"}
        seen: set[int] = set()
        total = began_with = 0
        for _ in range(READS):  # a run that starts meanwhile moves the others: begin again
            seen.clear()
            for page in range(1, LAST_PAGE + 1):
                counted, runs = self._page(page, query)
                total = max(total, counted)
                began_with = total if page == 1 else began_with
                seen |= {run["id"] for run in runs}
                self.filtered_ids |= seen
                yield from runs
                if len(seen) >= total:
                    return
                if not runs:
                    break
            else:
                raise error(
                    f"GitHub's listing of {self._workflow} is too long: {total} runs",
                    Failure.UNKNOWN,
                )
        # Where runs start all the time it is never read at rest. What starts meanwhile comes
        # first and hides nothing: whatever was listed when the read began has been seen.
        if len(seen) < began_with:
            raise _incomplete(seen, total)

    def unfiltered(self) -> Iterator[ListedRun]:
        """Read back, newest first and without a filter, until the order's time or the end."""
        seen: set[int] = set()
        began_with = 0
        for page in range(1, LAST_PAGE + 1):
            total, runs = self._page(page, {})
            began_with = began_with if page > 1 else total
            seen |= {run["id"] for run in runs}
            yield from runs
            if len(seen) >= began_with or any(self._is_older(run) for run in runs):
                return
            if not runs:
                raise _incomplete(seen, began_with)
        raise error(
            f"GitHub's {began_with} runs of {self._workflow} are too many to read back to the "
            "attempt",
            Failure.UNKNOWN,
        )

    def judged(self, unfiltered: list[ListedRun]) -> Absent | NotSeen:
        """Say whether the two ways agree, where neither holds the run that is looked for.

        What is empty proves nothing: a workflow in which a run of ours was ever seen has some.
        """
        if not unfiltered:
            return NotSeen(
                f"GitHub lists no run of {self._workflow} at all, so its listing may be broken"
            )
        dispatched = {
            run["id"]
            for run in unfiltered
            if run.get("event") == DISPATCHED and not self._is_older(run)
        }
        if not dispatched <= self.filtered_ids:
            # They may have started between the two; what is read now must show them.
            for _ in self.filtered():
                pass
        hidden = len(dispatched - self.filtered_ids)
        if hidden:
            return NotSeen(
                f"GitHub's listing is broken: asked for dispatched runs of {self._workflow}, it "
                f"hides {hidden} that it shows without the filter"
            )
        return Absent()

    def _is_older(self, run: ListedRun) -> bool:
        created = run.get("created_at")
        return isinstance(created, str) and created < self._since

    def _page(self, page: int, query: Mapping[str, str]) -> tuple[int, list[dict[str, Any]]]:
        sizes = {"per_page": str(PAGE_SIZE), "page": str(page)}
        answer = self._ask(self._path, {**query, **sizes})
        total, runs = (answer.content.get(key) for key in ("total_count", "workflow_runs"))
        if (
            answer.status == HTTPStatus.OK
            and isinstance(total, int)
            and isinstance(runs, list)
            and all(isinstance(run, dict) and is_id(run.get("id")) for run in runs)
        ):
            return total, runs
        raise read_error(answer, "the list of runs", self._credentials)


def _incomplete(seen: set[int], total: int) -> DispatchError:
    return error(
        f"GitHub listed {len(seen)} of {total} runs; the listing is not complete",
        Failure.UNAVAILABLE,
    )


def is_id(value: object) -> bool:
    """Whether it is a run's id, as GitHub counts them."""
    return isinstance(value, int) and not isinstance(value, bool)
