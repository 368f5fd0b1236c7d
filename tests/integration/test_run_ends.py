"""What became of runs: reports, recoveries, and what policies brought."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text

from receiver.core.dispatches import DispatchError, DispatchState, Failure
from receiver.core.models import PauseScope
from receiver.core.reports import BadReport, Report, Verdict
from receiver.core.run_ends import READ_AGAIN, Effect
from receiver.core.runs import RunState
from receiver.flows.operator import controls
from receiver.flows.operator.acts import Act
from receiver.flows.worker.reports import read_next_report
from receiver.flows.worker.retention import Ages, forget
from receiver.store.store import Store
from receiver.telemetry import registry
from tests.examples import DRIFT, alert, resolved
from tests.fakes import HandClock, Killed
from tests.histories import TARGET

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def end_of(history, number=-1):
    """What became of a dispatch's run; None before its end."""
    row = history.dispatches()[number]
    with history.store.view() as view:
        return view.dispatches.ends([row.id]).get(row.id)


def effect(history, number=-1):
    return end_of(history, number).effect(history.now())


def retrain(history, *, report=None, state=RunState.SUCCEEDED):
    """Send what was ordered, let it report and end, and read its report."""
    while history.send():
        pass
    if report is not None:
        history.target.reports[history.dispatches()[-1].id] = report
    history.target.finish(state)
    history.clock.pass_(timedelta(seconds=2))
    while history.follow():
        pass


def counted(verdict):
    labels = {"target": TARGET, "verdict": verdict}
    return registry.get_sample_value("retrain_reports_total", labels) or 0


class TestReports:
    """What a run says of itself is read after its end, and stored."""

    def test_a_report_is_stored_with_the_runs_end(self, history):
        """Verdict and numbers; and nothing is read twice."""
        before = counted("promoted")
        history.deliver(alert())
        retrain(history, report=Report(Verdict.PROMOTED, {"mae": 0.41}))

        end = end_of(history)

        assert (end.verdict, end.metrics, end.report_detail) == (
            Verdict.PROMOTED,
            {"mae": 0.41},
            "",
        )
        assert end.report_due_at is None
        assert history.target.reads == 1
        assert counted("promoted") == before + 1

    def test_a_run_may_say_nothing(self, history):
        """Most pipelines know nothing of reports: their runs end as they always did."""
        history.deliver(alert())
        retrain(history)

        end = end_of(history)

        assert (end.verdict, end.metrics, end.report_detail) == (None, {}, "")
        assert end.report_due_at is None

    @pytest.mark.parametrize(
        ("state", "reads"),
        [(RunState.FAILED, 1), (RunState.CANCELLED, 0), (RunState.GONE, 0)],
    )
    def test_only_runs_that_ended_by_themselves_report(self, history, state, reads):
        """A failed one may have rejected its model; a run that is gone has no end to remember."""
        history.deliver(alert())
        retrain(history, state=state)

        assert history.target.reads == reads
        assert (end_of(history) is None) == (state is RunState.GONE)

    def test_trouble_with_a_report_is_tried_again_and_then_told(self, history):
        """The run's end and its model's cooldown stand; the last trouble is kept."""
        history.deliver(alert())
        retrain(history, report=DispatchError("the server is away", Failure.UNKNOWN))
        assert history.states() == [DispatchState.SUCCEEDED]
        held_until = history.model().held_until

        history.wait(2 * HOUR)

        end = end_of(history)
        assert history.target.reads == 1 + len(READ_AGAIN)
        assert end.report_due_at is None
        assert "the server is away" in end.report_detail
        assert history.states() == [DispatchState.SUCCEEDED]
        assert history.model().held_until == held_until

    def test_a_report_that_comes_late_is_read(self, history):
        """The trouble before it is forgotten."""
        history.deliver(alert())
        retrain(history, report=DispatchError("not now", Failure.UNKNOWN))
        history.target.reports[history.dispatches()[-1].id] = Report(Verdict.REJECTED)

        history.wait(MINUTE)

        assert end_of(history).verdict is Verdict.REJECTED
        assert end_of(history).report_detail == ""

    def test_a_report_that_makes_no_sense_is_told_and_not_asked_for_again(self, history):
        """Its author must mend the pipeline."""
        before = counted("unreadable")
        history.deliver(alert())
        retrain(history, report=BadReport("'deployed' is no report"))

        history.wait(2 * HOUR)

        assert "'deployed' is no report" in end_of(history).report_detail
        assert history.target.reads == 1
        assert counted("unreadable") == before + 1

    def test_a_death_while_reading_loses_no_report(self, history):
        """The claim ends by itself, and the report is read once more."""
        history.deliver(alert())
        while history.send():
            pass
        history.target.finish()
        history.clock.pass_(timedelta(seconds=2))
        history.follow()
        read, history.target.read_report = history.target.read_report, killed
        with pytest.raises(Killed):
            history.follow()
        history.target.read_report = read
        history.target.reports[history.dispatches()[-1].id] = Report(Verdict.PROMOTED)
        assert not history.follow()

        history.clock.pass_(3 * MINUTE)
        assert history.follow()

        assert end_of(history).verdict is Verdict.PROMOTED

    def test_a_dispatch_that_was_forgotten_is_not_asked_about(self, history):
        """Retention may be shorter than a long outage of a target."""
        history.deliver(alert())
        retrain(history, report=DispatchError("away", Failure.UNKNOWN))
        history.clock.pass_(100 * DAY)
        forget(history.store, Ages(), lambda: False)

        assert read_next_report(history.store, TARGET, history.target)

        assert history.target.reads == 1
        assert not read_next_report(history.store, TARGET, history.target)


