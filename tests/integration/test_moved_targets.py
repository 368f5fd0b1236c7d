"""A target that moved: its credential goes to no address but its own."""

from dataclasses import replace
from datetime import timedelta

import pytest

from receiver.core.dispatches import DispatchError, DispatchState, Mover
from receiver.core.policy_set import PolicySet
from receiver.core.runs import RunState
from receiver.core.targets import Target, TargetKind, address_of
from receiver.dispatchers.at_address import AtItsAddress
from receiver.dispatchers.lazy import LateDispatcher
from receiver.flows.operator import controls
from receiver.flows.operator.acts import Act
from receiver.flows.operator.controls import Named
from receiver.flows.operator.reloading import apply_configuration
from receiver.flows.transitions import park_moved
from tests.contract.github_setup import dispatch_to_url
from tests.examples import DRIFT, PIPELINE, alert
from tests.fakes import FakeTarget, accepted_then_cut, unavailable

SECOND = timedelta(seconds=1)
MOVED = replace(PIPELINE, place={**PIPELINE.place, "endpoint": "http://elsewhere"})


def reload(history, *targets: Target, config_hash: str = "moved") -> None:
    """Load a configuration with these targets."""
    by_name = {target.name: target for target in targets}
    history.policy_set = PolicySet((DRIFT,), by_name, config_hash)
    apply_configuration(history.store, history.policy_set, "{}")


def test_a_run_whose_target_moved_is_parked_at_once(history):
    """Nobody asks the old address with the new credential; a human is told to look."""
    history.deliver(alert())
    history.send()
    reload(history, MOVED)
    history.clock.pass_(2 * SECOND)
    history.target.poll = None  # would be called with a credential that is not for there

    assert history.follow()

    (row,) = history.dispatches()
    assert row.state == "parked"
    assert "target pipeline moved from kfp http://kfp to kfp http://elsewhere" in row.detail
    assert f"look at run {row.run_id} there" in row.detail
    assert history.model().cooldown_until > history.now()


def test_a_late_worker_parks_nothing(history):
    """Whoever took the dispatch over meanwhile says what becomes of it."""
    history.deliver(alert())
    history.send()
    reload(history, MOVED)
    with history.store.begin() as tx:
        late = tx.dispatch(history.dispatches()[0].id)
        tx.take_over(late)

    park_moved(history.store, history.policy_set, late, Mover.FOLLOWER)

    assert history.states() == [DispatchState.RUNNING]


def test_a_run_in_doubt_whose_target_moved_is_parked_at_once(history):
    """It may exist at the old address, where we can't look any more."""
    history.target.accidents = [accepted_then_cut]
    history.deliver(alert())
    history.send()
    reload(history, MOVED)
    history.clock.pass_(2 * SECOND)

    history.send()

    assert history.target.looks == 0
    assert history.states() == [DispatchState.PARKED]


def test_what_was_never_sent_goes_to_the_new_address(history):
    """Nothing ran: the order is taken back, and the alert makes one for the new place."""
    history.target.accidents = [unavailable]
    history.deliver(alert())
    history.send()
    reload(history, MOVED)

    history.wait(timedelta(minutes=1))

    assert history.states() == [DispatchState.SUPERSEDED, DispatchState.RUNNING]
    assert history.dispatches()[-1].place["endpoint"] == "http://elsewhere"


def test_an_operators_order_whose_target_moved_waits_for_a_human(history):
    """It is not made again by itself, so it must not vanish."""
    history.target.accidents = [unavailable]
    named = Named("drift", {"user_id": "42"})
    controls.retrain(history.store, history.policy_set, Act("ana", "because"), "42", named)
    history.send()
    reload(history, MOVED)
    history.clock.pass_(timedelta(minutes=1))

    history.send()

    assert history.states() == [DispatchState.PARKED]


def test_another_target_at_the_old_address_lends_its_credential(history):
    """So an operator can name the old address once more, and its runs are followed."""
    history.deliver(alert())
    history.send()
    reload(history, MOVED, replace(PIPELINE, name="old-place"))
    history.target.finish()
    history.clock.pass_(2 * SECOND)

    history.follow()

    assert history.states() == [DispatchState.SUCCEEDED]


@pytest.mark.parametrize("accident", [[], [accepted_then_cut], [unavailable]])
def test_a_replica_with_the_old_configuration_is_no_judge(history, accident):
    """While replicas roll, the one that knows the new address must get the dispatch."""
    old = history.policy_set
    reload(history, MOVED)
    history.target.accidents = accident
    history.deliver(alert())
    history.send()
    before = history.states()

    history.policy_set = old
    history.wait(timedelta(minutes=1))
    assert history.states() == before
    reload(history, MOVED)
    history.target.finish()
    history.wait(timedelta(minutes=1))

    assert history.states()[0] is not DispatchState.PARKED
    assert history.dispatches()[0].run_id is not None


def test_a_dispatcher_asks_its_own_address_only():
    """Whatever the flows do, a credential does not leave the address that it is for."""
    targets = {"http://new": FakeTarget(), "http://other": FakeTarget()}
    late = {
        url: LateDispatcher(
            lambda url=url: targets[url], lookup_window=2 * SECOND, run_timeout=3 * SECOND
        )
        for url in targets
    }
    address = {url: address_of(TargetKind.GITHUB, place(url)) for url in targets}
    dispatcher = AtItsAddress(
        late["http://new"], address["http://new"], {address["http://other"]: late["http://other"]}
    )

    assert dispatcher.load() is targets["http://new"]
    assert dispatcher.always_shows_id
    assert (dispatcher.lookup_window, dispatcher.run_timeout) == (2 * SECOND, 3 * SECOND)
    for url, target in targets.items():
        there = replace(dispatch_to_url(url), place=place(url.upper() + "/"))
        assert dispatcher.start(there) == dispatcher.find(there)
        assert dispatcher.poll(there).state is RunState.RUNNING
        assert dispatcher.read_report(there) is None
        assert target.starts == [there.id]
    gone = replace(dispatch_to_url("http://old"), place=place("http://old"))
    for ask in (dispatcher.start, dispatcher.find, dispatcher.poll, dispatcher.read_report):
        with pytest.raises(
            DispatchError, match="no credential is configured for github http://old"
        ):
            ask(gone)


def place(url: str) -> dict[str, str]:
    return {"base_url": url, "repository": "acme/models", "workflow": "w.yaml", "ref": "main"}


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({"ref": "next", "workflow": "other.yaml"}, True),
        ({"base_url": "HTTP://A/", "repository": "Acme/Models"}, True),
        ({"repository": "acme/other"}, False),
        ({"base_url": "http://b"}, False),
    ],
)
def test_an_address_is_whom_a_credential_may_reach(changed, same):
    """Server and repository; what is run there does not matter."""
    there = {**place("http://a"), **changed}

    found = address_of(TargetKind.GITHUB, place("http://a")) == address_of(
        TargetKind.GITHUB, there
    )

    assert found is same
