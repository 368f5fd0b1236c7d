"""Operators' acts over HTTP: the body that each needs, the flow that it calls, who, why, once."""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Generic, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from receiver.config import Role
from receiver.core.models import PauseScope
from receiver.core.policy_set import PolicySet
from receiver.flows.operator import approvals, controls, dispatches
from receiver.flows.operator.acts import Act, Conflict, NotFound
from receiver.store.store import Store
from receiver.web.auth import require, require_same_site
from receiver.web.decisions import whole_decision
from receiver.web.params import act_body, bad, only
from receiver.web.problems import Problem
from receiver.web.responses import answer
from receiver.web.service import Service
from receiver.web.shapes.acts import (
    CommentBody,
    NamingBody,
    OnePolicyBody,
    PauseBody,
    PausePolicyBody,
    PolicyBody,
    with_every_field,
)

LONGEST_KEY = 255

Body = TypeVar("Body", bound=CommentBody)


@dataclass(frozen=True, slots=True)
class OperatorAct(Generic[Body]):
    """An act: the body that it needs, and what does it.

    Attributes:
        do: Does it to the named model or dispatch. The decision's id.

    """

    body: type[Body]
    do: Callable[[Store, PolicySet, Act, str, Body], int]


ON_MODELS: Mapping[str, OperatorAct[Any]] = {
    "retrain": OperatorAct(
        NamingBody,
        lambda store, policy_set, act, name, body: controls.retrain(
            store, policy_set, act, name, _named(body)
        ),
    ),
    "pause": OperatorAct(
        PauseBody,
        lambda store, policy_set, act, name, body: controls.pause(
            store,
            policy_set,
            act,
            PauseScope.MODEL,
            name,
            length=body.for_,
            named=_named(body),
        ),
    ),
    "resume": OperatorAct(
        NamingBody,
        lambda store, policy_set, act, name, body: controls.resume(
            store, policy_set, act, PauseScope.MODEL, name, named=_named(body)
        ),
    ),
    "forget": OperatorAct(
        CommentBody,
        lambda store, policy_set, act, name, _: controls.forget(store, policy_set, act, name),
    ),
    "approve": OperatorAct(
        CommentBody,
        lambda store, policy_set, act, name, _: approvals.approve(store, policy_set, act, name),
    ),
    "reject": OperatorAct(
        CommentBody,
        lambda store, policy_set, act, name, _: approvals.reject(store, policy_set, act, name),
    ),
}

ON_DISPATCHES: Mapping[str, OperatorAct[Any]] = {
    "retry": OperatorAct(
        CommentBody,
        lambda store, policy_set, act, name, _: dispatches.retry(store, policy_set, act, name),
    ),
    "abandon": OperatorAct(
        CommentBody,
        lambda store, policy_set, act, name, _: dispatches.abandon(store, policy_set, act, name),
    ),
}

ON_MANY: Mapping[str, OperatorAct[Any]] = {
    "pause": OperatorAct(
        PausePolicyBody,
        lambda store, policy_set, act, _, body: controls.pause(
            store, policy_set, act, *_scope(body), length=body.for_
        ),
    ),
    "resume": OperatorAct(
        PolicyBody,
        lambda store, policy_set, act, _, body: controls.resume(
            store, policy_set, act, *_scope(body)
        ),
    ),
    "release": OperatorAct(
        PolicyBody,
        lambda store, policy_set, act, _, body: controls.release(
            store, policy_set, act, *_scope(body)
        ),
    ),
    "reject": OperatorAct(
        OnePolicyBody,
        lambda store, policy_set, act, _, body: approvals.reject_many(
            store, policy_set, act, body.policy
        ),
    ),
}


def _named(body: NamingBody) -> controls.Named:
    return controls.Named(body.policy, body.labels)


def _scope(body: PolicyBody) -> tuple[PauseScope, str]:
    if body.policy is None:
        return PauseScope.EVERYTHING, ""
    return PauseScope.POLICY, body.policy


def endpoint(
    service: Service, act: OperatorAct[Any], named: str = ""
) -> Callable[[Request], Awaitable[Response]]:
    """The route of an act; `named` is the path parameter that says on what."""

    async def perform(request: Request) -> Response:
        """Check who asks and what, do it, and answer with the decision that it left."""
        caller = require(request, service.loaded.tokens, Role.OPERATOR)
        require_same_site(request, service.loaded.config.server.external_url)
        only(request, ())
        body = await act_body(request, act.body)
        asked = fingerprint_of(request, with_every_field(body))
        acting = Act(caller.name, body.comment, _key(request), asked)
        name = request.path_params.get(named, "")
        policy_set = service.loaded.policy_set
        decision_id = await carry_out(
            service, lambda: act.do(service.store, policy_set, acting, name, body)
        )
        decision = await run_in_threadpool(whole_decision, service.store, decision_id)
        if decision is None:
            raise Problem(
                HTTPStatus.NOT_FOUND, f"there is no decision {decision_id}, or it was forgotten"
            )
        return answer(decision)

    return perform


async def carry_out(service: Service, do: Callable[[], int]) -> int:
    """Do it and wake the workers. The decision's id. Raises `Problem` 404, 409."""
    try:
        decision_id = await run_in_threadpool(do)
    except NotFound as error:
        raise Problem(HTTPStatus.NOT_FOUND, str(error)) from None
    except Conflict as error:
        raise Problem(HTTPStatus.CONFLICT, str(error)) from None
    service.hint()
    return decision_id


def _key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not 1 <= len(key) <= LONGEST_KEY:
        raise bad(f"an Idempotency-Key has 1 to {LONGEST_KEY} characters")
    return key


def fingerprint_of(request: Request, said: Mapping[str, Any]) -> str:
    """Names what was asked for, so that a key can't be used for something else."""
    asked = [request.scope["path"], dict(said)]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
