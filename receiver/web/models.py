"""GET /models: how each model stands and why."""

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import cast

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from receiver.config import Role
from receiver.core.approvals import Approval, in_force
from receiver.core.decisions import Gate
from receiver.core.explaining import explain
from receiver.core.models import (
    FiringAlert,
    LatestDispatch,
    Model,
    Pause,
    pause_in_force,
    state_of,
)
from receiver.core.run_ends import RunEnd
from receiver.core.sources import DELIVERED
from receiver.core.times import stamp
from receiver.web.auth import require
from receiver.web.dispatches import dispatches_json, run_end_json
from receiver.web.params import cursor, limit, only
from receiver.web.problems import Problem
from receiver.web.responses import answer
from receiver.web.service import Service
from receiver.web.shapes.decisions import GateJson
from receiver.web.shapes.models import (
    ApprovalJson,
    FiringAlertJson,
    LatestDispatchJson,
    ModelJson,
    ModelsJson,
    PauseJson,
    WholeModelJson,
)

LAST_RUNS = 10

ASKED = ("limit", "cursor")


class Models:
    """The routes about models."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def list(self, request: Request) -> Response:
        """A page of models, by name."""
        require(request, self._service.loaded.tokens, Role.READER, Role.OPERATOR)
        only(request, ASKED)
        after, rows = cursor(request), limit(request)

        def read() -> ModelsJson:
            with self._service.store.view() as view:
                now = view.now
                page = view.models.page(after=after, limit=rows)
                sets = view.models.firing([model.name for model in page.rows])
                pauses = view.models.pauses()
                ends = view.models.latest_ends(page.rows)
                asked = view.models.approvals(list(sets))
            return {
                "models": [
                    model_json(
                        model,
                        sets[model.name],
                        pauses,
                        now,
                        ends.get(model.name),
                        asked=asked.get(model.name),
                    )
                    for model in page.rows
                ],
                "next_cursor": page.next_cursor,
            }

        return answer(await run_in_threadpool(read))

    async def one(self, request: Request) -> Response:
        """One model, with its last runs and every rung of the ladder as it stands now."""
        require(request, self._service.loaded.tokens, Role.READER, Role.OPERATOR)
        only(request, ())
        found = await run_in_threadpool(self._whole, request.path_params["model"])
        if found is None:
            raise Problem(HTTPStatus.NOT_FOUND, "no alert named this model yet; see GET /models")
        return answer(found)

    def _whole(self, name: str) -> WholeModelJson | None:
        policy_set = self._service.loaded.policy_set
        with self._service.store.view() as view:
            now, model = view.now, view.models.find(name)
            if model is None:
                return None
            alerts = view.models.firing([name])[name]
            pauses = view.models.pauses()
            runs = view.dispatches.page({"model": name}, limit=LAST_RUNS)
            shown_runs = dispatches_json(view, runs.rows)
            end = view.models.latest_ends([model]).get(name)
            asked = view.models.approvals([name]).get(name)
            restraints = view.models.restraints(model, alerts, policy_set)
            beliefs = view.sources.beliefs(alerts[:1], policy_set.asking)
        explained = explain(
            model,
            alerts,
            pauses,
            policy_set,
            now,
            restraints=restraints,
            belief=next(iter(beliefs.values()), None),
        )
        return {
            **model_json(model, alerts, pauses, now, end, asked=asked),
            "runs": shown_runs,
            "explain": {
                "holds": explained.holds,
                "detail": explained.detail,
                "next_check_at": explained.next_check_at,
                "gates": [_gate_json(gate) for gate in explained.gates],
            },
        }


def model_json(
    model: Model,
    alerts: Sequence[FiringAlert],
    pauses: Sequence[Pause],
    now: datetime,
    end: RunEnd | None,
    *,
    asked: Approval | None,
) -> ModelJson:
    """A model as the lists show it.

    `end` is what became of its latest run, `asked` what a human was asked about it last.
    """
    asked = in_force(asked, model.episode_started_at, model.latest, now) if alerts else None
    pause = pause_in_force(pauses, model=model.name, policy=model.policy, now=now)
    return {
        "model": model.name,
        "state": state_of(model, alerts, pauses, now),
        "policy": model.policy,
        "labels": dict(model.labels),
        "firing_alerts": [_alert_json(alert) for alert in alerts],
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
        "sent_at": latest.sent_at,
        "ended_at": latest.ended_at,
        "detail": latest.detail,
        **run_end_json(end, now),
    }
