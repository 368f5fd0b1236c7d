"""Notifications become decisions: firing sets, episodes, cooldowns, the durable timer."""

from dataclasses import replace
from datetime import timedelta

import pytest

from receiver.core.models import PauseScope, next_check
from receiver.core.runs import RunState
from receiver.flows.intake.taking_in import arrive, take_in, try_out
from receiver.flows.operator import controls
from receiver.flows.operator.acts import Act
from receiver.flows.operator.reloading import apply_configuration
from receiver.flows.worker.rechecking import due_models
from receiver.flows.worker.releasing import release_shared
from tests.examples import DRIFT, alert, notification, observing, policy_set, resolved
from tests.fakes import NOON, refused, unavailable

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
ANA = Act("ana", "because")


def test_two_alerts_of_one_model_are_one_run(history):
    """MAE and R2 of one model come as two alerts, in one POST or two, and become one run."""
    assert history.reasons(alert(), alert(name="LowModelR2")) == ["triggered", "in_flight"]
    assert history.reasons(alert(name="LowModelR2", fingerprint="other-pod")) == ["in_flight"]
    assert len(history.dispatches()) == 1


def test_an_in_flight_decision_names_the_dispatch(history):
    """Who asks why nothing was started is led to the run that goes on."""
    first, second = history.deliver(alert(), alert(name="LowModelR2"))

    assert first.dispatch_id is not None
    assert second.dispatch_id == first.dispatch_id


def test_three_models_in_one_group_are_three_runs(history):
    """Each alert is decided for its own model."""
    assert history.reasons(alert("1"), alert("2"), alert("3")) == ["triggered"] * 3
    assert {row.model for row in history.dispatches()} == {"1", "2", "3"}


def test_duplicates_do_not_extend_the_dedup_window(history):
    """The window is fixed: it is counted from the delivery that went down the ladder."""
    history.deliver(alert())
    for _ in range(9):
        history.clock.pass_(MINUTE)
        assert history.reasons(alert()) == ["duplicate"]
    history.clock.pass_(MINUTE)
    assert history.reasons(alert()) == ["in_flight"]
    history.clock.pass_(MINUTE)
    assert history.reasons(alert()) == ["duplicate"]


def test_each_copy_confirms_that_the_alert_fires(history):
    """A duplicate is skipped, but it moves the expiry on."""
    history.deliver(alert())
    history.clock.pass_(5 * MINUTE)

    history.deliver(alert())

    assert history.firing()[0].expires_at == history.now() + DRIFT.alert_expiry


def test_a_resolved_alert_starts_nothing_and_ends_no_cooldown(history):
    """Resolved does not mean recovered: it is noted, and the cooldown stays."""
    history.deliver(alert())
    history.run_to_its_end()
    until = history.model().cooldown_until

    assert history.reasons(resolved(ends_at=history.now())) == ["resolved"]

    assert history.firing() == []
    assert history.model().cooldown_until == until
    assert history.model().next_check_at is None


def test_a_resolved_alert_without_its_firing_is_only_noted(history):
    """A short-lived alert can show up as resolved without any firing before it."""
    assert history.reasons(resolved(ends_at=NOON)) == ["resolved"]
    assert history.dispatches() == []


def test_a_resolved_alert_without_a_beginning_still_ends_its_alert(history):
    """There is no time to know copies by, but the fingerprint is known."""
    history.deliver(alert())

    assert history.reasons(resolved(starts_at=None, ends_at=history.now())) == ["resolved"]

    assert history.firing() == []


def test_what_check_drift_found_ends_with_alertmanagers_alert(history):
    """Whoever checked once by hand leaves no ghost: no second run of a model that is healthy."""
    polled = {"namespace": "models", "retrain_poll": "true"}
    told = {"namespace": "models", "severity": "warning"}
    history.deliver(alert(fingerprint="polled", **polled), alert(**told))
    history.deliver(alert("43", fingerprint="another-models", **polled))
    history.deliver(alert(name="LowModelR2", fingerprint="another-alerts", **polled))
    history.deliver(alert(fingerprint="elsewhere", **{**polled, "namespace": "other"}))
    later = history.now() + MINUTE
    history.deliver(alert(fingerprint="found-later", starts_at=later, **polled))

    (decision,) = history.deliver(resolved(ends_at=history.now(), **told))

    assert decision.detail.endswith("what check-drift found of it ended too")
    left = {"another-alerts", "elsewhere", "found-later"}
    assert {one.fingerprint for one in history.firing()} == left
    assert [one.fingerprint for one in history.firing("43")] == ["another-models"]


