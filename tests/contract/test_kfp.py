"""The REST dispatcher starts runs: what it sends, looks up first, and refuses to send."""

import json
from threading import Barrier, Thread

import pytest

from receiver.core.dispatches import Failure
from receiver.core.runs import Run
from receiver.dispatchers.pipelines import read_package
from tests.contract.kfp_setup import (
    DISPATCH_ID,
    SPEC,
    TINY,
    dispatcher,
    failure_of,
    order,
    peer,
    run_of,
)
from tests.peers.kfp import Fault, KfpPeer

__all__ = ["peer"]


def test_one_post_starts_a_run_that_can_be_found_by_the_dispatch(peer):
    """Id, name and description carry the dispatch; parameters have the declared types."""
    run = dispatcher().start(order(peer.url))

    assert run == Run(run_of(1), None, shows_id=True)
    assert peer.starts == 1
    assert len(peer.seen) == 1
    sent = peer.runs[run_of(1)]
    assert sent["display_name"] == f"retrain churn [{DISPATCH_ID}]"
    assert f"dispatch {DISPATCH_ID}, attempt 1" in sent["description"]
    assert sent["pipeline_spec"] == read_package(TINY).without_cache().body
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


def test_a_version_may_be_pinned(peer):
    """By its name or its id; one that is not there is refused with the cure."""
    first = peer.upload("retrain", SPEC, version_name="v1")
    for number in range(2, 300):
        peer.upload("retrain", SPEC, version_name=f"v{number}")
    one = dispatcher()
    for attempt, version in enumerate(("v1", first), start=1):
        place = {"pipeline": "retrain", "pipeline_version": version}
        one.start(order(peer.url, place=place, attempt=attempt))
        sent = peer.runs[run_of(attempt)]["pipeline_version_reference"]
        assert sent["pipeline_version_id"] == first

    failure = failure_of(one.start, order(peer.url, place={**place, "pipeline_version": "v0"}))

    assert failure.failure is Failure.REFUSED
    assert "has no version 'v0': upload it, or mend pipeline_version" in str(failure)


CACHED = {
    **SPEC,
    "root": {
        **SPEC["root"],
        "dag": {
            "tasks": {
                "train": {"cachingOptions": {"enableCache": True}, "taskInfo": {"name": "train"}},
                "nested": {"componentRef": {"name": "comp-nested"}},
            }
        },
    },
    "components": {
        "comp-nested": {
            "dag": {"tasks": {"inner": {"cachingOptions": {"enableCache": True}, "x": [1]}}}
        }
    },
}


def caches(spec):
    tasks = spec["root"]["dag"]["tasks"], spec["components"]["comp-nested"]["dag"]["tasks"]
    return [tasks[0]["train"]["cachingOptions"], tasks[1]["inner"]["cachingOptions"]]


def test_no_run_is_answered_from_the_cache_unless_the_target_says_so(peer, tmp_path):
    """It would succeed without training anything. All else of the pipeline stays as it is.

    An uploaded version decides for itself unless the target does.
    """
    path = tmp_path / "retrain.json"
    path.write_text(json.dumps(CACHED))
    one, place = dispatcher(), {"pipeline": str(path)}
    peer.upload("cached", CACHED)

    one.start(order(peer.url, place=place))
    one.start(order(peer.url, place={**place, "enable_caching": "true"}, attempt=2))
    one.start(order(peer.url, place={"pipeline": "cached", "enable_caching": "false"}, attempt=3))
    one.start(order(peer.url, place={"pipeline": "cached"}, attempt=4))

    sent = [peer.runs[run_of(attempt)] for attempt in range(1, 5)]
    assert caches(sent[0]["pipeline_spec"]) == [{}, {}]
    assert sent[1]["pipeline_spec"] == CACHED
    assert sent[2]["pipeline_spec"] == sent[0]["pipeline_spec"]
    assert "pipeline_spec" not in sent[3]
    tasks = sent[0]["pipeline_spec"]["root"]["dag"]["tasks"]
    assert tasks["train"]["taskInfo"] == {"name": "train"}
    inner = sent[0]["pipeline_spec"]["components"]["comp-nested"]["dag"]["tasks"]["inner"]
    assert inner["x"] == [1]


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


def test_a_server_that_numbers_runs_itself_has_said_yes(peer):
    """The echoed name carries the dispatch's id: the run is ours, and is found again by it."""
    peer.ignores_ids = True
    one = dispatcher()

    run = one.start(order(peer.url))

    assert run.id in peer.runs
    assert run.id != run_of(1)
    assert one.find(order(peer.url, in_doubt=(1,))) == run


def test_each_refusal_says_what_to_mend(peer):
    """401, 403 and a missing pipeline name their cure."""
    peer.answer_next(Fault(401))
    assert "pipelines.kubeflow.org" in str(failure_of(dispatcher().start, order(peer.url)))
    peer.answer_next(Fault(403))
    assert "kubeflow-pipelines-edit" in str(failure_of(dispatcher().start, order(peer.url)))
    missing = order(peer.url, place={"pipeline": "not-uploaded"})
    assert "'not-uploaded'" in str(failure_of(dispatcher().start, missing))


@pytest.mark.parametrize(
    ("status", "said", "cure"),
    [
        (403, "RBAC: access denied", "AuthorizationPolicy of ml-pipeline"),
        (500, "Request header error: there is no user identity header.", "asks who we are"),
        (
            400,
            "In single-user mode, ListExperiment cannot filter by namespace.",
            "take `namespace` out of the target",
        ),
        (400, "Invalid resource references for experiment. Namespace is empty.", "`namespace`"),
        (400, "An experiment cannot have an empty namespace in multi-user mode", "`namespace`"),
        (400, "the experiment is archived", "restore the experiment"),
    ],
)
def test_a_cure_fits_what_kubeflow_says(peer, status, said, cure):
    """Nobody is sent to a role that is right."""
    peer.answer_next(Fault(status, body=json.dumps({"error": said}).encode()))

    sentence = str(failure_of(dispatcher().start, order(peer.url)))

    assert cure in sentence
    assert "ClusterRole" not in sentence


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


def test_an_endpoint_may_have_a_path(peer):
    """Behind a gateway the API lives below a prefix."""
    failure_of(dispatcher().start, order(f"{peer.url}/pipeline/"))

    assert peer.seen[0].path == "/pipeline/apis/v2beta1/runs"
