"""The routes of the operators' page, `GET /` and below."""

from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, NoReturn
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from receiver.config import Role
from receiver.core.links import links_of
from receiver.core.models import UNKNOWN_MODEL, ModelState
from receiver.core.policies import shown
from receiver.core.policy_set import PolicySet
from receiver.store.views.page import Wanted
from receiver.web.auth import Caller, require, require_reader
from receiver.web.models import labels_in, wanted_of
from receiver.web.page import details, log_page, policies_page, rendering, runs_page
from receiver.web.page.annotations import Hearsay
from receiver.web.page.backtest_page import Backtesting
from receiver.web.page.chart import RANGES
from receiver.web.page.charting import Charting
from receiver.web.page.error_page import Answering, in_html
from receiver.web.page.forms import Acting
from receiver.web.page.link_acts import Linking
from receiver.web.page.overview import MODELS_PER_PAGE, Overviews
from receiver.web.page.selection import Selecting
from receiver.web.page.teaching import lesson_for
from receiver.web.page.value_answers import ValueAnswers
from receiver.web.params import misnamed, number, only
from receiver.web.problems import Problem
from receiver.web.service import Service

BELOW = ("/ui", "/ui/{path:path}")
MOST_SKIPPED = 1_000_000
USUAL_RANGE = "24h"


def routes_of(service: Service) -> list[Route]:
    """Every page, by its path."""
    hearsay = Hearsay()
    overviews = Overviews(service.store, hearsay)
    charting = Charting(service.store, hearsay, ValueAnswers(service.clock))
    return [
        *Selecting(service, overviews).routes(),
        *Acting(service, overviews).routes(),
        *Linking(service, overviews).routes(),
        *Backtesting(service).routes(),
        *Showing(service, overviews, charting).routes(),
    ]


async def _nowhere(_request: Request) -> NoReturn:
    raise HTTPException(HTTPStatus.NOT_FOUND)


