"""The REST dispatcher against a peer that speaks KFP's protocol and fails on demand."""

import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier, Thread
from time import monotonic
from uuid import NAMESPACE_OID, uuid5

import kfp_server_api
import pytest
import yaml

from receiver.core.dispatches import Dispatch, DispatchError, DispatchState, Failure
from receiver.core.runs import Run, RunState
from receiver.core.targets import TargetKind
from receiver.dispatchers.kfp import KfpDispatcher
from receiver.dispatchers.kfp_client import KfpClient
from tests.peers.kfp import Fault, KfpPeer

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
DISPATCH_ID = "01jd9xk3v0q8z5m7n2b4c6d8fg"
TINY = Path(__file__).parent.parent / "pipelines" / "tiny.yaml"
SPEC = yaml.safe_load(TINY.read_text())
LOGIN = b"<html><title>Log in to Your Account</title></html>"


@pytest.fixture
def peer() -> Iterator[KfpPeer]:
    with KfpPeer() as server:
        yield server


def dispatcher(timeout=10.0, **settings):
    return KfpDispatcher(
        token_file=settings.get("token_file"),
        ca_file=settings.get("ca_file"),
        lookup_window=timedelta(minutes=3),
        run_timeout=timedelta(hours=24),
        timeout=timedelta(seconds=timeout),
    )


def order(url, **changes):
    """A dispatch to this endpoint, about to make its first attempt."""
    place = {"endpoint": url, "pipeline": str(TINY), **changes.pop("place", {})}
    dispatch = Dispatch(
        id=DISPATCH_ID,
        decision_id=1,
        model="churn",
        policy="model-quality",
        target="retrain-pipeline",
        kind=TargetKind.KFP,
        place=place,
        inputs={"word": "churn", "number": 0.25},
        state=DispatchState.SENDING,
        attempt=1,
        created_at=NOON,
        cooldown=timedelta(hours=6),
        settle=timedelta(hours=1),
        due_at=NOON,
    )
    return replace(dispatch, **changes)


def run_of(attempt):
    return str(uuid5(NAMESPACE_OID, f"{DISPATCH_ID}:{attempt}"))


def failure_of(act, dispatch):
    """The `DispatchError` that this call ends with."""
    with pytest.raises(DispatchError) as caught:
        act(dispatch)
    return caught.value


def test_one_post_starts_a_run_that_can_be_found_by_the_dispatch(peer):
    """Id, name and description carry the dispatch; parameters have the declared types."""
    run = dispatcher().start(order(peer.url))

    assert run == Run(run_of(1), None, shows_id=True)
    assert peer.starts == 1
    assert len(peer.seen) == 1
    sent = peer.runs[run_of(1)]
    assert sent["display_name"] == f"retrain churn [{DISPATCH_ID}]"
    assert f"dispatch {DISPATCH_ID}, attempt 1" in sent["description"]
    assert sent["pipeline_spec"] == SPEC
    assert sent["runtime_config"] == {
        "parameters": {"word": "churn", "number": 0.25, "dispatch_id": DISPATCH_ID}
    }
    assert "experiment_id" not in sent
    assert "service_account" not in sent


def test_dispatch_id_is_a_parameter_only_where_it_is_declared(peer):
    """KFP refuses a parameter that the pipeline does not declare."""
    spec = {"root": {"inputDefinitions": {"parameters": {"word": {"parameterType": "STRING"}}}}}
    peer.upload("plain", spec)

    dispatcher().start(order(peer.url, place={"pipeline": "plain"}, inputs={"word": "a"}))

    assert peer.runs[run_of(1)]["runtime_config"] == {"parameters": {"word": "a"}}