def test_a_check_that_ends_its_own_alert_ends_no_other(history):
    """What Alertmanager says is ended by Alertmanager."""
    polled = {"fingerprint": "polled", "retrain_poll": "true"}
    history.deliver(alert(**polled), alert())

    history.deliver(resolved(ends_at=history.now(), **polled))

    assert [entry.fingerprint for entry in history.firing()] == ["HighModelMAE-42"]


def test_a_late_resolve_does_not_take_out_a_newer_firing(history):
    """An entry that began after the resolve's end fires on."""
    history.deliver(alert(starts_at=NOON))

    history.deliver(resolved(starts_at=NOON - HOUR, ends_at=NOON - MINUTE))

    assert [entry.starts_at for entry in history.firing()] == [NOON]


def test_a_duplicate_restores_an_alert_that_another_firings_resolve_removed(history):
    """Two Prometheus servers see one alert apart: what still fires is held, not forgotten."""
    history.policy_set = policy_set(replace(DRIFT, cooldown=HOUR, settle=timedelta(0)))
    history.deliver(alert(starts_at=NOON - HOUR))
    history.run_to_its_end()
    history.deliver(alert(starts_at=NOON))
    history.deliver(resolved(starts_at=NOON - HOUR, ends_at=history.now()))
    assert history.firing() == []

    assert history.reasons(alert(starts_at=NOON)) == ["duplicate"]

    assert [entry.starts_at for entry in history.firing()] == [NOON]
    history.wait(2 * HOUR)
    assert len(history.dispatches()) == 2


def test_a_repeat_of_what_ended_brings_nothing_back(history):
    """Its own resolve is remembered, also one that says no beginning."""
    for starts_at, ends_at in ((NOON, NOON), (None, NOON)):
        history.deliver(alert(starts_at=NOON, fingerprint=str(starts_at)))
        history.deliver(resolved(starts_at=starts_at, ends_at=ends_at, fingerprint=str(starts_at)))

        assert history.reasons(alert(starts_at=NOON, fingerprint=str(starts_at))) == ["duplicate"]

        assert history.firing() == []


def test_a_resolve_takes_its_alert_out_whatever_policy_matches_now(history):
    """The policy may be gone from the file by the time the alert ends."""
    history.deliver(alert())
    history.policy_set = policy_set(replace(DRIFT, matchers=()))
    history.policy_set = replace(history.policy_set, policies=())

    assert history.reasons(resolved(ends_at=history.now())) == ["unmatched"]

    assert history.firing() == []


def test_a_late_copy_of_a_resolved_alert_starts_nothing(history):
    """Held as stale; Alertmanager says `resolved` again before it would be decided."""
    history.policy_set = policy_set(replace(DRIFT, cooldown=MINUTE, settle=timedelta(0)))
    history.deliver(alert())
    history.run_to_its_end()
    history.clock.pass_(5 * MINUTE)
    history.deliver(resolved(ends_at=history.now()))
    history.clock.pass_(6 * MINUTE)

    assert history.reasons(alert()) == ["stale"]
    history.wait(5 * MINUTE)
    history.deliver(resolved(ends_at=history.now()))
    history.wait(HOUR)

    assert len(history.dispatches()) == 1


def test_a_refire_that_looks_like_a_late_copy_is_decided_after_the_window(history):
    """If nobody resolves it again, it fires: the timer decides it."""
    history.policy_set = policy_set(replace(DRIFT, cooldown=MINUTE, settle=timedelta(0)))
    history.deliver(alert())
    history.run_to_its_end()
    history.deliver(resolved(ends_at=history.now()))
    history.clock.pass_(11 * MINUTE)
    assert history.reasons(alert()) == ["stale"]
    held_until = history.model().next_check_at

    history.clock.pass_(DRIFT.dedup_window)

    assert held_until == history.now()
    assert history.tick()
    assert [row.reason for row in history.log(source="timer")] == ["triggered"]


