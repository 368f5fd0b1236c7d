"""What was believed ends when, and only when, nobody says it any more, on both engines."""

from dataclasses import replace
from datetime import timedelta

import pytest

from receiver.alertmanager import parse_notification
from receiver.alertmanager.composing import composed_alert, composed_notification
from receiver.core.alerts import AlertStatus, Source
from receiver.core.models import POLLED, ModelState, state_of
from receiver.core.regexes import Regex
from receiver.core.runs import RunState
from receiver.core.sources import Hush, Quiet
from receiver.flows.intake.taking_in import arrive, take_in
from receiver.store.tables import sightings
from tests.asking import AskingHistory, silence, told, told_over
from tests.examples import DRIFT, policy_set
from tests.fakes import NOON

ENDED = AlertStatus.RESOLVED
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)

IN_DEV = told(starts_at=NOON)
IN_PROD = told(starts_at=NOON + 20 * SECOND)
"""One fingerprint: no label says which cluster."""


@pytest.fixture
def asking(history):
    return AskingHistory(history)


@pytest.fixture
def clusters(history):
    return AskingHistory(history, "dev", "prod")


def both_fire(clusters, in_prod=IN_PROD):
    """Both list it, only dev delivers it, and its run ends well."""
    clusters.sources["dev"].fire(IN_DEV)
    clusters.sources["prod"].fire(in_prod)
    clusters.history.clock.pass_(30 * SECOND)
    clusters.history.deliver(IN_DEV)
    clusters.history.run_to_its_end(RunState.SUCCEEDED)
    clusters.wait(7 * MINUTE, step=MINUTE)


def ends_in_dev(clusters):
    """Dev's Alertmanager says so."""
    clusters.sources["dev"].end(IN_DEV)
    return clusters.history.deliver(told_over(starts_at=NOON, ends_at=clusters.history.now()))[0]


def test_a_resolved_does_not_end_what_another_cluster_lists(clusters):
    """Prod is known by its listing only; the entry is then prod's, and ends when that does."""
    both_fire(clusters)

    ended = ends_in_dev(clusters)

    assert (ended.reason.value, ended.detail.endswith(", but prod still lists it")) == (
        "resolved",
        True,
    )
    (entry,) = clusters.history.firing()
    assert (entry.starts_at, entry.confirmed_by) == (IN_PROD.starts_at, "prod")
    clusters.wait(6 * HOUR, step=10 * MINUTE)
    assert len(clusters.history.dispatches()) == 2
    clusters.sources["prod"].end(IN_PROD)
    clusters.wait(3 * MINUTE)
    assert clusters.history.firing() == []


def test_all_alerts_of_a_notification_are_left_that_the_other_cluster_lists(clusters):
    """Who speaks for whom is asked once for all of them."""
    both_fire(clusters)
    names = ("HighModelMAE", "LowModelR2")
    clusters.sources["prod"].fire(told(name=names[1], starts_at=IN_PROD.starts_at))
    clusters.sources["dev"].fire(told(name=names[1], starts_at=NOON))
    clusters.history.deliver(told(name=names[1], starts_at=NOON))
    clusters.wait(7 * MINUTE, step=MINUTE)

    now = clusters.history.now()
    ended = clusters.history.deliver(
        *(told_over(name=name, starts_at=NOON, ends_at=now) for name in names)
    )

    assert all(one.detail.endswith(", but prod still lists it") for one in ended)
    assert {entry.starts_at for entry in clusters.history.firing()} == {IN_PROD.starts_at}
    assert len(clusters.history.firing()) == 2


def test_a_repeated_resolved_leaves_it_too(clusters):
    """Each Alertmanager of dev tells the end; prod goes on listing."""
    both_fire(clusters)
    ends_in_dev(clusters)

    clusters.history.deliver(told_over(starts_at=NOON, ends_at=clusters.history.now()))

    assert [entry.starts_at for entry in clusters.history.firing()] == [IN_PROD.starts_at]


def test_two_that_list_one_beginning_are_one_cluster(clusters):
    """One of the pair tells the end for both; the other's list is a moment old."""
    both_fire(clusters, in_prod=replace(IN_DEV, starts_at=NOON + timedelta(microseconds=999)))

    ended = ends_in_dev(clusters)

    assert "still lists" not in ended.detail
    assert clusters.history.firing() == []