class Showing:
    """The pages that only show."""

    def __init__(self, service: Service, overviews: Overviews, charting: Charting) -> None:
        self._service = service
        self._overviews = overviews
        self._charting = charting

    def routes(self) -> list[Route]:
        """Each page, by its path."""
        return [
            self._route("/", self.overview),
            self._route("/ui/models/{model:path}", self.model),
            self._route("/ui/policies", self.policies),
            self._route("/ui/decisions", self.decisions),
            self._route("/ui/decisions/{id}", self.decision),
            self._route("/ui/runs", self.runs),
            self._route("/ui/dispatches/{id}", self.dispatch),
            self._route("/ui/rejections/{id}", self.rejection),
            self._route("/ui/words", self.words),
            self._route("/ui/static/{name}", self.static),
            *(self._route(path, self.nothing) for path in BELOW),
            # No page of ours posts there, but an Alertmanager may: see `Misdirected`.
            *(Route(path, _nowhere, methods=["POST"]) for path in BELOW),
        ]

    def _route(self, path: str, answer: Answering) -> Route:
        return Route(path, in_html(answer))

    async def overview(self, request: Request) -> Response:
        """The models, worst first, and what needs a human."""
        caller = self._reader(request)
        loaded = self._service.loaded
        whole = caller.tenant is None
        said, wanted, skip, wrong = _asked(request, loaded.policy_set)
        seen = await run_in_threadpool(
            self._overviews.read,
            loaded.policy_set,
            wanted,
            caller.tenant,
            skip=skip,
            rejections=Role.OPERATOR in caller.roles,
        )
        return await self._page(
            "overview.html",
            caller,
            seen=seen,
            now=seen.now,
            wanted=wanted,
            said=said,
            wrong=wrong,
            # What others' models are named by is nothing for a tenant.
            policies=[one.name for one in loaded.policy_set.policies] if whole else [],
            targets=list(loaded.config.targets) if whole else [],
            at=_overview_at,
            skip=skip,
            status=HTTPStatus.BAD_REQUEST if wrong else HTTPStatus.OK,
            before=None if skip == 0 else _overview_at(said, max(0, skip - MODELS_PER_PAGE)),
            after=_overview_at(said, skip + MODELS_PER_PAGE) if seen.more else None,
            lesson=lesson_for(request, loaded.config) if whole else None,
            done=None if wrong else await self._done(request, caller),
        )

    async def model(self, request: Request) -> Response:
        """One model: why it is not retrained, its values and runs, its story."""
        caller = self._reader(request)
        only(request, ("done", "range"))
        name = request.path_params["model"]
        loaded = self._service.loaded
        policy_set, tenant = loaded.policy_set, caller.tenant
        asked = request.query_params.get("range", USUAL_RANGE)
        wanted = RANGES.get(asked, RANGES[USUAL_RANGE])
        found = await run_in_threadpool(self._overviews.one, policy_set, name, tenant)
        if found is None:
            raise Problem(HTTPStatus.NOT_FOUND, UNKNOWN_MODEL)
        story = await run_in_threadpool(log_page.story_of, self._service.store, name, tenant)
        policy = policy_set.policy(found.it.model.policy)
        shown_chart = await run_in_threadpool(
            self._charting.of, name, wanted, loaded.values, policy, tenant
        )
        wrong = asked not in RANGES
        return await self._page(
            "model.html",
            caller,
            it=found.it,
            now=found.now,
            shown=shown_chart,
            wrong=f"range can be {', '.join(RANGES)}; not {shown(asked)}" if wrong else "",
            status=HTTPStatus.BAD_REQUEST if wrong else HTTPStatus.OK,
            story=story,
            policy=policy,
            links=links_of(loaded.config.links, found.it.model),
            done=await self._done(request, caller),
        )

    async def policies(self, request: Request) -> Response:
        """The policies: how each stands, and how often retraining helped."""
        caller = require(request, self._service.loaded.tokens, Role.READER, Role.OPERATOR)
        only(request, ("done",))
        service = self._service
        seen = await run_in_threadpool(policies_page.read, service.store, service.loaded)
        return await self._page(
            "policies.html",
            caller,
            seen=seen,
            backtests=service.backtests.seen(),
            now=seen.now,
            lesson=lesson_for(request, service.loaded.config),
            done=await self._done(request, caller),
        )

    async def decisions(self, request: Request) -> Response:
        """The timeline, by the API's own filters."""
        caller = self._reader(request)
        log = await run_in_threadpool(log_page.read, self._service.store, request, caller.tenant)
        status = HTTPStatus.BAD_REQUEST if log.wrong else HTTPStatus.OK
        return await self._page("decisions.html", caller, log=log, now=log.now, status=status)

    async def runs(self, request: Request) -> Response:
        """The runs that were ordered, newest first, by the API's filters."""
        caller = self._reader(request)
        loaded = self._service.loaded
        store, tenant = self._service.store, caller.tenant
        seen = await run_in_threadpool(runs_page.read, store, request, tenant)
        return await self._page(
            "runs.html",
            caller,
            seen=seen,
            now=seen.now,
            # What others' models are named and trained by is nothing for a tenant.
            policies=[] if tenant else [policy.name for policy in loaded.policy_set.policies],
            targets=[] if tenant else list(loaded.config.targets),
            status=HTTPStatus.BAD_REQUEST if seen.wrong else HTTPStatus.OK,
        )

    async def nothing(self, request: Request) -> Response:
        """A mistyped address: people get a page, and where else to look."""
        self._reader(request)
        raise Problem(HTTPStatus.NOT_FOUND, f"there is no page at {shown(request.url.path)}")

    async def words(self, request: Request) -> Response:
        """What the words for states mean."""
        caller = self._reader(request)
        only(request, ())
        return await self._page("words.html", caller, now=self._service.clock.now())

    async def decision(self, request: Request) -> Response:
        """One decision, whole."""
        caller = self._reader(request)
        only(request, ())
        decision_id = number("decision", request.path_params["id"])
        store, tenant = self._service.store, caller.tenant
        async with self._service.raw_alerts:
            found = await run_in_threadpool(details.decision, store, decision_id, tenant)
        if found is None:
            raise Problem(
                HTTPStatus.NOT_FOUND, f"there is no decision {decision_id}, or it was forgotten"
            )
        return await self._page("decision.html", caller, it=found, now=found.now)

    async def dispatch(self, request: Request) -> Response:
        """One dispatch with its attempts."""
        caller = self._reader(request)
        only(request, ("done",))
        dispatch_id = request.path_params["id"]
        store = self._service.store
        found = await run_in_threadpool(details.dispatch, store, dispatch_id, caller.tenant)
        if found is None:
            raise Problem(HTTPStatus.NOT_FOUND, "there is no such dispatch, or it was forgotten")
        done = await self._done(request, caller)
        return await self._page("dispatch.html", caller, it=found, now=found.now, done=done)

    async def rejection(self, request: Request) -> Response:
        """One body that we could not accept."""
        caller = require(request, self._service.loaded.tokens, Role.OPERATOR)
        only(request, ())
        rejection_id = number("rejection", request.path_params["id"])
        found = await run_in_threadpool(details.rejection, self._service.store, rejection_id)
        if found is None:
            raise Problem(
                HTTPStatus.NOT_FOUND, "there is no such rejection; only the newest are kept"
            )
        return await self._page("rejection.html", caller, it=found, now=found.now)

    async def static(self, request: Request) -> Response:
        """Style, script and icon: the same for everybody."""
        found = rendering.static_file(request.path_params["name"])
        if found is None:
            raise Problem(HTTPStatus.NOT_FOUND, "there is no such file")
        return found

    def _reader(self, request: Request) -> Caller:
        """Who may see what is shown of their `tenant`'s models."""
        return require_reader(request, self._service.loaded.tokens)

    async def _page(self, template: str, caller: Caller, **values: Any) -> Response:
        acts = Role.OPERATOR in caller.roles
        status = values.pop("status", HTTPStatus.OK)
        return await rendering.page(template, status, caller=caller, acts=acts, **values)

    async def _done(self, request: Request, caller: Caller) -> Any:
        """The decision that an act has just left, to be confirmed on the page."""
        text = request.query_params.get("done")
        if text is None:
            return None
        decision_id = number("decision", text)
        store = self._service.store
        return await run_in_threadpool(details.act_done, store, decision_id, caller.tenant)


