"""What sources list is believed: entries are confirmed, ended, and what nobody told is decided."""

from dataclasses import replace
from datetime import timedelta

import pytest

from receiver.core.models import ModelState, state_of
from receiver.core.policies import WhenSilenced
from receiver.core.run_ends import Effect
from receiver.core.runs import RunState
from receiver.core.sources import Hush, Quiet
from tests.asking import AskingHistory, silence, told, told_over
from tests.examples import DRIFT, policy_set
from tests.fakes import NOON
from tests.serving import NO_AUTH, host

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
LONG = timedelta(minutes=20)

ASKING = f"""{NO_AUTH}
sources:
  alertmanagers: [{{name: main, url: "http://am:9093", receiver: retrain}}]
"""

FIRES = told()
"""As Alertmanager delivers it and as it lists it."""


@pytest.fixture
def asking(history):
    return AskingHistory(history)


def first_run(asking):
    """The alert fires, is delivered, and its run ends well at once."""
    asking.main.fire(FIRES)
    asking.history.deliver(FIRES)
    asking.history.run_to_its_end()
    asking.wait(7 * MINUTE, step=MINUTE)


def recovered(asking, how):
    """The model recovers, and Alertmanager says nothing, for one of four causes."""
    if how == "silenced":
        asking.main.hush(silence(NOON + 9 * HOUR))
    if how == "muted":
        asking.main.hush(Quiet(Hush.MUTED, "weekend"))
    if how == "data lost":
        asking.main.restart(empty=True)
    asking.wait(5 * MINUTE, step=MINUTE)
    if how != "data lost":
        asking.main.end(FIRES)


@pytest.mark.parametrize("how", ["silenced", "muted", "not sent", "data lost"])
def test_a_recovered_model_gets_no_second_run_though_nobody_says_resolved(asking, how):
    """Whatever keeps Alertmanager from telling, its listing tells: one run, and it has helped."""
    first_run(asking)

    recovered(asking, how)
    asking.wait(8 * HOUR, step=LONG)

    assert len(asking.history.dispatches()) == 1
    assert asking.history.firing() == []
    assert asking.told()[-1] == "poll resolved"
    assert "main does not list it any more since" in asking.last().detail
    assert effect(asking) is Effect.RECOVERED


def effect(asking):
    dispatch = asking.history.dispatches()[-1].id
    with asking.history.store.view() as view:
        return view.dispatches.ends([dispatch])[dispatch].effect(asking.history.now())


def test_a_model_that_is_still_bad_is_retrained_at_the_end_of_its_cooldown(asking):
    """Confirmed by its source all the time, without any further delivery."""
    first_run(asking)

    asking.wait(6 * HOUR, step=LONG)

    assert len(asking.history.dispatches()) == 2
    assert effect_of_first(asking) is Effect.NO_EFFECT
    triggered = asking.history.log(reason="triggered")[-1]
    assert (triggered.source, "main listed the alert" in triggered.detail) == ("timer", True)


def effect_of_first(asking):
    dispatch = asking.history.dispatches()[0].id
    with asking.history.store.view() as view:
        return view.dispatches.ends([dispatch])[dispatch].effect(asking.history.now())


def test_what_fires_and_nobody_told_is_decided_at_the_second_answer(asking):
    """It fired while nobody of ours was up; one answer leaves Alertmanager time to tell."""
    asking.main.fire(FIRES, told("7"))

    asking.poll()
    assert asking.told() == []
    asking.wait(MINUTE)

    assert asking.told() == ["poll triggered", "poll triggered"]
    decision = asking.history.log()[0]
    assert (decision.model, decision.value) == ("42", 0.62)
    assert asking.history.firing()[0].confirmed_by == "main"


def test_what_was_delivered_meanwhile_is_not_decided_again(asking):
    """A delivery between two answers makes the alert known."""
    asking.main.fire(FIRES)
    asking.poll()
    asking.history.deliver(FIRES)

    asking.wait(3 * MINUTE)

    assert asking.told() == ["alertmanager triggered"]