def test_a_stale_alert_is_no_evidence_for_a_dispatch(history):
    """A dispatch that waits is not sent because of what may be a late copy."""
    history.target.accidents = [unavailable]
    history.deliver(alert())
    history.send()
    history.deliver(resolved(ends_at=history.now()))
    history.clock.pass_(11 * MINUTE)
    history.deliver(alert())

    history.send()

    assert [state.value for state in history.states()] == ["superseded"]


def test_absence_from_a_message_means_nothing(history):
    """Silenced and truncated alerts are simply not listed."""
    history.deliver(alert("1"), alert("2"))

    history.deliver(alert("1"))

    assert len(history.firing("2")) == 1


def test_the_model_belongs_to_everybody(history):
    """Two policies that name the same model share its run in flight and its cooldown."""
    other = replace(DRIFT, name="other", matchers=(), model_name="{user_id}")
    history.policy_set = policy_set(DRIFT, other)

    assert history.reasons(alert(), alert(name="Other")) == ["triggered", "in_flight"]
    history.run_to_its_end()
    history.clock.pass_(DRIFT.dedup_window)
    assert history.reasons(alert(name="Other")) == ["cooldown"]


def test_the_first_policy_that_matches_wins(history):
    """The file's order decides."""
    watching = observing(replace(DRIFT, name="first"))
    history.policy_set = policy_set(watching, DRIFT)

    (decision,) = history.deliver(alert())

    assert (decision.policy, decision.reason.value) == ("first", "observed")


def test_one_alert_that_cant_be_understood_leaves_its_neighbours_alone(history):
    """Missing or unfit identity, broken times: its own decision, nobody else's."""
    broken = replace(alert("9"), problem="startsAt is missing", starts_at=None)

    reasons = history.reasons(
        alert("1"), alert("no spaces!"), broken, alert(""), alert("2", name="Watchdog"), alert("3")
    )

    assert reasons == ["triggered", "invalid", "invalid", "invalid", "unmatched", "triggered"]


def test_the_cooldown_is_counted_from_the_send_and_from_the_end(history):
    """max(sent_at + cooldown, run_ended_at + settle), also for a run that failed."""
    history.deliver(alert())
    history.clock.pass_(MINUTE)  # a worker takes it up later than it was ordered
    history.send()
    sent_at = history.now()
    assert history.model().cooldown_until == sent_at + DRIFT.cooldown

    history.target.finish(RunState.FAILED)
    history.clock.pass_(7 * HOUR)
    history.follow()

    assert history.model().cooldown_until == history.now() + DRIFT.settle
    assert [state.value for state in history.states()] == ["failed"]


def test_a_held_model_is_decided_when_its_cooldown_ends_without_any_webhook(history):
    """One alert, cooldown 6h, no repeat: the second run comes at 6h."""
    history.deliver(alert())
    history.run_to_its_end()
    until = history.model().cooldown_until
    assert history.model().next_check_at == until

    history.wait(until - history.now() - MINUTE)
    assert len(history.dispatches()) == 1
    history.wait(2 * MINUTE)

    assert len(history.dispatches()) == 2
    (again,) = history.log(source="timer")
    assert (again.reason, again.alertname, again.value) == ("triggered", "HighModelMAE", 0.62)
    assert until <= again.decided_at <= until + MINUTE


def test_a_recovered_model_is_left_alone_when_its_cooldown_ends(history):
    """Nothing fires, so nothing is due."""
    history.deliver(alert())
    history.run_to_its_end()
    history.deliver(resolved(ends_at=history.now()))

    history.wait(12 * HOUR, step=HOUR)

    assert len(history.dispatches()) == 1


def test_the_timer_takes_every_alert_of_the_set_oldest_first(history):
    """The oldest triggers, the younger ones are held by what it started."""
    history.deliver(alert(name="LowModelR2", starts_at=NOON + MINUTE), alert(starts_at=NOON))
    history.run_to_its_end()
    history.clock.pass_(DRIFT.cooldown)

    history.tick()

    decided = [(row.alertname, row.reason) for row in history.log(source="timer")]
    assert decided == [("HighModelMAE", "triggered"), ("LowModelR2", "in_flight")]


