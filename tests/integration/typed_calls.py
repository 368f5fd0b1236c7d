"""Typed calls by the generated client: typed_calls.py URL TOKEN, beside `receiver_client`."""

import sys

from receiver_client import AuthenticatedClient
from receiver_client.api.decisions import get_decision, list_decisions
from receiver_client.api.dispatches import list_dispatches
from receiver_client.api.models import get_model, pause_model, retrain_model
from receiver_client.api.process import get_openapi
from receiver_client.models import (
    Decisions,
    Dispatches,
    DispatchState,
    ModelState,
    NamingBody,
    OpenApi,
    Outcome,
    PauseBody,
    Problem,
    Reason,
    WholeDecision,
    WholeModel,
)

client = AuthenticatedClient(sys.argv[1], sys.argv[2], raise_on_unexpected_status=True)

listed = list_decisions.sync(client=client, reason=Reason.TRIGGERED, limit=10)
assert isinstance(listed, Decisions), listed
(decision,) = listed.decisions
assert decision.outcome is Outcome.TRIGGER
assert decision.decided_at.tzinfo is not None
assert decision.labels["user_id"] == "42"

whole = get_decision.sync(decision.id, client=client)
assert isinstance(whole, WholeDecision), whole
assert {gate.rung for gate in whole.gates} >= {Reason.PAUSED, Reason.COOLDOWN}
assert whole.alert["status"] == "firing"

model = get_model.sync("42", client=client)
assert isinstance(model, WholeModel), model
assert model.state is ModelState.RUNNING
assert model.explain.holds is Reason.IN_FLIGHT
assert model.runs[0].state is DispatchState.PENDING

dispatches = list_dispatches.sync(client=client, state=DispatchState.PENDING)
assert isinstance(dispatches, Dispatches), dispatches
assert [run.model for run in dispatches.dispatches] == ["42"]

body = PauseBody(comment="the data is being mended", for_="4h")
paused = pause_model.sync("42", client=client, body=body, idempotency_key="one")
assert isinstance(paused, WholeDecision), paused
assert (paused.reason, paused.actor) == (Reason.OPERATOR, "ops")
assert get_model.sync("42", client=client).paused.comment == body.comment

unknown = retrain_model.sync("a/b", client=client, body=NamingBody(comment="why"))
assert isinstance(unknown, Problem), unknown
assert "a/b" in unknown.detail

assert isinstance(get_openapi.sync(client=client), OpenApi)
