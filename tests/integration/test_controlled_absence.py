"""Absence is believed only of a target that still shows a run which it had shown."""

from dataclasses import replace
from datetime import timedelta

import pytest

from receiver.core.dispatches import DispatchState
from receiver.core.runs import RunState
from receiver.core.targets import Target, TargetKind
from tests.contract import kfp_setup
from tests.examples import alert
from tests.fakes import accepted_then_cut
from tests.histories import TARGET
from tests.peers.kfp import KfpPeer
from tests.peers.kfp_wire import Fault

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def one_place(history):
    """All models train at one place."""
    place = {"endpoint": "http://kfp", "pipeline": "retrain"}
    history.policy_set = replace(
        history.policy_set, targets={TARGET: Target(TARGET, TargetKind.KFP, place, {})}
    )
    return history


@pytest.mark.parametrize("state", [None, RunState.SUCCEEDED, RunState.FAILED])
def test_a_kubeflow_that_lost_its_runs_gets_no_second_post(history, state):
    """It answers, and shows the experiment; the run may train all the same."""
    with KfpPeer() as peer:
        history.target = kfp_setup.dispatcher()
        place = {"endpoint": peer.url, "pipeline": str(kfp_setup.TINY)}
        inputs = {"word": "a", "number": "{value}"}
        target = Target(TARGET, TargetKind.KFP, place, inputs)
        history.policy_set = replace(history.policy_set, targets={TARGET: target})
        history.deliver(alert("1"))
        history.send()
        if state is not None:
            peer.finish(history.dispatches()[0].run_id, state.value.upper())
        history.wait(MINUTE)
        peer.answer_next(Fault(accept=True))
        history.deliver(alert("2"))
        history.send()
        assert history.states()[-1] is DispatchState.UNKNOWN

        peer.runs.clear()
        history.wait(6 * MINUTE)

        row = history.dispatches(model="2")[0]
        assert (peer.starts, row.state) == (2, "parked")
        assert "does not show run" in row.detail


def test_who_is_asked_for_is_the_last_run_that_was_shown_there(one_place):
    """One that goes on before one that ended; of these the one that was asked about last."""
    history = one_place
    for number in ("1", "2"):
        history.deliver(alert(number))
        history.run_to_its_end()
        history.clock.pass_(MINUTE)
    history.target.accidents = [accepted_then_cut]
    history.target.listed = False
    history.deliver(alert("3"))
    history.send()
    history.clock.pass_(SECOND)

    history.send()
    assert history.target.known.model == "2"

    history.deliver(alert("4"))
    history.send()
    history.clock.pass_(2 * SECOND)
    history.send()
    assert history.target.known.model == "4"


def test_a_run_that_is_not_shown_just_now_is_asked_for_all_the_same(one_place):
    """Whoever lost it may have lost the one that is looked for."""
    history = one_place
    history.deliver(alert("1"))
    history.send()
    history.target.finish(RunState.GONE)
    history.wait(MINUTE)
    assert history.dispatches()[0].missing_since is not None
    history.target.accidents = [accepted_then_cut]
    history.deliver(alert("2"))
    history.send()
    history.clock.pass_(SECOND)
    history.send()

    assert history.target.known.model == "1"


def test_a_run_in_another_namespace_is_no_control(history):
    """Who may read there need not be let in here."""
    history.deliver(alert("1"))
    history.run_to_its_end()
    history.target.accidents = [accepted_then_cut]
    history.deliver(alert("2"))
    history.send()
    history.clock.pass_(SECOND)
    history.send()

    assert history.target.looks == 1
    assert history.target.known is None
