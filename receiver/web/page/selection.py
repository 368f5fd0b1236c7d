"""One act on some models: what it would do to each is shown once; each leaves its own decision."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from receiver.config import Role
from receiver.core.models import UNKNOWN_MODEL
from receiver.core.policies import shown
from receiver.flows.operator.acts import Act
from receiver.web.auth import Caller, require, require_same_site
from receiver.web.operator_acts import carry_out, fingerprint_of
from receiver.web.page import rendering
from receiver.web.page.actions import Offer
from receiver.web.page.error_page import in_html
from receiver.web.page.forms import LENGTHS, ON_MODELS, body_of, new_key
from receiver.web.page.overview import MODELS_PER_PAGE, Overviews
from receiver.web.params import bad, form_pairs
from receiver.web.problems import Problem
from receiver.web.service import Service

WORDS = {"pause": "Pause", "resume": "Resume", "retrain": "Retrain now"}
"""What can be done to several models at once."""

FIELDS = ("act", "model", "comment", "for", "until", "key")
PLACE = "/ui/selection"


@dataclass(frozen=True, slots=True)
class Selected:
    """A model that was ticked, and what the act would do to it; None if nothing named it."""

    name: str
    offer: Offer | None

    @property
    def blocked(self) -> str | None:
        """Why nothing can be done to it now."""
        return UNKNOWN_MODEL if self.offer is None else self.offer.blocked


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one of them: its decision, or why there is none."""

    name: str
    decision_id: int | None
    detail: str = ""


class Selecting:
    """The page that acts on what was ticked."""

    def __init__(self, service: Service, overviews: Overviews) -> None:
        self._service = service
        self._overviews = overviews

    def routes(self) -> list[Route]:
        """The form, and where it is sent."""
        return [Route(PLACE, in_html(self._answer), methods=["GET", "POST"])]

    async def _answer(self, request: Request) -> Response:
        caller = require(request, self._service.loaded.tokens, Role.OPERATOR)
        if request.method == "GET":
            act, names = _chosen(request.query_params.multi_items())
            return await self._form(caller, act, names, {})
        require_same_site(request, self._service.loaded.config.server.external_url)
        pairs = await form_pairs(request, FIELDS, MODELS_PER_PAGE + len(FIELDS))
        act, names = _chosen(pairs)
        said = {name: value for name, value in pairs if name != "model"}
        try:
            body = body_of(said, None, self._service.clock.now())
        except Problem as problem:
            return await self._form(caller, act, names, said, wrong=problem)
        done = []
        for name in names:
            # Each has a key of its own: sent twice, it is done once to each.
            key = f"{said['key']}:{name}" if said.get("key") else None
            asked = fingerprint_of(request, {**said, "model": name})
            acting = Act(caller.name, body.comment, key, asked)
            done.append(await self._act(act, name, acting, body))
        return await rendering.page(
            "selection_done.html",
            done=done,
            word=WORDS[act],
            caller=caller,
            acts=True,
            now=self._service.clock.now(),
        )

    async def _act(self, act: str, name: str, acting: Act, body: Any) -> Done:
        """Do it to one of them; that another can't be done holds nobody up."""
        service, do = self._service, ON_MODELS[act][1].do
        policy_set = service.loaded.policy_set
        try:
            made = await carry_out(
                service, lambda: do(service.store, policy_set, acting, name, body)
            )
        except Problem as problem:
            return Done(name, None, problem.detail)
        return Done(name, made)

    async def _form(
        self,
        caller: Caller,
        act: str,
        names: Sequence[str],
        said: Mapping[str, str],
        *,
        wrong: Problem | None = None,
    ) -> Response:
        selected = await run_in_threadpool(self._selected, act, names)
        return await rendering.page(
            "selection.html",
            wrong.status if wrong else HTTPStatus.OK,
            act=act,
            word=WORDS[act],
            selected=selected,
            said=said,
            wrong=wrong,
            caller=caller,
            acts=True,
            lengths=LENGTHS,
            key=said.get("key") or new_key(),
            now=self._service.clock.now(),
        )

    def _selected(self, act: str, names: Sequence[str]) -> Sequence[Selected]:
        found = []
        for name in names:
            close = self._overviews.one(self._service.loaded.policy_set, name)
            found.append(Selected(name, None if close is None else ON_MODELS[act][0](close)))
        return found


def _chosen(pairs: Sequence[tuple[str, str]]) -> tuple[str, Sequence[str]]:
    """The act, and on which models. Raises `Problem` 400."""
    unknown = [name for name, _ in pairs if name not in FIELDS]
    if unknown:
        raise bad(f"{shown(unknown[0])} has no meaning here")
    act = dict(pairs).get("act", "")
    if act not in WORDS:
        raise bad(f"act can be {', '.join(WORDS)}; not {shown(act)}")
    names = list(dict.fromkeys(value for name, value in pairs if name == "model"))
    if not names:
        raise bad("no model is selected: tick some of them first")
    if len(names) > MODELS_PER_PAGE:
        raise bad(
            f"{len(names)} models are too many at once: {MODELS_PER_PAGE} are, a page of them"
        )
    return act, names