@pytest.mark.parametrize(
    "strange",
    [
        told(name="Watchdog"),
        told("not valid"),
        told(retrain_test="true"),
    ],
)
def test_what_would_be_in_no_set_is_left_to_deliveries(asking, strange):
    """Alerts of no policy, without identity, or of a test are not decided once a minute."""
    asking.main.fire(strange)

    asking.wait(5 * MINUTE, step=MINUTE)

    assert asking.told() == []


def test_what_is_inhibited_or_not_settled_is_not_decided_before_it_is(asking):
    """Alertmanager would not tell of it either: something graver explains it."""
    asking.main.fire(FIRES, settled=False)
    asking.wait(3 * MINUTE)
    assert asking.told() == []

    asking.main.fire(FIRES)
    asking.wait(MINUTE)

    assert asking.told() == ["poll triggered"]


def test_a_copy_that_ended_while_it_was_asked_is_not_decided(asking):
    """What a delivery resolved after the question was asked is no news."""
    asking.main.fire(FIRES)
    asking.poll()
    asking.history.deliver(FIRES)
    asking.history.clock.pass_(MINUTE)
    asking.history.deliver(told_over(ends_at=asking.history.now()))

    asking.poll()

    assert asking.told() == ["alertmanager triggered", "alertmanager resolved"]


def test_a_silence_holds_the_model_until_its_end_and_its_words_are_told(asking):
    """The detail names author, end and comment; the check comes at the end."""
    first_run(asking)
    asking.main.hush(silence(NOON + 8 * HOUR))

    asking.wait(6 * HOUR, step=LONG)

    held = asking.history.log(reason="silenced")[-1]
    assert held.source == "timer"
    assert "silenced in Alertmanager by 'ana' until 20:00 UTC" in held.detail
    assert "new sensor" in held.detail
    assert held.next_check_at == NOON + 8 * HOUR
    assert asking.history.model().next_check_at == NOON + 8 * HOUR
    asking.main.hush(None)
    asking.wait(2 * MINUTE)
    assert len(asking.history.dispatches()) == 2


def test_a_silence_that_was_made_longer_goes_on_holding(asking):
    """At the old end the source is asked once more before anything is ordered."""
    first_run(asking)
    asking.main.hush(silence(NOON + 7 * HOUR))
    asking.wait(6 * HOUR, step=LONG)
    asking.main.hush(silence(NOON + 9 * HOUR))

    asking.wait(2 * HOUR, step=LONG)

    assert len(asking.history.dispatches()) == 1
    assert "until 21:00" in asking.last().detail


def test_a_silence_that_went_on_unseen_does_not_let_a_run_go(asking):
    """It was made longer in its last minute: its end is doubted until a source has answered."""
    first_run(asking)
    asking.main.hush(silence(NOON + 7 * HOUR))
    asking.wait(6 * HOUR + 52 * MINUTE, step=LONG)
    asking.main.hush(silence(NOON + 9 * HOUR))

    asking.history.clock.pass_(NOON + 7 * HOUR - asking.history.now())
    asking.history.tick()

    assert asking.last().reason == "unconfirmed"
    assert "its silence ended at 19:00 UTC, and may go on" in asking.last().detail
    asking.wait(MINUTE)
    assert asking.last().reason == "silenced"


def test_a_policy_may_act_in_spite_of_silences(asking):
    """`silenced: act` says that silences only keep people from being told."""
    acting = replace(DRIFT, silenced=WhenSilenced.ACT)
    asking.history.policy_set = replace(
        policy_set(acting), asking=asking.history.policy_set.asking
    )
    asking.main.fire(FIRES, quiet=silence(NOON + 8 * HOUR))

    asking.wait(2 * MINUTE)

    assert asking.told() == ["poll triggered"]


def test_an_alert_that_fires_silenced_from_its_start_is_held_and_known(asking):
    """Nobody is told of it, but the model's page shows why it is not retrained."""
    asking.main.fire(FIRES, quiet=silence(NOON + 8 * HOUR))

    asking.wait(2 * MINUTE)

    assert asking.told() == ["poll silenced"]
    assert asking.history.firing()[0].held_by == "silenced"


def test_no_run_is_ordered_for_an_alert_that_nobody_can_confirm(asking):
    """The source is away at the cooldown's end: held, and decided seconds after it answers."""
    first_run(asking)
    asking.main.down = "am:9093 does not answer: connection refused"
    asking.wait(6 * HOUR, step=LONG)
    held = asking.history.log(reason="unconfirmed")[-1]
    assert "main said last" in held.detail
    assert len(asking.history.dispatches()) == 1

    asking.main.down = None
    asking.wait(MINUTE)

    assert len(asking.history.dispatches()) == 2


