"""Labels over their bound: told as they come, and never read again where they are stored."""

import sys
from datetime import timedelta

from receiver.alertmanager import entries
from receiver.core.alerts import LABELS_BYTES
from tests.posts import entry, post

HUGE = {"huge": "x" * LABELS_BYTES}


def unbounded(monkeypatch):
    """Take alerts in as a release did that had no bound."""
    monkeypatch.setattr(entries, "LABELS_BYTES", sys.maxsize)


def test_an_alert_over_the_bound_is_invalid_alone(peer):
    """Its neighbours are decided, its sentence has both numbers, its raw form is kept."""
    told = peer.post("/webhook", post(entry("41"), entry("42", labels=HUGE), entry("43"))).json()
    reasons = [one["reason"] for one in told["decisions"]]
    whole = peer.get(f"/decisions/{told['decisions'][1]['id']}").json()

    assert reasons == ["triggered", "invalid", "triggered"]
    assert whole["detail"] == (
        "this alert can't be understood: its labels take 65,589 bytes as JSON, more than 65,536"
    )
    assert (whole["labels"], whole["model"], whole["policy"]) == (None, None, None)
    assert (whole["alertname"], whole["alert"]["labels"]["huge"]) == ("HighModelMAE", HUGE["huge"])


def test_what_an_earlier_release_stored_is_not_read_again(peer, history, monkeypatch):
    """Lists, exports and the model show it without its labels, which the raw alert still has."""
    with monkeypatch.context() as before:
        unbounded(before)
        (told,) = peer.post("/webhook", post(entry("42", labels=HUGE))).json()["decisions"]

    (listed,) = peer.get("/decisions").json()["decisions"]
    whole = peer.get(f"/decisions/{told['id']}").json()
    (alert,) = peer.get("/models/42").json()["firing_alerts"]
    lines = peer.get("/decisions", headers={"Accept": "application/x-ndjson"}).text
    table = peer.get("/decisions", headers={"Accept": "text/csv"}).text

    assert told["reason"] == "triggered"
    assert (listed["labels"], listed["model"]) == (None, "42")
    assert (whole["labels"], whole["alert"]["labels"]["huge"]) == (None, HUGE["huge"])
    assert (alert["labels"], alert["alertname"]) == ({}, "HighModelMAE")
    assert HUGE["huge"] not in lines + table


def test_the_timer_gives_up_what_an_earlier_release_stored(peer, history, monkeypatch):
    """Without its labels no policy can be found for it; they are not written once more."""
    with monkeypatch.context() as before:
        unbounded(before)
        peer.post("/webhook", post(entry("42", labels=HUGE)))
    history.run_to_its_end()

    history.wait(timedelta(hours=7))

    last = history.log()[-1]
    assert (last.source, last.reason, last.alertname) == ("timer", "invalid", "HighModelMAE")
    assert last.detail.startswith(
        "this alert can't be understood: an earlier release stored its labels: more than 65,536 "
        "bytes as JSON"
    )
    assert last.labels is None
    assert history.firing() == []
