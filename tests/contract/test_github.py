"""Starting a run on GitHub: how often it is asked for, and what each answer means."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from receiver.core.dispatches import Failure
from receiver.core.runs import Run
from tests.contract.github_setup import (
    DISPATCH_ID,
    NOON,
    dispatch_to,
    dispatcher_with,
    failure_to_start,
    token_file,
)
from tests.peers.github import GithubPeer
from tests.peers.github_wire import (
    BAD_CREDENTIALS,
    CUT_AFTER,
    CUT_BEFORE,
    TRUNCATED,
    Behaviour,
    answering,
)

RATE_LIMIT = {"message": "You have exceeded a secondary rate limit"}
NOON_HTTP = "Sun, 22 Nov 2026 12:00:00 GMT"
NOON_EPOCH = int(NOON.timestamp())


@pytest.fixture
def peer():
    with GithubPeer(now=lambda: NOON) as peer:
        yield peer


@pytest.fixture
def dispatcher(tmp_path):
    return dispatcher_with(token_file(tmp_path))


def named(value):
    return f"{value.status}-{value.then}" if isinstance(value, Behaviour) else str(value)


def test_a_dispatch_carries_its_inputs_as_text_and_its_id(peer, dispatcher):
    """The workflow gets strings only, the dispatch id among them, and the run's id comes back."""
    run = dispatcher.start(dispatch_to(peer, inputs={"user_id": "churn", "drift_score": 1e-07}))

    assert run == Run(id="8001", url="https://github.example/acme/models/actions/runs/8001")
    [asked] = peer.requests("dispatch")
    assert asked.body == {
        "ref": "main",
        "inputs": {"user_id": "churn", "drift_score": "1e-07", "dispatch_id": DISPATCH_ID},
        "return_run_details": True,
    }
    assert asked.headers["x-github-api-version"] == "2022-11-28"


@pytest.mark.parametrize("prefix", ["", "/api/v3"])
def test_the_stored_place_is_where_it_is_sent(tmp_path, prefix):
    """Server, path prefix of an Enterprise server, repository, workflow and ref: all as stored."""
    with GithubPeer(
        repository="acme/other", workflow="a b.yaml", refs=["v1"], prefix=prefix
    ) as peer:
        dispatcher_with(token_file(tmp_path)).start(dispatch_to(peer))

        [run] = peer.runs
        assert run.ref == "v1"
        assert peer.asked[0].path == "/repos/acme/other/actions/workflows/a%20b.yaml/dispatches"


@pytest.mark.parametrize(
    "behaviour",
    [
        answering(500, accept=True),
        answering(502, {"message": "Bad gateway"}, accept=True),
        answering(503, headers={"Retry-After": "0"}, accept=True),
        answering(408, accept=True),
        answering(300),
        answering(301, headers={"Location": "{same}"}, accept=True),
        answering(301, headers={"Location": "https://elsewhere.example/"}, accept=True),
        answering(302, headers={"Location": "{same}"}),
        answering(307, {"message": "Moved Permanently"}, headers={"Location": "{same}"}),
        answering(308, headers={"Location": "{same}"}),
        answering(200, b"<html>Please sign in</html>"),
        answering(200, {}),
        answering(200, []),
        answering(200, {"workflow_run_id": "8001"}),
        answering(200, {"workflow_run_id": True}),
        answering(200, b"[" * 100_000),
        answering(202, {}),
        answering(418),
        answering(200, {}, headers={"X-RateLimit-Reset": "soon"}),
        answering(200, b"", headers={"Content-Encoding": "gzip"}),
        answering(200, b"not gzip", headers={"Content-Encoding": "gzip"}),
        TRUNCATED,
        CUT_BEFORE,
        CUT_AFTER,
    ],
    ids=named,
)
def test_a_doubtful_answer_is_unknown_and_never_repeated(peer, dispatcher, behaviour):
    """Whatever leaves open whether a run exists is told so, after exactly one POST."""
    dispatch = dispatch_to(peer)
    headers = {
        name: value.replace("{same}", f"{peer.base_url}/repositories/1/dispatches")
        for name, value in behaviour.headers.items()
    }
    peer.answer_next(replace(behaviour, headers=headers))

    error = failure_to_start(dispatcher, dispatch)

    assert error.failure is Failure.UNKNOWN
    others = [asked for asked in peer.asked if asked.phase != "number"]  # whose name it is now
    assert len(others) == 1


@pytest.mark.parametrize("status", [400, 403, 404, 409, 410, 413, 422])
def test_a_refusal_is_definite_and_not_repeated(peer, dispatcher, status):
    """These answers prove that nothing was started and never will be."""
    peer.answer_next(answering(status))

    error = failure_to_start(dispatcher, dispatch_to(peer))

    assert error.failure is Failure.REFUSED
    assert error.status_code == status
    assert f"'status {status}'" in str(error)
    assert peer.starts == 1


