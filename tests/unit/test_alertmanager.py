"""What Alertmanager sends is understood; what anybody else sends does no harm."""

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.alertmanager import MAX_ALERTS, parse_notification, raw_alert, raw_alerts
from receiver.core.alerts import LABELS_BYTES, AlertStatus, BadNotification
from receiver.core.fingerprints import fingerprint_of
from receiver.core.numbers import MOST_NUMBERS
from receiver.json_text import encode
from tests.hostile import BROKEN

PAYLOADS = Path(__file__).parent.parent / "payloads"
BODIES = sorted(
    path for path in PAYLOADS.rglob("*.json") if not path.name.endswith(".headers.json")
)

ENTRY = {
    "status": "firing",
    "labels": {"alertname": "HighModelMAE", "user_id": "42"},
    "annotations": {"value": "0.62", "summary": "MAE is 0.62"},
    "startsAt": "2026-11-22T04:31:17.1Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "http://vm:19090/graph",
    "fingerprint": "c4c96466ebdc4093",
}
TOP = {
    "receiver": "retrain",
    "status": "firing",
    "groupLabels": {},
    "externalURL": "http://vm:19093",
    "version": "4",
    "groupKey": '{}:{alertname="HighModelMAE"}',
    "truncatedAlerts": 0,
}
FORCE_SLOW = b',"unknown":"\\ud800"}'


def body_of(*alerts, **top):
    return json.dumps({**TOP, **top, "alerts": list(alerts)}).encode()


def body_around(*alerts):
    """A body with these texts as alerts, whatever they are."""
    return json.dumps(TOP).encode()[:-1] + b',"alerts":[' + b",".join(alerts) + b"]}"


def only(**changes):
    """The one alert of a notification, with changed fields; None takes a field out."""
    entry = {name: value for name, value in {**ENTRY, **changes}.items() if value is not None}
    (alert,) = parse_notification(body_of(entry)).alerts
    return alert


def capture(name):
    return parse_notification((PAYLOADS / f"{name}.json").read_bytes())


def refusal(body):
    with pytest.raises(BadNotification) as caught:
        parse_notification(body)
    return str(caught.value)


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


# --- what Alertmanager really sends ---


@pytest.mark.parametrize("path", BODIES, ids=lambda path: path.stem)
def test_every_capture_is_understood(path):
    """No alert of a real Alertmanager has a problem, and each keeps what was sent."""
    body = path.read_bytes()
    sent = json.loads(body)

    notification = parse_notification(body)

    assert [alert.problem for alert in notification.alerts] == [None] * len(sent["alerts"])
    assert [alert.labels for alert in notification.alerts] == [e["labels"] for e in sent["alerts"]]
    assert [str(alert.status) for alert in notification.alerts] == [
        entry["status"] for entry in sent["alerts"]
    ]
    assert [alert.position for alert in notification.alerts] == list(range(len(sent["alerts"])))
    assert notification.group_key == sent["groupKey"]
    assert notification.truncated_alerts == sent["truncatedAlerts"]
    assert notification.body is body


@pytest.mark.parametrize("path", BODIES, ids=lambda path: path.stem)
def test_fingerprints_are_computed_as_alertmanager_does(path):
    """Each captured fingerprint follows from the labels alone."""
    for alert in parse_notification(path.read_bytes()).alerts:
        assert fingerprint_of(alert.labels) == alert.fingerprint


@pytest.mark.parametrize("path", BODIES, ids=lambda path: path.stem)
def test_both_ways_understand_the_same(path):
    """A notification means the same, read in one go or alert by alert."""
    body = path.read_bytes()
    slow_body = body.rstrip()[:-1] + FORCE_SLOW

    fast, slow = parse_notification(body), parse_notification(slow_body)

    assert slow.alerts == fast.alerts
    for field in ("receiver", "group_key", "external_url", "status", "truncated_alerts"):
        assert getattr(slow, field) == getattr(fast, field)
    assert slow.notification_reason == fast.notification_reason
    assert slow.route_labels == fast.route_labels