def killed(_dispatch):
    raise Killed


class TestEffects:
    """Whether the model recovered, and how long that took."""

    def test_a_model_recovers_when_its_last_alert_is_resolved(self, history):
        """The time counts from the run's end."""
        history.deliver(alert(), alert(name="LowModelR2"))
        retrain(history)
        assert effect(history) is Effect.SETTLING
        history.clock.pass_(20 * MINUTE)
        history.deliver(resolved(ends_at=history.now()))
        assert effect(history) is Effect.SETTLING
        history.clock.pass_(10 * MINUTE)
        history.deliver(resolved(name="LowModelR2", ends_at=history.now()))

        end = end_of(history)

        assert end.effect(history.now()) is Effect.RECOVERED
        assert end.recovered_at - end.ended_at == 30 * MINUTE

    def test_a_run_has_no_effect_when_an_alert_fires_after_settle(self, history):
        """Until the model recovers all the same, however late."""
        history.deliver(alert())
        retrain(history)
        history.clock.pass_(DRIFT.settle)
        assert effect(history) is Effect.NO_EFFECT

        history.deliver(resolved(ends_at=history.now()))

        assert effect(history) is Effect.RECOVERED

    def test_a_recovery_belongs_to_the_latest_run_only(self, history):
        """The one before it stays without effect."""
        history.deliver(alert())
        retrain(history)
        history.clock.pass_(DRIFT.cooldown)
        history.tick()
        retrain(history)
        history.deliver(resolved(ends_at=history.now()))

        assert [effect(history, 0), effect(history, 1)] == [Effect.NO_EFFECT, Effect.RECOVERED]

    def test_a_recovery_that_does_not_last_the_episode_is_none(self, history):
        """A flapping alert has not recovered; the time counts to the last one."""
        history.deliver(alert())
        retrain(history)
        history.clock.pass_(10 * MINUTE)
        history.deliver(resolved(ends_at=history.now()))
        history.clock.pass_(HOUR)
        history.deliver(alert(starts_at=history.now()))
        assert effect(history) is Effect.NO_EFFECT

        history.clock.pass_(HOUR)
        again = history.firing()[0].starts_at
        history.deliver(resolved(starts_at=again, ends_at=history.now()))

        assert effect(history) is Effect.NO_EFFECT  # it began after the run: not its merit

    def test_a_model_without_a_run_may_flap(self, history):
        """There is nothing that a relapse could take back."""
        held = Act("ops", "a test")
        controls.pause(
            history.store, history.policy_set, held, PauseScope.POLICY, "drift", length=None
        )
        history.deliver(alert())
        history.deliver(resolved(ends_at=history.now()))
        history.clock.pass_(MINUTE)

        assert history.reasons(alert(starts_at=history.now())) == ["paused"]
        assert history.dispatches() == []

    def test_a_new_episode_leaves_what_was_reached(self, history):
        """The model stayed well for longer than the cooldown."""
        history.deliver(alert())
        retrain(history)
        history.deliver(resolved(ends_at=history.now()))
        history.clock.pass_(DRIFT.cooldown + HOUR)

        history.deliver(alert(starts_at=history.now()))

        assert effect(history, 0) is Effect.RECOVERED

    def test_a_flap_of_a_later_episode_leaves_it_too(self, history):
        """An episode that is held without a run of its own says nothing about an earlier run."""
        history.policy_set = replace(
            history.policy_set, policies=(replace(DRIFT, cooldown=HOUR, settle=9 * HOUR),)
        )
        history.deliver(alert())
        retrain(history)
        history.deliver(resolved(ends_at=history.now()))
        history.clock.pass_(2 * HOUR)
        history.deliver(alert(starts_at=history.now()))
        history.deliver(resolved(starts_at=history.now(), ends_at=history.now()))
        history.clock.pass_(MINUTE)

        history.deliver(alert(starts_at=history.now()))

        assert len(history.dispatches()) == 1
        assert effect(history) is Effect.RECOVERED

    def test_a_late_copy_is_neither_a_relapse_nor_another_recovery(self, history):
        """The first time stands."""
        history.deliver(alert())
        retrain(history)
        history.clock.pass_(20 * MINUTE)
        history.deliver(resolved(ends_at=history.now()))
        recovered_at = end_of(history).recovered_at
        history.clock.pass_(MINUTE)
        assert history.reasons(alert()) == ["stale"]
        assert effect(history) is Effect.RECOVERED

        history.clock.pass_(MINUTE)
        history.deliver(resolved(ends_at=history.now()))

        assert end_of(history).recovered_at == recovered_at

    def test_a_re_fire_that_looked_like_a_late_copy_is_a_relapse(self, history):
        """The timer accepts it after `dedup_window`."""
        history.deliver(alert())
        retrain(history)
        history.clock.pass_(20 * MINUTE)
        history.deliver(resolved(ends_at=history.now()))
        history.clock.pass_(MINUTE)
        history.deliver(alert())

        history.wait(DRIFT.dedup_window + MINUTE)

        assert effect(history) is Effect.SETTLING

    def test_a_run_of_a_model_that_does_not_fire_is_unclear(self, history):
        """There was nothing to recover from."""
        history.deliver(alert())
        history.send()
        history.deliver(resolved(ends_at=history.now()))
        history.target.finish()
        history.clock.pass_(DAY)
        history.follow()

        assert effect(history) is Effect.UNCLEAR

    def test_a_rejected_model_has_no_effect_at_once(self, history):
        """The run's own word needs no `settle`; it counts in the metric and for `exhausted`."""
        history.deliver(alert())
        retrain(history, report=Report(Verdict.REJECTED))

        assert effect(history) is Effect.REJECTED
        with history.store.view() as view:
            assert view.policies.ineffective_runs(10) == {"42": 1}

    def test_a_resolve_and_a_fire_in_one_notification_are_no_recovery(self, history):
        """The last word counts; so it does the other way round."""
        history.deliver(alert())
        retrain(history)
        history.clock.pass_(HOUR)
        later = history.now()
        history.deliver(resolved(ends_at=later), alert(starts_at=later))
        assert effect(history) is Effect.NO_EFFECT

    def test_retention_of_the_log_forgets_no_effect(self, history):
        """What policies brought outlives decisions and dispatches; in the end it goes too."""
        history.deliver(alert())
        retrain(history)
        history.deliver(resolved(ends_at=history.now()))
        since = history.now() - DAY
        history.clock.pass_(100 * DAY)
        forget(history.store, Ages(), lambda: False)
        assert history.dispatches() == []

        with history.store.view() as view:
            assert view.policies.effects(since)["drift"][Effect.RECOVERED] == 1
            assert view.policies.recovery_times(since) == {"drift": [timedelta(0)]}
        history.deliver(alert(starts_at=history.now()))  # its last episode is over only now
        history.clock.pass_(301 * DAY)
        forget(history.store, Ages(), lambda: False)

        with history.store.view() as view:
            assert view.policies.effects(since) == {}

    def test_retention_keeps_the_present_episode_however_long(self, history):
        """How often a model was retrained in vain must not be forgotten."""
        history.deliver(alert())
        retrain(history)
        history.clock.pass_(500 * DAY)

        forget(history.store, Ages(), lambda: False)

        with history.store.view() as view:
            assert view.policies.ineffective_runs(10) == {"42": 1}


