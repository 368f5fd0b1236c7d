"""Alertmanager and Prometheus are asked in their own words; what is no answer says its cure."""

import json
import ssl
from datetime import UTC, datetime

import pytest

from receiver.alertmanager.entries import fingerprint_of
from receiver.core.sources import Hush, SourceDown
from receiver.core.times import parse_time
from receiver.sources import alertmanager as asking
from receiver.sources.alertmanager import AlertmanagerSource, quote_meta
from receiver.sources.fetching import Upstream
from receiver.sources.prometheus import PrometheusSource
from receiver.sources.reading import NotAnArray, entries
from tests.peers.alertmanager import STARTED, alertmanager
from tests.peers.certificates import YEARS, sign_certificate
from tests.peers.raw import RawPeer

LABELS = {"alertname": "HighModelMAE", "user_id": "42"}


@pytest.fixture
def peer():
    with alertmanager() as peer:
        yield peer


@pytest.fixture
def source(peer):
    return AlertmanagerSource(Upstream(peer.url), "retrain")


def test_what_fires_for_our_receiver_is_listed(peer, source):
    """Labels, number, beginning, Alertmanager's own fingerprint; of other routes nothing is."""
    peer.fire(**LABELS, annotations={"value": "0.62", "summary": "long"})
    peer.fire(alertname="Other", receivers=["other"])

    listing = source.ask()

    assert listing.up_since == STARTED
    (one,) = listing.alerts
    assert (one.labels, one.annotations) == (LABELS, {"value": "0.62"})
    assert one.fingerprint == fingerprint_of(LABELS)
    assert one.starts_at == parse_time("2026-11-30T08:00:00.123Z")
    assert (one.quiet, one.settled) == (None, True)


def test_a_fingerprint_that_is_not_the_hash_of_the_labels_is_replaced(peer, source):
    """Grafana's Alertmanager and proxies have names of their own; ours is that of a delivery."""
    peer.fire(**LABELS)["fingerprint"] = "grafana-fp-0001"
    peer.fire(alertname="HighModelMAE", user_id="7")["fingerprint"] = "grafana-fp-0001"

    listed = source.ask().alerts

    assert [one.fingerprint for one in listed] == [fingerprint_of(one.labels) for one in listed]
    assert len({one.fingerprint for one in listed}) == 2


def test_a_silence_comes_with_its_author_its_words_and_its_end(peer, source):
    """Of several the one that holds longest."""
    silenced = peer.fire(**LABELS)
    peer.silence(silenced, "short", endsAt="2026-11-30T09:00:00.000Z")
    peer.silence(silenced, "long", endsAt="2026-11-30T19:00:00.000Z", comment="x" * 10_000)

    quiet = source.ask().alerts[0].quiet

    assert (quiet.how, quiet.id, quiet.author) == (Hush.SILENCED, "long", "ana")
    assert quiet.ends_at == parse_time("2026-11-30T19:00:00Z")
    assert len(quiet.comment) == asking.LONGEST_TEXT


def test_a_silence_that_is_gone_when_it_is_asked_for_holds_all_the_same(peer, source):
    """The alert was listed with it; the next answer knows better."""
    alert = peer.fire(**LABELS)
    alert["status"]["silencedBy"] = ["gone"]
    peer.silences.append({"id": "another", "endsAt": "never"})

    quiet = source.ask().alerts[0].quiet

    assert (quiet.id, quiet.ends_at) == ("gone", None)


def test_a_silence_whose_end_cannot_be_read_has_none(peer, source):
    """Then only the next answer ends it."""
    peer.silence(peer.fire(**LABELS), "odd", endsAt="soon")

    assert source.ask().alerts[0].quiet.ends_at is None


def test_a_mute_time_is_told_where_alertmanager_tells_it(peer, source):
    """From 0.28 on; before, such an alert is listed like any other."""
    peer.fire(**LABELS)["status"]["mutedBy"] = ["weekend"]

    quiet = source.ask().alerts[0].quiet

    assert (quiet.how, quiet.id) == (Hush.MUTED, "weekend")


@pytest.mark.parametrize(
    "status", [{"state": "unprocessed"}, {"state": "suppressed", "inhibitedBy": ["f"]}]
)
def test_what_is_inhibited_or_unprocessed_is_not_settled(peer, source, status):
    """It fires, but Alertmanager would not tell of it, or does not know yet."""
    peer.fire(**LABELS)["status"].update(status)

    assert not source.ask().alerts[0].settled