@pytest.mark.parametrize(
    ("name", "receiver"),
    [
        ("12_receiver_name_regex_quoted_basic_auth", "team.ml+retrain (a)"),
        ("70_k8s_style_receiver_name", "ml.team/retrain-hook/webhook"),
        ("01_single_firing_by_alertname", "by-alertname"),
    ],
)
def test_the_receiver_is_unquoted(name, receiver):
    """The receiver has the name that stands in Alertmanager's file."""
    assert capture(name).receiver == receiver


def test_large_captures_are_complete():
    """Neither many labels nor many alerts are cut."""
    assert len(capture("53_320_labels").alerts[0].labels) == 320
    assert len(capture("57_300_alerts").alerts) == 300


def test_an_alert_without_alertname_is_healthy():
    """Alertmanager delivers such alerts; their name is empty."""
    (alert,) = capture("55_no_alertname").alerts

    assert (alert.alertname, alert.problem) == ("", None)


def test_nanoseconds_are_truncated():
    """Nine digits of a second become six, without rounding."""
    starts = {alert.starts_at for alert in capture("50_amtool_injected_firing").alerts}
    sent = json.loads((PAYLOADS / "50_amtool_injected_firing.json").read_bytes())
    (nanoseconds,) = [e["startsAt"] for e in sent["alerts"] if len(e["startsAt"]) == 30]

    assert datetime.fromisoformat(nanoseconds[:26] + "Z") in starts


def test_truncated_alerts_are_counted():
    """What `max_alerts` cut off is known."""
    assert capture("14_max_alerts_2_truncated").truncated_alerts == 5


def test_year_one_means_never():
    """A firing alert has no end; a resolved one has the end that was sent."""
    (firing,) = capture("01_single_firing_by_alertname").alerts
    (resolved,) = capture("06_all_resolved").alerts

    assert firing.ends_at is None
    assert resolved.status is AlertStatus.RESOLVED
    assert resolved.ends_at > resolved.starts_at


def test_fields_of_later_versions_are_kept():
    """`notification_reason` and `routeLabels` are None before they existed."""
    old = capture("01_single_firing_by_alertname")
    new = capture("synthetic/v0.32_v0.33_first_notification")
    newest = parse_notification(body_of(ENTRY, routeLabels={"team": "ml"}))

    assert (old.notification_reason, old.route_labels) == (None, None)
    assert new.notification_reason == "first notification"
    assert newest.route_labels == {"team": "ml"}


# --- Grafana's own Alertmanager ---

GRAFANA = {"version": "1", "orgId": 1, "title": "[FIRING:1]", "state": "alerting", "message": "m"}
OF_GRAFANA = {
    **ENTRY,
    "annotations": {},
    "values": {"A": 0.62},
    "valueString": "[ var='A' labels={} value=0.62 ]",
    "silenceURL": "https://grafana.example.com/alerting/silence/new",
    "dashboardURL": "",
    "panelURL": "",
    "imageURL": "",
}


@pytest.mark.parametrize("slow", [False, True])
def test_a_notification_of_grafana_is_understood(slow):
    """It is version 4 with another number; the parser that is told of a broken one agrees."""
    body = body_of(OF_GRAFANA, **GRAFANA)
    body = body[:-1] + FORCE_SLOW if slow else body
    (alert,) = parse_notification(body).alerts

    assert alert.problem is None
    assert (alert.alertname, alert.labels["user_id"], alert.value) == ("HighModelMAE", "42", 0.62)


@pytest.mark.parametrize(
    ("values", "value"),
    [
        ({"A": 3}, 3.0),
        ({"A": 0.62, "C": 1}, None),
        ({}, None),
        (None, None),
        ({"A": None}, None),
        ({"A": True}, None),
        ({"A": "0.62"}, None),
        ({"A": 1e999}, None),
        ({"A": 10**400}, None),
        ([0.62], None),
        (0.62, None),
    ],
)
def test_the_only_number_of_an_alert_is_its_value(values, value):
    """Of several nobody can tell which is the metric; nonsense breaks no alert."""
    (alert,) = parse_notification(body_of({**OF_GRAFANA, "values": values}, **GRAFANA)).alerts
    assert (alert.problem, alert.value) == (None, value)


def test_the_annotation_comes_before_grafanas_numbers():
    entry = {**OF_GRAFANA, "annotations": {"value": "0.7"}}
    (alert,) = parse_notification(body_of(entry, **GRAFANA)).alerts
    assert alert.value == 0.7


