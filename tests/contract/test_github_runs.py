"""Finding runs on GitHub by the dispatch's id, and following them to their end."""

from dataclasses import replace
from datetime import timedelta

import pytest

from receiver.core.dispatches import DispatchError, Failure
from receiver.core.runs import Absent, NotSeen, Run, RunState, RunStatus
from receiver.dispatchers.checks import check_github
from receiver.dispatchers.github import TokenPath
from tests.contract.github_setup import DISPATCH_ID, NOON, dispatch_to, dispatcher_with, token_file
from tests.peers.github import GithubPeer
from tests.peers.github_wire import (
    BAD_CREDENTIALS,
    CUT_BEFORE,
    TRICKLE,
    TRUNCATED,
    Behaviour,
    answering,
)

TITLE = f"retrain churn [{DISPATCH_ID}]"
PAGE = "https://github.example/acme/models/actions/runs"


@pytest.fixture
def peer():
    with GithubPeer(now=lambda: NOON) as peer:
        yield peer


@pytest.fixture
def dispatcher(tmp_path):
    return dispatcher_with(token_file(tmp_path), timeout=timedelta(seconds=5))


def failure(act, dispatch):
    with pytest.raises(DispatchError) as caught:
        act(dispatch)
    assert "peer-token" not in str(caught.value)
    return caught.value.failure


def test_a_run_is_found_by_the_id_in_its_title(peer, dispatcher):
    """Other runs of the workflow are not taken for ours, be they newer or older."""
    peer.start_run("retrain other [01kj3v8m0q0000000000000000]")
    peer.start_run(TITLE)
    peer.start_run("retrain churn []")

    found = dispatcher.find(dispatch_to(peer))

    assert found == Run(id="8002", url=f"{PAGE}/8002", shows_id=True)


def test_the_oldest_of_several_is_ours(peer, dispatcher):
    """Two runs with one id: the one that came first is followed."""
    peer.start_run(TITLE)
    peer.start_run(TITLE)

    assert dispatcher.find(dispatch_to(peer)).id == "8001"


@pytest.mark.parametrize("others", [1, 5])
def test_absence_is_shown_by_two_ways_of_asking(peer, dispatcher, others):
    """Both listings were read to their end, show others' runs and do not hold the id."""
    for _ in range(others):
        peer.start_run("retrain other")

    assert dispatcher.find(dispatch_to(peer)) == Absent()
    filtered, unfiltered = peer.requests("list")
    assert "event" in filtered.query
    assert unfiltered.query == {"per_page": "100", "page": "1"}


def test_an_empty_listing_proves_nothing(peer, dispatcher):
    """A workflow that ever showed an id of ours has runs: 0 of 0 is what a broken one says."""
    look = dispatcher.find(dispatch_to(peer))

    assert isinstance(look, NotSeen)
    assert "lists no run of retrain-model.yaml at all" in look.why


def test_a_run_that_the_filter_hides_is_found_without_it(peer, dispatcher):
    """GitHub's filtered listing has said 0 of 0 for days while runs existed."""
    peer.hides_filtered = True
    peer.start_run(TITLE)

    assert dispatcher.find(dispatch_to(peer)).id == "8001"


def test_two_ways_that_contradict_each_other_prove_nothing(peer, dispatcher):
    """What the filter hides is there without it: then ours may be hidden from both."""
    peer.hides_filtered = True
    peer.start_run("retrain other")
    peer.start_run("retrain old", created_at=NOON - timedelta(days=2))

    look = dispatcher.find(dispatch_to(peer))

    assert isinstance(look, NotSeen)
    assert "it hides 1 that it shows without the filter" in look.why


def test_a_filter_that_shows_nothing_because_nothing_is_there_is_believed(peer, dispatcher):
    """Older runs, and those of other events, are rightly not in it."""
    peer.start_run("retrain old", created_at=NOON - timedelta(days=2))
    peer.start_run("a push", event="push")

    assert dispatcher.find(dispatch_to(peer)) == Absent()


