"""GET /models: how each model stands and why."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import cast

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from receiver.core.approvals import Approval, in_force
from receiver.core.decisions import Gate
from receiver.core.explaining import explain
from receiver.core.links import links_of
from receiver.core.models import (
    UNKNOWN_MODEL,
    FiringAlert,
    LatestDispatch,
    Model,
    ModelState,
    Pause,
    pause_in_force,
    state_of,
)
from receiver.core.policies import shown
from receiver.core.policy_set import PolicySet
from receiver.core.run_ends import RunEnd
from receiver.core.sightings import DELIVERED
from receiver.core.tenants import Tenant
from receiver.core.times import stamp
from receiver.store.column_types import from_micros, to_micros
from receiver.store.views.model_lists import ModelPage, Sort, Wanted
from receiver.store.views.models import FiringSize
from receiver.store.views.needs import NeedGroup
from receiver.store.views.view import View
from receiver.web.auth import require_reader
from receiver.web.dispatches import dispatches_json, run_end_json
from receiver.web.params import all_at_once, bad, cursor, filters, limit, only
from receiver.web.problems import Problem
from receiver.web.responses import PAGE_BYTES, answer
from receiver.web.service import Service
from receiver.web.shapes.decisions import GateJson
from receiver.web.shapes.models import (
    ApprovalJson,
    FiringAlertJson,
    GroupJson,
    LatestDispatchJson,
    ModelJson,
    ModelsJson,
    PauseJson,
    WholeModelJson,
)

LAST_RUNS = 10

LISTED = FiringSize(alerts=100, bytes=PAGE_BYTES // 4)
"""What a list shows of one model's firing alerts: the oldest."""

MOST_ALERTS = 100
"""Firing alerts that a model shows, unless more or fewer are asked for."""

LONGEST_MICROS = 18

ASKED = ("limit", "cursor")

LIST_ASKED = ("state", "policy", "target", "q", "labels", "sort", *ASKED)

WORDS = {"state": ModelState, "sort": Sort}


