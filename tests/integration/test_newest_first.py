"""What is listed by its id stays in order, whatever the clock did."""

from dataclasses import replace
from datetime import timedelta

from receiver.core.announcements import Subscriber
from tests.examples import alert

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)


def test_a_clock_that_was_ahead_hides_no_later_dispatch(history):
    """Sixty were ordered by a clock that was two hours ahead; what comes after is the newest."""
    history.policy_set = replace(history.policy_set, subscribers=(Subscriber("all"),))
    history.clock.jump(2 * HOUR)
    history.deliver(*(alert(f"ahead-{number}") for number in range(60)))
    history.clock.jump(-2 * HOUR)
    later = []
    for number in range(5):
        history.clock.pass_(SECOND)
        history.deliver(alert(f"later-{number}"))
        later.insert(0, f"later-{number}")

    with history.store.view() as view:
        page = view.dispatches.page({}, limit=50)
        told = view.announcements.page({}, limit=50).rows
    assert [one.model for one in told][:5] == later
    assert [one.model for one in page.rows][:5] == later
    assert [one.id for one in page.rows] == sorted((one.id for one in page.rows), reverse=True)