# --- what is no notification ---

REMOVE = "remove the custom `payload` from the webhook_config"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is empty"),
        (b" \n", "the body is empty"),
        (b"[]", "the body begins with '[]', not with '{'"),
        (b"null", "the body begins with 'null', not with '{'"),
        (b"alert=1&x=<b>", "the body begins with 'alert=1&x=<b>', not with '{'"),
        (b"\xff\xfe{\x00", r"the body begins with '\ufffd\ufffd{\x00', not with '{'"),
        (b'{"version": "4", "al', "the body is not JSON: it ends too early, after 20 bytes"),
        (b'{"version" "4"}', "the body is not JSON: something is wrong at byte 1"),
        (b'{"version": "4"} {}', "the body is not JSON: something is wrong at byte 16"),
        (
            b'{"alerts": [], "status": "firing"}',
            f"`groupKey` and `version` are missing; {REMOVE}",
        ),
        (
            b"{}",
            f"`alerts`, `groupKey`, `status` and `version` are missing; {REMOVE}",
        ),
        (b'{"alerts": [], "groupKey": "", "version": "4"}', "`status` is missing"),
        (body_of(version="3"), "`version` is '3', not '4'"),
        (
            body_of(version="1"),
            "`version` is '1', not '4'; Grafana's has `orgId` besides: remove the custom payload "
            "from its contact point",
        ),
        (body_of(version=4), "`version` is '4', which is not a string"),
        (body_of(groupKey=None), "`groupKey` is 'null', which is not a string"),
        (body_of(status=["firing"]), "`status` is '[\"firing\"]', which is not a string"),
        (json.dumps({**TOP, "alerts": {}}).encode(), "`alerts` is not an array"),
        (json.dumps({**TOP, "alerts": None}).encode(), "`alerts` is not an array"),
        (
            body_around(*[b"0"] * (MAX_ALERTS + 1)),
            "more than 50000 alerts; set `max_alerts` in the webhook_config",
        ),
        (b"{" + b'"a":1,' * 2000 + b'"b":2}', "it has more than 1000 members"),
    ],
)
def test_other_bodies_are_refused_with_a_reason(body, message):
    """Whoever set up the sender reads in one line what is wrong."""
    assert refusal(body) == f"not an Alertmanager version 4 notification: {message}"


def test_a_refusal_repeats_little_of_the_body():
    """The message goes into Alertmanager's log: short, one line, plain characters."""
    message = refusal(body_of(version="\n\x1b\u202e" * 10_000))

    assert len(message) < 500
    assert message.isascii()
    assert message.isprintable()


@pytest.mark.parametrize("length", range(0, len(body_of(ENTRY)), 31))
def test_a_cut_body_is_refused(length):
    """Half a notification is none."""
    refusal(body_of(ENTRY)[:length])


def test_no_alerts_are_a_notification():
    """An empty list is valid, and so is whitespace around everything."""
    body = json.dumps({**TOP, "alerts": []}, indent=2).encode()

    assert parse_notification(b"\r\n\t " + body + b" \n").alerts == ()
    assert parse_notification(b" " + body[:-1].rstrip() + FORCE_SLOW + b" \n").alerts == ()


@pytest.mark.parametrize("wrong", [None, -1, 1.5, True, {"a": 1}, 10**30])
@pytest.mark.parametrize(
    "field",
    ["receiver", "externalURL", "truncatedAlerts", "notification_reason", "routeLabels"],
)
def test_a_wrong_optional_field_becomes_its_default(field, wrong):
    """What we only keep for the record never rejects alerts."""
    notification = parse_notification(body_of(ENTRY, **{field: wrong}))

    assert notification.alerts == parse_notification(body_of(ENTRY)).alerts
    assert notification.truncated_alerts == 0
    assert isinstance(notification.receiver, str)
    assert isinstance(notification.external_url, str)