MODEL_FILTERS = ("state", "q", "policy", "target", "labels")


OF_THE_FIRST_PAGE = (*MODEL_FILTERS, "skip", "done")


def _asked(request: Request, policy_set: PolicySet) -> tuple[dict[str, str], Wanted, int, str]:
    """The filters as they were written, what they ask for, where to begin, and what is wrong.

    A form sends the fields that were left empty, too; one that is wrong is shown again.
    """
    params = request.query_params
    said = {name: params[name].strip() for name in MODEL_FILTERS if params.get(name, "").strip()}
    wrong = list(misnamed(request, OF_THE_FIRST_PAGE))
    if said.get("state", ModelState.QUIET) not in list(ModelState):
        wrong.append(f"state can be {', '.join(ModelState)}")
    checks: tuple[Callable[[], object], ...] = (
        partial(labels_in, said.get("labels", "")),
        partial(number, "skip", params.get("skip", "0")),
        partial(number, "done", params.get("done", "0")),
    )
    for check in checks:
        try:
            check()
        except Problem as problem:
            wrong.append(problem.detail)
    if wrong:
        return said, Wanted(), 0, "; ".join(wrong)
    return said, wanted_of(said, policy_set), min(int(params.get("skip", "0")), MOST_SKIPPED), ""


def _overview_at(said: Mapping[str, str], skip: int = 0, **other: str | None) -> str:
    """The first page with these filters."""
    asked = {**said, "skip": str(skip or ""), **other}
    query = urlencode({name: value for name, value in asked.items() if value})
    return f"/?{query}" if query else "/"