def test_an_uploaded_pipeline_is_run_in_its_newest_version(peer):
    """A version uploaded between two dispatches is used by the second."""
    peer.upload("retrain churn/v2", SPEC)
    one = dispatcher()
    place = {"pipeline": "retrain churn/v2", "service_account": "trainer"}
    one.start(order(peer.url, place=place))
    newest = peer.upload("retrain churn/v2", SPEC)

    one.start(order(peer.url, place=place, attempt=2))

    sent = peer.runs[run_of(2)]
    assert sent["pipeline_version_reference"]["pipeline_version_id"] == newest
    assert sent["runtime_config"]["parameters"]["dispatch_id"] == DISPATCH_ID
    assert sent["service_account"] == "trainer"
    assert "pipeline_spec" not in sent


def test_a_profile_may_use_a_shared_pipeline():
    """In multi-user mode shared pipelines live outside the namespace; everything else in it."""
    with KfpPeer(multi_user=True) as peer:
        peer.upload("shared", SPEC)
        place = {"pipeline": "shared", "namespace": "team-a", "ui_url": "https://kf.example/"}

        run = dispatcher().start(order(peer.url, place=place))

        assert run.url == f"https://kf.example/_/pipeline/?ns=team-a#/runs/details/{run.id}"
        experiment = peer.experiments[peer.runs[run_of(1)]["experiment_id"]]
        assert (experiment["display_name"], experiment["namespace"]) == ("Default", "team-a")


def test_the_page_of_a_run_in_a_standalone_kfp(peer):
    """The link is made from `ui_url`, never guessed from the API's address."""
    run = dispatcher().start(order(peer.url, place={"ui_url": "https://kfp.example/ui"}))

    assert run.url == f"https://kfp.example/ui/#/runs/details/{run_of(1)}"


def test_an_experiment_is_found_by_its_name_and_remembered(peer):
    """The second dispatch needs one request; another experiment's name is looked up anew."""
    known = peer.add_experiment("drift-retraining")
    peer.add_experiment("other")
    one = dispatcher()
    place = {"experiment": "drift-retraining"}
    one.start(order(peer.url, place=place))
    asked = len(peer.seen)

    one.start(order(peer.url, place=place, attempt=2))

    assert len(peer.seen) == asked + 1
    assert {run["experiment_id"] for run in peer.runs.values()} == {known}
    one.start(order(peer.url, place={"experiment": "other"}, attempt=3))
    assert peer.runs[run_of(3)]["experiment_id"] != known


def test_two_receivers_make_one_experiment(peer):
    """Both saw that it is missing; the one that comes too late takes the other's."""
    both_saw = Barrier(2)
    nothing = Fault(change={"experiments": []}, act=both_saw.wait)
    peer.answer_next(nothing, to="list_experiments", times=2)
    place = {"experiment": "drift-retraining"}
    racers = [
        Thread(target=dispatcher().start, args=[order(peer.url, place=place, attempt=number)])
        for number in (1, 2)
    ]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()

    assert len(peer.experiments) == 1
    assert {run["experiment_id"] for run in peer.runs.values()} == set(peer.experiments)
    assert peer.starts == 2


def test_a_remembered_experiment_that_is_gone_is_looked_up_once_more(peer):
    """KFP's 404 proves that nothing ran, so this one attempt may ask a second time."""
    one, place = dispatcher(), {"experiment": "drift-retraining"}
    one.start(order(peer.url, place=place))
    peer.experiments.clear()

    run = one.start(order(peer.url, place=place, attempt=2))

    assert run.id == run_of(2)
    assert peer.starts == 3
    assert peer.runs[run_of(2)]["experiment_id"] in peer.experiments


def test_a_404_without_a_remembered_id_is_not_asked_again(peer):
    """Only an id of ours can be out of date."""
    peer.answer_next(Fault(404), times=2)

    error = failure_of(dispatcher().start, order(peer.url))

    assert error.failure is Failure.REFUSED
    assert peer.starts == 1