def test_the_listing_is_read_back_to_the_attempt_and_no_further(peer, dispatcher):
    """A workflow with years of runs costs one page more, not hundreds."""
    peer.largest_page = 2
    for days in (9, 8, 7, 6, 5):
        peer.start_run("retrain old", created_at=NOON - timedelta(days=days))
    peer.start_run("retrain other")

    assert dispatcher.find(dispatch_to(peer)) == Absent()
    assert [("event" in asked.query) for asked in peer.requests("list")] == [True, False]


def test_a_listing_that_cant_be_read_back_proves_nothing(peer, dispatcher):
    """More runs of other events than GitHub lets us read, or a page that comes short."""
    peer.largest_page = 2
    for _ in range(21):
        peer.start_run("a push", event="push")
    assert failure(dispatcher.find, dispatch_to(peer)) is Failure.UNKNOWN

    peer.largest_page = 100
    none = answering(200, {"total_count": 0, "workflow_runs": []})
    short = answering(200, {"total_count": 5, "workflow_runs": []})
    peer.answer_next(none, short, phase="list")
    assert failure(dispatcher.find, dispatch_to(peer)) is Failure.UNAVAILABLE


class Busy(GithubPeer):
    """Somebody else's run starts after each page."""

    def _list(self, asked):
        page = super()._list(asked)
        self.start_run("retrain other")
        return page


def test_a_run_that_starts_between_the_two_ways_is_no_contradiction(dispatcher):
    """The filter is asked again, and shows it then."""
    with Busy(now=lambda: NOON) as peer:
        assert dispatcher.find(dispatch_to(peer)) == Absent()


def test_a_workflow_without_run_name_hides_its_runs(peer, dispatcher):
    """The run is there and can be polled, but it does not show the id."""
    peer.run_name = False
    run = dispatcher.start(dispatch_to(peer))

    assert dispatcher.find(dispatch_to(peer)) == Absent()
    assert not dispatcher.poll(dispatch_to(peer, run_id=run.id)).shows_id


def test_a_listing_may_lag(peer, dispatcher):
    """A run that is not listed yet is found once it is."""
    peer.lists_new_runs = False
    dispatcher.start(dispatch_to(peer))

    assert isinstance(dispatcher.find(dispatch_to(peer)), NotSeen)
    peer.list_runs()
    assert dispatcher.find(dispatch_to(peer)).id == "8001"


@pytest.mark.parametrize(("count", "largest", "pages"), [(250, 100, 3), (200, 100, 2), (7, 3, 3)])
def test_every_page_is_read(peer, dispatcher, count, largest, pages):
    """Full pages, a last full page and pages shorter than asked: the oldest run is found."""
    peer.largest_page = largest
    peer.start_run(TITLE)
    for _ in range(count - 1):
        peer.start_run("retrain other")

    assert dispatcher.find(dispatch_to(peer)).id == "8001"
    assert [asked.query["page"] for asked in peer.requests("list")] == [
        str(page + 1) for page in range(pages)
    ]


def test_only_dispatched_runs_around_the_order_are_asked_for(peer, dispatcher):
    """The listing starts an hour early, for clocks differ; tags have no branch to filter by."""
    peer.start_run(TITLE, created_at=NOON - timedelta(minutes=59))
    peer.start_run(TITLE, created_at=NOON - timedelta(minutes=61))

    assert dispatcher.find(dispatch_to(peer)).id == "8001"
    [asked] = peer.requests("list")
    assert asked.query == {
        "event": "workflow_dispatch",
        "created": ">=2026-11-22T11:00:00Z",
        "per_page": "100",
        "page": "1",
    }


def test_a_listing_without_an_end_proves_nothing(peer, dispatcher):
    """GitHub lists 1,000 runs at most: not to be there is no absence."""
    peer.largest_page = 2
    for _ in range(21):
        peer.start_run("retrain other")

    assert failure(dispatcher.find, dispatch_to(peer)) is Failure.UNKNOWN
    assert len(peer.requests("list")) == 10


def test_a_run_that_was_found_counts_even_if_the_listing_is_incomplete(peer, dispatcher):
    """A run with our id exists, whatever else can't be read."""
    peer.largest_page = 2
    for _ in range(21):
        peer.start_run("retrain other")
    peer.start_run(TITLE)

    assert dispatcher.find(dispatch_to(peer)).id == "8022"