def test_an_unconfirmed_alert_is_asked_about_at_once(asking):
    """The next answer is not waited for: the source becomes due with the decision."""
    first_run(asking)
    asking.main.down = "away"
    asking.wait(5 * HOUR + 52 * MINUTE, step=LONG)
    asking.main.down = None
    asking.history.clock.pass_(10 * MINUTE)
    asking.history.tick()
    assert asking.last().reason == "unconfirmed"

    asking.poll()
    asking.history.tick()

    assert asking.last().reason == "triggered"


def test_a_human_must_look_after_fifteen_minutes_without_an_answer(asking):
    """The model stands under "needs you", and its decision says what to do."""
    first_run(asking)
    asking.main.down = "away"

    asking.wait(6 * HOUR + 30 * MINUTE, step=10 * MINUTE)

    assert "a human must look at the sources" in asking.last().detail
    model, alerts = asking.history.model(), asking.history.firing()
    assert state_of(model, alerts, [], asking.history.now()) is ModelState.ATTENTION
    assert len(asking.history.log(reason="unconfirmed")) == 2


def test_a_delivery_confirms_what_was_held(asking):
    """Also if it counts as a copy of one that was decided a moment ago."""
    first_run(asking)
    asking.main.down = "away"
    asking.wait(5 * HOUR + 52 * MINUTE, step=LONG)
    asking.history.deliver(FIRES)
    asking.history.clock.pass_(8 * MINUTE)
    asking.history.work()
    assert asking.last().reason == "unconfirmed"

    assert asking.history.reasons(FIRES) == ["duplicate"]
    asking.history.tick()

    assert asking.last().reason == "triggered"


def test_a_source_that_does_not_answer_ends_nothing(asking):
    """However long it is away."""
    first_run(asking)
    asking.main.down = "away"

    asking.wait(5 * HOUR, step=LONG)

    assert asking.history.log(reason="resolved") == []
    assert len(asking.history.firing()) == 1


def test_a_source_that_was_restarted_ends_nothing_within_five_minutes(asking):
    """It hears of what fires only when Prometheus sends it again."""
    first_run(asking)
    asking.main.restart(empty=True)
    asking.wait(4 * MINUTE)
    assert asking.history.log(reason="resolved") == []

    asking.main.fire(FIRES)
    asking.wait(30 * MINUTE, step=MINUTE)

    assert asking.history.log(reason="resolved") == []
    assert asking.history.firing()[0].held_by is None


def test_one_answer_without_an_alert_ends_nothing(asking):
    """Two in a row do."""
    first_run(asking)
    asking.main.end(FIRES)
    asking.wait(MINUTE)
    assert asking.history.log(reason="resolved") == []

    asking.wait(MINUTE)

    assert len(asking.history.log(reason="resolved")) == 1


def test_between_two_answers_no_run_is_ordered_for_what_is_not_listed(asking):
    """One answer without it already holds it: the listing said no."""
    first_run(asking)
    asking.wait(5 * HOUR + 52 * MINUTE, step=LONG)
    asking.main.end(FIRES)
    asking.wait(MINUTE)
    asking.history.clock.pass_(timedelta(seconds=30))

    asking.history.tick()

    assert len(asking.history.dispatches()) == 1


def test_of_two_that_knew_an_alert_one_does_not_end_it(history):
    """In a pair each hears from Prometheus by itself."""
    asking = AskingHistory(history, "a", "b")
    a, b = asking.sources.values()
    a.fire(FIRES)
    b.fire(FIRES)
    history.deliver(FIRES)
    asking.wait(6 * MINUTE, step=MINUTE)
    a.end(FIRES)
    asking.wait(10 * MINUTE, step=MINUTE)
    assert history.log(reason="resolved") == []

    b.down = "away"
    asking.wait(10 * MINUTE, step=MINUTE)
    assert history.log(reason="resolved") == []

    b.down = None
    b.end(FIRES)
    asking.wait(3 * MINUTE)

    ended = history.log(reason="resolved")
    assert len(ended) == 1
    assert "a and b do not list it any more" in ended[0].detail