# --- the fields of an alert ---


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22T04:31:17Z", utc(2026, 11, 22, 4, 31, 17)),
        ("2026-11-22t04:31:17.5z", utc(2026, 11, 22, 4, 31, 17, 500_000)),
        ("2026-11-22T04:31:17.123456999Z", utc(2026, 11, 22, 4, 31, 17, 123_456)),
        ("2026-11-22T04:31:17+05:30", utc(2026, 11, 21, 23, 1, 17)),
        ("2026-01-01T00:00:00-23:59", utc(2026, 1, 1, 23, 59)),
        ("2926-01-01T00:00:00Z", utc(2926, 1, 1)),
        ("0002-01-01T00:00:00+14:00", utc(1, 12, 31, 10)),
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+23:59", None),
        ("0001-12-31T23:59:59-23:59", None),
    ],
)
def test_times_are_utc(text, moment):
    """Every form of RFC 3339 becomes an aware moment in UTC; year 1 means never."""
    alert = only(status="resolved", startsAt=text, endsAt=text)

    assert (alert.starts_at, alert.ends_at, alert.problem) == (moment, moment, None)
    assert moment is None or alert.starts_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-11-22",
        "2026-11-22T04:31:17",
        "2026-11-22 04:31:17Z",
        "20261122T043117Z",
        "2026-13-22T04:31:17Z",
        "2026-11-22T04:31:60Z",
        "2026-11-22T04:31:17+24:00",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-12:00",
        "9999-12-31T23:59:59Z",
        "٢٠٢٦-11-22T04:31:17Z",
        "2026-11-22T04:31:17Z\n",
        "2026-11-22T04:31:17." + "1" * 10_000 + "Z",
    ],
)
def test_what_is_no_time_is_a_problem(text):
    """The alert says which of its times is broken, and shows a little of it."""
    start, end = only(startsAt=text), only(endsAt=text)

    assert start.problem.startswith("startsAt is not a time: '")
    assert end.problem.startswith("endsAt is not a time: '")
    assert len(start.problem) < 300
    assert start.starts_at is None


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"startsAt": None}, "startsAt is missing"),
        (
            {"startsAt": "0001-01-01T00:00:00Z"},
            "startsAt is year 1, which means never, but it fires",
        ),
        ({"status": None}, "status is missing"),
        ({"status": "pending"}, "status is not firing or resolved: 'pending'"),
        ({"status": "Firing"}, "status is not firing or resolved: 'Firing'"),
        ({"status": 1}, "status is not a string"),
        ({"labels": None}, "labels are missing"),
        ({"labels": []}, "labels is not an object"),
        ({"labels": {"a\n": 1}}, r"labels: the value of 'a\n' is not a string"),
        ({"annotations": {"value": 0.62}}, "annotations: the value of 'value' is not a string"),
        ({"fingerprint": "a\x00"}, r"fingerprint is not 1 to 128 plain characters: 'a\x00'"),
        ({"fingerprint": 5}, "fingerprint is not a string"),
        ({"startsAt": 1700000000}, "startsAt is not a string"),
    ],
)
def test_a_broken_alert_says_why(changes, problem):
    """The problem is one clause that names the field."""
    assert only(**changes).problem == problem


@pytest.mark.parametrize(
    "changes",
    [
        {"endsAt": None},
        {"annotations": None},
        {"generatorURL": None},
        {"generatorURL": 5},
        {"unknown": {"a": [1, None]}},
        {"fingerprint": "x" * 128},
        {"labels": {}},
        {"status": "resolved", "endsAt": "2020-01-01T00:00:00Z"},
        {"status": "resolved", "startsAt": "0001-01-01T00:00:00Z"},
    ],
)
def test_what_is_not_needed_may_be_odd(changes):
    """Only what a decision needs can make an alert invalid."""
    assert only(**changes).problem is None


def test_a_firing_alert_has_no_end():
    """Whatever `endsAt` says, an alert that fires has not ended."""
    assert only(endsAt="2026-11-22T05:00:00Z").ends_at is None


def test_a_long_fingerprint_is_a_problem():
    """A fingerprint is stored and compared, so its length is bounded."""
    alert = only(fingerprint="x" * 129)

    assert alert.problem.startswith("fingerprint is not 1 to 128 plain characters: 'xxx")
    assert alert.fingerprint == ""


