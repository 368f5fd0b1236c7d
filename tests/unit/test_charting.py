"""When a model was held, as its log tells; and what a page may ask of Prometheus."""

import socket
import threading
from datetime import timedelta
from time import monotonic

import pytest

from receiver.core.models import Pause, PauseScope
from receiver.core.sources import SourceDown
from receiver.core.times import clock_time, read_clock_time
from receiver.sources.fetching import Upstream
from receiver.sources.prometheus import PrometheusValues
from receiver.store.views.charts import PastDecision
from receiver.web.page.chart import RANGES, Hold
from receiver.web.page.charting import holds_of
from receiver.web.page.value_answers import AT_ONCE, FRESH, UNSET, ValueAnswers
from tests.fakes import NOON, HandClock

HOUR = timedelta(hours=1)
DAY = RANGES["24h"]
PAUSED = "model 42 paused until resumed by ana: x"


def row(hours, reason, *, until=None, detail=""):
    """A decision so many hours ago; `until` hours ago was its hold to end."""
    return PastDecision(
        id=-hours,
        decided_at=NOON - hours * HOUR,
        source="alertmanager",
        status="firing",
        alertname="HighModelMAE",
        reason=reason,
        detail=detail,
        value=None,
        next_check_at=None if until is None else NOON - until * HOUR,
        seen_in=None,
        position=None,
    )


def held(kind, begin, end):
    return Hold(kind, NOON - begin * HOUR, None if end is None else NOON - end * HOUR)


@pytest.mark.parametrize(
    ("rows", "holds"),
    [
        ([row(9, "triggered"), row(8, "cooldown")], []),
        ([row(9, "silenced"), row(6, "triggered")], [held("silenced", 9, 6)]),
        ([row(9, "silenced", until=7), row(6, "triggered")], [held("silenced", 9, 7)]),
        (
            [row(9, "silenced", until=7), row(6, "silenced")],
            [held("silenced", 9, 7), held("silenced", 6, None)],
        ),
        (
            [row(9, "silenced"), row(8, "duplicate"), row(7, "silenced", until=-1)],
            [held("silenced", 9, None)],
        ),
        ([row(9, "silenced", until=2)], [held("silenced", 9, 2)]),
        (
            [row(9, "paused"), row(8, "silenced"), row(7, "resolved")],
            [held("paused", 9, 8), held("silenced", 8, 7)],
        ),
        (
            [
                row(9, "operator", detail=PAUSED),
                row(5, "operator", detail="model 42 resumed by ana: paused until 09:00 UTC by "),
            ],
            [held("paused", 9, 5)],
        ),
        (
            [row(9, "operator", detail="model 42 paused until 07:00 UTC by ana: x")],
            [held("paused", 9, 5)],
        ),
        ([row(9, "operator", detail="paused until 09:00 UTC by ")], []),
    ],
)
def test_a_hold_lasts_until_something_else_was_decided(rows, holds):
    """Or until it was to end; repeats say nothing, and what begins anew is another one."""
    assert list(holds_of(rows, [], NOON)) == holds


def test_a_pause_is_one_band_with_what_it_held():
    """The pause itself tells from when and until when; what it held is told within it."""
    still = Pause(PauseScope.EVERYTHING, "", NOON - 5 * HOUR, None, "ana", "")
    over = Pause(PauseScope.MODEL, "42", NOON - 9 * HOUR, NOON - 7 * HOUR, "ana", "")
    rows = [row(8, "paused", until=7), row(3, "paused")]

    assert list(holds_of(rows, [over, still], NOON)) == [
        held("paused", 9, 7),
        held("paused", 5, None),
    ]


@pytest.mark.parametrize("moment", [NOON + HOUR, NOON + 72 * HOUR])
def test_a_time_in_a_sentence_can_be_read_again(moment):
    """What is written for people is read to the minute, whether with its date or without."""
    assert read_clock_time(clock_time(moment, NOON), NOON) == moment
    assert read_clock_time("resumed", NOON) is None


