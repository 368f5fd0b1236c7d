"""The database as a history: what fired, and what runs brought."""

from datetime import timedelta

from receiver.backtest.histories import Firing
from receiver.backtest.log_history import history_in_store
from receiver.backtest.runs import RunModel, learned
from receiver.core.runs import RunState
from tests.examples import alert, resolved
from tests.fakes import NOON

HOUR = timedelta(hours=1)


def test_firings_and_runs_of_the_log(history, clock):
    """Each alert from its beginning to when we were told of its end; each run with its effect."""
    history.deliver(alert())
    while history.send():
        pass
    clock.pass_(40 * timedelta(minutes=1))
    history.target.finish(RunState.SUCCEEDED)
    history.work()
    clock.pass_(HOUR)
    ended = history.now()
    history.deliver(resolved(ends_at=ended))
    clock.pass_(HOUR)

    past = history_in_store(history.store, NOON - HOUR)

    (one,) = past.alerts
    assert one.firings == (Firing(NOON, ended),)
    (run,) = past.runs
    assert (run.model, run.policy, run.helped) == ("42", "drift", True)
    assert run.took is not None
    assert abs(run.took - 40 * timedelta(minutes=1)) < timedelta(minutes=1)


def test_what_is_learned_from_few_runs_is_not_believed(history, clock):
    """Below five known effects the given numbers stand; from then on the log's."""
    for _ in range(5):
        history.deliver(alert(starts_at=history.now()))
        history.run_to_its_end()
        history.deliver(resolved(starts_at=history.now(), ends_at=history.now()))
        clock.pass_(13 * HOUR)
    usual = RunModel(helps=0.25)
    past = history_in_store(history.store, NOON - HOUR)

    few, enough = learned(usual, past.runs[:4]), learned(usual, past.runs)

    assert few.of("drift") == usual
    assert enough.of("drift").rests_on == 5
    assert enough.of("drift").helps == 1