def policies(peer, query=None):
    answer = peer.get("/policies", query)
    assert answer.status == 200
    return answer.json()


class TestPolicies:
    """GET /policies: what they are, and how often retraining helped."""

    def test_a_policy_nobody_needed_yet(self, peer):
        """Zeroes rather than nothing, and its settings with the defaults filled in."""
        (policy,) = policies(peer)["policies"]

        assert (policy["name"], policy["mode"], policy["target"]) == ("drift", "auto", "pipeline")
        assert policy["settings"]["cooldown"] == "6h"
        assert policy["models"] == policy["firing"] == policy["runs"] == policy["helped"] == 0
        assert policy["median_recovery_seconds"] is None

    def test_what_its_runs_brought(self, peer, history):
        """Helped, in vain, rejected by itself, failed; and how long recoveries took."""
        for name, report, state in (
            ("1", None, RunState.SUCCEEDED),
            ("2", Report(Verdict.PROMOTED), RunState.SUCCEEDED),
            ("3", None, RunState.SUCCEEDED),
            ("4", Report(Verdict.REJECTED), RunState.SUCCEEDED),
            ("5", None, RunState.FAILED),
        ):
            history.deliver(alert(name))
            retrain(history, report=report, state=state)
        for name in ("1", "2"):
            history.clock.pass_(10 * MINUTE)
            history.deliver(resolved(name, ends_at=history.now()))
        history.clock.pass_(HOUR)

        (policy,) = policies(peer)["policies"]

        assert {name: policy[name] for name in ("models", "firing", "runs")} == {
            "models": 5,
            "firing": 3,
            "runs": 5,
        }
        assert (policy["helped"], policy["no_effect"], policy["rejected"]) == (2, 2, 1)
        assert (policy["failed"], policy["cancelled"], policy["settling"]) == (1, 0, 0)
        assert policy["median_recovery_seconds"] == pytest.approx(15 * 60 + 7)
        assert policies(peer, {"since": "1m"})["policies"][0]["runs"] == 0

    def test_a_question_that_makes_no_sense_is_refused(self, peer):
        """With the cure."""
        assert peer.get("/policies", {"since": "yesterday"}).status == 400
        assert peer.get("/policies", {"sinc": "1d"}).status == 400

    def test_dispatches_and_models_show_what_became_of_runs(self, peer, history):
        """In the lists and in each one; null before the end."""
        history.deliver(alert())
        assert peer.get("/dispatches").json()["dispatches"][0]["effect"] is None
        retrain(history, report=Report(Verdict.PROMOTED, {"mae": 0.41}))
        dispatch_id = history.dispatches()[0].id

        shown = [
            peer.get("/dispatches").json()["dispatches"][0],
            peer.get(f"/dispatches/{dispatch_id}").json(),
            peer.get("/models").json()["models"][0]["dispatch"],
            peer.get("/models/42").json()["dispatch"],
            peer.get("/models/42").json()["runs"][0],
        ]

        for one in shown:
            assert (one["effect"], one["verdict"]) == ("settling", "promoted")
            assert one["metrics"] == {"mae": 0.41}
            assert (one["recovered_at"], one["report_detail"]) == (None, "")

    def test_the_command_line_shows_it(self, peer, history, cli):
        """As a table for people, as CSV for others; dispatches show verdict and numbers."""
        history.deliver(alert())
        retrain(history, report=Report(Verdict.PROMOTED, {"mae": 0.41}))
        history.clock.pass_(5 * MINUTE)
        history.deliver(resolved(ends_at=history.now()))

        table = cli("policies", url=peer.url).out
        (row,) = cli("policies", "--since", "30d", "-o", "csv").rows
        dispatch = cli("dispatches", history.dispatches()[0].id).out

        assert "drift" in table
        assert "5m" in table.splitlines()[1]
        assert (row["runs"], row["helped"]) == ("1", "1")
        assert cli("policies", "-o", "json").json["policies"][0]["name"] == "drift"
        assert "promoted" in dispatch
        assert "mae=0.41" in dispatch
        assert "recovered" in cli("dispatches").out


