"""An operator sees which announcements nobody heard."""

from dataclasses import replace

import pytest

from receiver.core.announcements import NotDelivered, Subscriber
from receiver.flows.worker.announcing import announce_next
from tests.examples import alert


class Deaf:
    """Wants to hear nothing any more, and says so with markup."""

    def send(self, _announcement, _now):
        raise NotDelivered("hooks.example answered 410: '<b>gone'", hopeless=True)


@pytest.fixture
def deaf(stage):
    """A receiver with a subscriber that said so for two models."""
    scene = stage()
    history = scene.history
    history.policy_set = replace(history.policy_set, subscribers=(Subscriber("on-call"),))
    history.deliver(alert("42"), alert("43"))
    return scene


def test_what_was_given_up_needs_a_human(deaf):
    """Its subscriber, its model and the reason; nothing as long as it is tried again."""
    assert "given up" not in deaf.peer.get("/").text
    announce_next(deaf.history.store, "on-call", Deaf())
    assert "1 announcement was given up" in deaf.peer.get("/").text
    announce_next(deaf.history.store, "on-call", Deaf())

    page = deaf.peer.get("/").text

    assert "2 announcements were given up" in page
    assert "to on-call: hooks.example answered 410" in page
    assert "&lt;b&gt;gone" in page
    assert "<b>gone" not in page