def test_a_list_from_before_the_firing_that_ended_says_nothing(asking):
    """It ended, fired anew, and ended again, while its own source was away."""
    asking.main.fire(told())
    asking.history.deliver(told())
    asking.wait(7 * MINUTE, step=MINUTE)
    asking.main.down = "away"
    asking.wait(HOUR, step=10 * MINUTE)
    again = asking.history.now()
    asking.history.deliver(told(starts_at=again))
    asking.wait(10 * MINUTE, step=MINUTE)

    asking.history.deliver(told_over(starts_at=again, ends_at=asking.history.now()))

    assert asking.history.firing() == []


def test_a_resolved_without_a_beginning_means_the_firing_that_is_known(clusters):
    """Scripts leave `startsAt` out."""
    both_fire(clusters)

    clusters.history.deliver(told_over(starts_at=None, ends_at=clusters.history.now()))

    assert [entry.starts_at for entry in clusters.history.firing()] == [IN_PROD.starts_at]


def test_a_source_that_lists_what_was_told_is_of_that_cluster(clusters):
    """It is written down with its row; one that lists other beginnings stays unknown."""
    both_fire(clusters)

    known = [clusters.record(name).urls for name in ("dev", "prod")]

    assert known == [["http://am:9093"], None]


def test_an_alert_that_begins_anew_in_one_cluster_ends_with_its_resolved(clusters):
    """One of a pair hears late: it still lists the firing before."""
    both_fire(clusters, in_prod=IN_DEV)
    assert clusters.record("prod").urls == ["http://am:9093"]
    clusters.sources["dev"].end(IN_DEV)
    again = clusters.history.now()
    clusters.history.deliver(told(starts_at=again))
    clusters.sources["dev"].fire(told(starts_at=again))
    clusters.wait(2 * MINUTE, step=MINUTE)

    over = told_over(starts_at=again, ends_at=clusters.history.now())
    (ended,) = clusters.history.deliver(over)

    assert "still lists" not in ended.detail
    assert clusters.history.firing() == []


def test_whose_url_no_source_speaks_for_ends_what_it_told(clusters):
    """Nobody was heard since the first delivery, so nobody can be told from its cluster."""
    clusters.sources["prod"].fire(IN_PROD)
    clusters.wait(7 * MINUTE, step=MINUTE)
    again = clusters.history.now()
    clusters.history.deliver(told(starts_at=again))
    over = told_over(starts_at=again, ends_at=clusters.history.now() + SECOND)
    clusters.wait(MINUTE, step=MINUTE)
    (ended,) = clusters.history.deliver(over)

    assert "still lists" not in ended.detail
    assert clusters.history.firing() == []
    clusters.wait(10 * MINUTE, step=MINUTE)
    assert [entry.starts_at for entry in clusters.history.firing()] == [IN_PROD.starts_at]


NIGHTS = Quiet(Hush.MUTED, "nights")


def muted_and_down(asking, quiet=NIGHTS):
    """Its source said so a minute ago, and answers no more."""
    asking.main.fire(told(), quiet=quiet)
    asking.wait(7 * MINUTE, step=MINUTE)
    assert asking.told() == ["poll silenced"]
    asking.main.down = "away"


@pytest.mark.parametrize("quiet", [NIGHTS, silence(NOON + 9 * HOUR), silence(None)])
def test_nobody_is_quiet_whose_source_is_not_heard(asking, quiet):
    """It said so once, not now: unconfirmed, and after a quarter of an hour a human looks."""
    muted_and_down(asking, quiet)
    asking.wait(4 * MINUTE, step=MINUTE)
    assert asking.told() == ["poll silenced"]

    asking.wait(3 * MINUTE, step=MINUTE)
    assert asking.told() == ["poll silenced", "timer unconfirmed"]
    asking.wait(6 * HOUR, step=10 * MINUTE)

    assert asking.told() == ["poll silenced", "timer unconfirmed", "timer unconfirmed"]
    model, alerts = asking.history.model(), asking.history.firing()
    assert state_of(model, alerts, [], asking.history.now()) is ModelState.ATTENTION
    asking.main.down = None
    asking.wait(MINUTE)
    assert asking.told()[-1] == "timer silenced"


