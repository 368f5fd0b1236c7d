"""An HTTP target starts runs and follows them: at Airflow, at Argo, at a bridge of one's own."""

import base64
import hashlib
import hmac
import json
from dataclasses import replace

import pytest

from receiver.core.dispatches import Failure
from receiver.core.runs import Absent, NotSeen, Repeatable, Run, RunState, RunStatus
from tests.contract.http_setup import (
    DISPATCH_ID,
    LOGIN,
    OUR_ID,
    bridge,
    dispatcher,
    example,
    failure_of,
    order,
    target_of,
)
from tests.peers.http_apis import AirflowPeer, ArgoPeer, BridgePeer, Fault

EXAMPLES = [
    ("airflow-2", AirflowPeer),
    ("airflow-3", lambda: AirflowPeer(3)),
    ("argo-workflows", ArgoPeer),
]
ENDS = {
    "airflow-2": {"success": RunState.SUCCEEDED, "failed": RunState.FAILED},
    "airflow-3": {"success": RunState.SUCCEEDED, "failed": RunState.FAILED},
    "argo-workflows": {
        "Succeeded": RunState.SUCCEEDED,
        "Failed": RunState.FAILED,
        "Error": RunState.FAILED,
    },
}


@pytest.fixture(params=EXAMPLES, ids=lambda param: param[0])
def chosen(request, tmp_path):
    """A server whose runs have the ids that we choose, and the example for it."""
    name, make = request.param
    with make() as peer:
        peer.name = name
        peer.target = target_of(example(name, peer.url), tmp_path)
        yield peer


@pytest.fixture
def numbered():
    """A server that numbers its runs itself."""
    with BridgePeer() as peer:
        yield peer


def test_one_post_starts_a_run_under_our_id(chosen):
    """The run is known by its dispatch's id, with a page for people; nothing else was asked."""
    run = dispatcher().start(order(chosen.target))

    assert run.id == OUR_ID
    assert run.shows_id
    assert run.url.endswith(OUR_ID)
    assert list(chosen.runs) == [OUR_ID]
    assert [seen.operation for seen in chosen.seen] == ["start"]
    assert chosen.seen[0].headers["idempotency-key"] == DISPATCH_ID


def test_airflow_gets_a_conf_with_numbers(tmp_path):
    """And without what the alert does not have."""
    with AirflowPeer() as peer:
        target = target_of(example("airflow-2", peer.url), tmp_path)
        dispatcher().start(order(target))
        dispatcher().start(order(target, value=None, id="0" * 26))

    full = {"user_id": "user01", "drift_score": 0.25, "reason": "HighModelMAE"}
    assert peer.runs[OUR_ID]["conf"] == full
    assert peer.seen[1].body["conf"] == {"user_id": "user01", "reason": "HighModelMAE"}
    assert peer.seen[0].headers["content-type"] == "application/json"


def test_argo_gets_parameters_and_a_label(tmp_path):
    """The workflow can be found by its dispatch in Argo's own page as well."""
    with ArgoPeer() as peer:
        target = target_of(example("argo-workflows", peer.url), tmp_path)
        dispatcher().start(order(target))
        dispatcher().start(order(target, value=None, id="0" * 26))

    options = peer.runs[OUR_ID]["options"]
    assert options["labels"] == f"retrain-receiver/dispatch={DISPATCH_ID}"
    assert options["parameters"] == ["user_id=user01", "drift_score=0.25", "reason=HighModelMAE"]
    other = peer.runs["retrain-" + "0" * 26]["options"]
    assert other["parameters"] == ["user_id=user01", "reason=HighModelMAE"]


def test_a_run_is_followed_to_each_of_its_ends(chosen):
    """In the target's own words; what only runs says so."""
    one = dispatcher()
    run = one.start(order(chosen.target))
    running = order(chosen.target, run_id=run.id)

    assert one.poll(running).state is RunState.RUNNING
    for word, state in ENDS[chosen.name].items():
        chosen.finish(run.id, word, "no data")
        status = one.poll(running)
        assert status.state is state
        assert status.detail.startswith(word)
        assert status.url == run.url
        assert status.shows_id
        assert not status.note
    assert one.read_report(running) is None


