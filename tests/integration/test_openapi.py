"""The OpenAPI document: valid, complete, and true of what is answered."""

import json
from pathlib import Path

import pytest
from openapi_spec_validator import validate
from starlette.routing import Route

from receiver.web.app import build_app
from receiver.web.openapi import openapi
from tests.described import DOCUMENT, DescribedPeer, problems_of
from tests.posts import entry, post
from tests.serving import host, service_on

PAYLOADS = Path(__file__).parents[1] / "payloads"


@pytest.fixture
def url(sqlite_url):
    """What is tested here stands before the store; the flows are tested on both engines."""
    return sqlite_url


def test_the_document_is_valid():
    """OpenAPI 3.1's own rules hold."""
    validate(DOCUMENT)


def test_every_route_is_described_and_nothing_else(history, tmp_path):
    """The application's routes and methods are those of the document; the page is for people."""
    (tmp_path / "receiver.yaml").write_text("{}")
    app = build_app(service_on(history, tmp_path / "receiver.yaml"))._app
    routes = [route for route in app.routes if route.include_in_schema]

    served = {
        (route.path.replace(":name}", "}"), method)
        for route in routes
        if isinstance(route, Route)
        for method in route.methods - {"HEAD"}  # HTTP itself gives it to every GET
    }

    assert len(routes) == len({path for path, _ in served})
    assert served == {
        (path, method.upper())
        for path, item in DOCUMENT["paths"].items()
        for method in item
        if method != "parameters"
    }


def test_it_is_served_to_everybody(history, tmp_path):
    """GET /openapi.json answers the document."""
    with host(history, tmp_path) as peer:
        assert peer.get("/openapi.json").json() == json.loads(json.dumps(openapi()))


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ("Problem", {"title": "Not Found", "status": 404, "detail": "", "more": 1}),
        ("Problem", {"title": "Not Found", "status": 404}),
        ("Gate", {"rung": "none", "applies": True, "detail": "", "until": None}),
        ("Gate", {"rung": "paused", "applies": True, "detail": "", "until": "noon"}),
        ("Notification", {"version": "3", "groupKey": "", "status": "", "alerts": []}),
    ],
)
def test_drift_is_seen(schema, value):
    """A field more, a field less, a word or a time that is none: each is a difference."""
    assert problems_of(value, {"$ref": f"#/components/schemas/{schema}"})


def test_captured_notifications_are_described(history, tmp_path):
    """What every Alertmanager sends is a `Notification`, and its receipt is as described."""
    captures = [file for file in PAYLOADS.glob("*.json") if ".headers." not in file.name]
    with host(history, tmp_path) as plain:
        peer = DescribedPeer(plain.url)
        for capture in captures:
            body = json.loads(capture.read_text())
            assert problems_of(body, {"$ref": "#/components/schemas/Notification"}) == []
            assert peer.post("/webhook", body).status == 200

    assert len(captures) > 40


def test_a_whole_story_is_answered_as_described(history, tmp_path):
    """Through alerts, acts, runs and errors each answer has the described shape."""
    with host(history, tmp_path) as plain:
        peer = DescribedPeer(plain.url)
        why = {"comment": "why"}
        odd = entry("7", labels={"odd": "\0\ud800=1+1"}, value="NaN")
        broken = {"status": "firing", "labels": {"alertname": "HighModelMAE"}}
        peer.post("/webhook", post(entry(), odd, broken, entry(name="Other")))
        peer.post("/webhook?dry_run=true", post(entry("8")))
        peer.post("/webhook", b"no json")
        peer.post("/webhook", b"\xff")
        peer.post("/models/42/pause", {**why, "for": "4h"})
        peer.post("/pause", {**why, "policy": "drift"})
        peer.post("/models/42/retrain", why)
        history.run_to_its_end()
        peer.post("/models/42/resume", why)
        peer.post("/resume", {**why, "policy": "drift"})
        peer.post("/release", {**why, "policy": "drift"})
        peer.post("/webhook", post(entry(status="resolved", ends_at="2026-11-22T11:30:00Z")))

        listed = peer.get("/decisions").json()["decisions"]
        dispatches = peer.get("/dispatches").json()["dispatches"]

        assert {one["reason"] for one in listed} >= {
            "triggered",
            "in_flight",
            "operator",
            "invalid",
            "unmatched",
            "resolved",
        }
        assert dispatches
        for one in listed:
            assert peer.get(f"/decisions/{one['id']}").status == 200
        for one in dispatches:
            assert peer.get(f"/dispatches/{one['id']}").status == 200
        for media_type in ("application/x-ndjson", "text/csv"):
            assert peer.get("/decisions", headers={"Accept": media_type}).status == 200
        assert {one["model"] for one in peer.get("/models").json()["models"]} == {"42", "7"}
        assert peer.get("/models/42").json()["runs"]
        assert {one["encoding"] for one in peer.get("/rejections").json()["rejections"]} == {
            "utf-8",
            "base64",
        }
        for path in ("/-/healthy", "/-/ready", "/metrics"):
            assert peer.get(path).status == 200
        for path in ("/decisions/1", "/models/9", "/dispatches/9", "/nothing"):
            assert peer.get(path).status == 404
        assert peer.get("/decisions?limit=0").status == 400
        assert peer.post("/pause", {}).status == 400
        assert peer.post("/pause", b"{}", headers={"Content-Encoding": "gzip"}).status == 415
        assert peer.post("/pause", b" " * 70_000).status == 413
        assert peer.post("/dispatches/9/retry", why).status == 404
        assert peer.post(f"/dispatches/{dispatches[0]['id']}/retry", why).status == 409