def test_a_page_that_misses_runs_proves_nothing(peer, dispatcher):
    """GitHub counts a run that it does not list: look again later."""
    peer.answer_next(
        answering(200, {"total_count": 1, "workflow_runs": []}),
        phase="list",
    )

    assert failure(dispatcher.find, dispatch_to(peer)) is Failure.UNAVAILABLE


class Moving(GithubPeer):
    """Starts a run of somebody else's after each of the first pages that are read."""

    def __init__(self, times):
        super().__init__(now=lambda: NOON)
        self.times = times

    def _list(self, asked):
        page = super()._list(asked)
        if self.times:
            self.times -= 1
            self.start_run("retrain other")
        return page


@pytest.mark.parametrize(("times", "proven"), [(1, True), (100, False)])
def test_runs_that_start_while_we_read_hide_nothing(dispatcher, times, proven):
    """They move the others from page to page: it is read anew, and proves nothing in between."""
    with Moving(times) as peer:
        peer.largest_page = 2
        for _ in range(4):
            peer.start_run("retrain other")

        if proven:
            assert dispatcher.find(dispatch_to(peer)) == Absent()
        else:
            assert failure(dispatcher.find, dispatch_to(peer)) is not Failure.REFUSED


class NeverAtRest(GithubPeer):
    """Starts a run of somebody else's whenever a first page was read: it is never at rest."""

    def _list(self, asked):
        page = super()._list(asked)
        if asked.query["page"] == "1":
            self.start_run("retrain other")
        return page


def test_where_runs_start_all_the_time_absence_can_be_proven(dispatcher):
    """What starts while we read comes first, and moves what was there to pages still to come."""
    with NeverAtRest(now=lambda: NOON) as peer:
        peer.largest_page = 2
        for _ in range(4):
            peer.start_run("retrain other")

        assert dispatcher.find(dispatch_to(peer)) == Absent()


class Shrinking(GithubPeer):
    """Deletes the newest run after the first page was read: another goes from page 2 to page 1."""

    def _list(self, asked):
        page = super()._list(asked)
        if asked.query["page"] == "1":
            self.runs.pop()
        return page


def test_where_runs_are_deleted_all_the_time_nothing_is_proven(dispatcher):
    """One of those that move to a page that was read already may be the one we look for."""
    with Shrinking(now=lambda: NOON) as peer:
        peer.largest_page = 2
        for _ in range(9):
            peer.start_run("retrain other")

        assert failure(dispatcher.find, dispatch_to(peer)) is Failure.UNAVAILABLE


@pytest.mark.parametrize(
    ("behaviour", "meaning", "reads"),
    [
        (BAD_CREDENTIALS, Failure.REFUSED, 2),
        (answering(403), Failure.REFUSED, 1),
        (answering(404), Failure.REFUSED, 1),
        (answering(429, headers={"Retry-After": "5"}), Failure.UNAVAILABLE, 1),
        (answering(403, headers={"Retry-After": "5"}), Failure.UNAVAILABLE, 1),
        (answering(422), Failure.UNAVAILABLE, 1),
        (answering(202, {}), Failure.UNAVAILABLE, 1),
        (answering(204, b""), Failure.UNAVAILABLE, 1),
        (
            answering(301, headers={"Location": "/repositories/1"}),
            Failure.UNAVAILABLE,
            2,
        ),  # its name now
        (answering(302, headers={"Location": "/login"}), Failure.UNAVAILABLE, 1),
        (answering(200, b"<html>"), Failure.UNAVAILABLE, 1),
        (answering(200, {}), Failure.UNAVAILABLE, 1),
        (answering(200, {"total_count": 1, "workflow_runs": [{}]}), Failure.UNAVAILABLE, 1),
        (answering(200, {"total_count": "0", "workflow_runs": []}), Failure.UNAVAILABLE, 1),
        (answering(500), Failure.UNAVAILABLE, 3),
        (CUT_BEFORE, Failure.UNAVAILABLE, 3),
        (TRUNCATED, Failure.UNAVAILABLE, 3),
    ],
    ids=lambda value: f"{value.status}-{value.then}" if isinstance(value, Behaviour) else None,
)
def test_a_failed_look_is_no_absence(peer, dispatcher, behaviour, meaning, reads):
    """Anything but a clean listing is an error; only the network and a 5xx are tried again."""
    peer.answer_always(behaviour, phase="list")

    assert failure(dispatcher.find, dispatch_to(peer)) is meaning
    assert len(peer.asked) == reads


