"""The forms for operators' acts: each shows its consequence and asks for a comment."""

import re
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, TypeAlias

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from receiver.config import Role
from receiver.core.durations import format_duration
from receiver.core.models import PauseScope
from receiver.core.policies import shown
from receiver.core.policy_set import PolicySet
from receiver.flows.operator import approvals, controls, dispatches
from receiver.flows.operator.acts import Act
from receiver.store.store import Store
from receiver.web.auth import Caller, require, require_same_site
from receiver.web.operator_acts import carry_out, fingerprint_of
from receiver.web.page import actions, details, policies_page, rendering
from receiver.web.page.actions import Offer
from receiver.web.page.error_page import in_html
from receiver.web.page.overview import Overviews
from receiver.web.params import bad, complaints, form_fields, only
from receiver.web.problems import Problem
from receiver.web.service import Service
from receiver.web.shapes.acts import PauseBody

Do: TypeAlias = Callable[[Store, PolicySet, Act, str, PauseBody], int]
"""Does one act on the named model, dispatch or policy. The decision's id."""

Offering: TypeAlias = Callable[[Any], Offer]
"""What an act would do now to what it is about: a model, a dispatch, a policy."""

Acts: TypeAlias = Mapping[str, tuple[Offering, Do]]

ON_MODELS: Acts = {
    "retrain": (
        actions.retrain,
        lambda store, policy_set, act, name, _: controls.retrain(store, policy_set, act, name),
    ),
    "pause": (
        actions.pause,
        lambda store, policy_set, act, name, body: controls.pause(
            store, policy_set, act, PauseScope.MODEL, name, length=body.for_
        ),
    ),
    "resume": (
        actions.resume,
        lambda store, policy_set, act, name, _: controls.resume(
            store, policy_set, act, PauseScope.MODEL, name
        ),
    ),
    "approve": (
        actions.approve,
        lambda store, policy_set, act, name, _: approvals.approve(store, policy_set, act, name),
    ),
    "reject": (
        actions.reject,
        lambda store, policy_set, act, name, _: approvals.reject(store, policy_set, act, name),
    ),
}

ON_DISPATCHES: Acts = {
    "retry": (
        actions.retry,
        lambda store, policy_set, act, name, _: dispatches.retry(store, policy_set, act, name),
    ),
    "abandon": (
        actions.abandon,
        lambda store, policy_set, act, name, _: dispatches.abandon(store, policy_set, act, name),
    ),
}

ON_MANY: Acts = {
    "pause": (
        actions.pause_many,
        lambda store, policy_set, act, policy, body: controls.pause(
            store, policy_set, act, *_scope(policy), length=body.for_
        ),
    ),
    "resume": (
        actions.resume_many,
        lambda store, policy_set, act, policy, _: controls.resume(
            store, policy_set, act, *_scope(policy)
        ),
    ),
}

OURS = re.compile(r"/(?:ui/[A-Za-z0-9._~%:@-]+(?:/[A-Za-z0-9._~%:@-]+)?)?")
"""Pages that a form may lead back to: never another origin's."""

LENGTHS = (("4h", "4 hours"), ("24h", "24 hours"), ("7d", "7 days"))

UNTIL, ENDLESS = "until", "endless"

FIELDS = ("comment", "for", "until", "key", "back")


