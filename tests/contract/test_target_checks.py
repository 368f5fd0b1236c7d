"""Whether a target lets us in is asked without starting anything."""

import sys
from pathlib import Path

import pytest

from receiver.core.dispatches import DispatchError
from receiver.dispatchers.checks import check_github, check_kfp, check_local
from receiver.dispatchers.github_tokens import TokenPath
from receiver.dispatchers.pipelines import read_package
from tests.contract.github_setup import token_file
from tests.contract.kfp_setup import TINY
from tests.peers.github import GithubPeer
from tests.peers.github_wire import Behaviour
from tests.peers.kfp import KfpPeer


@pytest.fixture
def github():
    with GithubPeer() as peer:
        yield peer


@pytest.fixture
def kfp():
    with KfpPeer(token="let-me-in") as peer:
        yield peer


def test_github_shows_the_workflow(github, tmp_path):
    """One read, no dispatch, and the sentence does not promise more than a read can."""
    said = check_github(github.place, TokenPath(token_file(tmp_path)), None)

    assert [asked.phase for asked in github.asked] == ["workflow"]
    assert "retrain-model.yaml of acme/models" in said
    assert "Actions: write" in said
    assert "peer-token" not in said


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda peer: peer.tokens.clear(), "answered 401"),
        (lambda peer: setattr(peer, "workflow", "other.yaml"), "answered 404"),
        (lambda peer: peer.answer_next(Behaviour(then="cut"), phase="workflow"), "be reached"),
        (lambda peer: setattr(peer, "workflow_state", "disabled_manually"), "disabled_manually"),
    ],
)
def test_github_refuses(github, tmp_path, spoil, said):
    """A bad token, a wrong name and a disabled workflow are told apart."""
    place = github.place
    spoil(github)

    with pytest.raises(DispatchError, match=said):
        check_github(place, TokenPath(token_file(tmp_path)), None)


def test_kfp_shows_its_experiments(kfp, tmp_path):
    """The token is accepted and the pipeline is there; nothing was started or made."""
    token = tmp_path / "token"
    token.write_text("let-me-in\n")
    said = check_kfp({"endpoint": kfp.url, "pipeline": str(TINY)}, token, None)

    assert kfp.url in said
    assert kfp.starts == 0
    assert not kfp.experiments


def test_an_uploaded_pipeline_that_caches_is_told(kfp, tmp_path):
    """Unless the target says what it wants."""
    token = tmp_path / "token"
    token.write_text("let-me-in\n")
    kfp.upload("retrain", read_package(TINY).body)
    kfp.upload("plain", read_package(TINY).without_cache().body)

    def said(**place):
        return check_kfp({"endpoint": kfp.url, **place}, token, None)

    assert "answered from the cache (enable_caching: false ends that)" in said(pipeline="retrain")
    assert "cache" not in said(pipeline="retrain", enable_caching="true")
    assert "cache" not in said(pipeline="plain")


def test_kfp_refuses(kfp, tmp_path):
    """A bad token is told with its cure; a pipeline that nobody uploaded too."""
    token = tmp_path / "token"
    token.write_text("wrong\n")
    with pytest.raises(DispatchError, match="service account token"):
        check_kfp({"endpoint": kfp.url, "pipeline": str(TINY)}, token, None)

    token.write_text("let-me-in\n")
    with pytest.raises(DispatchError, match="no pipeline named 'retrain'"):
        check_kfp({"endpoint": kfp.url, "pipeline": "retrain"}, token, None)


@pytest.mark.parametrize(
    ("python", "pipeline", "said"),
    [
        (Path(sys.executable), TINY, "has no kfp SDK"),
        (Path("/nowhere/python"), TINY, "cannot run /nowhere/python"),
        (Path(sys.executable), TINY.with_name("none.yaml"), "cannot read the pipeline"),
    ],
)
def test_a_local_pipeline_needs_interpreter_and_package(python, pipeline, said):
    """What is missing is named before a run needs it."""
    with pytest.raises(DispatchError, match=said):
        check_local({"pipeline": str(pipeline)}, python)