@pytest.mark.parametrize(
    ("behaviour", "seconds"),
    [
        (answering(429), 60),
        (answering(429, headers={"Retry-After": "17"}), 17),
        (answering(429, headers={"Retry-After": "0"}), 0),
        (answering(429, headers={"Retry-After": "99999999999"}), 3600),
        (answering(429, headers={"Retry-After": "9" * 5000}), 60),
        (answering(429, headers={"Retry-After": "-5"}), 60),
        (answering(429, headers={"Retry-After": "Sun, 22 Nov 2026 12:01:30 GMT"}), 90),
        (answering(429, headers={"Retry-After": "Sun, 22 Nov 2026 11:00:00 GMT"}), 0),
        (answering(429, headers={"Retry-After": "Sun, 22 Nov 2026 12:01:30 -0000"}), 90),
        (answering(429, headers={"Retry-After": NOON_HTTP, "Date": "today"}), 60),
        (answering(403, headers={"Retry-After": "17"}), 17),
        (answering(403, RATE_LIMIT), 60),
        (answering(403, RATE_LIMIT, headers={"X-RateLimit-Reset": str(NOON_EPOCH + 900)}), 60),
        (
            answering(
                403,
                headers={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": f"{NOON_EPOCH + 900}"},
            ),
            900,
        ),
        (answering(403, headers={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "?"}), 60),
    ],
    ids=named,
)
def test_a_rate_limit_is_unavailable_and_says_for_how_long(peer, dispatcher, behaviour, seconds):
    """The wait is the server's, by the server's clock, within the hour; nobody sleeps here."""
    peer.answer_next(behaviour)

    error = failure_to_start(dispatcher, dispatch_to(peer))

    assert error.failure is Failure.UNAVAILABLE
    assert error.retry_after == timedelta(seconds=seconds)
    assert peer.starts == 1


def test_an_accepted_dispatch_may_stay_without_an_id(peer, dispatcher):
    """204 means yes: the run has to be looked up, and the dispatch is never sent again."""
    peer.run_details = "ignored"

    assert dispatcher.start(dispatch_to(peer)) == Run(id=None, url=None)
    assert len(peer.runs) == peer.starts == 1


@pytest.mark.parametrize("status", [400, 422])
def test_a_server_that_refuses_the_field_is_asked_without_it(peer, dispatcher, status):
    """The refusal proves that nothing ran; it is remembered, and costs one POST once."""
    peer.run_details = status

    first = dispatcher.start(dispatch_to(peer))
    second = dispatcher.start(dispatch_to(peer))

    assert (first.id, second.id) == (None, None)
    assert len(peer.runs) == 2
    asked = ["return_run_details" in asked.body for asked in peer.requests("dispatch")]
    assert asked == [True, False, False]


def test_only_the_server_that_refused_the_field_is_remembered(peer, dispatcher):
    """Another server behind the same target is asked for the run's id."""
    peer.run_details = 422
    dispatcher.start(dispatch_to(peer))

    with GithubPeer() as other:
        assert dispatcher.start(dispatch_to(other)).id == "8001"


def test_a_token_that_is_refused_once_is_read_again(peer, dispatcher):
    """After one 401 the dispatch is sent once more, for the 401 proves that nothing ran."""
    peer.answer_next(BAD_CREDENTIALS)

    run = dispatcher.start(dispatch_to(peer))

    assert run.id == "8001"
    assert peer.starts == 2
    assert len(peer.runs) == 1


def test_a_token_that_stays_refused_is_a_refusal(peer, dispatcher, tmp_path):
    """Two POSTs and no more; the message names the file and not what it holds."""
    peer.tokens.clear()

    error = failure_to_start(dispatcher, dispatch_to(peer))

    assert error.failure is Failure.REFUSED
    assert f"renew the token in {tmp_path / 'github-token'}" in str(error)
    assert peer.starts == 2


def test_a_workflow_without_our_inputs_is_told_what_to_add(peer, dispatcher):
    """The message holds the YAML: every input, the dispatch id, the run-name."""
    peer.inputs = {"user_id"}

    error = failure_to_start(dispatcher, dispatch_to(peer))

    assert error.failure is Failure.REFUSED
    assert 'run-name: "retrain [${{ inputs.dispatch_id }}]"' in str(error)
    assert (
        "on: {workflow_dispatch: {inputs: {dispatch_id: {type: string}, "
        "user_id: {type: string}, drift_score: {type: string}}}}"
    ) in str(error)


def test_a_workflow_that_can_not_be_dispatched_is_told_what_to_add(peer, dispatcher):
    """A missing trigger gets the same lines, cut to what fits into one."""
    said = "Workflow does not have 'workflow_dispatch' trigger"
    peer.answer_next(answering(422, {"message": said}))

    inputs = {f"an_input_with_a_long_name_{n}": "x" for n in range(24)}
    error = failure_to_start(dispatcher, dispatch_to(peer, inputs=inputs))

    assert "on: {workflow_dispatch: {inputs: {dispatch_id: {type: string}" in str(error)
    assert str(error).endswith('trigger"')


def test_an_input_that_was_left_out_is_told_with_why(peer, dispatcher):
    """Nobody is sent to a workflow that is right: the alert has no value."""
    said = answering(422, {"message": "Required input 'drift_score' not provided"})
    peer.answer_next(said, said)

    left_out = failure_to_start(dispatcher, dispatch_to(peer, inputs={"user_id": "42"}))
    sent = failure_to_start(dispatcher, dispatch_to(peer, inputs={"drift_score": "0.62"}))

    assert "it was left out of what is sent" in str(left_out)
    assert "annotation `value`" in str(left_out)
    assert "left out" not in str(sent)


@pytest.mark.parametrize(
    ("status", "cure"),
    [
        (403, "needs 'Actions: write' on acme/models"),
        (404, "retrain-model.yaml in acme/models must be on the default branch"),
    ],
)
def test_a_refusal_says_what_to_mend(peer, dispatcher, status, cure):
    """An operator in a hurry reads the cure, not a status."""
    peer.answer_next(answering(status))

    assert cure in str(failure_to_start(dispatcher, dispatch_to(peer)))


SSO = "https://github.com/orgs/acme/sso?authorization_request=A1"


@pytest.mark.parametrize(
    ("status", "said", "cure"),
    [
        (403, "Resource protected by organization SAML enforcement.", f"single sign-on: {SSO}"),
        (403, "the organization has an IP allow list enabled", "organisation's IP allow list"),
        (403, "Repository was archived so is read-only.", "acme/models is archived"),
        (403, "GitHub Actions is disabled for this repository.", "enable Actions in the settings"),
        (403, "Sorry. Your account was suspended.", "is suspended: lift that"),
        (403, "Resource not accessible by personal access token", "needs 'Actions: write'"),
        (
            422,
            "Cannot trigger a 'workflow_dispatch' on a disabled workflow",
            "enable retrain-model.yaml on the Actions page",
        ),
        (422, "No ref found for: main", "'main' is no branch or tag of the repository"),
        (422, "Invalid input: object has more than 10 properties", "takes fewer inputs"),
    ],
)
def test_a_cure_fits_what_github_says(peer, dispatcher, status, said, cure):
    """Nobody is sent to mend what is right: a permission, a workflow's lines."""
    sso = {"X-GitHub-SSO": f"required; url={SSO}"}
    peer.answer_next(answering(status, {"message": said}, headers=sso))

    error = failure_to_start(dispatcher, dispatch_to(peer))

    assert error.failure is Failure.REFUSED
    assert cure in str(error)
    assert ("Actions: write" in str(error)) is ("Actions: write" in cure)
    assert "run-name:" not in str(error)


def test_single_sign_on_without_a_link(peer, dispatcher):
    """A token's own page has it too; what is no link is not shown."""
    said = {"message": "Resource protected by organization SAML enforcement."}
    peer.answer_next(answering(403, said, headers={"X-GitHub-SSO": "partial-results; x=1"}))

    assert "'Configure SSO'" in str(failure_to_start(dispatcher, dispatch_to(peer)))


def test_abuse_detection_only_waits(peer, dispatcher):
    """An older server's word for a rate limit, without a header that says how long."""
    said = "You have triggered an abuse detection mechanism. Please wait a few minutes."
    peer.answer_next(answering(403, {"message": said}))

    error = failure_to_start(dispatcher, dispatch_to(peer))

    assert (error.failure, error.retry_after) == (Failure.UNAVAILABLE, timedelta(minutes=1))


@pytest.mark.parametrize("said", ["\x00\x1b[2J\n" * 900, "\U0001f600" * 900, "peer-token " * 90])
@pytest.mark.parametrize("status", [410, 418, 429])
def test_a_stranger_s_text_is_escaped_and_cut(peer, dispatcher, status, said):
    """Messages stay one short plain line without our token, whatever the server sends."""
    peer.answer_next(answering(status, said.encode()))

    error = failure_to_start(dispatcher, dispatch_to(peer))

    assert len(re.findall("'.*'", str(error))[0]) <= 201


def test_a_message_is_cut_whatever_is_long(peer, dispatcher):
    """Names from the configuration may be long too."""
    place = peer.place | {"workflow": "w" * 900}

    failure_to_start(dispatcher, dispatch_to(peer, place=place))


def test_a_link_is_only_shown_if_it_is_one(peer, dispatcher):
    """What the server calls the run's page must not become a script on ours."""
    peer.answer_next(answering(200, {"workflow_run_id": 7, "html_url": "javascript:alert(1)"}))

    assert dispatcher.start(dispatch_to(peer)) == Run(id="7", url=None)