@pytest.mark.parametrize(
    ("fault", "failure"),
    [
        *[(Fault(status), Failure.REFUSED) for status in (400, 403, 404, 409, 410, 413, 422)],
        (Fault(429), Failure.UNAVAILABLE),
        *[(Fault(status), Failure.UNKNOWN) for status in (408, 418, 500, 502, 503, 504)],
        (Fault(500, accept=True), Failure.UNKNOWN),
        (Fault(503, accept=True), Failure.UNKNOWN),
        (Fault(), Failure.UNKNOWN),
        (Fault(accept=True), Failure.UNKNOWN),
        (Fault(200, body=LOGIN, headers={"Content-Type": "text/html"}), Failure.UNKNOWN),
        (Fault(200, body=b"{}", accept=True), Failure.UNKNOWN),
        (Fault(200, body=b"[]"), Failure.UNKNOWN),
        (Fault(200, body=b'{"run_id": '), Failure.UNKNOWN),
        (Fault(201, body=b"", accept=True), Failure.UNKNOWN),
        (Fault(change={"run_id": None}), Failure.UNKNOWN),
        (Fault(change={"run_id": "another", "display_name": "another"}), Failure.UNKNOWN),
        (Fault(200, headers={"Content-Length": "9999"}, accept=True), Failure.UNKNOWN),
    ],
    ids=lambda value: str(value) if isinstance(value, Failure) else None,
)
def test_a_bad_answer_is_translated_and_not_repeated(peer, fault, failure):
    """Each answer gets its meaning, and only the outbox may ask again."""
    peer.answer_next(fault)

    error = failure_of(dispatcher().start, order(peer.url))

    assert error.failure is failure
    assert peer.starts == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(peer, status):
    """A login page or a moved server may have taken the POST; neither is asked again."""
    peer.answer_next(Fault(status, headers={"Location": f"{peer.url}/dex/auth"}))

    error = failure_of(dispatcher().start, order(peer.url))

    assert error.failure is Failure.UNKNOWN
    assert len(peer.seen) == 1
    assert "login" in str(error)


def test_a_server_that_numbers_runs_itself_has_said_yes(peer):
    """The echoed name carries the dispatch's id: the run is ours, and is found again by it."""
    peer.ignores_ids = True
    one = dispatcher()

    run = one.start(order(peer.url))

    assert run.id in peer.runs
    assert run.id != run_of(1)
    assert one.find(order(peer.url, in_doubt=(1,))) == run


def test_a_hanging_server_is_left_after_the_time_limit(peer):
    """Also a limit that is no integer holds, and before the server answers."""
    peer.hang(accept=True)
    began = monotonic()

    error = failure_of(dispatcher(timeout=0.3).start, order(peer.url))

    assert error.failure is Failure.UNKNOWN
    assert monotonic() - began >= 0.3
    assert not peer.released.is_set()
    assert peer.starts == 1


def test_an_answer_that_drips_is_left_after_the_time_limit():
    """Each byte comes in time and the whole never: the limit is for the whole answer."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        drips = Thread(target=_drip, args=[listener, head])
        drips.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"

        error = failure_of(dispatcher(timeout=0.3).start, order(url))

        assert error.failure is Failure.UNKNOWN
        drips.join()


def test_several_requests_share_one_limit(peer):
    """A slow server cannot add up its answers; what was not asked did not start."""
    settings = kfp_server_api.Configuration(host=peer.url)
    client = KfpClient(settings, None, timedelta(seconds=10), together=timedelta(0))

    error = failure_of(kfp_server_api.RunServiceApi(client).run_service_get_run, "a")

    assert error.failure is Failure.UNAVAILABLE
    assert peer.seen == []


def _drip(listener, head):
    """Send a byte whenever the other side took the last one, until it leaves."""
    connection, _ = listener.accept()
    with connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        try:
            connection.sendall(head)
            while True:
                connection.sendall(b" ")
        except OSError:
            return


def test_what_was_never_sent_is_unavailable():
    """Nobody listens, the name is unknown, the certificate is not trusted: nothing can run."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]

    for url in (f"http://127.0.0.1:{port}", f"https://127.0.0.1:{port}", "http://kfp.invalid"):
        error = failure_of(dispatcher().start, order(url))
        assert error.failure is Failure.UNAVAILABLE, url
        assert error.status_code is None