def test_another_cluster_has_no_say(history):
    """A source that never listed an alert does not end it, and is not waited for."""
    asking = AskingHistory(history, "a", "b")
    a, b = asking.sources.values()
    a.fire(FIRES)
    history.deliver(FIRES)
    b.down = "away"
    asking.wait(6 * MINUTE, step=MINUTE)
    a.end(FIRES)

    asking.wait(3 * MINUTE)

    assert len(history.log(reason="resolved")) == 1


def test_an_alert_that_no_source_ever_listed_is_held_with_that_word(asking):
    """It came from an Alertmanager that nobody can ask: the configuration lacks it."""
    asking.history.deliver(FIRES)
    asking.history.run_to_its_end()

    asking.wait(6 * HOUR + 30 * MINUTE, step=LONG)

    assert asking.history.log(reason="resolved") == []
    assert "no source ever listed it" in asking.history.log(reason="unconfirmed")[0].detail


def test_prometheus_may_object(history):
    """What Alertmanager lost and Prometheus shows firing is not over."""
    asking = AskingHistory(history, prometheus=True)
    asking.prometheus.fire(FIRES)
    first_run(asking)
    asking.main.end(FIRES)
    asking.wait(10 * MINUTE, step=MINUTE)
    assert history.log(reason="resolved") == []

    asking.prometheus.down = "away"
    asking.wait(10 * MINUTE, step=MINUTE)
    assert history.log(reason="resolved") == []
    assert asking.record("prometheus").error == "away"

    asking.prometheus.down = None
    asking.prometheus.end(FIRES)
    asking.wait(3 * MINUTE)

    assert len(history.log(reason="resolved")) == 1


def test_a_delivery_while_a_source_is_asked_is_not_ended_by_its_answer(asking):
    """The answer is older than the delivery."""
    first_run(asking)
    asking.main.end(FIRES)
    asking.wait(MINUTE)
    ask = asking.main.ask

    def deliver_meanwhile():
        listing = ask()
        asking.history.clock.pass_(timedelta(seconds=1))
        asking.history.deliver(FIRES)
        return listing

    asking.main.ask = deliver_meanwhile
    asking.wait(MINUTE)
    asking.main.ask = ask

    assert asking.history.log(reason="resolved") == []
    asking.wait(MINUTE)
    assert asking.history.log(reason="resolved") == []
    asking.wait(MINUTE)
    assert len(asking.history.log(reason="resolved")) == 1


def test_a_source_that_fails_is_told_once(asking, capsys):
    """Not at each try, and not for each alert; its return is told too."""
    asking.poll()
    asking.main.down = "it has no receiver 'retrain'"
    asking.wait(5 * MINUTE, step=MINUTE)
    assert asking.record().error == "it has no receiver 'retrain'"
    asking.main.down = None
    asking.wait(2 * MINUTE)

    said = capsys.readouterr()
    assert (said.out + said.err).count("source_down") == 1
    assert (said.out + said.err).count("source_up") == 1
    assert asking.record().error is None


def test_another_reason_is_told_again(asking, capsys):
    """Who mends the first must hear of the second."""
    for why in ("connection refused", "it answered 401", "it answered 401"):
        asking.main.down = why
        asking.wait(2 * MINUTE, step=MINUTE)

    said = capsys.readouterr()
    assert (said.out + said.err).count("source_down") == 2
    assert asking.record().error_since < asking.history.now() - 4 * MINUTE


def test_the_first_page_has_a_banner_for_a_source_that_is_down(asking, tmp_path):
    """With since when, the reason and what follows from it; gone with its first answer."""
    with host(asking.history, tmp_path, ASKING) as peer:
        asking.poll()
        assert "Source main is down" not in peer.get("/").text
        asking.main.down = "am:9093 answered 401: it does not let us in; write `token_file`"
        asking.wait(5 * MINUTE, step=MINUTE)

        page = peer.get("/").text
        assert page.count("Source main is down") == 1
        assert "am:9093 answered 401: it does not let us in; write token_file" in page
        assert page.index("Source main is down") < page.index('id="models"')
        asking.main.down = None
        asking.wait(2 * MINUTE, step=MINUTE)
        assert "Source main is down" not in peer.get("/").text