def test_an_alert_that_nobody_confirms_is_taken_for_gone(history):
    """Lost resolves must not retrain a healthy model for ever."""
    history.deliver(alert())
    history.run_to_its_end()
    history.policy_set = policy_set(replace(DRIFT, mode=observing().mode))

    history.wait(DRIFT.alert_expiry, step=HOUR)

    assert history.firing() == []
    (note,) = history.log(reason="expired")
    assert (note.outcome, note.source, note.model) == ("note", "timer", "42")


def test_an_observing_policy_starts_nothing_and_takes_a_cooldown_of_its_own(history):
    """It shows what would have happened; a policy that acts does not respect it."""
    history.policy_set = policy_set(observing())
    assert history.reasons(alert()) == ["observed"]
    history.clock.pass_(DRIFT.dedup_window)
    assert history.reasons(alert()) == ["cooldown"]
    history.clock.pass_(DRIFT.cooldown)
    history.tick()
    assert [row.reason for row in history.log(source="timer")] == ["observed"]

    history.policy_set = policy_set(DRIFT)

    assert history.reasons(alert(fingerprint="pod-2")) == ["triggered"]


def test_a_test_alert_is_observed_and_leaves_nothing_behind(history):
    """`retrain_test` tries the way through: no run, no firing set, no hold for real alerts."""
    assert history.reasons(alert(retrain_test="true")) == ["observed"]
    assert history.firing() == []
    assert history.reasons(alert(fingerprint="real")) == ["triggered"]


def test_an_episode_goes_on_while_its_gaps_are_shorter_than_the_cooldown(history):
    """It ends when the set was empty for the policy's cooldown."""
    history.deliver(alert())
    began = history.model().episode_started_at
    history.deliver(resolved(ends_at=history.now()))
    history.clock.pass_(DRIFT.cooldown - MINUTE)

    history.deliver(alert(starts_at=history.now()))
    assert history.model().episode_started_at == began

    history.deliver(resolved(starts_at=history.now(), ends_at=history.now()))
    history.clock.pass_(DRIFT.cooldown)
    history.deliver(alert(starts_at=history.now()))
    assert history.model().episode_started_at == history.now()


def test_a_refusal_backs_off_longer_each_time_and_a_reload_ends_it(history):
    """1m, 2m, 4m ...; what was refused may have been mended with the configuration."""
    history.target.accidents = [refused] * 3
    history.deliver(alert())
    waits = []
    for _ in range(3):
        history.send()
        waits.append(history.model().backoff_until - history.now())
        history.clock.pass_(waits[-1])
        if len(waits) < 3:
            assert history.tick()
    history.clock.jump(-waits[-1])

    assert waits == [MINUTE, 2 * MINUTE, 4 * MINUTE]
    assert apply_configuration(history.store, policy_set(config_hash="mended"), "{}").changed
    assert history.tick()


def test_a_decision_of_a_replica_with_the_old_configuration_is_repeated(history):
    """Replicas load a new file one after the other; the last one mends what it did meanwhile."""
    old = policy_set(observing(), config_hash="old")
    apply_configuration(history.store, old, "{}")
    history.clock.pass_(MINUTE)
    apply_configuration(history.store, policy_set(), "{}")
    history.policy_set = old
    assert history.reasons(alert()) == ["observed"]

    history.policy_set = policy_set()
    assert not apply_configuration(history.store, history.policy_set, "{}").changed

    assert history.tick()
    assert history.log()[-1].reason == "triggered"


def test_a_decision_by_the_old_configuration_is_repeated_even_if_it_commits_last(history):
    """Also if it ends after the last replica has loaded the new one, and nothing else is due."""
    old = policy_set(replace(DRIFT, attempts=1), config_hash="old")
    history.policy_set = old
    history.deliver(alert())
    history.run_to_its_end()
    apply_configuration(history.store, old, "{}")
    history.clock.pass_(DRIFT.cooldown)
    apply_configuration(history.store, policy_set(config_hash="new"), "{}")
    history.tick()
    assert history.log()[-1].reason == "exhausted"
    history.tick()  # the old one judges nothing again
    told = len(history.log())

    history.policy_set = policy_set(config_hash="new")

    assert history.tick()
    assert len(history.log()) == told + 1
    assert history.log()[-1].reason == "triggered"
    assert not history.tick()