def test_a_server_that_speaks_no_tls_was_told_nothing(peer):
    """The handshake failed, so the order did not leave us."""
    url = peer.url.replace("http:", "https:")

    error = failure_of(dispatcher().start, order(url))

    assert error.failure is Failure.UNAVAILABLE
    assert peer.seen == []


def test_a_missing_certificate_file_is_named(peer, tmp_path):
    """The cure is in the sentence."""
    url = peer.url.replace("http:", "https:")

    error = failure_of(dispatcher(ca_file=tmp_path / "ca.pem").start, order(url))

    assert error.failure is Failure.UNAVAILABLE
    assert "ca.pem" in str(error)


def test_a_server_may_say_when_to_come_back(peer):
    """A wait is taken over as it stands, but a stranger's header cannot hold us for ever."""
    for said, wait in (("7", 7), ("99999999", 3600)):
        peer.answer_next(Fault(429, headers={"Retry-After": said}))
        error = failure_of(dispatcher().start, order(peer.url))
        assert error.retry_after == timedelta(seconds=wait)

    peer.answer_next(Fault(429, headers={"Retry-After": "soon"}))
    assert failure_of(dispatcher().start, order(peer.url)).retry_after is None


@pytest.mark.parametrize(
    ("operation", "place"),
    [
        ("list_experiments", {"experiment": "drift-retraining"}),
        ("create_experiment", {"experiment": "drift-retraining"}),
        ("get_pipeline", {"pipeline": "uploaded"}),
        ("list_versions", {"pipeline": "uploaded"}),
    ],
)
@pytest.mark.parametrize(
    ("fault", "failure"),
    [
        (Fault(), Failure.UNAVAILABLE),
        (Fault(500), Failure.UNAVAILABLE),
        (Fault(302, headers={"Location": "https://kf.example/dex"}), Failure.UNAVAILABLE),
        (Fault(200, body=LOGIN), Failure.UNAVAILABLE),
        (Fault(400), Failure.REFUSED),
        (Fault(403), Failure.REFUSED),
    ],
)
def test_what_fails_before_the_post_started_nothing(peer, operation, place, fault, failure):
    """Whatever a look-up ends with, no run is in doubt, for none was asked for."""
    peer.upload("uploaded", SPEC)
    peer.answer_next(fault, to=operation)

    error = failure_of(dispatcher().start, order(peer.url, place=place))

    assert error.failure is failure
    assert peer.starts == 0


def test_each_refusal_says_what_to_mend(peer):
    """401, 403 and a missing pipeline name their cure."""
    peer.answer_next(Fault(401))
    assert "pipelines.kubeflow.org" in str(failure_of(dispatcher().start, order(peer.url)))
    peer.answer_next(Fault(403))
    assert "kubeflow-pipelines-edit" in str(failure_of(dispatcher().start, order(peer.url)))
    missing = order(peer.url, place={"pipeline": "not-uploaded"})
    assert "'not-uploaded'" in str(failure_of(dispatcher().start, missing))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"inputs": {"word": "a[[RunUUID]]", "number": 1.0}}, "'word' holds '[['"),
        ({"inputs": {"word": "a", "wrod": "b"}}, "does not declare 'wrod'"),
        ({"inputs": {"number": 1.0}}, "needs 'word'"),
        ({"inputs": {"word": "a", "number": "many"}}, "'number' is NUMBER_DOUBLE"),
        ({"place": {"pipeline": "/nowhere/retrain.yaml"}}, "/nowhere/retrain.yaml"),
        ({"place": {"pipeline": __file__}}, __file__),
    ],
)
def test_what_kfp_would_refuse_is_not_sent(peer, changes, named):
    """A wrong parameter or package is refused with its name, before anything leaves us."""
    error = failure_of(dispatcher().start, order(peer.url, **changes))

    assert error.failure is Failure.REFUSED
    assert named in str(error)
    assert peer.seen == []


