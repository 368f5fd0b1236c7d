"""The page behind a signed link of a message: says what it does, asks once more, does it once."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from receiver.core.act_links import ActLink, BadLink, LinkAct, LinkEnd, end_of, unseal
from receiver.core.actors import link_of
from receiver.core.policies import Policy
from receiver.core.signatures import signing_key
from receiver.flows.operator.acts import ANSWERS_KEPT, Act
from receiver.flows.operator.linked import Ended, act_by_link, told_policies
from receiver.secret_files import read_secret
from receiver.web.auth import person_named, require_same_site
from receiver.web.operator_acts import carry_out
from receiver.web.page import actions, policies_page, rendering
from receiver.web.page.actions import Offer
from receiver.web.page.error_page import in_html
from receiver.web.page.overview import Overviews
from receiver.web.params import bad, complaints, form_fields, only
from receiver.web.problems import COME_AGAIN, Problem
from receiver.web.service import Service
from receiver.web.shapes.acts import CommentBody

FIELDS = ("token", "comment")

STRANGE = (
    "this link is not one of ours, was cut on its way, or the secret that it was made with was "
    "replaced since"
)

ALL_PAGES = {
    "X-Robots-Tag": "noindex, nofollow",
    # The address is a secret: whatever the page asks for must not carry it along.
    "Referrer-Policy": "no-referrer",
}

WITH_A_FORM = {
    **ALL_PAGES,
    # With `no-referrer` a browser hides the form's origin from us; so it tells that, and no path.
    "Referrer-Policy": "strict-origin",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a link would do now.

    Attributes:
        cost: Of one run, if it is known.

    """

    link: ActLink
    offer: Offer
    cost: str | None


class Linking:
    """The pages of links. No login is needed: whoever has a link may use it."""

    def __init__(self, service: Service, overviews: Overviews) -> None:
        self._service = service
        self._overviews = overviews

    def routes(self) -> list[Route]:
        """To look at, with its token; to act, without it in any address."""
        return [
            Route("/ui/act/{token}", in_html(self._look)),
            Route("/ui/act", in_html(self._act), methods=["POST"]),
        ]

    async def _look(self, request: Request) -> Response:
        """Change nothing: chats fetch what they show a preview of."""
        token = request.path_params["token"]
        try:
            asked = await run_in_threadpool(self._asked, token)
        except BadLink:
            return await self._refusal(HTTPStatus.FORBIDDEN, STRANGE)
        except Ended as ended:
            return await self._refusal(HTTPStatus.GONE, str(ended))
        return await self._page("act_link.html", WITH_A_FORM, asked=asked, token=token)

    async def _act(self, request: Request) -> Response:
        service = self._service
        require_same_site(request, service.loaded.config.server.external_url)
        only(request, ())
        said = await form_fields(request, FIELDS)
        policy_set = service.loaded.policy_set
        try:
            link = await run_in_threadpool(self._unsealed, said.get("token", ""))
            act = _act_of(link, said, person_named(request, service.loaded.tokens))
            decision_id = await carry_out(
                service, lambda: act_by_link(service.store, policy_set, act, link)
            )
        except BadLink:
            return await self._refusal(HTTPStatus.FORBIDDEN, STRANGE)
        except Ended as ended:
            return await self._refusal(HTTPStatus.GONE, str(ended))
        return await self._page("act_link_done.html", link=link, decision_id=decision_id)

    async def _refusal(self, status: HTTPStatus, detail: str) -> Response:
        return await self._page("act_link_ended.html", status=status, detail=detail)

    async def _page(
        self,
        template: str,
        headers: Mapping[str, str] = ALL_PAGES,
        status: HTTPStatus = HTTPStatus.OK,
        **values: object,
    ) -> Response:
        now = self._service.clock.now()
        response = await rendering.page(template, status, now=now, **values)
        response.headers.update(headers)
        return response

    def _unsealed(self, token: str) -> ActLink:
        """The link of a token. Raises `BadLink`; `Problem` 503 if a secret can't be read."""
        keys, unread = {}, False
        for told in self._service.loaded.config.subscribers:
            if told.act_links is None:
                continue
            try:
                keys[told.subscriber.name] = signing_key(read_secret(told.act_links.secret_file))
            except ValueError:
                unread = True
        try:
            return unseal(token, keys)
        except BadLink:
            if unread:
                detail = "a secret file for links can't be used now; check-config tells which"
                raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, COME_AGAIN) from None
            raise

    def _asked(self, token: str) -> Asked:
        """What a link would do now. Raises `BadLink`, `Ended`."""
        link = self._unsealed(token)
        policy_set, store = self._service.loaded.policy_set, self._service.store
        with store.view() as view:
            question = view.act_links.question(link, view.now - ANSWERS_KEPT)
            why = end_of(link, question, told_policies(policy_set, link.subscriber), view.now)
        if why is not None:
            raise Ended(why)
        return Asked(link, self._offer(link), _cost(policy_set.policy(link.policy)))

    def _offer(self, link: ActLink) -> Offer:
        """The offer of the operators' own form. Raises `Ended` if it is gone at this moment."""
        policy_set = self._service.loaded.policy_set
        if link.act is LinkAct.RELEASE:
            wide = policies_page.one(self._service.store, policy_set, link.policy)
            if wide is None:
                raise Ended(LinkEnd.POLICY_GONE)
            return actions.release_many(wide)
        close = self._overviews.one(policy_set, link.model)
        if close is None:
            raise Ended(LinkEnd.FORGOTTEN)
        return (actions.approve if link.act is LinkAct.APPROVE else actions.reject)(close)


def _cost(policy: Policy | None) -> str | None:
    if policy is None or policy.cost is None:
        return None
    return f"{policy.cost.amount:g} {policy.cost.unit}"


def _act_of(link: ActLink, said: Mapping[str, str], person: str | None) -> Act:
    """Who does it, and why; that it was by a link stays in the log. Raises `Problem` 400."""
    comment = said.get("comment", "").strip()
    if comment:
        try:
            comment = CommentBody.model_validate({"comment": comment}).comment
        except ValidationError as error:
            raise bad("; ".join(complaints(error))) from None
    by = link_of(link.subscriber)
    if person is None:
        return Act(by, comment or "no reason was given")
    return Act(person, f"{comment} (by a {by})" if comment else f"by a {by}")