def test_a_source_that_the_configuration_does_not_name_has_no_banner(asking, tmp_path):
    """What is left of it is forgotten a day later."""
    asking.main.down = "gone"
    asking.poll()
    with host(asking.history, tmp_path) as peer:
        assert "Source main is down" not in peer.get("/").text


def test_what_a_replica_with_another_policy_decided_lives_as_long_as_it_is_listed(asking):
    """Its file has the policy by its new name already; whoever asks has not loaded that yet."""
    first_run(asking)
    also, here = told(name="LowModelR2"), asking.history.policy_set
    renamed = replace(DRIFT, name="drift-2", alert_expiry=HOUR)
    asking.history.policy_set = replace(policy_set(renamed), asking=here.asking)
    asking.main.fire(also)
    assert asking.history.reasons(also) == ["cooldown"]
    asking.history.policy_set = here

    asking.wait(2 * LONG, step=10 * MINUTE)
    asking.main.down = "away"
    asking.wait(2 * LONG, step=10 * MINUTE)
    still = asking.history.log(reason="expired")
    asking.wait(2 * LONG, step=10 * MINUTE)

    (expired,) = asking.history.log(reason="expired")
    assert still == []
    assert expired.detail.startswith("nobody confirmed this alert for 1h")


def test_a_source_is_asked_once_in_its_time(asking):
    """Whoever asks has it for himself, and a hint does not make a storm."""
    asking.poll()
    asking.poll()
    assert asking.main.answers == 1
    with asking.history.store.begin() as tx:
        tx.want_sources(["main"], tx.now())

    asking.poll()
    assert asking.main.answers == 1
    asking.history.clock.pass_(timedelta(seconds=5))
    asking.poll()

    assert asking.main.answers == 2


def test_a_run_whose_alert_nobody_confirmed_has_an_unknown_effect(asking):
    """Nobody said after it had settled that the alert fires: `exhausted` does not count it."""
    asking.history.policy_set = replace(
        policy_set(replace(DRIFT, attempts=1)), asking=asking.history.policy_set.asking
    )
    asking.main.fire(FIRES)
    asking.history.deliver(FIRES)
    asking.history.run_to_its_end(RunState.SUCCEEDED)
    asking.main.down = "away"
    asking.wait(2 * HOUR, step=LONG)
    assert effect(asking) is Effect.UNKNOWN

    asking.main.down = None
    asking.wait(5 * HOUR, step=LONG)

    assert effect(asking) is Effect.NO_EFFECT
    assert asking.last().reason == "exhausted"


def test_a_delivery_after_the_run_had_settled_tells_that_it_did_not_help(asking):
    """Nobody else could be asked; the delivery itself says that the alert fires all the same."""
    asking.history.policy_set = replace(
        policy_set(replace(DRIFT, attempts=1)), asking=asking.history.policy_set.asking
    )
    asking.main.fire(FIRES)
    asking.history.deliver(FIRES)
    asking.history.run_to_its_end(RunState.SUCCEEDED)
    asking.main.down = "away"
    asking.wait(7 * HOUR, step=LONG)
    assert effect(asking) is Effect.UNKNOWN

    asking.history.deliver(FIRES)

    assert asking.last().reason == "exhausted"
    assert effect(asking) is Effect.NO_EFFECT


def test_a_run_that_was_followed_at_once_by_another_is_an_attempt(asking):
    """Where `settle` ends the hold, nobody is heard about a run before the next is ordered."""
    hasty = replace(DRIFT, attempts=2, cooldown=MINUTE, settle=HOUR)
    asking.history.policy_set = replace(policy_set(hasty), asking=asking.history.policy_set.asking)
    asking.main.fire(FIRES)
    asking.history.deliver(FIRES)
    for _ in range(4):
        asking.history.run_to_its_end(RunState.SUCCEEDED)
        asking.wait(HOUR + 5 * MINUTE)

    assert len(asking.history.dispatches()) == 2
    assert asking.last().reason == "exhausted"
    assert effect_of_first(asking) is effect(asking) is Effect.NO_EFFECT


