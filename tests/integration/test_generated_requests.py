"""Requests generated from the OpenAPI document, good and bad, at the real application."""

import os
from dataclasses import dataclass
from datetime import timedelta

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode, checks
from schemathesis.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.described import DOCUMENT
from tests.posts import entry, post
from tests.serving import NO_AUTH, Hosted, host

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "6"))
"""How many requests of each kind and engine; more than this is another sample each time."""

SAMPLE = "FUZZ_EXAMPLES" not in os.environ

ENDLESS = ("/events",)
"""What streams until the client has had enough: tests/page/test_live.py asks it."""

OPERATIONS = [
    operation
    for found in schemathesis.openapi.from_dict(DOCUMENT).get_all_operations()
    if (operation := found.ok()).path not in ENDLESS
]

CHECKS = [
    checks.not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
]

ROLES = ("webhook", "reader", "operator")

CONFIG = f"""\
auth:
  webhook: [{{name: alertmanager, token_file: webhook}}]
  reader: [{{name: dashboards, token_file: reader}}]
  operator: [{{name: ops, token_file: operator}}]
{NO_AUTH}"""


@dataclass(frozen=True)
class Receiver:
    """The application with real tokens, and something in its store.

    Attributes:
        known: Names that a request may ask for: of models, and of dispatches or decisions.

    """

    peer: Hosted
    known: dict[str, tuple[str, ...]]


@pytest.fixture
def receiver(history, tmp_path):
    """One model ran, one is in flight, one alert nobody understands; one dispatch is parked."""
    for role in ROLES:
        (tmp_path / role).write_text(role)
    with host(history, tmp_path, CONFIG) as peer:
        told = peer.post("/webhook", post(entry("42"), {"odd": "\ud800"}), token="webhook").json()
        history.run_to_its_end()
        history.clock.pass_(timedelta(hours=8))
        peer.post("/webhook", post(entry("42"), entry("43")), token="webhook")
        dispatches = tuple(row.id for row in history.dispatches())
        decisions = tuple(str(one["id"]) for one in told["decisions"])
        yield Receiver(peer, {"model": ("42", "43", "44"), "id": (*dispatches, *decisions)})


@st.composite
def requests_to(draw, operation, known):
    """A request as described, or one that goes wrong somewhere; whose token, or None."""
    mode = draw(st.sampled_from(list(GenerationMode)))
    case = draw(operation.as_strategy(mode))
    for name in case.path_parameters or {}:
        if draw(st.booleans()):
            case.path_parameters[name] = draw(st.sampled_from(known[name]))
    usual = "webhook" if operation.path == "/webhook" else "operator"
    return case, draw(st.sampled_from((usual, usual, usual, *ROLES, None)))


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_no_request_surprises_the_receiver(operation, receiver, record_property):
    """No 5xx, and every answer is as the document says; what comes afterwards is served."""
    peer, asked = receiver.peer, []

    @settings(
        max_examples=EXAMPLES,
        derandomize=SAMPLE,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(requests_to(operation, receiver.known))
    def ask(request: tuple[Case, str | None]) -> None:
        case, token = request
        asked.append(case.method)
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        case.validate_response(case.call(base_url=peer.url, headers=headers), checks=CHECKS)

    ask()

    record_property("generated requests", len(asked))
    answer = peer.post("/webhook", post(entry("99")), token="webhook")
    assert [one["model"] for one in answer.json()["decisions"]] == ["99"]
    for media_type in ("application/json", "application/x-ndjson", "text/csv"):
        answer = peer.get("/decisions", token="reader", headers={"Accept": media_type})
        assert (answer.status, answer.headers.get_content_type()) == (200, media_type)
