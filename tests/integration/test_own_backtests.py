"""The button of the page: a backtest of our own log in a child process, one at a time."""

import base64
import hashlib
import os
import pickle
import re
import signal
import sqlite3
import subprocess
import sys
from datetime import timedelta
from http import HTTPStatus

import pytest

from receiver.backtest.histories import BadHistory
from receiver.backtest.log_history import history_in_store
from receiver.core.runs import RunState
from receiver.web.backtests import Backtests
from receiver.web.problems import Problem
from tests.examples import alert, policy_set, resolved
from tests.fakes import NOON, HandClock
from tests.page.test_pages import Tags
from tests.serving import host
from tests.waiting import eventually

HOUR = timedelta(hours=1)
OURS = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
PATIENCE = 120
"""Seconds: a child of ours that has not ended by then never will."""


@pytest.fixture
def page(history, tmp_path):
    """The receiver's pages over the history's store."""
    with host(history, tmp_path) as served:
        yield served


def live_through(history):
    """Three models that are retrained, in vain or not."""
    for number in range(3):
        name = f"m{number}"
        history.deliver(alert(name))
        history.run_to_its_end(RunState.SUCCEEDED)
        history.clock.pass_((1 + number) * HOUR)
        history.deliver(resolved(name, ends_at=history.now()))
        history.clock.pass_(20 * HOUR)


def press(page, **more):
    return page.post("/ui/backtest", b"", headers=OURS, **more)


def ended(page):
    """How the backtest ended."""
    backtests = page.service.backtests
    eventually(lambda: backtests.seen().running_since is None, within=PATIENCE)
    return backtests.seen()


def test_the_log_is_backtested(history, page):
    """On both engines: the button, the page that says what was found, and the report."""
    live_through(history)

    pressed = press(page)

    assert pressed.status == 303
    assert pressed.headers["location"] == "/ui/policies#backtest"
    found = ended(page)
    assert found.last is not None
    assert found.last.problem == ""
    text = page.get("/ui/policies").text
    assert "3 models, 3 times that one got bad" in text
    assert '<a href="/ui/backtest" data-open>The report</a>' in text
    report = page.get("/ui/backtest")
    assert report.status == 200
    assert report.text.count("<svg") >= 3
    assert all(name in report.text for name in ("the policies in force", "cooldown 24h", "m2"))


