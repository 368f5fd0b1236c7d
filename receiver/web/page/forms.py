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
from receiver.core.models import UNKNOWN_MODEL
from receiver.core.policies import shown
from receiver.flows.operator.acts import Act
from receiver.web import operator_acts
from receiver.web.auth import Caller, require, require_same_site
from receiver.web.operator_acts import OperatorAct, carry_out, fingerprint_of
from receiver.web.page import actions, details, policies_page, rendering
from receiver.web.page.actions import Offer
from receiver.web.page.error_page import in_html
from receiver.web.page.overview import Overviews
from receiver.web.params import bad, complaints, form_fields, only
from receiver.web.problems import Problem
from receiver.web.service import Service
from receiver.web.shapes.acts import PauseBody

Offering: TypeAlias = Callable[[Any], Offer]
"""What an act would do now to what it is about: a model, a dispatch, a policy."""

Acts: TypeAlias = Mapping[str, tuple[Offering, OperatorAct[Any]]]


def _offered(acts: Mapping[str, OperatorAct[Any]], offerings: Mapping[str, Offering]) -> Acts:
    """The acts of the API, with what the page says about each."""
    return {word: (offerings[word], act) for word, act in acts.items()}


ON_MODELS = _offered(
    operator_acts.ON_MODELS,
    {
        "retrain": actions.retrain,
        "pause": actions.pause,
        "resume": actions.resume,
        "forget": actions.forget,
        "approve": actions.approve,
        "reject": actions.reject,
    },
)

ON_DISPATCHES = _offered(
    operator_acts.ON_DISPATCHES, {"retry": actions.retry, "abandon": actions.abandon}
)

ON_MANY = _offered(
    operator_acts.ON_MANY,
    {
        "pause": actions.pause_many,
        "resume": actions.resume_many,
        "release": actions.release_many,
        "reject": actions.reject_many,
    },
)

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
        on_dispatches, on_many = "/ui/dispatches/{name}/{act}", "/ui/acts/{act}"
        # A model's name may hold `/`: of what can be looked at, only an act's form ends so.
        on_models = [f"/ui/models/{{name:path}}/{act}" for act in ON_MODELS]
        paths = (*on_models, on_dispatches, on_many)
        asked = [Route(path, in_html(self._answer), methods=["GET", "POST"]) for path in paths]
        sent = Route("/ui/models/{name:path}/{act}", in_html(self._answer), methods=["POST"])
        return [*asked, sent]

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
        table, name = _table(request)
        _offering, operator_act = table[_act_of(request)]
        try:
            policy = name if table is ON_MANY and name else None
            body = body_of(said, policy, service.clock.now())
            act = Act(caller.name, body.comment, said.get("key"), fingerprint_of(request, said))
            policy_set = service.loaded.policy_set
            decision_id = await carry_out(
                service, lambda: operator_act.do(service.store, policy_set, act, name, body)
            )
        except Problem as problem:
            return await self._form(offer, said, caller=caller, wrong=problem)
        back = said.get("back", "")
        back = back if OURS.fullmatch(back) and not offer.leaves else offer.back
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
            key=said.get("key") or new_key(),
            now=self._service.clock.now(),
        )

    def _offer(self, request: Request) -> Offer:
        """What the act would do now. Raises `Problem` 404."""
        table, name = _table(request)
        offering, _act = table[_act_of(request)]
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
            raise Problem(HTTPStatus.NOT_FOUND, UNKNOWN_MODEL)
        return offering(close)


def new_key() -> str:
    """Names one form, so that what is sent twice is done once."""
    return secrets.token_urlsafe(12)


def _table(request: Request) -> tuple[Acts, str]:
    """The acts that the request's path is about, and on what. Raises `Problem` 404."""
    path = request.scope["path"]
    name = request.path_params.get("name", request.query_params.get("policy", ""))
    table: Acts = ON_MANY
    if path.startswith("/ui/models/"):
        table = ON_MODELS
    elif path.startswith("/ui/dispatches/"):
        table = ON_DISPATCHES
    if _act_of(request) not in table:
        raise Problem(HTTPStatus.NOT_FOUND, f"the acts here are {', '.join(table)}")
    return table, name


def _act_of(request: Request) -> str:
    path: str = request.scope["path"]
    return path.rpartition("/")[2]


def body_of(said: Mapping[str, str], policy: str | None, now: datetime) -> PauseBody:
    """What was filled in, in the body that has the fields of them all. Raises `Problem` 400."""
    asked: dict[str, Any] = {"comment": said.get("comment", ""), "policy": policy}
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