def test_argo_says_why_a_run_failed(tmp_path):
    """Escaped and cut; of a run that succeeded no message is shown."""
    with ArgoPeer() as peer:
        target = target_of(example("argo-workflows", peer.url), tmp_path)
        dispatcher().start(order(target))
        running = order(target, run_id=OUR_ID)
        assert dispatcher().poll(running).note == "its answer shows no state at /status/phase"
        peer.finish(OUR_ID, "Failed", "child 'train' failed\n" + "x" * 999)
        failed = dispatcher().poll(running)
        peer.finish(OUR_ID, "Succeeded", "child 'train' failed")
        succeeded = dispatcher().poll(running)

    assert failed.detail.startswith("Failed: \"child 'train' failed\\n")
    assert len(failed.detail) < 220
    assert succeeded.detail == "Succeeded"


def test_a_state_nobody_named_is_that_of_a_run_that_goes_on(chosen):
    """It is told, escaped: the operator may name it, or ask what it is."""
    dispatcher().start(order(chosen.target))
    chosen.finish(OUR_ID, "up_for_<b>\n")

    status = dispatcher().poll(order(chosen.target, run_id=OUR_ID))

    assert status.state is RunState.RUNNING
    assert "calls its state 'up_for_<b>\\n', which the configuration does not name" in status.note
    assert status.detail == "up_for_<b>\\n"


def test_a_run_in_doubt_is_found_by_our_id(chosen):
    """The answer to the POST was lost, and the run is there."""
    chosen.answer_next(Fault(accept=True))
    one = dispatcher()
    assert failure_of(one.start, order(chosen.target)).failure is Failure.UNKNOWN

    found = one.find(order(chosen.target))

    assert found == Run(OUR_ID, found.url, shows_id=True)
    assert chosen.starts == 1


def test_a_run_that_is_not_there_is_absent_while_the_target_is_well(chosen):
    """Its 404 counts only beside a yes of `check_url`."""
    one = dispatcher()
    assert one.find(order(chosen.target)) == Absent()
    assert [seen.operation for seen in chosen.seen] == ["read", "check"]

    for fault in (Fault(404), Fault(503), Fault(302, headers={"Location": "/login"}), Fault()):
        chosen.answer_next(fault, to="check")
        assert failure_of(one.find, order(chosen.target)).failure is Failure.UNKNOWN


def test_absence_is_proven_beside_a_run_that_is_known_to_exist(chosen):
    """A target that is well and lost its runs proves nothing."""
    one, known = dispatcher(), order(chosen.target, id="01jd9xk3v0q8z5m7n2b4c6d8ff")
    known = replace(known, run_id=one.start(known).id)
    assert one.find(order(chosen.target), known) == Absent()

    chosen.runs.clear()

    look = one.find(order(chosen.target), known)
    assert isinstance(look, NotSeen)
    assert known.run_id in look.why


@pytest.mark.parametrize("fault", [Fault(), Fault(500), Fault(401), Fault(200, body=LOGIN)])
def test_a_look_that_fails_tells_nothing(chosen, fault):
    """Neither that the run is there nor that it is not."""
    chosen.answer_next(fault, to="read", times=2)
    one = dispatcher()

    assert failure_of(one.find, order(chosen.target)).failure is Failure.UNKNOWN
    assert failure_of(one.poll, order(chosen.target, run_id=OUR_ID)).failure is Failure.UNKNOWN


def test_a_404_proves_nothing_without_a_check(tmp_path):
    """The run may be there behind a gateway that lost its way."""
    with AirflowPeer() as peer:
        text = example("airflow-2", peer.url).replace("      check_url:", "      # check_url:")
        target = target_of(text, tmp_path)
        look = dispatcher().find(order(target))
        polled = failure_of(dispatcher().poll, order(target, run_id=OUR_ID))

    assert isinstance(look, NotSeen)
    assert "check_url" in look.why
    assert polled.failure is Failure.UNKNOWN
    assert "check_url" in str(polled)


def test_a_followed_run_that_is_not_there_is_gone_while_the_target_is_well(chosen):
    """Once proves nothing, and that is counted elsewhere; a target that is ill is not believed."""
    one = dispatcher()
    gone = RunStatus(RunState.GONE, "the target does not know the run")
    assert one.poll(order(chosen.target, run_id=OUR_ID)) == gone

    chosen.answer_next(Fault(502), to="check")
    assert failure_of(one.poll, order(chosen.target, run_id=OUR_ID)).failure is Failure.UNKNOWN