def test_a_delivery_ends_a_mute_time_that_nobody_repeats(asking):
    """Alertmanager delivers nothing that it mutes."""
    muted_and_down(asking)
    asking.wait(HOUR, step=10 * MINUTE)

    assert asking.history.reasons(told()) == ["triggered"]


def test_a_delivery_ends_no_mute_time_that_was_just_said(asking):
    """It is repeated for minutes, whatever was muted meanwhile."""
    asking.main.fire(told(), quiet=NIGHTS)
    asking.wait(13 * MINUTE, step=MINUTE)
    asking.main.down = "away"
    asking.wait(MINUTE)

    assert asking.history.reasons(told()) == ["silenced"]


def test_who_is_heard_says_whether_it_is_quiet(clusters):
    """One that keeps it quiet is away; the other keeps it quiet too, until it does not."""
    for source in clusters.sources.values():
        source.fire(told(), quiet=NIGHTS)
    clusters.wait(7 * MINUTE, step=MINUTE)
    clusters.sources["dev"].down = "away"
    clusters.wait(HOUR, step=MINUTE)
    assert clusters.told() == ["poll silenced"]

    clusters.sources["prod"].hush(None)
    clusters.wait(MINUTE)

    assert clusters.told() == ["poll silenced", "timer triggered"]


TWO_WAYS = replace(
    DRIFT,
    model_name="{namespace}-{user_id}",
    identity={"namespace": Regex("[a-z-]{1,40}"), "user_id": Regex("[a-z-]{1,40}")},
)
FIRST, SECOND_ONE = told("b", namespace="team-a"), told("a-b", namespace="team")
"""Both name the model team-a-b."""


def clashed(asking):
    """Both are listed; the second is told to be invalid."""
    use(asking, TWO_WAYS)
    asking.main.fire(FIRST)
    asking.wait(3 * MINUTE, step=MINUTE)
    asking.main.fire(SECOND_ONE)
    asking.wait(7 * MINUTE, step=MINUTE)
    assert asking.told() == ["poll triggered", "poll invalid"]


def use(asking, policy, config_hash="hash"):
    asking.history.policy_set = replace(
        policy_set(policy, config_hash=config_hash), asking=asking.history.policy_set.asking
    )


def test_a_name_that_is_free_again_is_taken_by_who_was_refused(asking):
    """Within a poll or two of the first one's end, and told once until then."""
    clashed(asking)
    asking.wait(2 * HOUR, step=10 * MINUTE)
    assert len(asking.history.log(reason="invalid")) == 1

    asking.main.end(FIRST)
    asking.wait(4 * MINUTE, step=MINUTE)

    assert len(asking.history.log(reason="invalid")) == 1
    (entry,) = asking.history.firing("team-a-b")
    assert entry.labels == SECOND_ONE.labels


def test_a_mended_configuration_decides_again_what_was_refused(asking):
    """Once: what it refuses as well is left alone by it."""
    clashed(asking)
    use(asking, replace(TWO_WAYS, cooldown=HOUR), config_hash="another")
    asking.wait(5 * MINUTE, step=MINUTE)
    assert len(asking.history.log(reason="invalid")) == 2

    use(asking, replace(TWO_WAYS, model_name="{namespace}.{user_id}"), config_hash="mended")
    asking.wait(5 * MINUTE, step=MINUTE)

    assert len(asking.history.log(reason="invalid")) == 2
    assert [entry.labels for entry in asking.history.firing("team.a-b")] == [SECOND_ONE.labels]


def test_what_can_not_be_read_is_decided_once_by_one_configuration(asking):
    """No other alert's end makes it readable."""
    asking.main.fire(told("7", note="x" * 70_000))

    asking.wait(30 * MINUTE, step=MINUTE)

    assert asking.told() == ["poll invalid"]


def test_what_an_earlier_release_refused_is_decided_once_more(asking):
    """It did not write down by which configuration."""
    clashed(asking)
    with asking.history.store.begin() as tx:
        tx._db.execute(sightings.update().values(refused_by=None, clashes=None))

    asking.wait(5 * MINUTE, step=MINUTE)

    assert len(asking.history.log(reason="invalid")) == 2