class Acting:
    """The pages that change something."""

    def __init__(self, service: Service, overviews: Overviews) -> None:
        self._service = service
        self._overviews = overviews

    def routes(self) -> list[Route]:
        """Each form, and where it is sent."""
        paths = ("/ui/models/{name}/{act}", "/ui/dispatches/{name}/{act}", "/ui/acts/{act}")
        return [Route(path, in_html(self._answer), methods=["GET", "POST"]) for path in paths]

    async def _answer(self, request: Request) -> Response:
        caller = require(request, self._service.loaded.tokens, Role.OPERATOR)
        if request.method == "POST":
            return await self._perform(request, caller)
        only(request, ("for", "policy"))
        offer = await run_in_threadpool(self._offer, request)
        return await self._form(offer, request.query_params, caller=caller)

    async def _perform(self, request: Request, caller: Caller) -> Response:
        service = self._service
        require_same_site(request, service.loaded.config.server.external_url)
        only(request, ("policy",))
        said = await form_fields(request, FIELDS)
        offer = await run_in_threadpool(self._offer, request)
        do, name = _doing(request)
        try:
            body = _body(said, service.clock.now())
            act = Act(caller.name, body.comment, said.get("key"), fingerprint_of(request, said))
            policy_set = service.loaded.policy_set
            decision_id = await carry_out(
                service, lambda: do(service.store, policy_set, act, name, body)
            )
        except Problem as problem:
            return await self._form(offer, said, caller=caller, wrong=problem)
        back = said.get("back", "")
        back = back if OURS.fullmatch(back) else offer.back
        return RedirectResponse(f"{back}?done={decision_id}", HTTPStatus.SEE_OTHER)

    async def _form(
        self,
        offer: Offer,
        said: Mapping[str, str],
        *,
        caller: Caller,
        wrong: Problem | None = None,
    ) -> Response:
        return await rendering.page(
            "act.html",
            wrong.status if wrong else HTTPStatus.OK,
            offer=offer,
            said=said,
            wrong=wrong,
            caller=caller,
            acts=True,
            lengths=LENGTHS,
            # One key per form: sent twice, it is done once.
            key=said.get("key") or secrets.token_urlsafe(12),
            now=self._service.clock.now(),
        )

    def _offer(self, request: Request) -> Offer:
        """What the act would do now. Raises `Problem` 404."""
        table, name = _table(request)
        offering, _do = table[request.path_params["act"]]
        if table is ON_MANY:
            wide = policies_page.one(self._service.store, self._service.loaded.policy_set, name)
            if wide is None:
                raise Problem(HTTPStatus.NOT_FOUND, f"there is no policy {shown(name)}")
            return offering(wide)
        if table is ON_DISPATCHES:
            found = details.dispatch(self._service.store, name)
            if found is None:
                raise Problem(
                    HTTPStatus.NOT_FOUND, "there is no such dispatch, or it was forgotten"
                )
            return offering(found.row)
        close = self._overviews.one(self._service.loaded.policy_set, name)
        if close is None:
            raise Problem(HTTPStatus.NOT_FOUND, "no alert named this model yet")
        return offering(close)


def _table(request: Request) -> tuple[Acts, str]:
    """The acts that the request's path is about, and on what. Raises `Problem` 404."""
    path = request.scope["path"]
    name = request.path_params.get("name", request.query_params.get("policy", ""))
    table: Acts = ON_MANY
    if path.startswith("/ui/models/"):
        table = ON_MODELS
    elif path.startswith("/ui/dispatches/"):
        table = ON_DISPATCHES
    if request.path_params["act"] not in table:
        raise Problem(HTTPStatus.NOT_FOUND, f"the acts here are {', '.join(table)}")
    return table, name


def _doing(request: Request) -> tuple[Do, str]:
    table, name = _table(request)
    return table[request.path_params["act"]][1], name


def _scope(policy: str) -> tuple[PauseScope, str]:
    return (PauseScope.POLICY, policy) if policy else (PauseScope.EVERYTHING, "")


def _body(said: Mapping[str, str], now: datetime) -> PauseBody:
    """What was filled in. Raises `Problem` 400."""
    asked: dict[str, Any] = {"comment": said.get("comment", "")}
    length = said.get("for", ENDLESS)
    if length == UNTIL:
        asked["for"] = _until(said.get("until", ""), now)
    elif length != ENDLESS:
        asked["for"] = length
    if not asked["comment"].strip():
        raise bad("say why: others will read it in the log")
    try:
        return PauseBody.model_validate(asked)
    except ValidationError as error:
        raise bad("; ".join(complaints(error))) from None


def _until(text: str, now: datetime) -> str:
    """The pause's length, from the moment at which it ends. Raises `Problem` 400."""
    try:
        until = datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise bad("say until when, in UTC") from None
    if until <= now:
        raise bad("that moment has passed; times are in UTC")
    return format_duration(until - now)