def test_only_the_page_is_left_out(history, tmp_path):
    """What the document does not describe is the operators' page, and `/webhook` misspelt."""
    (tmp_path / "receiver.yaml").write_text("{}")
    app = build_app(service_on(history, tmp_path / "receiver.yaml"))._app

    paths = {route.path for route in app.routes if not route.include_in_schema}

    assert {"/", "/webhook/"} <= paths
    assert all(f"{path}/".startswith("/ui/") for path in paths - {"/", "/webhook/"})


def operations():
    """Every operation with its method and path."""
    return [
        (method, path, operation)
        for path, item in DOCUMENT["paths"].items()
        for method, operation in item.items()
    ]


def test_names_of_operations_are_stable():
    """Generated clients call them by these names: a change here breaks them."""
    assert sorted(operation["operationId"] for _, _, operation in operations()) == [
        "abandon_dispatch",
        "approve_model",
        "follow_events",
        "forget_model",
        "get_decision",
        "get_dispatch",
        "get_health",
        "get_metrics",
        "get_model",
        "get_openapi",
        "get_readiness",
        "list_announcements",
        "list_decisions",
        "list_dispatches",
        "list_models",
        "list_policies",
        "list_rejections",
        "list_targets",
        "pause_many",
        "pause_model",
        "post_notification",
        "reject_many",
        "reject_model",
        "release_many",
        "reload",
        "reload_by_put",
        "resume_many",
        "resume_model",
        "retrain_model",
        "retry_dispatch",
    ]


def test_every_operation_has_a_declared_tag():
    """Documentation and generated clients are sorted by them."""
    declared = {tag["name"] for tag in DOCUMENT["tags"]}

    assert {tag for _, _, operation in operations() for tag in operation["tags"]} == declared
    assert all(len(operation["tags"]) == 1 for _, _, operation in operations())


def bodies():
    """What is asked and answered as a whole: where, and its schema."""
    for method, path, operation in operations():
        contents = [operation.get("requestBody", {}), *operation["responses"].values()]
        for content in contents:
            for media_type, media in content.get("content", {}).items():
                if media_type.endswith("json"):
                    yield f"{method} {path} {media_type}", media["schema"]
    for name, response in DOCUMENT["components"]["responses"].items():
        yield name, response["content"]["application/problem+json"]["schema"]


def test_whole_bodies_have_a_name_and_an_example():
    """Every JSON that is asked or answered is a component; each example is what it is one of."""
    for where, schema in bodies():
        name = schema["$ref"].removeprefix("#/components/schemas/")
        examples = DOCUMENT["components"]["schemas"][name].get("examples", [])
        assert examples, f"{where}: {name} has no example"
        assert [problems_of(one, schema) for one in examples] == [[] for _ in examples]


def objects_within(schema):
    """Objects with fields of their own inside a schema, without a name."""
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key != "examples":
                yield from objects_within(value)
        if "properties" in schema:
            yield schema
    elif isinstance(schema, list):
        for value in schema:
            yield from objects_within(value)


def test_objects_are_named_and_answers_admit_more():
    """No object hides in another; only what operators send is closed."""
    for name, schema in DOCUMENT["components"]["schemas"].items():
        assert list(objects_within(schema)) in ([], [schema]), name
        assert (schema.get("additionalProperties") is False) == name.endswith("Body"), name