@pytest.mark.parametrize("sent", [None, ""])
def test_a_missing_fingerprint_is_computed(sent):
    """An alert without fingerprint gets the one that Alertmanager would have sent."""
    assert only(fingerprint=sent).fingerprint == fingerprint_of(ENTRY["labels"])


@pytest.mark.parametrize("sent", ["test-alert-1", "0000000000000000", "x" * 128])
def test_a_fingerprint_that_is_no_hash_of_the_labels_is_replaced(sent):
    """Scripts and adapters give all alerts one; two alerts would be taken for one."""
    one, other = only(fingerprint=sent), only(fingerprint=sent, labels={"user_id": "2"})

    assert one.fingerprint == fingerprint_of(ENTRY["labels"])
    assert other.fingerprint == fingerprint_of({"user_id": "2"}) != one.fingerprint
    assert one.problem is None


@given(labels=st.dictionaries(st.text(max_size=99), st.text(max_size=99), max_size=9))
def test_a_fingerprint_is_fnv_1a_of_the_sorted_labels(labels):
    """Whatever was remembered of other labels, and whatever length they have."""
    state = 0xCBF29CE484222325
    for name in sorted(labels):
        for byte in f"{name}\0{labels[name]}\0".encode().replace(b"\0", b"\xff"):
            state = (state ^ byte) * 0x100000001B3 % 2**64

    if not any("\0" in text for text in (*labels, *labels.values())):
        assert fingerprint_of(labels) == f"{state:016x}"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.62", 0.62),
        (" 0.62\n", 0.62),
        ("0.30000000000000004", 0.30000000000000004),
        ("1.23456789e+09", 1.23456789e9),
        ("1.2e-07", 1.2e-7),
        ("-3", -3.0),
        ("5.", 5.0),
        (".5", 0.5),
        ("+Inf", math.inf),
        ("-Inf", -math.inf),
        ("Inf", math.inf),
        (f"{1.7e308:f}", 1.7e308),
        ("", None),
        ("300m", None),
        ("1.235G", None),
        ("<error expanding template: x>", None),
        ("1_000", None),
        ("infinity", None),
        ("٣", None),
        ("\x1c0.62", None),
        ("0.62\x1f", None),
        ("\u20030.62\u2003", None),
        ("0x1p-2", None),
        ("1e999", None),
        ("1" * 5000, None),
        ("1" * 200_000 + "m", None),
    ],
)
def test_a_value_is_what_go_prints_as_a_number(text, value):
    """Anything else is no value, and no problem either."""
    alert = only(annotations={"value": text})

    assert (alert.value, alert.problem) == (value, None)


def test_nan_is_a_value():
    """A model whose error is NaN says so."""
    assert math.isnan(only(annotations={"value": "NaN"}).value)


def test_other_annotations_that_are_numbers_are_kept_for_policies_that_name_one():
    """Sentences are not: they are half of what an alert takes in memory."""
    annotations = {"value": "0.6", "mae": "0.62", "limit": "+Inf", "unit": "3 ms", "summary": "No"}

    alert = only(annotations=annotations)

    assert (alert.value, alert.numbers) == (0.6, {"mae": 0.62, "limit": math.inf})
    assert alert.valued_by("mae").value == 0.62
    assert alert.valued_by("summary").value is None


def test_an_alert_keeps_few_numbers():
    """Whoever writes a thousand annotations has no thousand times the memory."""
    alert = only(annotations={f"n{number}": "1" for number in range(1000)} | {"value": "2"})

    assert (len(alert.numbers), alert.value) == (MOST_NUMBERS, 2)


def test_nul_is_replaced():
    """PostgreSQL can't store NUL, so no text of an alert has any; the alert stays healthy."""
    entry = {**ENTRY, "labels": {"a\x00": "b\x00c", "d": "\\u0000"}}
    body = body_of(entry, groupKey="\x00", receiver="\x00", routeLabels={"\x00": "\x00"})

    fast, slow = parse_notification(body), parse_notification(body[:-1] + FORCE_SLOW)

    assert fast.alerts == slow.alerts
    assert fast.alerts[0].labels == {"a\ufffd": "b\ufffdc", "d": "\\u0000"}
    assert fast.alerts[0].problem is None
    assert (fast.group_key, fast.receiver) == ("\ufffd", "\ufffd")
    assert fast.route_labels == slow.route_labels == {"\ufffd": "\ufffd"}


