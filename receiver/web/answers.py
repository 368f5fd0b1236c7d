"""Hands the committer's results to the event loop, one wake-up per batch."""

import asyncio
from collections import deque
from concurrent.futures import Future
from functools import partial

from receiver.flows.intake.arrivals import Receipt


class Answers:
    """Lets requests wait for the committer.

    `asyncio.wrap_future` wakes the event loop once for every request: with 64 that wait for one
    commit this took as long as parsing their notifications.
    """

    def __init__(self) -> None:
        self._finished: deque[tuple[Future[Receipt], asyncio.Future[Receipt]]] = deque()
        self._waking = False

    async def of(self, commit: Future[Receipt]) -> Receipt:
        """Wait for a commit, which goes on even if the client hangs up."""
        loop = asyncio.get_running_loop()
        request: asyncio.Future[Receipt] = loop.create_future()
        commit.add_done_callback(partial(self._finish, loop, request))
        return await request

    def _finish(
        self,
        loop: asyncio.AbstractEventLoop,
        request: asyncio.Future[Receipt],
        commit: Future[Receipt],
    ) -> None:
        """Take note, in the committer's thread; the first of a batch wakes the loop."""
        self._finished.append((commit, request))
        if not self._waking and not loop.is_closed():  # after the drain nobody waits any more
            self._waking = True
            loop.call_soon_threadsafe(self._hand_out)

    def _hand_out(self) -> None:
        # Before the queue is emptied: what is added from here on wakes the loop again.
        self._waking = False
        while self._finished:
            commit, request = self._finished.popleft()
            if request.done():  # it was cancelled
                continue
            error = commit.exception()
            if error is None:
                request.set_result(commit.result())
            else:
                request.set_exception(error)