def test_a_receiver_that_is_not_there_is_told_with_those_that_are(peer):
    """Without it nothing is listed, which would look as if all were over."""
    with pytest.raises(
        SourceDown, match=r"no receiver 'retrian'; write one of 'retrain', 'other'"
    ):
        AlertmanagerSource(Upstream(peer.url), "retrian").ask()


def test_a_receivers_name_is_no_pattern(peer):
    """Operators of Kubernetes have names with slashes and dots; Go's patterns are not Python's."""
    name = "monitoring/retrain.v2 (gpu)+x"
    peer.receivers = [name]
    peer.fire(**LABELS, receivers=[name])

    assert len(AlertmanagerSource(Upstream(peer.url), name).ask().alerts) == 1
    assert quote_meta("a b-c/d.e") == "a b-c/d\\.e"


NONSENSE = [
    ((500, {}, b"out of memory"), "answered 500: look at its own log"),
    ((302, {"Location": "https://login.example.com/auth?x"}, b""), "leads to login.example.com"),
    ((307, {}, b""), "answered 307: a log-in page or a moved address"),
    ((401, {}, b""), "does not let us in; write token_file or basic"),
    ((403, {}, b""), "does not let us in"),
    ((404, {}, b""), "with a path prefix write http://HOST/PREFIX"),
    ((200, {}, b"<!DOCTYPE html><title>Log in"), "not Alertmanager's: it begins with '<!DOCTYPE"),
    ((200, {}, b""), "it ends too early"),
    ((200, {}, b"[{"), "an entry can't be read"),
    ((200, {}, b"[1]"), "an entry is not an object"),
    ((200, {}, b'[{"labels": {}}]'), "an alert can't be read"),
    ((200, {}, b"[" * 100_000), "can't be read"),
    ((200, {}, b"[]"), "it is no object"),
]


@pytest.mark.parametrize(("answer", "said"), NONSENSE)
def test_what_is_no_answer_says_why_and_what_to_do(peer, source, answer, said):
    """A log-in page, an error, half an answer: the source is down, and nothing is over."""
    peer.answer = answer

    with pytest.raises(SourceDown) as caught:
        source.ask()

    assert said in str(caught.value)
    assert "auth?x" not in str(caught.value)


@pytest.mark.parametrize("answer", [answer for answer, _ in NONSENSE[:8]])
def test_the_same_of_prometheus(peer, answer):
    """Then nothing is over, either."""
    peer.answer = answer

    with pytest.raises(SourceDown):
        PrometheusSource(Upstream(peer.url)).ask()


def test_prometheus_shows_what_fires_by_its_rules(peer):
    """Pending alerts do not fire."""
    at = "2026-11-30T08:00:00.123456789Z"
    for state in ("firing", "pending"):
        peer.prometheus.append(
            {"labels": LABELS, "state": state, "activeAt": at, "value": "6.2e-01"}
        )

    listed = PrometheusSource(Upstream(peer.url)).ask().alerts

    assert [(one.labels, one.value) for one in listed] == [(LABELS, 0.62)]


def test_nobody_there_is_told_with_the_place(source, peer):
    """The address has no secret in it, and says which Alertmanager it is."""
    closed = AlertmanagerSource(Upstream("http://127.0.0.1:9"), "retrain")

    with pytest.raises(SourceDown, match=r"127\.0\.0\.1:9 does not answer"):
        closed.ask()


def test_bearer_and_basic_come_from_files_that_are_read_anew(peer, tmp_path):
    """A token that was replaced is used with the next question."""
    secret = tmp_path / "secret"
    secret.write_text("first\n")
    source = AlertmanagerSource(Upstream(peer.url, token_file=secret), "retrain")
    peer.authorization = "Bearer second"
    with pytest.raises(SourceDown, match="401"):
        source.ask()
    secret.write_text("second\n")
    source.ask()

    peer.authorization = "Basic cmV0cmFpbjpzZWNvbmQ="
    AlertmanagerSource(
        Upstream(peer.url, username="retrain", password_file=secret), "retrain"
    ).ask()


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "No such file"), (b"\n", "is empty; write the secret"), (b"\xff", "is no text")],
)
def test_a_secret_that_cannot_be_read_is_told(peer, tmp_path, content, said):
    """With the file's name, never with what is in it."""
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    source = AlertmanagerSource(Upstream(peer.url, token_file=tmp_path / "secret"), "retrain")

    with pytest.raises(SourceDown, match=said):
        source.ask()


