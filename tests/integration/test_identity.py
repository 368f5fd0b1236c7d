"""What makes a model and an alert of it, over HTTP, on both engines."""

from urllib.parse import quote, urlencode

import pytest

from tests.posts import entry, post
from tests.serving import NO_AUTH, host

FORM = {"Content-Type": "application/x-www-form-urlencoded"}

SLASHED = "meta-llama/Llama-3-8B"
ORGANISATIONS = NO_AUTH.replace("[a-z0-9-]{1,40}", "[A-Za-z0-9./-]{1,80}")


def reasons(answer):
    assert answer.status == 200, answer.text
    return [one["reason"] for one in answer.json()["decisions"]]


def test_a_models_name_may_hold_a_slash(history, tmp_path):
    """It is decided, ordered, listed and shown; in an address it is one segment."""
    with host(history, tmp_path, ORGANISATIONS) as peer:
        answer = peer.post("/webhook", post(entry(SLASHED), entry("a/../b"), entry("a//b")))

        assert reasons(answer) == ["triggered", "invalid", "invalid"]
        assert [model["model"] for model in peer.get("/models").json()["models"]] == [SLASHED]
        found = peer.get("/decisions", {"model": SLASHED}).json()["decisions"]
        assert [one["model"] for one in found] == [SLASHED]
        link = f'href="/ui/models/{quote(SLASHED, safe="")}"'
        assert link in peer.get("/").text
        for path in (quote(SLASHED, safe=""), SLASHED):  # a proxy may decode it
            page = peer.get(f"/ui/models/{path}")
            assert page.status == 200
            assert SLASHED in page.text
            form = peer.get(f"/ui/models/{path}/pause")
            assert form.status == 200
            said = urlencode({"comment": "why", "key": path, "for": "endless"}).encode()
            sent = peer.post(f"/ui/models/{path}/pause", said, headers=FORM)
            assert sent.status == 303
        assert peer.get(f"/ui/models/{quote(SLASHED, safe='')}/explode").status == 404


def test_alerts_that_share_a_fingerprint_are_two(history, tmp_path):
    """Scripts give all alerts one; the hash of the labels takes its place, the raw alert stays."""
    with host(history, tmp_path) as peer:
        sent = [entry("1", fingerprint="test-alert-1"), entry("2", fingerprint="test-alert-1")]

        answer = peer.post("/webhook", post(*sent))

        assert reasons(answer) == ["triggered", "triggered"]
        first = peer.get(f"/decisions/{answer.json()['decisions'][0]['id']}").json()
        assert first["fingerprint"] == entry("1")["fingerprint"]
        assert first["alert"]["fingerprint"] == "test-alert-1"


def test_a_slash_too_much_is_the_webhook(history, tmp_path):
    """Alertmanager would repeat it for ever, and nobody would know."""
    with host(history, tmp_path) as peer:
        assert reasons(peer.post("/webhook/", post(entry()))) == ["triggered"]
        assert peer.get("/webhook/").status == 405


@pytest.mark.parametrize(
    ("path", "status"),
    [("/", 405), ("/alerts", 404), ("/webhook/x", 404), ("/decisions", 405), ("/ui/x", 404)],
)
def test_a_notification_elsewhere_is_told_the_right_path_and_kept(history, tmp_path, path, status):
    """Nothing is lost silently: the log, the metrics and the rejections have it."""
    with host(history, tmp_path) as peer:
        answer = peer.post(path, post(entry("lost")))

        assert answer.status == status
        assert f"notifications are posted to /webhook, not to '{path}'" in answer.detail
        (kept,) = peer.get("/rejections").json()["rejections"]
        assert kept["status_code"] == status
        assert kept["detail"] == answer.detail
        assert "lost" in kept["body"]


def test_what_prometheus_sends_is_told_to_go_to_an_alertmanager(history, tmp_path):
    """It posts an array to /api/v2/alerts."""
    with host(history, tmp_path) as peer:
        alert = {"labels": {"alertname": "A"}, "startsAt": "2026-11-22T11:00:00Z"}

        answer = peer.post("/api/v2/alerts", [alert])

        assert "this is what Prometheus sends to an Alertmanager" in answer.detail
        assert len(peer.get("/rejections").json()["rejections"]) == 1


def test_a_large_notification_elsewhere_is_kept_in_part(history, tmp_path):
    """No more of it than of other rejections."""
    with host(history, tmp_path) as peer:
        answer = peer.post("/alerts", post(*(entry(f"m{n}") for n in range(500))))

        assert "notifications are posted to /webhook" in answer.detail
        (kept,) = peer.get("/rejections").json()["rejections"]
        assert kept["size"] > len(kept["body"])


def test_other_posts_elsewhere_are_not_kept(history, tmp_path):
    """Nor what somebody without the role posts."""
    (tmp_path / "token").write_text("secret-secret")
    (tmp_path / "ops").write_text("secret-of-ops")
    roles = "webhook: [{name: am, token_file: token}], operator: [{name: ops, token_file: ops}]"
    closed = f"auth: {{{roles}}}\n{NO_AUTH}"
    with host(history, tmp_path, closed) as peer:
        told = peer.post("/alerts", post(entry()), token="secret-secret")
        assert "/webhook" in told.detail
        assert "see /openapi.json" in peer.post("/alerts", post(entry())).detail
        assert "see /openapi.json" in peer.post("/alerts", {"a": 1}, token="secret-secret").detail
        compressed = {"Content-Encoding": "gzip"}
        odd = peer.post("/alerts", post(entry()), token="secret-secret", headers=compressed)
        assert "see /openapi.json" in odd.detail
        kept = peer.get("/rejections", token="secret-of-ops").json()["rejections"]
        assert [one["detail"] for one in kept] == [told.detail]