class Values:
    """A source that remembers what it was asked."""

    def __init__(self, *found):
        self.asked = []
        self.found = found
        self.down = ""
        self.meanwhile = lambda: None

    def values(self, expression, begin, end, step, *, seconds):
        self.asked.append((expression, begin, end, step, seconds))
        self.meanwhile()
        if self.down:
            raise SourceDown(self.down)
        return [(NOON, value) for value in self.found]


def test_an_answer_is_asked_for_once_in_a_while():
    """Each range and expression of its own; a failure as well, so that no page waits anew."""
    clock, source = HandClock(), Values(0.5)
    answers = ValueAnswers(clock)

    for _ in range(3):
        assert answers.asking(source, DAY, NOON).of("a").points[0].value == 0.5
    answers.asking(source, RANGES["7d"], NOON).of("a")
    assert [(asked[0], asked[3]) for asked in source.asked] == [("a", DAY.slot), ("a", HOUR / 2)]
    clock.pass_(FRESH)
    source.down = "it is gone"
    for _ in range(2):
        assert "it is gone." in answers.asking(source, DAY, NOON).of("a").why
    assert len(source.asked) == 3


def test_few_pages_wait_at_once():
    """The next is told so at once, and is drawn without."""
    answers, source, inside = ValueAnswers(HandClock()), Values(0.5), []

    def ask_inside():
        inside.append(answers.asking(source, DAY, NOON).of(f"inner {len(inside)}"))

    source.meanwhile = ask_inside
    answers.asking(source, DAY, NOON).of("a")
    assert len(source.asked) == AT_ONCE
    assert "others wait" in inside[0].why
    source.meanwhile = lambda: None
    assert answers.asking(source, DAY, NOON).of("b").points


def test_what_one_page_asks_shares_its_patience():
    """The second question has the time that the first one left; without any it is not asked."""
    clock, source = HandClock(), Values(0.5)
    asking = ValueAnswers(clock).asking(source, DAY, NOON)

    source.meanwhile = lambda: clock.pass_(timedelta(seconds=1.5))
    asking.of("a")
    asking.of("b")
    assert asking.of("c").points == ()
    assert [asked[4] for asked in source.asked] == [2.0, 0.5]


def test_an_empty_answer_and_nobody_to_ask_are_told():
    """In a sentence each."""
    answers = ValueAnswers(HandClock())

    assert "no values with the labels" in answers.asking(Values(), DAY, NOON).of("a").why
    assert answers.asking(None, DAY, NOON).of("a").why == UNSET


@pytest.fixture
def silent():
    """A peer that takes every question and answers none."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_silent_prometheus_holds_nothing_up(silent):
    """It is given up when the time is over."""
    began = monotonic()
    with pytest.raises(SourceDown):
        PrometheusValues(Upstream(silent)).values("a", NOON - HOUR, NOON, HOUR, seconds=0.3)

    assert monotonic() - began < 5


def answering(body):
    """A peer that gives one answer."""
    server = socket.create_server(("127.0.0.1", 0))

    def answer():
        with server, server.accept()[0] as connection:
            connection.recv(65536)
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)

    threading.Thread(target=answer).start()
    return PrometheusValues(Upstream(f"http://127.0.0.1:{server.getsockname()[1]}"))


def test_of_several_series_the_longest_is_read():
    """Without what is no number."""
    short = b'{"metric": {}, "values": [[1, "2"], [2, "NaN"], [3, "+Inf"]]}'
    long = b'{"metric": {}, "values": [[1, "1"], [2, "2.5"]]}'
    source = answering(b'{"data": {"result": [%s, %s]}}' % (short, long))

    found = source.values("a", NOON - HOUR, NOON, HOUR, seconds=5)
    assert [value for _, value in found] == [1.0, 2.5]


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b'{"data": {}}',
        b'{"data": {"result": [{"values": [["x", "1"]]}]}}',
        b'{"data": {"result": [{"values": 7}]}}',
        b'{"data": {"result": [{"values": [[1e300, "1"]]}]}}',
        b" " * 600_000,
    ],
)
def test_an_answer_that_is_not_prometheus_is_told_with_its_cure(body):
    """Whatever it is, also one that is far too large."""
    with pytest.raises(SourceDown):
        answering(body).values("a", NOON - HOUR, NOON, HOUR, seconds=5)