def test_a_rotated_token_is_taken_up(tmp_path):
    """The file is read for each request; a 401 between two reads is asked once more."""
    token_file = tmp_path / "token"
    with KfpPeer(token="second") as peer:
        token_file.write_text("second\n")
        one = dispatcher(token_file=token_file)
        one.start(order(peer.url))
        peer.token = "third"
        token_file.write_text("third\n")
        one.start(order(peer.url, attempt=2))
        # The server refuses the token, and while it says so, the file is replaced.
        peer.token = "fourth"
        peer.answer_next(Fault(401, act=lambda: token_file.write_text("fourth\n")))

        one.start(order(peer.url, attempt=3))

        assert peer.runs.keys() == {run_of(1), run_of(2), run_of(3)}
        assert peer.starts == 4


def test_a_token_that_is_never_accepted_is_refused_and_kept_secret(tmp_path):
    """One refresh, then a definite no; a proxy that shows the token does not get it into a log."""
    token_file = tmp_path / "token"
    token_file.write_text("s3cret")
    with KfpPeer() as peer:
        peer.answer_next(Fault(401, body=b'{"message": "bad Bearer s3cret"}'), times=9)

        error = failure_of(dispatcher(token_file=token_file).start, order(peer.url))

        assert error.failure is Failure.REFUSED
        assert peer.starts == 2
        assert "s3cret" not in str(error)


@pytest.mark.parametrize("content", [None, b"", b"two\nlines", b"\xff"])
def test_a_token_file_that_cannot_be_used_sends_nothing(peer, tmp_path, content):
    """It is named, what it holds is not, and the dispatch waits for it."""
    token_file = tmp_path / "token"
    if content is not None:
        token_file.write_bytes(content)

    error = failure_of(dispatcher(token_file=token_file).start, order(peer.url))

    assert error.failure is Failure.UNAVAILABLE
    assert str(token_file) in str(error)
    assert "lines" not in str(error)
    assert peer.seen == []


def test_find_looks_for_every_attempt_in_doubt(peer):
    """The run of the first attempt is found in the third by its id; others' runs are not taken."""
    one = dispatcher()
    one.start(order(peer.url, id="01jd9xk3v0q8z5m7n2b4c6d8ff"))
    doubtful = order(peer.url, in_doubt=(1, 2, 3), attempt=3)
    assert one.find(doubtful) is None

    peer.answer_next(Fault(accept=True))
    failure_of(one.start, order(peer.url))
    peer.runs[run_of(1)]["display_name"] = "renamed by somebody"

    assert one.find(doubtful) == Run(run_of(1), None, shows_id=True)


def test_find_reads_the_listing_to_its_end(peer):
    """An empty page that names a next one is not the end, and a list without one is an error."""
    peer.ignores_ids = True
    run = dispatcher().start(order(peer.url))
    more = Fault(change={"runs": [], "next_page_token": "0"})
    peer.answer_next(more, to="list_runs", times=2)

    assert dispatcher().find(order(peer.url, in_doubt=(1,))) == run
    peer.answer_next(more, to="list_runs", times=99)
    error = failure_of(dispatcher().find, order(peer.url, in_doubt=(1,)))
    assert error.failure is Failure.UNKNOWN


