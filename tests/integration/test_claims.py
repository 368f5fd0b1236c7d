"""Who says that an alert fires, and which labels a model has, on both engines."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from receiver.core.alerts import AlertStatus
from receiver.core.decisions import Reason
from receiver.core.regexes import Regex
from receiver.flows.intake.taking_in import arrive, take_in
from tests.examples import DRIFT, alert, notification, policy_set, resolved
from tests.fakes import NOON

ENDED = AlertStatus.RESOLVED
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
PROD, DEV = "http://am.prod:9093", "http://am.dev:9093"


def told(history, url, *alerts):
    """This Alertmanager posts these alerts."""
    arrival = arrive(replace(notification(*alerts), external_url=url), history.policy_set)
    return list(take_in(history.store, [arrival])[0].decisions)


def fires(history):
    return [entry.starts_at for entry in history.firing()]


@pytest.mark.parametrize("year", [1970, 2026])
def test_a_resolved_ends_the_firing_of_its_beginning(history, year):
    """Whatever `endsAt` says: 1970, or a clock that is behind."""
    history.deliver(alert(starts_at=NOON))

    history.deliver(resolved(starts_at=NOON, ends_at=datetime(year, 1, 1, tzinfo=UTC)))

    assert fires(history) == []


def test_an_older_resolved_of_one_alertmanager_ends_nothing(history):
    """The alert fires again since."""
    history.deliver(alert(starts_at=NOON))
    history.clock.pass_(HOUR)
    history.deliver(alert(starts_at=NOON + HOUR))

    history.deliver(resolved(starts_at=NOON - HOUR, ends_at=NOON + MINUTE))

    assert fires(history) == [NOON + HOUR]


@pytest.mark.parametrize("prod_first", [True, False])
def test_two_clusters_are_kept_apart(history, prod_first):
    """One fingerprint, for no label says which cluster: it ends when it has ended in both."""
    prod, dev = (NOON, NOON + MINUTE) if prod_first else (NOON + MINUTE, NOON)
    for url, starts_at in sorted([(PROD, prod), (DEV, dev)], key=lambda each: each[1]):
        history.clock.pass_(MINUTE)
        told(history, url, alert(starts_at=starts_at))
    history.clock.pass_(HOUR)

    (ended,) = told(history, DEV, resolved(starts_at=dev, ends_at=history.now()))

    assert ended.detail.endswith(f", but '{PROD}' still says that it fires")
    assert fires(history) == [prod]
    (ended,) = told(history, PROD, resolved(starts_at=prod, ends_at=history.now()))
    assert "still says" not in ended.detail
    assert fires(history) == []


def test_a_cluster_that_repeats_its_older_firing_is_heard(history):
    """It confirms the entry, and its resolve ends its own firing only."""
    told(history, DEV, alert(starts_at=NOON + MINUTE))
    told(history, PROD, alert(starts_at=NOON))
    (entry,) = history.firing()
    said = {claim.url: claim.starts_at for claim in entry.claims}
    assert said == {DEV: NOON + MINUTE, PROD: NOON}
    history.clock.pass_(HOUR)
    told(history, PROD, alert(starts_at=NOON))

    assert history.firing()[0].confirmed_at == history.now()
    told(history, DEV, resolved(starts_at=NOON + MINUTE, ends_at=history.now()))
    assert fires(history) == [NOON]
    assert history.firing()[0].expires_at == history.now() + DRIFT.alert_expiry


def test_what_no_cluster_repeats_ends(history):
    """A claim that is left does not outlive its own last word by more than `alert_expiry`."""
    told(history, DEV, alert(starts_at=NOON))
    said = history.now()
    history.clock.pass_(HOUR)
    told(history, PROD, alert(starts_at=NOON + HOUR))
    told(history, PROD, resolved(starts_at=NOON + HOUR, ends_at=history.now()))

    assert history.firing()[0].expires_at == said + DRIFT.alert_expiry


def test_members_of_one_cluster_share_a_beginning(history):
    """Whatever their `externalURL`s: one of them tells the end for both."""
    told(history, "http://am-0:9093", alert(starts_at=NOON))
    assert told(history, "http://am-1:9093", alert(starts_at=NOON))[0].reason == "duplicate"

    told(history, "http://am-1:9093", resolved(starts_at=NOON, ends_at=history.now()))

    assert fires(history) == []


def test_members_of_one_cluster_begin_anew_together(history):
    """The one that did not say so has not kept the earlier firing."""
    told(history, "http://am-0:9093", alert(starts_at=NOON))
    told(history, "http://am-1:9093", alert(starts_at=NOON))
    history.clock.pass_(HOUR)
    told(history, "http://am-0:9093", alert(starts_at=NOON + HOUR))

    told(history, "http://am-0:9093", resolved(starts_at=NOON + HOUR, ends_at=history.now()))

    assert fires(history) == []


@pytest.mark.parametrize(("first", "second"), [("", PROD), (PROD, ""), ("", "")])
def test_an_unknown_alertmanager_ends_what_began_before(history, first, second):
    """As it was before anybody's URL was remembered."""
    told(history, first, alert(starts_at=NOON))
    history.clock.pass_(HOUR)

    told(history, second, resolved(starts_at=NOON - HOUR, ends_at=history.now()))

    assert fires(history) == []


