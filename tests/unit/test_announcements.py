"""Who is told what, how often it is tried, and how it is signed."""

import base64
from datetime import UTC, datetime, timedelta

import pytest

from receiver.announcers.slack import LONGEST_TEXT, escaped, message
from receiver.announcers.webhook import event_of
from receiver.core.announcements import (
    WAITS,
    Announcement,
    Kind,
    NotDelivered,
    Subscriber,
    next_try,
)
from receiver.core.signatures import signature, signed_headers, signing_key
from tests.fakes import NOON

TOLD = Announcement(
    id="01m813adaxqm62f7v5pt39hrtr",
    subscriber="on-call",
    kind=Kind.PARKED,
    model="42",
    policy="drift",
    at=NOON,
    data={"detail": "GitHub said '<!channel> & *bold*'", "run_url": "https://github.example/1"},
    due_at=NOON,
)
AWAY = NotDelivered("away")


@pytest.mark.parametrize(
    ("subscriber", "wanted"),
    [
        (Subscriber("all"), True),
        (Subscriber("some", frozenset({Kind.PARKED})), True),
        (Subscriber("others", frozenset({Kind.TRIGGERED})), False),
        (Subscriber("policy", policies=frozenset({"drift"})), True),
        (Subscriber("other policy", policies=frozenset({"quality"})), False),
    ],
)
def test_a_subscriber_hears_what_it_asked_for(subscriber, wanted):
    """Kinds and policies both must fit."""
    assert subscriber.wants(Kind.PARKED, "drift") is wanted


def test_tries_end_after_days():
    """The waits grow, the last one is a day, and then it is given up."""
    now, waits = NOON, []
    while (due := next_try(len(waits) + 1, AWAY, now)) is not None:
        waits.append(due - now)
        now = due

    assert waits == sorted(waits)
    assert timedelta(days=3) < now - NOON < timedelta(days=4)


@pytest.mark.parametrize(
    ("asked", "wait"),
    [
        (None, WAITS[0]),
        (timedelta(seconds=1), WAITS[0]),
        (timedelta(hours=1), timedelta(hours=1)),
        (timedelta(days=365), timedelta(days=1)),
    ],
)
def test_a_subscribers_wish_to_wait_counts_within_bounds(asked, wait):
    """Longer than our own wait, but never more than a day."""
    error = NotDelivered("busy", status_code=429, retry_after=asked)

    assert next_try(1, error, NOON) == NOON + wait


def test_whoever_wants_nothing_any_more_is_left_alone():
    """410 Gone ends it at once."""
    assert next_try(1, NotDelivered("gone", hopeless=True), NOON) is None


def test_the_signature_is_the_standards_own_example():
    """From the specification of Standard Webhooks."""
    key = signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'

    signed = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)

    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    "secret", ["whsec_", "hunter2", "whsec_%%%", base64.b64encode(bytes(23)).decode(), "w" * 200]
)
def test_a_weak_secret_is_refused_with_its_cure(secret):
    """And it is not quoted."""
    with pytest.raises(ValueError, match="openssl rand") as caught:
        signing_key(secret)

    assert secret.removeprefix("whsec_") == "" or secret not in str(caught.value)


def test_a_cloud_event_has_what_the_specification_requires():
    """Its id is the one that the receiver knows repeats by."""
    event = event_of(TOLD, "https://retrain.example")

    assert event["specversion"] == "1.0"
    assert (event["id"], event["source"]) == (TOLD.id, "https://retrain.example")
    assert event["type"] == "io.retrain-receiver.parked.v1"
    assert (event["subject"], event["time"]) == ("42", "2026-11-22T12:00:00Z")
    assert event["data"]["policy"] == "drift"


def test_nothing_in_slack_is_a_mention_a_link_or_formatting():
    """Strangers' words stand in plain text, with Slack's control characters escaped."""
    shown = message(TOLD, "https://retrain.example")
    section, actions = shown["blocks"]

    assert section["text"]["type"] == "plain_text"
    assert "&lt;!channel&gt; &amp; *bold*" in section["text"]["text"]
    assert [each["url"] for each in actions["elements"]] == [
        "https://github.example/1",
        "https://retrain.example/ui/models/42",
    ]
    assert "<" not in shown["text"]


def test_only_web_addresses_become_buttons():
    """And without any there are no buttons."""
    odd = Announcement(**{**_fields(TOLD), "data": {"run_url": "javascript:alert(1)"}})

    assert len(message(odd, None)["blocks"]) == 1


def test_a_long_text_fits_slack():
    """Slack takes 3,000 characters, each of which may have become five."""
    assert len(escaped("&" * 5000)) <= 3000
    assert escaped("x" * LONGEST_TEXT) == "x" * LONGEST_TEXT


def _fields(announcement):
    return {name: getattr(announcement, name) for name in announcement.__slots__}


def test_a_message_is_signed_at_this_moment():
    """Standard Webhooks' own example; the id is the same each time it is sent."""
    key = signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    now = datetime.fromtimestamp(1614265330, UTC)

    headers = signed_headers(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", now, b'{"test": 2432232314}')

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