@pytest.mark.parametrize("operation", ["get_run", "list_runs"])
@pytest.mark.parametrize(
    "fault",
    [
        Fault(),
        Fault(403),
        Fault(500),
        Fault(429),
        Fault(302, headers={"Location": "/dex"}),
        Fault(404, body=LOGIN),
        Fault(404, body=b'{"message": "no route"}'),
        Fault(200, body=LOGIN),
        Fault(200, body=b"null"),
    ],
)
def test_a_look_that_failed_proves_nothing(peer, operation, fault):
    """Absence comes from KFP itself or not at all: a proxy's 404 is no proof."""
    peer.answer_next(fault, to=operation)

    error = failure_of(dispatcher().find, order(peer.url, in_doubt=(1,)))

    assert error.failure is Failure.UNKNOWN
    assert peer.starts == 0


def test_a_look_at_nobody_proves_nothing():
    """Not reaching the server tells nothing about the run."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    assert failure_of(dispatcher().find, order(url, in_doubt=(1,))).failure is Failure.UNKNOWN
    assert failure_of(dispatcher().poll, order(url, run_id="a")).failure is Failure.UNKNOWN


def test_an_empty_object_is_not_a_run(peer):
    """An answer without the run's id neither shows a run nor its absence."""
    peer.answer_next(Fault(200, body=b"{}"), to="get_run", times=2)
    dispatch = order(peer.url, in_doubt=(1,), run_id=run_of(1))

    assert failure_of(dispatcher().find, dispatch).failure is Failure.UNKNOWN
    assert failure_of(dispatcher().poll, dispatch).failure is Failure.UNKNOWN


def test_find_in_a_profile_asks_for_its_namespace():
    """In multi-user mode a listing without a namespace is refused."""
    with KfpPeer(multi_user=True) as peer:
        dispatch = order(peer.url, place={"namespace": "team-a"}, in_doubt=(1,))
        assert dispatcher().find(dispatch) is None

        dispatcher().start(dispatch)

        assert dispatcher().find(dispatch).id == run_of(1)


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("SUCCEEDED", RunState.SUCCEEDED),
        ("FAILED", RunState.FAILED),
        ("CANCELED", RunState.CANCELLED),
        ("SKIPPED", RunState.CANCELLED),
        ("PENDING", RunState.RUNNING),
        ("RUNNING", RunState.RUNNING),
        ("CANCELING", RunState.RUNNING),
        ("PAUSED", RunState.RUNNING),
        ("RUNTIME_STATE_UNSPECIFIED", RunState.RUNNING),
        ("A_STATE_OF_TOMORROW", RunState.RUNNING),
        (None, RunState.RUNNING),
    ],
)
def test_poll_translates_every_state(peer, word, state):
    """The target's own word is kept beside ours."""
    run = dispatcher().start(order(peer.url))
    peer.finish(run.id, word)

    status = dispatcher().poll(order(peer.url, run_id=run.id))

    assert status.state is state
    assert status.detail == (word or "RUNTIME_STATE_UNSPECIFIED")


def test_poll_quotes_the_error_of_a_failed_run(peer):
    """It is a stranger's text: escaped, one line, short."""
    run = dispatcher().start(order(peer.url))
    peer.finish(run.id, "FAILED", error="no data\n\x1b[31m" + "x" * 5000)

    status = dispatcher().poll(order(peer.url, run_id=run.id))

    assert status.detail.startswith(r"FAILED: 'no data\n\x1b[31mxxx")
    assert len(status.detail) < 300


def test_a_run_that_kfp_forgot_is_gone(peer):
    """But a proxy that knows nothing says nothing about it."""
    dispatch = order(peer.url, run_id=run_of(1))

    assert dispatcher().poll(dispatch).state is RunState.GONE
    peer.answer_next(Fault(404, body=LOGIN), to="get_run")
    assert failure_of(dispatcher().poll, dispatch).failure is Failure.UNKNOWN


def test_an_endpoint_may_have_a_path(peer):
    """Behind a gateway the API lives below a prefix."""
    failure_of(dispatcher().start, order(f"{peer.url}/pipeline/"))

    assert peer.seen[0].path == "/pipeline/apis/v2beta1/runs"