def test_an_entry_of_an_earlier_release_ends_as_it_did(history):
    """Nobody knows who said it."""
    history.deliver(alert(starts_at=NOON))
    with history.store.begin() as tx:
        tx.save_firing([replace(entry, claims=None) for entry in history.firing()])
    history.clock.pass_(HOUR)

    told(history, PROD, resolved(starts_at=NOON - HOUR, ends_at=history.now()))

    assert fires(history) == []


def test_a_sender_that_changes_its_url_fills_no_row(history):
    """The words that are oldest are forgotten."""
    for number in range(20):
        history.clock.pass_(MINUTE)
        told(history, f"http://am-{number}/{'x' * 999}", alert(starts_at=NOON + number * MINUTE))

    (entry,) = history.firing()
    assert len(entry.claims) == 8
    assert entry.claims[0].url.startswith("http://am-19/")
    assert all(len(claim.url) == 200 for claim in entry.claims)


def test_a_repeat_confirms_its_entry_and_changes_nothing_else_of_it(history):
    """What is stored of it is what was carried forward."""
    told(history, DEV, alert(starts_at=NOON))
    told(history, PROD, alert(starts_at=NOON + MINUTE))
    (before,) = history.firing()
    history.clock.pass_(MINUTE)

    (repeat,) = told(history, PROD, alert(starts_at=NOON + MINUTE))

    assert repeat.reason is Reason.DUPLICATE
    now = history.now()
    confirmed = before.confirmed(PROD, NOON + MINUTE, now, DRIFT.alert_expiry)
    assert confirmed.confirmed_at == now > before.confirmed_at
    assert history.firing() == [confirmed]


def test_a_late_copy_of_an_earlier_firing_says_nothing(history):
    """One Alertmanager knows one firing of an alert at a time."""
    told(history, PROD, alert(starts_at=NOON))
    history.clock.pass_(HOUR)
    told(history, PROD, alert(starts_at=NOON + HOUR))
    (before,) = history.firing()
    history.clock.pass_(HOUR)

    told(history, PROD, alert(starts_at=NOON))

    assert history.firing() == [before]


# --- clashes ---

JOINED = replace(
    DRIFT,
    model_name="{namespace}-{user_id}",
    identity={"namespace": Regex("[a-z-]+"), "user_id": Regex("[a-z0-9-]+")},
)


def of(namespace, user_id, **more):
    said = f"{namespace}/{user_id}/{more.get('name')}"
    return alert(user_id, namespace=namespace, fingerprint=said, **more)