def migrate_to(revision, path):
    """Make the tables as they were."""
    config = Config()
    config.set_main_option("script_location", "receiver/store/migrations")
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as db:
        config.attributes["connection"] = db
        command.upgrade(config, revision)
    engine.dispose()


def test_runs_of_before_the_migration_count_if_their_episode_goes_on(folder):
    """How often a model was retrained in vain is not forgotten by an upgrade."""
    path = folder / "receiver.db"
    migrate_to("0001", path)
    with closing(sqlite3.connect(path)) as db, db:
        for name, fires in (("42", True), ("43", False)):
            db.execute(
                "INSERT INTO models (name, labels, refusals, episode_started_at) "
                "VALUES (?, '{}', 0, 5)",
                [name],
            )
            if fires:
                db.execute(
                    "INSERT INTO firing_alerts (fingerprint, model, policy, alertname, labels, "
                    "starts_at, confirmed_at, expires_at, observing) "
                    "VALUES ('f', ?, 'drift', 'a', '{}', 5, 5, 9, 0)",
                    [name],
                )
            for number, state in (
                (4, "succeeded"),
                (6, "succeeded"),
                (7, "failed"),
                (8, "parked"),
            ):
                db.execute(
                    "INSERT INTO dispatches (id, model, policy, target, kind, place, inputs, "
                    "created_at, due_at, cooldown, settle, decision_id, alertname, ordered, "
                    "overruled, state, detail, attempt, in_doubt, accepted, absences, looks, "
                    "ended_at, claim) VALUES (?, ?, 'drift', 't', 'kfp', '{}', '{}', ?, 0, 1, 1, "
                    "1, '', 0, 0, ?, '', 1, '[]', 0, 0, 0, 9, 1)",
                    [f"{name}-{number}", name, number, state],
                )
    store = Store.open(f"sqlite:///{path}", HandClock())
    try:
        with store._reading() as db:
            kept = db.execute(text("SELECT dispatch_id FROM run_ends ORDER BY 1")).scalars().all()
            assert kept == ["42-6", "42-7"]
        with store.view() as view:
            assert view.policies.ineffective_runs(10) == {"42": 1}
    finally:
        store.close()