POD = told(pod="model-1", severity="critical")
"""As its rule labels it; `check-drift` knows the labels of the number."""


def check_drift(history, *, ends_at=None):
    """An operator asks Prometheus once, and the command posts what it finds."""
    began = history.now() if ends_at is None else NOON
    labels = {"alertname": "HighModelMAE", "user_id": "42", POLLED: "true"}
    alerts = [composed_alert(labels, {"value": "0.62"}, began, ends_at)]
    notification = parse_notification(composed_notification("check-drift", alerts))
    arrival = arrive(notification, history.policy_set, source=Source.POLL, sender="ops")
    return take_in(history.store, [arrival])[0].decisions


@pytest.mark.parametrize("check_first", [True, False])
def test_what_a_check_found_ends_with_the_alert(history, check_first):
    """Alertmanager's end is the end of both: one run, which helped."""
    steps = [lambda: check_drift(history), lambda: history.deliver(POD)]
    for step in steps if check_first else reversed(steps):
        step()
        history.clock.pass_(MINUTE)
    history.run_to_its_end(RunState.SUCCEEDED)
    history.clock.pass_(MINUTE)

    (told_end,) = history.deliver(replace(POD, status=ENDED, ends_at=history.now()))

    assert told_end.fingerprint == POD.fingerprint
    assert history.firing() == []
    assert told_end.detail.endswith(", and what check-drift found of it ended too")
    history.clock.pass_(7 * HOUR)
    history.work()
    assert len(history.dispatches()) == 1
    assert recovered_at(history) is not None


def recovered_at(history):
    dispatch = history.dispatches()[-1].id
    with history.store.view() as view:
        return view.dispatches.ends([dispatch])[dispatch].recovered_at


def test_a_check_that_finds_it_no_more_ends_nobody_elses(history):
    """Its own end is its own."""
    history.deliver(POD)
    check_drift(history)
    history.clock.pass_(MINUTE)

    check_drift(history, ends_at=history.now())

    assert [entry.fingerprint for entry in history.firing()] == [POD.fingerprint]


def test_a_source_that_misses_the_alert_ends_what_a_check_found(asking):
    """Nobody said so: the listing did."""
    asking.main.fire(POD)
    asking.history.deliver(POD)
    check_drift(asking.history)
    asking.history.run_to_its_end(RunState.SUCCEEDED)
    asking.wait(7 * MINUTE, step=MINUTE)
    asking.main.end(POD)

    asking.wait(3 * MINUTE, step=MINUTE)

    assert asking.history.firing() == []
    assert asking.told()[-1] == "poll resolved"
    assert "what check-drift found of it ended too" in asking.last().detail


def test_a_check_does_not_go_past_the_silence_of_its_alert(asking):
    """It is another word for the same alert, and nobody is asked to confirm what is silenced."""
    asking.main.fire(POD, quiet=silence(NOON + 3 * HOUR))
    asking.wait(7 * MINUTE, step=MINUTE)

    assert check_drift(asking.history)[0].reason.value == "silenced"

    asking.wait(2 * HOUR, step=10 * MINUTE)
    assert {row.reason for row in asking.history.log()} == {"silenced"}
    asking.main.hush(None)
    asking.wait(2 * MINUTE)
    assert len(asking.history.dispatches()) == 1


def test_what_a_check_found_is_confirmed_with_its_alert(asking):
    """The rule's alert is listed all the time: nobody is asked whether the other is true."""
    asking.main.fire(POD)
    check_drift(asking.history)
    asking.history.deliver(POD)
    asking.history.run_to_its_end(RunState.SUCCEEDED)

    asking.wait(7 * HOUR, step=10 * MINUTE)

    assert len(asking.history.dispatches()) == 2
    assert asking.history.log(reason="unconfirmed") == []


def test_what_only_a_check_found_is_confirmed_by_nobody(asking):
    """Beside another alert of the model, which says nothing about it."""
    r2 = told(name="LowModelR2")
    asking.main.fire(r2)
    asking.history.deliver(r2)
    check_drift(asking.history)
    asking.history.run_to_its_end(RunState.SUCCEEDED)

    asking.wait(6 * HOUR + 30 * MINUTE, step=10 * MINUTE)

    assert "no source ever listed it" in asking.history.log(reason="unconfirmed")[0].detail