def test_a_look_survives_a_short_disturbance(peer, dispatcher):
    """One cut and one 5xx are not worth an error: reads may be repeated."""
    peer.start_run(TITLE)
    peer.answer_next(CUT_BEFORE, answering(502), phase="list")

    assert dispatcher.find(dispatch_to(peer)).id == "8001"


def test_a_look_ends_although_the_answer_does_not(peer, tmp_path):
    """Byte after byte without an end is an error like silence."""
    dispatcher = dispatcher_with(token_file(tmp_path), timeout=timedelta(milliseconds=200))
    peer.start_run(TITLE)
    peer.answer_always(TRICKLE, phase="list")

    assert failure(dispatcher.find, dispatch_to(peer)) is Failure.UNAVAILABLE
    assert not peer.released.is_set()


@pytest.mark.parametrize(
    ("conclusion", "state"),
    [
        ("success", RunState.SUCCEEDED),
        ("neutral", RunState.SUCCEEDED),
        ("cancelled", RunState.CANCELLED),
        ("skipped", RunState.CANCELLED),
        ("stale", RunState.CANCELLED),
        ("failure", RunState.FAILED),
        ("timed_out", RunState.FAILED),
        ("action_required", RunState.FAILED),
        ("startup_failure", RunState.FAILED),
        ("a word of next year", RunState.FAILED),
    ],
)
def test_every_conclusion_has_its_meaning(peer, dispatcher, conclusion, state):
    """A word that we do not know is no success."""
    run = dispatcher.start(dispatch_to(peer))
    peer.finish(run.id, conclusion)

    status = dispatcher.poll(dispatch_to(peer, run_id=run.id))

    assert status.state is state
    assert status.detail.replace("'", "") == f"completed/{conclusion}"
    assert status.url == f"{PAGE}/8001"
    assert status.shows_id


@pytest.mark.parametrize(("said", "attempt"), [(2, 2), (None, None), ("2", None), (True, None)])
def test_which_attempt_of_a_run_is_shown_is_told_if_it_is_a_number(
    peer, dispatcher, said, attempt
):
    """A server that counts none, or oddly, is believed as before."""
    body = {"status": "completed", "conclusion": "success", "run_attempt": said}
    peer.answer_next(answering(200, body), phase="poll")

    assert dispatcher.poll(dispatch_to(peer, run_id="7")).attempt == attempt


@pytest.mark.parametrize(
    "status", ["queued", "in_progress", "waiting", "requested", "pending", "completed"]
)
def test_a_run_without_a_conclusion_is_running(peer, dispatcher, status):
    """Whatever it waits for; also in the moment in which it is completed without a conclusion."""
    run = dispatcher.start(dispatch_to(peer))
    peer.runs[0].status = status

    told = dispatcher.poll(dispatch_to(peer, run_id=run.id))

    assert replace(told, note="") == RunStatus(
        RunState.RUNNING, status, f"{PAGE}/8001", shows_id=True, attempt=1
    )
    assert bool(told.note) is (status == "waiting")


@pytest.mark.parametrize(
    ("behaviour", "note"),
    [
        (Behaviour(accept=True), "waits for an approval of environment production at GitHub"),
        (answering(200, []), "waits for an approval at GitHub"),
        (answering(200, b"<html>"), "waits for an approval at GitHub"),
        (answering(200, [{"environment": 5}, 6]), "waits for an approval at GitHub"),
        (answering(403), "waits for an approval at GitHub"),
        (CUT_BEFORE, "waits for an approval at GitHub"),
    ],
    ids=["told", "none", "html", "odd", "forbidden", "cut"],
)
def test_a_run_that_waits_for_an_approval_says_so(peer, dispatcher, behaviour, note):
    """Which environment only if GitHub tells; that it waits in any case."""
    run = dispatcher.start(dispatch_to(peer))
    peer.runs[0].status = "waiting"
    peer.environments = ["production"]
    peer.answer_always(behaviour, phase="pending")

    assert dispatcher.poll(dispatch_to(peer, run_id=run.id)).note == note