def test_too_many_alerts_are_no_answer(peer, source, monkeypatch):
    """Their number is bounded, and the cure is a narrower route."""
    monkeypatch.setattr(asking, "MOST_ALERTS", 2)
    for number in range(3):
        peer.fire(**LABELS, number=str(number))

    with pytest.raises(SourceDown, match="more than 2 alerts"):
        source.ask()


def test_long_arrays_are_read_across_their_pieces():
    """Whatever stands at the border of two pieces: escapes, letters of several bytes, spaces."""
    told = [{"n": number, "text": 'ä\\"]}' * (number % 97)} for number in range(3000)]
    for body in (json.dumps(told, indent=1), json.dumps(told, ensure_ascii=False)):
        assert list(entries(body.encode())) == told


def test_an_entry_without_end_is_not_waited_for():
    """Else each piece would be read again with every further one."""
    with pytest.raises(NotAnArray, match="can't be read"):
        list(entries(b'[{"a": "' + b"x" * 30_000_000))


def tls_with(folder, **valid):
    """A certificate that its own key signed, and a server's TLS with it."""
    folder.mkdir()
    certificate, key = sign_certificate(folder, **valid)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return certificate, context


def down(url, ca_file=None):
    """Why it is said to be down."""
    with pytest.raises(SourceDown) as caught:
        AlertmanagerSource(Upstream(url, ca_file=ca_file), "retrain").ask()
    return str(caught.value)


PAST = (YEARS[0], datetime(2021, 1, 1, tzinfo=UTC))
FUTURE = (datetime(2090, 1, 1, tzinfo=UTC), YEARS[1])


@pytest.mark.parametrize(
    ("change", "valid", "knows", "cure"),
    [
        ({}, YEARS, "no authority", "let `ca_file` (or SSL_CERT_FILE) name the authority"),
        ({}, YEARS, "another", "let `ca_file` (or SSL_CERT_FILE) name the authority"),
        ({"127.0.0.1": "localhost"}, YEARS, "it", "write a name that its certificate holds"),
        ({}, PAST, "it", "renew it"),
        ({}, FUTURE, "it", "set the clocks"),
        ({"https:": "http:"}, YEARS, "it", "if TLS is spoken there: write https://"),
        ({"https:": "http:"}, None, "it", None),
    ],
    ids=["unknown", "another", "other name", "run out", "not yet", "plain to TLS", "right"],
)
def test_what_is_wrong_with_tls_is_told_with_its_cure(tmp_path, change, valid, knows, cure):
    """An authority, a name, a date, a scheme: each is another thing to mend."""
    certificate, context = tls_with(tmp_path / "its", valid=valid or YEARS)
    another, _ = tls_with(tmp_path / "another")
    with alertmanager(context if valid else None) as peer:
        url = peer.url
        for old, new in change.items():
            url = url.replace(old, new)
        ca_file = {"it": certificate, "another": another}.get(knows)
        if cure is None:
            assert AlertmanagerSource(Upstream(url, ca_file=ca_file), "retrain").ask().alerts == []
        else:
            assert cure in down(url, ca_file)


def test_tls_to_a_server_that_speaks_none_is_told_with_its_cure(peer):
    assert "no TLS is spoken there: write http://" in down(peer.url.replace("http:", "https:"))


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\nThe plain HTTP request was sent to HTTPS port",
        b"\x15\x03\x01\x00\x02\x02\x46",
    ],
    ids=["Go", "nginx", "a TLS alert"],
)
def test_a_server_that_says_that_it_speaks_tls_is_understood(answer):
    """As Alertmanager 0.25 with TLS, a proxy before it, and OpenSSL say it."""

    def script(conversation):
        conversation.hear()
        conversation.say(answer)

    with RawPeer(script) as raw:
        assert "TLS is spoken there: write https:// in place of http://" in down(raw.url)


def test_another_400_has_nothing_to_do_with_tls(peer):
    peer.answer = (400, {}, b"bad matcher")

    assert "TLS" not in down(peer.url)
