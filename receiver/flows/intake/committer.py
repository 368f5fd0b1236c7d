"""Commits in groups: requests that wait at the same time share one transaction."""

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from receiver.flows.intake.arrivals import Arrival, Receipt
from receiver.store.store import StoreUnavailable
from receiver.telemetry import log, worker_errors

MOST_ALERTS = 1000
"""Alerts in one transaction; larger ones gain nothing and make the others wait."""

MOST_WAITING = 2000
"""Notifications that may wait; more are told 503 at once, so that memory stays bounded."""


class Committer:
    """One thread that commits for all who wait. There is no artificial delay.

    While one commit is being made durable, the next batch gathers by itself.
    """

    def __init__(self, take_in: Callable[[Sequence[Arrival]], list[Receipt]]) -> None:
        self._take_in = take_in
        self._waiting: queue.Queue[tuple[Arrival, Future[Receipt]] | None] = queue.Queue(
            MOST_WAITING
        )
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
        while more:
            first = self._waiting.get()
            if first is None:
                return
            batch = [first]
            more = self._gather(batch)
            self._commit(batch)

    def _gather(self, batch: list[tuple[Arrival, Future[Receipt]]]) -> bool:
        """Add all that wait already. False if the end was among them."""
        alerts = len(batch[0][0].matched)
        while alerts < MOST_ALERTS:
            try:
                item = self._waiting.get_nowait()
            except queue.Empty:
                return True
            if item is None:
                return False
            batch.append(item)
            alerts += len(item[0].matched)
        return True

    def _commit(self, batch: list[tuple[Arrival, Future[Receipt]]]) -> None:
        try:
            receipts = self._take_in([arrival for arrival, _ in batch])
        except StoreUnavailable as error:
            for _, answer in batch:
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
        for (_, answer), receipt in zip(batch, receipts, strict=True):
            answer.set_result(receipt)
        if any(decision.dispatch_id for receipt in receipts for decision in receipt.decisions):
            self._on_commit()