@pytest.mark.parametrize("end", [b"}", FORCE_SLOW])
def test_the_last_of_a_name_wins(end):
    """Names that stand twice, at the top, in an alert or in its labels, count once."""
    text = json.dumps(ENTRY).encode()
    twice = text[:-1] + b',"labels":{"a":"1","a":"2"},"l\\u0061bels":{"a":"3","\\u0061":"4"}}'
    body = body_around(b"0")[:-1] + b',"alerts":[%b],"version":"4"' % twice + end

    notification = parse_notification(body)

    assert [alert.labels for alert in notification.alerts] == [{"a": "4"}]


# --- hostile alerts ---

PLACES = {
    "alert": b"%b",
    "status": b'{"status":%b,"labels":{"user_id":"7"}}',
    "labels": b'{"status":"firing","labels":%b}',
    "label value": b'{"labels":{"user_id":"7","bad":%b},"fingerprint":"f"}',
    "annotations": b'{"labels":{"user_id":"7"},"annotations":%b}',
    "annotation": b'{"labels":{"user_id":"7"},"annotations":{"value":%b}}',
    "startsAt": b'{"startsAt":%b}',
    "endsAt": b'{"endsAt":%b,"labels":{"user_id":"7"}}',
    "fingerprint": b'{"fingerprint":%b}',
    "unknown field": b'{"labels":{"user_id":"7"},"unknown":%b}',
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("hostile", BROKEN)
def test_a_hostile_alert_leaves_its_neighbours_alone(place, hostile):
    """It stands in its place with a problem, in storable text; the others are as ever."""
    text = PLACES[place] % BROKEN[hostile]
    before, after = {**ENTRY, "labels": {"user_id": "1"}}, {**ENTRY, "labels": {"user_id": "2"}}
    body = body_around(json.dumps(before).encode(), text, json.dumps(after).encode())

    first, bad, last = parse_notification(body).alerts

    assert first == only(labels={"user_id": "1"})
    assert (last.labels, last.position, last.problem) == ({"user_id": "2"}, 2, None)
    assert bad.problem.isprintable()
    assert len(bad.problem) < 300
    assert bad.position == 1
    assert "user_id" not in text.decode("latin-1") or bad.labels["user_id"] == "7"
    "".join([*bad.labels, *bad.labels.values(), bad.fingerprint]).encode()
    json.dumps(raw_alert(body, 1), allow_nan=False).encode()
    assert raw_alert(body, 2) == after


@pytest.mark.parametrize("hostile", [*BROKEN.values(), b"NaN", b"-Infinity", b"1e999"])
def test_hostile_fields_beside_the_alerts_are_ignored(hostile):
    """A field that we don't know never rejects a notification."""
    if hostile == b"[1}":
        hostile = b"{}"
    body = body_of(ENTRY)

    wide = body[:-1] + b',"commonLabels":' + hostile + b',"truncatedAlerts":3}'

    assert parse_notification(wide).alerts == parse_notification(body).alerts
    assert parse_notification(wide).truncated_alerts == 3


@pytest.mark.parametrize("hostile", [b"NaN", b"-Infinity", b"1e999", b"true", b"null", b"[]"])
@pytest.mark.parametrize("field", ["status", "labels", "startsAt"])
def test_literals_in_the_wrong_place_are_problems(field, hostile):
    """A field that decides must have its type."""
    text = json.dumps({**ENTRY, field: "@"}).encode().replace(b'"@"', hostile)

    first, bad, _ = parse_notification(body_around(b"1", text, b"{}")).alerts

    assert first.problem == "it is not an object"
    assert bad.problem.startswith(field)


def test_what_can_be_read_of_a_broken_alert_is_kept():
    """Operators see which alert it was; characters that can't be stored are replaced."""
    text = rb"""{"status":"resolved",
        "labels":{"alertname":"A\ud800","n":1,"\ud83d\ude00":"\u0000"},
        "startsAt":"2026-01-01T00:00:00Z","endsAt":"2026-01-02T00:00:00Z","fingerprint":"abc",
        "annotations":{"value":"0.5"}}"""

    (alert,) = parse_notification(body_around(text)).alerts

    assert alert.problem.startswith("it can't be read: Invalid JSON: ")
    assert alert.status is AlertStatus.RESOLVED
    assert alert.labels == {"alertname": "A\ufffd", "\U0001f600": "\ufffd"}
    assert (alert.starts_at, alert.ends_at) == (utc(2026, 1, 1), utc(2026, 1, 2))
    assert (alert.fingerprint, alert.value) == ("abc", 0.5)


def test_a_crowd_of_members_is_a_problem():
    """A flood of tiny members is a problem before it fills the memory."""
    crowd = b'{"labels":{' + b'"a":1,' * 20_000 + b'"b":2}}'
    body = body_around(crowd, json.dumps(ENTRY).encode())

    bad, good = parse_notification(body).alerts

    assert bad.problem == "it has far more members than Alertmanager sends"
    assert good.problem is None
    assert isinstance(raw_alert(body, 0), str)


def test_only_so_many_broken_alerts_are_looked_into():
    """A body full of broken alerts costs bounded time; each still has its place and problem."""
    broken = rb'{"labels":{"a":"\ud800"}}'

    alerts = parse_notification(body_around(*[broken] * 1500, json.dumps(ENTRY).encode())).alerts

    assert len(alerts) == 1501
    assert all(alert.problem.startswith("it can't be read") for alert in alerts[:1500])
    assert alerts[999].labels == {"a": "\ufffd"}
    assert alerts[1000].labels == {}
    assert alerts[1500].problem is None


# --- whatever comes ---

TEXT = st.text(max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=4,
)
FIELDS = st.sampled_from([*ENTRY, "unknown"])
VALUES = JSON | st.sampled_from([*ENTRY.values()])
ODD_ENTRY = JSON | st.dictionaries(FIELDS, VALUES, max_size=5)
DAMAGED = st.sampled_from(sorted(BROKEN.values(), key=len)[:10])


@settings(max_examples=80, deadline=None)
@given(body=st.binary(max_size=200))
def test_arbitrary_bytes_are_refused(body):
    """Noise raises `BadNotification` and nothing else."""
    refusal(body)


@settings(max_examples=100, deadline=None)
@given(at=st.integers(0, 600), cut=st.integers(0, 20), noise=st.binary(max_size=8))
def test_damaged_notifications_never_surprise(at, cut, noise):
    """Bytes changed anywhere lead to a notification or to `BadNotification`."""
    body = body_of(ENTRY, {**ENTRY, "status": "resolved"})
    damaged = body[:at] + noise + body[at + cut :]

    try:
        alerts = parse_notification(damaged).alerts
    except BadNotification as error:
        told = [str(error)]
    else:
        told = [alert.problem or "" for alert in alerts]

    assert all(text.isprintable() for text in told)


@settings(max_examples=80, deadline=None)
@given(odd=ODD_ENTRY)
def test_odd_alerts_mean_the_same_in_both_ways(odd):
    """An alert is read the same alone and among others, and never disturbs them."""
    body = body_of(ENTRY, odd, {**ENTRY, "labels": {"user_id": "last"}})

    fast, slow = parse_notification(body), parse_notification(body[:-1] + FORCE_SLOW)

    assert repr(fast.alerts) == repr(slow.alerts)  # NaN is not equal to itself
    assert (fast.alerts[0], fast.alerts[2].labels) == (only(), {"user_id": "last"})
    assert len(fast.alerts) == 3


@settings(max_examples=40, deadline=None)
@given(
    texts=st.lists(DAMAGED | ODD_ENTRY.map(lambda value: json.dumps(value).encode()), max_size=6)
)
def test_positions_survive_any_mixture(texts):
    """Each alert stands where it was sent, however broken those before it are."""
    good = json.dumps(ENTRY).encode()
    mixture = [text for other in texts for text in (other, good)]

    alerts = parse_notification(body_around(*mixture)).alerts

    assert [alert.position for alert in alerts] == list(range(len(mixture)))
    assert [alert.fingerprint for alert in alerts[1::2]] == [
        fingerprint_of(ENTRY["labels"])
    ] * len(texts)
    assert all(alert.problem is None for alert in alerts[1::2])


# --- raw alerts for display ---


@pytest.mark.parametrize("path", BODIES[::5], ids=lambda path: path.stem)
def test_the_raw_alert_is_what_was_sent(path):
    """An operator sees the alert with all its fields, as it stands in the stored body."""
    body = path.read_bytes()

    for position, sent in enumerate(json.loads(body)["alerts"][:5]):
        assert raw_alert(body, position) == sent


@pytest.mark.parametrize(
    ("body", "position"),
    [(b"", 0), (b"[]", 0), (b"{", 0), (b"{}", 0), (b'{"alerts":5}', 0), (body_of(ENTRY), 1)],
)
def test_there_may_be_no_raw_alert(body, position):
    """A body without such an alert has none to show."""
    assert raw_alert(body, position) is None


def test_several_are_found_at_once():
    """Those that are there, and none that is longer than asked for; whatever stands between."""
    body = body_around(b'{"a":1}', b'{"a":"long"}', b"oops", b'{"a":4}')

    assert raw_alerts(body, {0, 1, 3, 9}, 10) == {0: {"a": 1}, 3: {"a": 4}}
    assert raw_alerts(body, set(), 10) == {}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (rb'{"a":"\ud800"}', r'{"a":"\ud800"}'),
        (b'{"a":NaN}', '{"a":NaN}'),
        (b'{"a":1e999}', '{"a":1e999}'),
        (b'{"a":"\xff"}', '{"a":"\ufffd"}'),
        (b"oops", "oops"),
        (rb'{"a":"\u0000"}', {"a": "\0"}),
        (b"[1, 2]", [1, 2]),
    ],
)
def test_a_raw_alert_can_always_be_shown(text, shown):
    """What JSON can't hold again is shown as text."""
    assert raw_alert(body_around(b"{}", text), 1) == shown