def test_many_alerts_are_carried_in_parts(asking):
    """More than one transaction's worth are confirmed, decided and ended all the same."""
    many = [told(str(number)) for number in range(250)]
    asking.main.fire(*many)
    asking.poll()
    asking.history.clock.pass_(MINUTE)
    asking.poll()
    assert len(asking.history.log(reason="triggered")) == 250
    asking.history.clock.pass_(5 * MINUTE)
    asking.poll()
    asking.main.end(*many)
    for _ in range(2):
        asking.history.clock.pass_(MINUTE)
        asking.poll()

    assert asking.history.firing("249") == []
    assert asking.history.firing("0") == []


def test_what_is_gone_and_in_no_set_is_forgotten(asking):
    """Sightings are bounded by what is listed."""
    asking.main.fire(FIRES)
    asking.poll()
    asking.main.end(FIRES)

    asking.wait(MINUTE)

    with asking.history.store.begin() as tx:
        assert tx.sightings([FIRES.fingerprint]) == {}


def test_what_is_left_of_a_source_that_went_is_forgotten(asking):
    """A day after it was asked last."""
    asking.main.fire(FIRES)
    asking.poll()

    with asking.history.store.begin() as tx:
        assert tx.forget_sources(NOON + 23 * HOUR, 500) == 0
        assert tx.forget_sources(NOON + 25 * HOUR, 500) == 2


def test_what_ended_while_prometheus_was_asked_is_left_alone(history):
    """A delivery said so meanwhile: nothing is said twice."""
    asking = AskingHistory(history, prometheus=True)
    first_run(asking)
    asking.main.end(FIRES)
    meanwhile(asking.prometheus, lambda: history.deliver(told_over(ends_at=history.now())))

    asking.wait(3 * MINUTE)

    assert [row.source for row in history.log(reason="resolved")] == ["alertmanager"]


def test_what_was_forgotten_while_prometheus_was_asked_is_left_alone(history):
    """Another replica has carried an answer in."""
    asking = AskingHistory(history, prometheus=True)
    first_run(asking)
    asking.main.end(FIRES)

    def forget():
        with history.store.begin() as tx:
            tx.remove_sightings("main", [FIRES.fingerprint])

    meanwhile(asking.prometheus, forget)

    asking.wait(5 * MINUTE)

    assert history.log(reason="resolved") == []


def meanwhile(source, act):
    """While this source is asked, something happens."""
    ask = source.ask

    def ask_and_act():
        act()
        return ask()

    source.ask = ask_and_act


def test_a_silenced_alert_that_ends_is_freed_by_the_first_answer_without_it(asking):
    """Nobody silences it any more; the second answer ends it."""
    asking.main.fire(FIRES, quiet=silence(NOON + 8 * HOUR))
    asking.wait(7 * MINUTE, step=MINUTE)
    assert asking.told() == ["poll silenced"]

    asking.main.end(FIRES)
    asking.wait(MINUTE)
    assert asking.told() == ["poll silenced", "timer unconfirmed"]
    asking.wait(MINUTE)

    assert asking.told()[-1] == "poll resolved"


def test_a_clock_that_is_set_back_lets_nothing_be_believed_for_longer(asking):
    """What was confirmed in a future that never came is confirmed anew, or ends."""
    first_run(asking)
    asking.main.fire(told("7"))
    asking.wait(3 * MINUTE, step=MINUTE)
    asking.history.clock.jump(-2 * HOUR)
    asking.main.end(FIRES)

    asking.wait(8 * MINUTE, step=MINUTE)

    assert asking.history.firing() == []
    entry = asking.history.firing("7")[0]
    assert entry.confirmed_at <= asking.history.now()
    assert entry.expires_at <= asking.history.now() + DRIFT.alert_expiry


def test_what_names_no_model_of_its_own_is_decided_once(asking):
    """Another alert's labels have the model's name: not once a minute, while both are listed."""
    by_region = replace(DRIFT, identity={**DRIFT.identity, "region": DRIFT.identity["user_id"]})
    asking.history.policy_set = replace(
        policy_set(by_region), asking=asking.history.policy_set.asking
    )
    asking.main.fire(told(region="eu"), told(name="LowModelR2", region="us"))

    asking.wait(5 * MINUTE, step=MINUTE)

    assert sorted(asking.told()) == ["poll invalid", "poll triggered"]
