"""The receiver is killed when its subscriber has heard it, and before it could write that down."""

import os
import signal
import sqlite3
from contextlib import closing

import pytest

from tests.faults.sites import CONFIG
from tests.peers.github import GithubPeer
from tests.peers.subscriber import SECRET, Manner, SubscriberPeer
from tests.posts import entry, post
from tests.processes import Station, now
from tests.waiting import eventually

SUBSCRIBERS = """\
announcements:
  - {name: platform, webhook: {url: SUBSCRIBER/hook, secret_file: signing}, about: [triggered]}
"""


@pytest.fixture
def subscriber():
    with SubscriberPeer() as peer:
        yield peer


@pytest.fixture
def station(tmp_path, warm, subscriber):
    (tmp_path / "token").write_text("peer-token")
    (tmp_path / "signing").write_text(SECRET)
    with GithubPeer() as github:
        config = CONFIG.replace("BASE_URL", github.base_url).replace(
            "cooldown: 2s", "cooldown: 1h"
        )
        config += SUBSCRIBERS.replace("SUBSCRIBER", subscriber.url)
        with Station(tmp_path, config, start=warm) as station:
            yield station


def test_a_killed_receiver_tells_again_under_the_same_id(station, subscriber):
    """At least once: the subscriber knows the repeat by its `webhook-id`."""
    subscriber.answer_next(Manner(act=lambda: os.kill(station.pid, signal.SIGKILL)))
    # It may die before it has answered.
    station.api.try_ask("POST", "/webhook", post(entry("42", starts_at=now())))
    assert subscriber.wait_until(lambda: len(subscriber.told) == 1)
    station.wait()
    with closing(sqlite3.connect(station.folder / "receiver.db")) as db, db:
        ((state,),) = db.execute("SELECT state FROM announcements")
        db.execute("UPDATE announcements SET due_at = 0")  # its lease is over
    assert state == "pending"

    station.start()
    assert subscriber.wait_until(lambda: len(subscriber.told) == 2)

    first, second = subscriber.told
    assert first.verified()
    assert second.verified()
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.content == second.content
    told = eventually(
        lambda: station.api.fetch("/announcements", state="delivered")["announcements"]
    )
    assert [one["tries"] for one in told] == [2]