# --- labels are bounded ---


def labels_of(size):
    """Labels that take so many bytes as JSON."""
    empty = len(encode({**ENTRY["labels"], "pad": ""}))
    return {**ENTRY["labels"], "pad": "x" * (size - empty)}


@pytest.mark.parametrize("broken", [(), ({"status": 5},)], ids=["in one go", "one by one"])
def test_labels_over_their_bound_are_cut_and_told(broken):
    """The sentence has bound and size; up to it nothing happens, and no neighbour cares."""
    long = {**ENTRY, "labels": labels_of(LABELS_BYTES + 1)}
    full = {**ENTRY, "labels": labels_of(LABELS_BYTES)}

    first, second, third, *_ = parse_notification(body_of(ENTRY, long, full, *broken)).alerts

    assert (first.problem, first.cut, first.labels) == (None, False, ENTRY["labels"])
    assert second.problem == "its labels take 65,537 bytes as JSON, more than 65,536"
    assert (second.cut, second.labels) == (True, {"alertname": "HighModelMAE"})
    assert second.fingerprint == ENTRY["fingerprint"]
    assert (third.problem, third.cut, third.labels) == (None, False, full["labels"])


@pytest.mark.parametrize(
    ("labels", "over"),
    [
        ({"a": "é" * 10_900}, False),  # six bytes each, as they are stored
        ({"a": "é" * 11_000}, True),
        ({"a": "\U0001f600" * 5_400}, False),
        ({"a": "\U0001f600" * 5_500}, True),
        ({f"{n:05}": "" for n in range(5_900)}, False),
        ({f"{n:05}": "" for n in range(6_000)}, True),
        ({f"label_{n}": "x" for n in range(200_000)}, True),
    ],
)
def test_labels_are_measured_as_they_are_stored(labels, over):
    """Every character and every label counts, in whichever form it was sent."""
    for ascii_ in (True, False):
        text = json.dumps({**ENTRY, "labels": labels}, ensure_ascii=ascii_).encode()
        (alert,) = parse_notification(body_around(text)).alerts

        assert alert.cut is over
        assert (alert.problem is not None) is over


def test_the_alertname_of_cut_labels_is_bounded():
    """It names the alert for people, and may itself be what is too long."""
    alert = only(labels={"alertname": "A" * LABELS_BYTES})

    assert alert.labels == {"alertname": "A" * 200}