def test_a_model_that_other_labels_name_is_told(history):
    """Neither alert gets the other's run; the sentence names both."""
    history.policy_set = policy_set(JOINED)
    first, clash = history.deliver(of("team-a", "b"), of("team", "a-b"))

    assert (first.reason, clash.reason) == ("triggered", "invalid")
    assert clash.detail == (
        "this alert can't be understood: it would name the model team-a-b by namespace='team', "
        "user_id='a-b', but an alert that fires named it by namespace='team-a', user_id='b'; tell "
        "the two apart in model.name of policy drift"
    )
    assert clash.model == "team-a-b"
    assert history.reasons(of("team", "a-b")) == ["invalid"]
    assert history.reasons(of("team-a", "b", name="LowModelR2")) == ["in_flight"]
    assert dict(history.model("team-a-b").labels) == {"namespace": "team-a", "user_id": "b"}


def test_a_name_is_free_when_its_alerts_have_ended(history):
    """Nothing stays stuck, and nobody has to do anything."""
    history.policy_set = policy_set(JOINED)
    history.deliver(of("team-a", "b"))
    history.deliver(of("team", "a-b", name="LowModelR2"))
    history.run_to_its_end()
    history.deliver(of("team-a", "b", status=ENDED, ends_at=history.now()))
    ended = of("team", "a-b", status=ENDED, ends_at=history.now(), name="Other")
    history.clock.pass_(7 * HOUR)

    assert history.reasons(of("team", "a-b", name="LowModelR2")) == ["triggered"]
    assert history.dispatches()[-1].inputs["user_id"] == "a-b"
    assert history.reasons(ended) == ["unmatched"]


def test_the_end_of_an_alert_that_clashes_is_no_clash(history):
    """What ended names nothing."""
    history.policy_set = policy_set(JOINED)
    history.deliver(of("team-a", "b"))

    ended = history.deliver(replace(of("team", "a-b"), status=ENDED, ends_at=history.now()))

    assert [one.reason for one in ended] == ["resolved"]


def test_a_policy_that_names_a_model_anew_does_not_clash_with_what_it_said(history):
    """Its labels, patterns or template changed: the model is not stuck."""
    wide = replace(DRIFT, identity={**DRIFT.identity, "namespace": Regex("[a-z]+")})
    history.policy_set = policy_set(wide)
    history.deliver(alert("42", namespace="a"))
    assert history.reasons(alert("42", namespace="b", fingerprint="b")) == ["invalid"]

    history.policy_set = policy_set(DRIFT)
    assert history.reasons(alert("42", namespace="b", fingerprint="b")) == ["in_flight"]

    history.policy_set = policy_set(replace(wide, model_name="{user_id}"))
    assert history.reasons(alert("42", namespace="b", fingerprint="c")) == ["in_flight"]


def test_two_policies_may_name_one_model_by_different_labels(history):
    """The model belongs to everybody."""
    other = replace(
        DRIFT,
        name="other",
        matchers=(),
        model_name="{model}",
        identity={"model": Regex("[0-9]+")},
    )
    history.policy_set = policy_set(DRIFT, other)
    history.deliver(alert("42"))

    assert history.reasons(alert("x", name="Drift", model="42")) == ["in_flight"]
    assert history.reasons(alert("42", fingerprint="again")) == ["in_flight"]


def test_a_clash_survives_a_restart_and_the_timer(history):
    """What is stored decides, and what the timer finds to clash leaves its set."""
    history.policy_set = policy_set(DRIFT)
    history.deliver(alert("a", namespace="x"), alert("b", namespace="x"))
    history.run_to_its_end()
    history.run_to_its_end()
    history.restart()
    history.policy_set = policy_set(
        replace(DRIFT, model_name="m-{namespace}", identity={**JOINED.identity})
    )
    history.clock.pass_(7 * HOUR)

    history.tick()

    reasons = [row.reason for row in history.log(source="timer")]
    assert sorted(reasons) == ["invalid", "triggered"]