def test_an_id_that_is_taken_is_our_own_run(chosen):
    """The second attempt is told 409, and the run that is there carries our dispatch's id."""
    chosen.answer_next(Fault(accept=True))
    one = dispatcher()
    failure_of(one.start, order(chosen.target))

    run = one.start(order(chosen.target, attempt=2, in_doubt=(1, 2)))

    assert run.id == OUR_ID
    assert list(chosen.runs) == [OUR_ID]


def test_another_conflict_is_a_refusal(tmp_path):
    """Airflow 2 answers 409 as well for two runs of one logical date: ours is not there then."""
    with AirflowPeer() as peer:
        peer.logical_date_taken = True
        error = failure_of(
            dispatcher().start, order(target_of(example("airflow-2", peer.url), tmp_path))
        )

    assert error.failure is Failure.REFUSED
    assert error.status_code == 409
    assert "already exists" in str(error)


def test_a_conflict_that_cannot_be_looked_into_leaves_a_doubt(chosen):
    """Our run may be what is in the way."""
    chosen.answer_next(Fault(409))
    chosen.answer_next(Fault(500), to="read")

    assert failure_of(dispatcher().start, order(chosen.target)).failure is Failure.UNKNOWN


def test_an_answer_about_another_run_is_not_believed(chosen):
    """Neither to the POST nor to a look."""
    lie = {"dag_run_id": "other", "metadata": {"name": "other"}}
    chosen.answer_next(Fault(change=lie))
    chosen.answer_next(Fault(change=lie), to="read", times=2)
    one = dispatcher()

    started = failure_of(one.start, order(chosen.target))
    looked = failure_of(one.find, order(chosen.target))
    polled = failure_of(one.poll, order(chosen.target, run_id=OUR_ID))

    assert {each.failure for each in (started, looked, polled)} == {Failure.UNKNOWN}
    assert "names the run 'other'" in str(started)
    assert "shows the run 'other' instead of the one asked for" in str(looked)


def test_a_bridge_gets_a_cloud_event(numbered, tmp_path):
    """With all that the specification requires; the same each time it is sent."""
    target = target_of(bridge(numbered.url, answer="{id: /job/id}"), tmp_path)
    dispatcher().start(order(target))
    dispatcher().start(order(target, attempt=2, in_doubt=(1, 2)))

    first, second = numbered.seen
    assert first.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert first.body == {
        "specversion": "1.0",
        "id": DISPATCH_ID,
        "source": "/retrain-receiver",
        "type": "io.retrain-receiver.dispatch.v1",
        "subject": "user01",
        "time": "2026-11-22T12:00:00Z",
        "datacontenttype": "application/json",
        "data": {"user_id": "user01", "drift_score": 0.25, "dispatch_id": DISPATCH_ID},
    }
    assert second.raw == first.raw
    assert second.headers["idempotency-key"] == first.headers["idempotency-key"] == DISPATCH_ID
    assert list(numbered.runs) == ["1000"]


@pytest.mark.parametrize("where", ["/job/id", "Location"])
def test_a_bridges_own_id_is_read_from_its_answer(numbered, tmp_path, where):
    """From the body, also if it is a number, or from the header that leads to the run."""
    target = target_of(bridge(numbered.url, answer=f"{{id: {where}}}"), tmp_path)

    run = dispatcher().start(order(target))

    assert run == Run("1000", None, shows_id=False)
    for word, state in (
        ("waiting", RunState.RUNNING),
        ("done", RunState.SUCCEEDED),
        ("broken", RunState.FAILED),
        ("stopped", RunState.CANCELLED),
    ):
        numbered.finish("1000", word, "out of memory")
        status = dispatcher().poll(order(target, run_id="1000"))
        assert status.state is state
        assert not status.note
        assert not status.shows_id
        assert ("out of memory" in status.detail) is (state is RunState.FAILED)


