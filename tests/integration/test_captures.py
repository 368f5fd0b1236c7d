"""Every captured notification is decided as the ladder decides what its README describes."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from receiver.alertmanager import parse_notification
from receiver.core.alerts import AlertStatus
from receiver.core.matchers import parse_matchers
from receiver.core.times import parse_time
from receiver.flows.intake.taking_in import arrive, take_in
from tests.examples import DRIFT, policy_set

PAYLOADS = Path(__file__).parents[1] / "payloads"

CAPTURES = sorted(
    path.name.removesuffix(".json")
    for path in PAYLOADS.glob("*.json")
    if not path.name.endswith(".headers.json")
)

# In the order in which they were captured, from an empty store and with DRIFT's times: the
# captures' short timers make every repeat fall into the ten minutes of `dedup_window`.
STORIES = {
    "a group grows, repeats, and resolves one by one": [
        ("01_single_firing_by_alertname", ["triggered"]),
        ("02_two_alerts_same_group", ["duplicate", "triggered"]),
        ("03_repeat_interval_resend", ["duplicate", "duplicate"]),
        ("04_one_of_two_resolved", ["resolved", "duplicate"]),
        ("05_send_resolved_false_after_partial_resolve", ["duplicate"]),
        ("06_all_resolved", ["resolved"]),
    ],
    "MAE and R2 of one model, by four ways of grouping, are one run": [
        ("10_group_by_all", ["triggered"]),
        ("09_group_by_both", ["duplicate"]),
        ("07_group_by_user_id_two_alertnames", ["triggered", "in_flight"]),
        ("08_group_by_alertname_same_moment", ["in_flight", "duplicate"]),
        # HighModelMAE of 42 began anew meanwhile; the other three are copies.
        ("11_ungrouped", ["in_flight", "duplicate", "duplicate", "duplicate"]),
    ],
    "announced resolved alerts come back with each notification": [
        ("16_old_resolved_alerts_repeated", ["resolved"] * 4 + ["triggered"]),
    ],
    "a flap has a new beginning each time": [
        ("17a_flap_firing", ["triggered"]),
        ("17b_flap_resolved", ["resolved"]),
        ("17c_flap_refired", ["in_flight"]),
    ],
    "resolved does not mean recovered": [
        ("19_resolved_because_NaN", ["resolved"]),
        ("20_resolved_because_series_vanished", ["resolved"] * 3),
    ],
    "two peers deliver the same while the first copy is in flight": [
        ("40a_ha_slow_receiver_peer1", ["triggered"]),
        ("40b_ha_slow_receiver_peer2", ["duplicate"]),
    ],
    "after an outage every peer delivers": [
        ("41a_ha_outage_recovery_peer1", ["triggered"]),
        ("41b_ha_outage_recovery_peer2", ["duplicate"]),
    ],
    "a partition resolves twice": [
        ("45a_partition_am1_resolved", ["resolved"]),
        ("45b_partition_am2_resolved", ["resolved"]),
    ],
    "an alert injected by hand drags a resolved one along, then resolves itself": [
        ("50_amtool_injected_firing", ["resolved", "triggered"]),
        ("51_amtool_injected_autoresolved", ["resolved", "resolved"]),
    ],
    "a restart of Prometheus keeps the beginning": [
        ("60_startsAt_original", ["triggered"]),
        ("61_startsAt_after_prometheus_restart", ["duplicate"]),
    ],
    "a reload of Alertmanager sends the same bytes again": [
        ("65a_reload_cancelled_inflight", ["triggered"]),
        ("65b_reload_resend", ["duplicate"]),
    ],
}

# Those that stand alone: what each becomes in an empty store.
ALONE = {
    "12_receiver_name_regex_quoted_basic_auth": ["triggered", "in_flight"],
    "13_bearer_auth_and_query_string": ["triggered", "in_flight"],
    "14_max_alerts_2_truncated": ["triggered", "triggered"],
    "30_http500_first_try": ["triggered"],
    "31_307_followed_POST": ["triggered"],
    "43_ha_survivor_sends_resolved": ["resolved"],
    "52_amtool_start_and_generator_url": ["triggered"],
    "53_320_labels": ["triggered"],
    "55_no_alertname": ["unmatched"],
    "57_300_alerts": ["triggered"] * 300,
    "58_one_of_two_silenced": ["triggered"],
    "70_k8s_style_receiver_name": ["triggered"],
    "72_before_inhibition": ["resolved", "triggered", "resolved", "in_flight"],
}

EVERY_NAME = replace(DRIFT, matchers=parse_matchers('alertname=~".+"'))


@pytest.fixture
def history(history):
    history.policy_set = policy_set(EVERY_NAME)
    return history


def moment_of(name):
    headers = json.loads((PAYLOADS / f"{name}.headers.json").read_text())
    return parse_time(headers["received_at"])


def post(history, name):
    """Deliver a capture at the moment at which it was captured."""
    parsed = parse_notification((PAYLOADS / f"{name}.json").read_bytes())
    return take_in(history.store, [arrive(parsed, history.policy_set)])[0]


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_a_story_is_decided_as_it_happened(history, clock, story):
    """In capture order, at the captured moments."""
    for name, reasons in story:
        clock.jump(moment_of(name) - clock.now())
        receipt = post(history, name)
        assert [decision.reason.value for decision in receipt.decisions] == reasons, name

    started = {row.model for row in history.dispatches()}
    assert len(history.dispatches()) == len(started)


@pytest.mark.parametrize("name", CAPTURES)
def test_a_capture_alone_has_one_decision_per_alert(history, clock, name):
    """In the alerts' order; each model at most once; a resolved alert never triggers."""
    clock.jump(moment_of(name) - clock.now())

    receipt = post(history, name)

    sent = json.loads((PAYLOADS / f"{name}.json").read_bytes())["alerts"]
    assert [decision.fingerprint for decision in receipt.decisions] == [
        alert["fingerprint"] for alert in sent
    ]
    triggered = [d for d in receipt.decisions if d.reason.value == "triggered"]
    assert all(d.status is AlertStatus.FIRING for d in triggered)
    assert len({d.model for d in triggered}) == len(triggered) == len(history.dispatches())
    expected = ALONE.get(name)
    if expected is not None:
        assert [d.reason.value for d in receipt.decisions] == expected


def test_the_captures_are_all_told_about():
    """A capture that no story and no line of ALONE names is not understood yet."""
    told = {name for story in STORIES.values() for name, _ in story} | set(ALONE)

    assert set(CAPTURES) <= told


def test_a_repeat_after_the_cooldown_is_a_legitimate_new_trigger(history, clock):
    """repeat_interval re-sends have the same key as copies; only time tells them apart."""
    clock.jump(moment_of("01_single_firing_by_alertname") - clock.now())
    post(history, "01_single_firing_by_alertname")
    history.run_to_its_end()
    clock.pass_(DRIFT.cooldown + timedelta(minutes=1))

    receipt = post(history, "01_single_firing_by_alertname")

    assert [decision.reason.value for decision in receipt.decisions] == ["triggered"]