def test_a_stale_alert_is_not_decided_again_before_its_time(history):
    """Another configuration judged it, but it counts only later: the timer stays idle."""
    history.policy_set = policy_set(config_hash="old")
    history.deliver(alert())
    history.deliver(resolved(ends_at=history.now()))
    history.clock.pass_(DRIFT.dedup_window)
    assert history.reasons(alert()) == ["stale"]

    history.policy_set = policy_set(config_hash="new")
    apply_configuration(history.store, history.policy_set, "{}")
    history.tick()
    release_shared(history.store, history.policy_set)

    assert due_models(history.store) == []


def test_a_configuration_that_did_not_change_decides_nothing_anew(history):
    """A restart with the same file leaves every hold as it was."""
    apply_configuration(history.store, history.policy_set, "{}")
    history.deliver(alert())
    history.run_to_its_end()

    assert not apply_configuration(history.store, history.policy_set, "{}").changed
    assert not history.tick()


def test_an_act_does_not_put_off_what_a_reload_made_due(history):
    """Until the timer came by, the entries still say what the old configuration said."""
    history.policy_set = policy_set(observing(), config_hash="observing")
    apply_configuration(history.store, history.policy_set, "{}")
    assert history.reasons(alert()) == ["observed"]
    history.policy_set = policy_set()
    apply_configuration(history.store, history.policy_set, "{}")

    controls.resume(history.store, history.policy_set, ANA, PauseScope.EVERYTHING, "")

    assert history.tick()
    assert history.log()[-1].reason == "triggered"


def test_an_alert_whose_policy_is_gone_leaves_its_set_at_the_next_check(history):
    """A reload decides everything that fires anew; what no policy names is not held on to."""
    history.deliver(alert())
    history.policy_set = replace(policy_set(config_hash="new"), policies=())
    apply_configuration(history.store, history.policy_set, "{}")

    history.tick()

    assert history.firing() == []
    assert [row.reason for row in history.log(source="timer")] == ["unmatched"]


def test_an_alert_moves_to_the_model_that_a_new_configuration_names(history):
    """An alert belongs to the model that it was last decided for, and to no other."""
    history.deliver(alert())
    history.policy_set = policy_set(replace(DRIFT, model_name="m-{user_id}"), config_hash="new")
    apply_configuration(history.store, history.policy_set, "{}")

    history.tick()

    assert history.firing("42") == []
    assert len(history.firing("m-42")) == 1
    assert history.model("m-42").in_flight


def test_a_dry_run_stores_nothing(history):
    """It answers what would be decided; the store is as before."""
    arrival = arrive(notification(alert()), history.policy_set)

    receipt = try_out(history.store, arrival)

    assert [decision.reason.value for decision in receipt.decisions] == ["triggered"]
    assert history.log() == []
    assert history.dispatches() == []
    assert history.reasons(alert()) == ["triggered"]


def test_requests_that_wait_together_share_their_facts(history):
    """Two notifications of one commit about one model are one run."""
    arrivals = [
        arrive(notification(alert()), history.policy_set),
        arrive(notification(alert(name="LowModelR2")), history.policy_set),
        arrive(notification(alert()), history.policy_set),
    ]

    receipts = take_in(history.store, arrivals)

    reasons = [receipt.decisions[0].reason.value for receipt in receipts]
    assert reasons == ["triggered", "in_flight", "duplicate"]


@pytest.mark.parametrize("jump", [timedelta(days=-365), timedelta(hours=-1), timedelta(hours=1)])
def test_a_clock_that_jumps_doubles_nothing_in_flight(history, jump):
    """While a dispatch is in flight, no time of day lets a second one out."""
    history.deliver(alert())
    history.send()

    history.clock.jump(jump)
    history.deliver(alert(), alert(name="LowModelR2"))
    history.tick()

    assert len(history.dispatches()) == 1


def test_a_clock_that_goes_back_only_holds_longer(history):
    """The cooldown is then further away; nothing is started twice."""
    history.deliver(alert())
    history.run_to_its_end()
    history.clock.jump(timedelta(hours=-3))

    assert history.reasons(alert(name="LowModelR2")) == ["cooldown"]
    assert [row.id for row in history.log()] == sorted(row.id for row in history.log())


def test_next_check_is_none_for_a_model_that_nothing_fires_for(history):
    """Only what fires is checked."""
    history.deliver(alert())

    assert next_check(history.model(), [], [], NOON) is None
