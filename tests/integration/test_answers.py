"""What the committer finished reaches the requests that wait for it, in their own thread."""

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor

from receiver.flows.intake.arrivals import Receipt
from receiver.store.store import StoreUnavailable
from receiver.web.answers import Answers


def test_all_of_a_commit_are_answered():
    """Each with its own receipt or error; one whose client hung up is passed over."""
    answers = Answers()
    commits: list[Future[Receipt]] = [Future() for _ in range(50)]

    def finish():
        for number, commit in enumerate(commits):
            if number == 7:
                commit.set_exception(StoreUnavailable("gone"))
            else:
                commit.set_result(Receipt(str(number), ()))

    async def wait():
        waiting = [asyncio.ensure_future(answers.of(commit)) for commit in commits]
        await asyncio.sleep(0)
        waiting[3].cancel()
        with ThreadPoolExecutor(1) as committer:
            await asyncio.get_running_loop().run_in_executor(committer, finish)
            return await asyncio.gather(*waiting, return_exceptions=True)

    told = asyncio.run(wait())

    assert isinstance(told[3], asyncio.CancelledError)
    assert isinstance(told[7], StoreUnavailable)
    others = [number for number in range(50) if number not in {3, 7}]
    assert [told[number].notification_id for number in others] == list(map(str, others))


def test_a_commit_that_ends_after_the_drain_disturbs_nobody(caplog):
    """The event loop is closed by then, and what was accepted is still stored."""
    answers, commit = Answers(), Future()

    async def give_up():
        waiting = asyncio.ensure_future(answers.of(commit))
        await asyncio.sleep(0)
        waiting.cancel()

    asyncio.run(give_up())
    commit.set_result(Receipt("late", ()))

    assert commit.done()
    assert not caplog.records
