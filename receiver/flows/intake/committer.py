"""Commits in groups: requests that wait at the same time share one transaction."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeAlias

from receiver.flows.intake.arrivals import Arrival, Receipt
from receiver.store.store import StoreUnavailable
from receiver.telemetry import log, worker_errors

MOST_ALERTS = 1000
"""Alerts in one transaction; larger ones gain nothing and make the others wait."""

PART = 500
"""Alerts of a longer notification in one transaction: between its parts the others get in."""

MOST_WAITING = 2000
"""Notifications that may wait; more are told 503 at once, so that memory stays bounded."""

Waiting: TypeAlias = tuple[Arrival, Future[Receipt], Arrival]
"""What is committed next, who waits for it, and the whole of which it may be a part."""


class Committer:
    """One thread that commits for all who wait. There is no artificial delay.

    While one commit is being made durable, the next batch gathers by itself. A long notification
    is committed in parts and answered after the last, so that no other waits for all of it.
    """

    def __init__(self, take_in: Callable[[Sequence[Arrival]], list[Receipt]]) -> None:
        self._take_in = take_in
        self._waiting: queue.Queue[tuple[Arrival, Future[Receipt]] | None] = queue.Queue(
            MOST_WAITING
        )
        self._long: deque[Waiting] = deque()
        self._thread = threading.Thread(target=self._run, name="committer")
        self._on_commit: Callable[[], None] = lambda: None

    def start(self, on_commit: Callable[[], None]) -> None:
        """Begin; `on_commit` is a hint to the workers that there may be something to do."""
        self._on_commit = on_commit
        self._thread.start()

    def submit(self, arrival: Arrival) -> Future[Receipt]:
        """Queue a notification. The future ends after its commit, or with `StoreUnavailable`."""
        answer: Future[Receipt] = Future()
        try:
            self._waiting.put_nowait((arrival, answer))
        except queue.Full:
            answer.set_exception(StoreUnavailable("too many notifications wait"))
        return answer

    def stop(self) -> None:
        """Commit what waits, then end. Nothing to do if it never began."""
        if self._thread.ident is not None:
            self._waiting.put(None)
            self._thread.join()

    def _run(self) -> None:
        more = True
        while more or self._long:
            more = self._round(gathers=more)

    def _round(self, *, gathers: bool) -> bool:
        """Commit a batch, and after it the next part of a notification that is too long.

        False if nothing more will come.
        """
        batch: list[Waiting] = []
        more = self._gather(batch) if gathers else False
        if batch:
            self._commit(batch)
        if self._long:
            self._commit([self._long.popleft()])
        return more

    def _gather(self, batch: list[Waiting]) -> bool:
        """Add all that wait already. False if the end was among them."""
        alerts = 0
        while alerts < MOST_ALERTS:
            try:
                # Sleep only while there is nothing to do.
                item = self._waiting.get(block=not batch and not self._long)
            except queue.Empty:
                return True
            if item is None:
                return False
            length = len(item[0].matched)
            if length > MOST_ALERTS:
                self._long.append((item[0].part(None, PART), item[1], item[0]))
                continue
            batch.append((*item, item[0]))
            alerts += length
        return True

    def _commit(self, batch: list[Waiting]) -> None:
        try:
            receipts = self._take_in([arrival for arrival, _, _ in batch])
        except StoreUnavailable as error:
            for _, answer, _ in batch:
                answer.set_exception(error)
            return
        except Exception as error:  # noqa: BLE001  a bug must not stop the intake of the others
            if len(batch) > 1:
                for one in batch:
                    self._commit([one])
                return
            log().exception("commit_failed")
            worker_errors.labels("committer").inc()
            batch[0][1].set_exception(error)
            return
        for (part, answer, whole), receipt in zip(batch, receipts, strict=True):
            if part.is_last:
                answer.set_result(receipt)
            else:
                self._long.append((whole.part(receipt, PART), answer, whole))
        if any(decision.dispatch_id for receipt in receipts for decision in receipt.decisions):
            self._on_commit()