def test_the_report_obeys_our_rules(history, page):
    """Served under a policy that allows its own style by its hash, and nothing else."""
    live_through(history)
    press(page)
    ended(page)

    report = page.get("/ui/backtest")

    rules = report.headers["content-security-policy"]
    (style,) = re.findall("<style>(.*?)</style>", report.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert rules.startswith(f"default-src 'none'; style-src 'sha256-{digest}'; ")
    assert rules.endswith("frame-ancestors 'none'; sandbox")
    for tag, attributes in Tags(report.text).found:
        assert tag not in {"script", "link", "img", "iframe", "form", "a"}
        assert not {name for name in attributes if name == "style" or name.startswith("on")}


def test_nothing_of_it_is_stored(sqlite_url, history, page):
    """The database holds the same before and after."""
    if not history.store.url.startswith("sqlite"):
        pytest.skip("what is compared is the file's content")
    live_through(history)
    path = history.store.url.removeprefix("sqlite:///")
    before = dump(path)

    press(page)

    assert ended(page).last.problem == ""
    assert dump(path) == before


def dump(path):
    with sqlite3.connect(path) as db:
        return list(db.iterdump())


@pytest.mark.parametrize(
    ("fires", "told"),
    [
        ((), "the log has no decisions; look at `retention.decisions`, or wait"),
        ((alert(name="Other"),), "none of its alerts matches a policy: they are Other"),
    ],
)
def test_a_log_that_tells_nothing(history, page, fires, told):
    """The page says why, and there is no report."""
    for one in fires:
        history.deliver(one)
        history.clock.pass_(HOUR)

    press(page)

    assert told in ended(page).last.problem
    assert told in page.get("/ui/policies").text.replace("&#39;", "'")
    missing = page.get("/ui/backtest", headers={"Accept": "text/html"})
    assert missing.status == HTTPStatus.NOT_FOUND
    assert "this process keeps no report" in missing.text


def test_what_is_read_of_the_log_is_bounded(history):
    """The newest decisions tell; that older ones were left out is said."""
    live_through(history)

    whole = history_in_store(history.store, NOON - HOUR)
    newest = history_in_store(history.store, NOON - HOUR, most=2)

    assert len(whole.alerts) == 3
    assert [one.labels["user_id"] for one in newest.alerts] == ["m2"]
    assert any("only the newest 2 decisions" in note for note in newest.notes)
    assert not any("newest" in note for note in whole.notes)
    with pytest.raises(BadHistory):
        history_in_store(history.store, history.now(), most=2)


def test_it_is_refused_across_origins(page):
    """As every other act of the page; and what it does not know."""
    foreign = page.post("/ui/backtest", b"", headers={**OURS, "Sec-Fetch-Site": "cross-site"})
    more = page.post("/ui/backtest", b"draws=1000000", headers=OURS)

    assert foreign.status == HTTPStatus.FORBIDDEN
    assert more.status == HTTPStatus.BAD_REQUEST
    assert page.service.backtests.seen().running_since is None
    assert page.service.backtests.seen().last is None


# ---- the child process, whatever becomes of it

FOUND = """{"found": {"style": "sha256-x"}}"""

WAITS = """\
import pickle, sys
pickle.load(sys.stdin.buffer)
print('{"doing": "waiting"}', file=sys.stderr, flush=True)
sys.stdin.buffer.read()
"""

ENDS = f"""\
import pickle, sys
pickle.load(sys.stdin.buffer)
print("<p>the report</p>", flush=True)
print('{FOUND}', file=sys.stderr)
"""


@pytest.fixture
def backtests(request):
    """Backtests whose child is a script of the test's."""
    made = []

    def make(script, **more):
        made.append(Backtests((sys.executable, "-c", script), **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


def begin(backtests):
    return backtests.begin("sqlite:///none.db", policy_set(), HandClock())


def over(backtests):
    eventually(lambda: backtests.seen().running_since is None, within=PATIENCE)
    return backtests.seen()


def test_a_second_click_begins_no_second(backtests):
    """One at a time; the page says since when, and what it does."""
    one = backtests(WAITS)

    assert begin(one)
    first = one._child
    eventually(lambda: one.seen().doing == "waiting")
    assert not begin(one)

    assert one._child is first
    assert one.seen().running_since == NOON


def test_a_killed_child_is_told_and_the_report_before_it_stays(backtests):
    """Whoever kills it: the next one can begin at once."""
    one = backtests(ENDS)
    begin(one)
    over(one)
    one._command = (sys.executable, "-c", WAITS)
    begin(one)

    os.kill(one._child.pid, signal.SIGKILL)

    seen = over(one)
    assert "its process was killed (SIGKILL): export the log" in seen.last.problem
    assert one.report() == (b"<p>the report</p>\n", "sha256-x")
    assert begin(one)


def test_only_the_last_report_is_kept(backtests):
    """The one before it is gone with its file."""
    one = backtests(ENDS)
    begin(one)
    first = over(one).reported
    begin(one)
    second = over(one).reported

    assert first.report.closed
    assert not second.report.closed
    one.close()
    assert second.report.closed
    assert one.report() is None


def test_one_that_takes_too_long_is_ended(backtests):
    """Its time is bounded."""
    one = backtests(WAITS, longest=timedelta(seconds=0.2))

    begin(one)

    assert over(one).last.problem.startswith("its process was killed (SIGKILL)")


def test_one_that_fails_is_told_with_what_the_log_says(backtests, capsys):
    """The page says that it failed; the log has the child's last words."""
    one = backtests("import pickle, sys; pickle.load(sys.stdin.buffer); raise ValueError('why')")

    begin(one)

    assert "failed with exit status 1: our log says more" in over(one).last.problem
    assert "ValueError: why" in capsys.readouterr().out


class StillBorn(Backtests):
    """Its children are dead before anything is written to them."""

    def _start(self):
        child, report = super()._start()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        return child, report


def test_one_that_dies_before_it_hears_anything_is_told():
    """What was not written to it harms nobody: the next one can begin."""
    one = StillBorn((sys.executable, "-c", "raise SystemExit(3)"))

    for _ in range(2):
        assert begin(one)
        assert "failed with exit status 3" in over(one).last.problem
    one.close()


def test_the_end_of_the_receiver_ends_the_child(backtests):
    """When it is asked to end; and none begins any more."""
    one = backtests(WAITS)
    begin(one)
    child = one._child

    one.close()

    assert child.returncode == -signal.SIGKILL
    with pytest.raises(Problem, match="about to end"):
        begin(one)


def test_no_program_is_a_problem(backtests):
    """Nothing runs, and it can be tried again."""
    one = Backtests(("/none",))

    with pytest.raises(Problem, match="can't be started \\(No such file"):
        begin(one)

    assert one.seen().running_since is None


OURS_THAT_WAITS = """\
import sys, threading
from receiver.backtest import own_log
own_log.found_in = lambda *_: threading.Event().wait()
sys.exit(own_log.main())
"""


def test_a_receiver_that_is_killed_takes_the_child_with_it():
    """Standard input ends then, whatever the child is doing."""
    child = subprocess.Popen([sys.executable, "-c", OURS_THAT_WAITS], stdin=subprocess.PIPE)
    try:
        pickle.dump({"url": "", "policy_set": policy_set(), "now": NOON}, child.stdin)
        child.stdin.flush()
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.5)

        child.stdin.close()

        assert child.wait(PATIENCE) == 1
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize(
    ("too_much", "told"),
    [
        ("'x' * (256 * 2**20)", "it needs more than 128 MiB: export the log"),
        ("'x' * (17 * 2**20)", "the report can't be written (File too large): export the log"),
    ],
)
def test_what_it_takes_is_bounded(backtests, too_much, told):
    """Memory, and the report's length: told in a sentence."""
    one = backtests(
        "import sys\n"
        "from receiver.backtest import own_log\n"
        "own_log.found_in = lambda *_: None\n"
        f"own_log.report = lambda *_: {too_much}\n"
        "sys.exit(own_log.main())\n"
    )

    begin(one)

    assert told in over(one).last.problem