@pytest.mark.parametrize(
    "body",
    [b"{}", b"[]", b"null", LOGIN, b'{"job": {"id": ""}}', b'{"job": {"id": ".."}}', b'{"job": {']
    + [json.dumps({"job": {"id": bad}}).encode() for bad in ("x" * 251, "a\nb", None, 1.5, ["a"])],
)
def test_a_yes_without_an_id_leaves_a_doubt(numbered, tmp_path, body):
    """The run may be there, but nobody knows under which id; nothing is sent again."""
    target = target_of(bridge(numbered.url, answer="{id: /job/id}"), tmp_path)
    numbered.answer_next(Fault(201, body=body, accept=True))

    error = failure_of(dispatcher().start, order(target))

    assert error.failure is Failure.UNKNOWN
    assert "names no run at /job/id" in str(error)
    assert numbered.starts == 1


def test_without_a_promise_a_doubt_is_for_a_human(numbered, tmp_path):
    """The bridge numbers its runs itself: nothing can be asked, and nothing is sent again."""
    target = target_of(bridge(numbered.url, answer="{id: /job/id}"), tmp_path)

    look = dispatcher().find(order(target))

    assert isinstance(look, NotSeen)
    assert "run.id" in look.why
    assert numbered.seen == []


def test_with_a_promise_a_doubt_may_be_asked_again(numbered, tmp_path):
    """The same key gives the same run, whichever attempt started it."""
    text = bridge(numbered.url, answer="{id: /job/id}", idempotent="true")
    target = target_of(text, tmp_path)
    numbered.answer_next(Fault(accept=True))
    one = dispatcher()
    failure_of(one.start, order(target))

    assert one.find(order(target)) == Repeatable()
    assert one.start(order(target, attempt=2, in_doubt=(1, 2))).id == "1000"
    assert list(numbered.runs) == ["1000"]


def test_a_refusal_proves_nothing_about_an_earlier_attempt(numbered, tmp_path):
    """The token ended between two attempts: the first may have started the run."""
    text = bridge(numbered.url, answer="{id: /job/id}", idempotent="true")
    target = target_of(text, tmp_path)
    numbered.answer_next(Fault(403), times=2)

    first = failure_of(dispatcher().start, order(target))
    second = failure_of(dispatcher().start, order(target, attempt=2, in_doubt=(1, 2)))

    assert first.failure is Failure.REFUSED
    assert second.failure is Failure.UNKNOWN
    assert "an earlier attempt may have started the run" in str(second)


def test_a_promise_stands_where_a_look_finds_nothing(tmp_path):
    """Both an id of ours and a promised key: what is not seen may be asked again."""
    with AirflowPeer() as peer:
        text = example("airflow-2", peer.url).replace("http:\n", "http:\n      idempotent: true\n")
        target = target_of(text, tmp_path)
        assert dispatcher().find(order(target)) == Repeatable()


def test_an_order_is_signed_as_standard_webhooks_define_it(numbered, tmp_path):
    """Whoever has the secret can prove who sent it, and when."""
    key = b"k" * 32
    secret = tmp_path / "secret"
    secret.write_text(f"whsec_{base64.b64encode(key).decode()}\n")
    target = target_of(bridge(numbered.url, answer="{id: /job/id}"), tmp_path)

    dispatcher(secret_file=secret).start(order(target))

    seen = numbered.seen[0]
    assert seen.headers["webhook-id"] == DISPATCH_ID
    signed = f"{DISPATCH_ID}.{seen.headers['webhook-timestamp']}.".encode() + seen.raw
    mac = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert seen.headers["webhook-signature"] == f"v1,{mac}"


def test_labels_lead_nowhere_else(numbered, tmp_path):
    """They are quoted, and what would climb out of the path is not sent."""
    text = bridge(numbered.url, answer="{id: /job/id}")
    text = text.replace("/runs\n", "/runs?for={user_id}\n").replace(
        "/runs/{run_id}", "/runs/{run_id}?for={user_id}"
    )
    target = target_of(text, tmp_path)
    dispatcher().start(order(target, {"user_id": "a b&x=1#é"}))
    assert numbered.seen[0].target == "/runs?for=a%20b%26x%3D1%23%C3%A9"

    climbing = target_of(text.replace("/runs/{run_id}?for=", "/{run_id}/"), tmp_path)
    error = failure_of(dispatcher().start, order(climbing, {"user_id": ".."}))
    assert error.failure is Failure.REFUSED
    assert numbered.starts == 1