class Models:
    """The routes about models."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def list(self, request: Request) -> Response:
        """A page of models, by name."""
        tenant = require_reader(request, self._service.loaded.tokens).tenant
        _, said, _, rows = all_at_once(
            partial(only, request, LIST_ASKED),
            partial(filters, request, LIST_ASKED, WORDS),
            partial(labels_in, request.query_params.get("labels", "")),
            partial(limit, request),
        )
        after = cursor(request)
        wanted = wanted_of(said, self._service.loaded.policy_set)
        worst = said.get("sort") == Sort.WORST

        def read() -> ModelsJson:
            with self._service.store.view(tenant) as view:
                now = view.now
                page = _page(view, wanted, after, rows, worst=worst)
                sizes = view.models.firing_sizes([model.name for model in page.rows])
                page = _fitting(page, sizes)
                sets = _sets(view, [model.name for model in page.rows], sizes)
                pauses = view.models.pauses()
                ends = view.models.latest_ends(page.rows)
                asked = view.models.approvals(list(sets))
                groups = [] if after is not None else groups_json(view, said, wanted)
            return {
                "groups": groups,
                "models": [
                    model_json(
                        model,
                        sets[model.name],
                        pauses,
                        now,
                        ends.get(model.name),
                        asked=asked.get(model.name),
                        firing=_count(sizes, model.name),
                    )
                    for model in page.rows
                ],
                "next_cursor": page.next_cursor,
            }

        return answer(await run_in_threadpool(read))

    async def one(self, request: Request) -> Response:
        """One model, with its last runs and every rung of the ladder as it stands now."""
        tenant = require_reader(request, self._service.loaded.tokens).tenant
        only(request, ASKED)
        most = FiringSize(limit(request, MOST_ALERTS), PAGE_BYTES)
        after = cursor(request, _place)
        name = request.path_params["model"]
        found = await run_in_threadpool(self._whole, tenant, name, most, after)
        if found is None:
            raise Problem(HTTPStatus.NOT_FOUND, f"{UNKNOWN_MODEL}; see GET /models")
        return answer(found)

    def _whole(
        self,
        tenant: Tenant | None,
        name: str,
        most: FiringSize,
        after: tuple[datetime, str] | None,
    ) -> WholeModelJson | None:
        policy_set = self._service.loaded.policy_set
        with self._service.store.view(tenant) as view:
            now, model = view.now, view.models.find(name)
            if model is None:
                return None
            sizes = view.models.firing_sizes([name])
            alerts = _sets(view, [name], sizes)[name]
            listed = view.models.firing([name], most=most, after=after)[name]
            more = bool(listed) and view.models.fires_after(name, _place_of(listed[-1]))
            pauses = view.models.pauses()
            runs = view.dispatches.page({"model": name}, limit=LAST_RUNS)
            shown_runs = dispatches_json(view, runs.rows)
            end = view.models.latest_ends([model]).get(name)
            asked = view.models.approvals([name]).get(name)
            restraints = view.models.restraints([model], {name: alerts}, policy_set)
            beliefs = view.sources.beliefs(alerts[:1], policy_set.asking)
        explained = explain(
            model,
            alerts,
            pauses,
            policy_set,
            now,
            restraints=restraints[name],
            belief=next(iter(beliefs.values()), None),
        )
        return {
            **model_json(model, alerts, pauses, now, end, asked=asked, firing=_count(sizes, name)),
            "firing_alerts": [_alert_json(alert) for alert in listed],
            "next_cursor": _cursor(listed[-1]) if more else None,
            "runs": shown_runs,
            "explain": {
                "holds": explained.holds,
                "detail": explained.detail,
                "next_check_at": explained.next_check_at,
                "gates": [_gate_json(gate) for gate in explained.gates],
            },
            "links": links_of(self._service.loaded.config.links, model),
        }


def wanted_of(said: Mapping[str, str], policy_set: PolicySet) -> Wanted:
    """Which models the filters ask for. Raises `Problem` 400."""
    policies = None if "policy" not in said else {said["policy"]}
    if "target" in said:
        names = {one.name for one in policy_set.policies if one.target == said["target"]}
        policies = names if policies is None else policies & names
    return Wanted(
        state=ModelState(said["state"]) if "state" in said else None,
        text=said.get("q", "").strip(),
        policies=policies,
        labels=labels_in(said.get("labels", "")),
    )


def labels_in(text: str) -> dict[str, str]:
    """`region=eu,tier=gold` as labels. Raises `Problem` 400."""
    found = {}
    for pair in filter(None, text.split(",")):
        name, is_pair, value = pair.partition("=")
        if not is_pair or not name.strip():
            raise bad(f"labels are written as region=eu,tier=gold; not {shown(text)}")
        found[name.strip()] = value
    return found


def groups_json(view: View, said: Mapping[str, str], wanted: Wanted) -> list[GroupJson]:
    """What needs a human, as far as the filters ask for it: whole groups, or none."""
    if wanted.text or wanted.labels:
        return []
    return [group_json(group) for group in view.needs.groups() if _is_wanted(group, said, wanted)]


def _is_wanted(group: NeedGroup, said: Mapping[str, str], wanted: Wanted) -> bool:
    if group.target is not None:
        theirs = said.get("target", group.target) == group.target and "policy" not in said
        return theirs and wanted.state in {None, ModelState.WAITING}
    mine = wanted.policies is None or group.policy in wanted.policies
    return mine and wanted.state in {None, ModelState.ATTENTION}


def group_json(group: NeedGroup) -> GroupJson:
    """A group as it is told."""
    return {
        "kind": group.kind,
        "policy": group.policy,
        "target": group.target,
        "count": group.count,
        "since": group.since,
        "labels": group.labels,
        "examples": group.examples,
        "orders": group.count if group.is_storm else None,
        "detail": group_detail(group),
    }


def group_detail(group: NeedGroup) -> str:
    """One sentence about all of them."""
    many = "1 model" if group.count == 1 else f"{group.count} models"
    if group.target is not None:
        waits = "waits" if group.count == 1 else "wait"
        return f"{many} {waits} for target {group.target}: {group.detail}"
    whose = f"{many} of policy {group.policy}"
    if group.is_storm:
        return f"{whose} began to fire together and are held by a storm: suspect the data"
    if group.asks:
        return f"{whose}: {group.kind} asks a human"
    return f"{whose}: {group.kind}: {group.detail}"


def _page(view: View, wanted: Wanted, after: str | None, limit: int, *, worst: bool) -> ModelPage:
    if not worst:
        return view.lists.by_name(wanted, after=after, limit=limit)
    try:
        return view.lists.by_worst(wanted, after=after, limit=limit)
    except ValueError:
        raise bad(f"cursor {shown(after or '')} is not one of ours") from None


def _fitting(page: ModelPage, sizes: Mapping[str, FiringSize]) -> ModelPage:
    """As many models of a page as their firing alerts leave room for; one at least."""
    taken = 0
    for number, model in enumerate(page.rows):
        taken += min(sizes[model.name].bytes, LISTED.bytes) if model.name in sizes else 0
        if taken > PAGE_BYTES and number > 0:
            return page.first(number)
    return page


def _sets(
    view: View, names: Sequence[str], sizes: Mapping[str, FiringSize]
) -> dict[str, list[FiringAlert]]:
    """The firing sets as the list shows them; nearly always they are whole."""
    whole = all(sizes[name].within(LISTED) for name in names if name in sizes)
    return view.models.firing(names, most=None if whole else LISTED)


def _count(sizes: Mapping[str, FiringSize], name: str) -> int:
    return sizes[name].alerts if name in sizes else 0


def _place_of(alert: FiringAlert) -> tuple[datetime, str]:
    return alert.starts_at, alert.fingerprint


def _cursor(alert: FiringAlert) -> str:
    return f"{to_micros(alert.starts_at)}.{alert.fingerprint}"


def _place(text: str) -> tuple[datetime, str]:
    """Where a cursor stands. Raises `Problem` 400."""
    micros, _, fingerprint = text.partition(".")
    try:
        return from_micros(int(micros[:LONGEST_MICROS])), fingerprint
    except (ValueError, OverflowError):
        raise bad(f"cursor {shown(text)} is not one of ours") from None


def model_json(
    model: Model,
    alerts: Sequence[FiringAlert],
    pauses: Sequence[Pause],
    now: datetime,
    end: RunEnd | None,
    *,
    asked: Approval | None,
    firing: int,
) -> ModelJson:
    """A model as the lists show it.

    `end` is what became of its latest run, `asked` what a human was asked about it last, `firing`
    how many of its alerts fire: `alerts` may be the oldest of them.
    """
    asked = in_force(asked, model.episode_started_at, model.latest, now) if alerts else None
    pause = pause_in_force(pauses, model=model.name, policy=model.policy, now=now)
    return {
        "model": model.name,
        "state": state_of(model, alerts, pauses, now),
        "policy": model.policy,
        "labels": dict(model.labels),
        "firing_alerts": [_alert_json(alert) for alert in alerts],
        "firing_count": firing,
        "episode_started_at": model.episode_started_at,
        "cooldown_until": model.held_until,
        "observed_until": model.observed_until,
        "next_check_at": model.next_check_at,
        "paused": None if pause is None else _pause_json(pause),
        "approval": None if asked is None else _approval_json(asked),
        "dispatch": None if model.latest is None else _latest_json(model.latest, end, now),
    }


def _gate_json(gate: Gate) -> GateJson:
    """A gate as it stands now, in the shape that the log keeps gates in."""
    return cast(
        "GateJson",
        {
            "rung": gate.rung.value,
            "applies": gate.applies,
            "detail": gate.detail,
            "until": stamp(gate.until),
            **gate.saw,
        },
    )


def _alert_json(alert: FiringAlert) -> FiringAlertJson:
    return {
        "fingerprint": alert.fingerprint,
        "alertname": alert.alertname,
        "policy": alert.policy,
        "labels": dict(alert.labels),
        "value": alert.value,
        "starts_at": alert.starts_at,
        "confirmed_at": alert.confirmed_at,
        "confirmed_by": alert.confirmed_by or DELIVERED,
        "expires_at": alert.expires_at,
        "stale_until": alert.stale_until,
    }


def _pause_json(pause: Pause) -> PauseJson:
    return {
        "scope": pause.scope,
        "until": pause.until,
        "actor": pause.actor,
        "comment": pause.comment,
    }


def _approval_json(approval: Approval) -> ApprovalJson:
    return {
        "rung": approval.rung,
        "asked_at": approval.asked_at,
        "expires_at": approval.expires_at,
        "answer": approval.answer,
        "answered_at": approval.answered_at,
        "actor": approval.actor,
        "comment": approval.comment,
    }


def _latest_json(latest: LatestDispatch, end: RunEnd | None, now: datetime) -> LatestDispatchJson:
    return {
        "id": latest.id,
        "state": latest.state,
        "run_id": latest.run_id,
        "created_at": latest.created_at,
        "due_at": latest.due_at,
        "attempt": latest.attempt,
        "sent_at": latest.sent_at,
        "failing_since": latest.failing_since,
        "ended_at": latest.ended_at,
        "detail": latest.detail,
        **run_end_json(end, now),
    }