@pytest.mark.parametrize(
    "behaviour",
    [answering(404), answering(403), answering(500), answering(200, b"<html>"), CUT_BEFORE],
    ids=["404", "403", "500", "html", "cut"],
)
def test_a_404_counts_only_while_the_repository_answers(peer, dispatcher, behaviour):
    """Access that was lost, or an outage, answers 404 about every run."""
    peer.answer_always(behaviour, phase="repository")

    error = failure(dispatcher.poll, dispatch_to(peer, run_id="7"))

    assert error in {Failure.REFUSED, Failure.UNAVAILABLE}


def test_a_run_that_github_forgot_is_gone(peer, dispatcher):
    """A 404 is an answer; the address that we knew stays with it."""
    dispatch = dispatch_to(peer, run_id="7", run_url="https://github.example/7")

    status = dispatcher.poll(dispatch)

    assert status == RunStatus(RunState.GONE, "not found", "https://github.example/7")


@pytest.mark.parametrize(
    ("behaviour", "meaning"),
    [
        (BAD_CREDENTIALS, Failure.REFUSED),
        (answering(403), Failure.REFUSED),
        (answering(429), Failure.UNAVAILABLE),
        (answering(301, headers={"Location": "/repositories/1"}), Failure.UNAVAILABLE),
        (answering(200, b"<html>"), Failure.UNAVAILABLE),
        (answering(200, {"status": 5}), Failure.UNAVAILABLE),
        (answering(503), Failure.UNAVAILABLE),
        (CUT_BEFORE, Failure.UNAVAILABLE),
    ],
    ids=lambda value: f"{value.status}-{value.then}" if isinstance(value, Behaviour) else None,
)
def test_a_failed_poll_says_nothing_about_the_run(peer, dispatcher, behaviour, meaning):
    """An error is no end of a run."""
    run = dispatcher.start(dispatch_to(peer))
    peer.answer_always(behaviour, phase="poll")

    assert failure(dispatcher.poll, dispatch_to(peer, run_id=run.id)) is meaning


NEW_NAME = "write `repository: acme/ml-models`"


def test_a_renamed_repository_is_told_by_its_new_name(peer, dispatcher):
    """At dispatch, look-up, poll and report, with GitHub's own words and the cure."""
    peer.renamed_to = "acme/ml-models"
    dispatch = dispatch_to(peer, run_id="7")

    for act in (dispatcher.start, dispatcher.find, dispatcher.poll, dispatcher.read_report):
        with pytest.raises(DispatchError) as caught:
            act(dispatch)
        assert NEW_NAME in str(caught.value)
        assert "'Moved Permanently'" in str(caught.value)
    assert failure(dispatcher.start, dispatch) is Failure.UNKNOWN
    assert failure(dispatcher.poll, dispatch) is Failure.UNAVAILABLE


def test_doctor_tells_a_renamed_repository(peer, tmp_path):
    """Before a run is ordered for nothing."""
    peer.renamed_to = "acme/ml-models"

    with pytest.raises(DispatchError, match=NEW_NAME):
        check_github(peer.place, TokenPath(token_file(tmp_path)), None)


@pytest.mark.parametrize(
    "behaviour",
    [answering(404), answering(200, {"full_name": "a b/<c>"}), answering(200, []), CUT_BEFORE],
    ids=["404", "odd name", "no name", "cut"],
)
def test_a_repository_that_moved_out_of_sight_is_told_all_the_same(peer, dispatcher, behaviour):
    """Its new name may be none of our business; that it moved explains what fails."""
    peer.renamed_to = "other/models"
    peer.answer_always(behaviour, phase="number")

    with pytest.raises(DispatchError, match=r"renamed or moved \(its number is 7\)"):
        dispatcher.poll(dispatch_to(peer, run_id="7"))


def test_where_a_redirect_points_to_is_never_asked(peer, dispatcher):
    """Only the number is taken from it: the token is for the configured address."""
    elsewhere = {"Location": "https://evil.example/repositories/7/actions"}
    peer.answer_always(answering(301, headers=elsewhere), phase="poll")

    with pytest.raises(DispatchError, match="write `repository: acme/models`"):
        dispatcher.poll(dispatch_to(peer, run_id="7"))

    assert [asked.path for asked in peer.requests("number")] == ["/repositories/7"]
