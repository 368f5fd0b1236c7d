"""Names of models with slashes in paths, sent as they are or as `%2F`."""

from urllib.parse import unquote

import pytest
from starlette.routing import Match, Route

from receiver.core.models import Model
from receiver.web.app import build_app
from receiver.web.operator_acts import ON_MODELS
from tests.serving import refusal, service_on

WHY = {"comment": "the reason why"}


@pytest.fixture
def url(sqlite_url):
    """What is tested here stands before the store; the flows are tested on both engines."""
    return sqlite_url


@pytest.fixture
def found(history, tmp_path):
    """Says which route answers a request, and for which name; None for none."""
    (tmp_path / "receiver.yaml").write_text("{}")
    app = build_app(service_on(history, tmp_path / "receiver.yaml"))._app

    def find(method, raw):
        scope = {
            "type": "http",
            "method": method,
            "path": unquote(raw),
            "raw_path": raw.encode(),
            "root_path": "",
        }
        for route in app.routes:
            match, more = route.matches(scope)
            if match is Match.FULL:
                assert isinstance(route, Route)
                return route.path.replace("{model:name}", "*"), more["path_params"].get("model")
        return None

    return find


@pytest.mark.parametrize("act", ON_MODELS)
@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("42", "42"),
        ("team/42", "team/42"),
        ("team%2F42", "team/42"),
        ("team%2f42", "team/42"),
        ("a/b%2Fc", "a/b/c"),
        # A name that ends like an act: only the last segment is one.
        ("team/pause", "team/pause"),
        ("team%2Fretrain", "team/retrain"),
        ("pause", "pause"),
        ("a@b:c.d-e_f", "a@b:c.d-e_f"),
    ],
)
def test_the_last_segment_is_the_act(found, act, sent, name):
    """All before it is the name, whatever stands in it; what is read has no act."""
    assert found("POST", f"/models/{sent}/{act}") == (f"/models/*/{act}", name)
    assert found("GET", f"/models/{sent}") == ("/models/*", name)


@pytest.mark.parametrize(
    "sent",
    [
        "/models/42",
        "/models/team/42",
        "/models/42/delete",
        "/models/pause",
        "/models//pause",
        "/models/team//pause",
        "/models/42/pause/",
        # It names the model `42/pause`, and no act.
        "/models/42%2Fpause",
        "/models/team/42%2fretrain",
    ],
)
def test_nothing_is_done_without_an_act(found, sent):
    """A path that names none is never taken for one that does."""
    assert found("POST", sent) is None


@pytest.mark.parametrize(
    "sent",
    [
        "/models/",
        "/models/42/",
        "/models//42",
        "/models/a//b",
        "/models/..%2Fmodels",
        "/models/a/..",
    ],
)
def test_segments_are_neither_empty_nor_dots(found, sent):
    """No model has such a name."""
    assert found("GET", sent) is None


@pytest.mark.parametrize("sent", ["team/42", "team%2F42"])
def test_such_a_model_is_read(peer, history, sent):
    """The server hands the name on as it was meant."""
    with history.store.begin() as tx:
        tx.save_models([Model(name="team/42")])

    assert peer.get(f"/models/{sent}").json()["model"] == "team/42"


@pytest.mark.parametrize("sent", ["team/pause", "team%2Fpause"])
def test_such_a_model_is_acted_on(idle, sent):
    """The act is about the whole name."""
    said = refusal(idle.post(f"/models/{sent}/approve", WHY), 404)

    assert said == (
        "no model is remembered by the name team/pause (test alerts leave none); see GET /models"
    )


def test_a_name_is_no_act(idle):
    """`%2F` keeps `pause` within the name, so nothing is asked for."""
    assert refusal(idle.post("/models/42%2Fpause", WHY), 405) == "POST is not allowed here"
