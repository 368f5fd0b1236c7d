"""GET /models: how each model stands and why; pause, resume, retrain."""

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from receiver.config import Role
from receiver.core.approvals import Approval, in_force
from receiver.core.decisions import Gate
from receiver.core.explaining import explain
from receiver.core.models import FiringAlert, Model, Pause, PauseScope, pause_in_force, state_of
from receiver.core.run_ends import RunEnd
from receiver.core.times import stamp
from receiver.flows.operator import approvals, controls
from receiver.web.auth import require
from receiver.web.dispatches import dispatches_json, run_end_json
from receiver.web.operator_acts import perform
from receiver.web.params import cursor, limit, only
from receiver.web.problems import Problem
from receiver.web.service import Service

LAST_RUNS = 10

ASKED = ("limit", "cursor")

# What each act's body may set: a model never seen is named by policy and labels.
RETRAIN_BODY = RESUME_BODY = ("comment", "policy", "labels")
PAUSE_BODY = (*RETRAIN_BODY, "for")
PAUSE_MANY_BODY = ("comment", "policy", "for")
RESUME_MANY_BODY = ("comment", "policy")


class Models:
    """The routes about models."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def list(self, request: Request) -> Response:
        """A page of models, by name."""
        require(request, self._service.loaded.tokens, Role.READER, Role.OPERATOR)
        only(request, ASKED)
        after, rows = cursor(request), limit(request)

        def read() -> dict[str, Any]:
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

        return JSONResponse(await run_in_threadpool(read))

    async def one(self, request: Request) -> Response:
        """One model, with its last runs and every rung of the ladder as it stands now."""
        require(request, self._service.loaded.tokens, Role.READER, Role.OPERATOR)
        only(request, ())
        found = await run_in_threadpool(self._whole, request.path_params["model"])
        if found is None:
            raise Problem(HTTPStatus.NOT_FOUND, "no alert named this model yet; see GET /models")
        return JSONResponse(found)

    async def retrain(self, request: Request) -> Response:
        """Order one run now."""
        name = request.path_params["model"]
        service = self._service
        return await perform(
            service,
            request,
            lambda act, body: controls.retrain(
                service.store,
                service.loaded.policy_set,
                act,
                name,
                controls.Named(body.policy, body.labels),
            ),
            RETRAIN_BODY,
        )

    async def pause(self, request: Request) -> Response:
        """Hold one model back."""
        name = request.path_params["model"]
        service = self._service
        return await perform(
            service,
            request,
            lambda act, body: controls.pause(
                service.store,
                service.loaded.policy_set,
                act,
                PauseScope.MODEL,
                name,
                length=body.for_,
                named=controls.Named(body.policy, body.labels),
            ),
            PAUSE_BODY,
        )

    async def resume(self, request: Request) -> Response:
        """Lift a model's pause."""
        name = request.path_params["model"]
        service = self._service
        return await perform(
            service,
            request,
            lambda act, body: controls.resume(
                service.store,
                service.loaded.policy_set,
                act,
                PauseScope.MODEL,
                name,
                named=controls.Named(body.policy, body.labels),
            ),
            RESUME_BODY,
        )

    async def approve(self, request: Request) -> Response:
        """Say yes to what a rung asks about a model."""
        name, service = request.path_params["model"], self._service
        return await perform(
            service,
            request,
            lambda act, _: approvals.approve(service.store, service.loaded.policy_set, act, name),
        )

    async def reject(self, request: Request) -> Response:
        """Say no to it."""
        name, service = request.path_params["model"], self._service
        return await perform(
            service,
            request,
            lambda act, _: approvals.reject(service.store, service.loaded.policy_set, act, name),
        )

    async def pause_many(self, request: Request) -> Response:
        """Hold back a policy, or everything."""
        service = self._service
        return await perform(
            service,
            request,
            lambda act, body: controls.pause(
                service.store,
                service.loaded.policy_set,
                act,
                *_scope(body.policy),
                length=body.for_,
            ),
            PAUSE_MANY_BODY,
        )

    async def resume_many(self, request: Request) -> Response:
        """Lift the pause of a policy, or of everything."""
        service = self._service
        return await perform(
            service,
            request,
            lambda act, body: controls.resume(
                service.store, service.loaded.policy_set, act, *_scope(body.policy)
            ),
            RESUME_MANY_BODY,
        )

    def _whole(self, name: str) -> dict[str, Any] | None:
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
        explained = explain(model, alerts, pauses, policy_set, now, restraints=restraints)
        return {
            **model_json(model, alerts, pauses, now, end, asked=asked),
            "runs": shown_runs,
            "explain": {
                "holds": explained.holds.value if explained.holds else None,
                "detail": explained.detail,
                "next_check_at": stamp(explained.next_check_at),
                "gates": [gate_json(gate) for gate in explained.gates],
            },
        }


def _scope(policy: str | None) -> tuple[PauseScope, str]:
    return (PauseScope.EVERYTHING, "") if policy is None else (PauseScope.POLICY, policy)


def model_json(
    model: Model,
    alerts: Sequence[FiringAlert],
    pauses: Sequence[Pause],
    now: datetime,
    end: RunEnd | None,
    *,
    asked: Approval | None,
) -> dict[str, Any]:
    """A model as the lists show it.

    `end` is what became of its latest run, `asked` what a human was asked about it last.
    """
    asked = in_force(asked, model.episode_started_at, model.latest, now) if alerts else None
    pause = pause_in_force(pauses, model=model.name, policy=model.policy, now=now)
    latest = model.latest
    return {
        "model": model.name,
        "state": state_of(model, alerts, pauses, now).value,
        "policy": model.policy,
        "labels": dict(model.labels),
        "firing_alerts": [_alert_json(alert) for alert in alerts],
        "episode_started_at": stamp(model.episode_started_at),
        "cooldown_until": stamp(model.held_until),
        "observed_until": stamp(model.observed_until),
        "next_check_at": stamp(model.next_check_at),
        "paused": None
        if pause is None
        else {
            "scope": pause.scope.value,
            "until": stamp(pause.until),
            "actor": pause.actor,
            "comment": pause.comment,
        },
        "approval": None if asked is None else approval_json(asked),
        "dispatch": None
        if latest is None
        else {
            "id": latest.id,
            "state": latest.state.value,
            "run_id": latest.run_id,
            "sent_at": stamp(latest.sent_at),
            "ended_at": stamp(latest.ended_at),
            "detail": latest.detail,
            **run_end_json(end, now),
        },
    }


def approval_json(approval: Approval) -> dict[str, str | None]:
    """A question and its answer."""
    return {
        "rung": approval.rung,
        "asked_at": stamp(approval.asked_at),
        "expires_at": stamp(approval.expires_at),
        "answer": approval.answer,
        "answered_at": stamp(approval.answered_at),
        "actor": approval.actor,
        "comment": approval.comment,
    }


def gate_json(gate: Gate) -> dict[str, Any]:
    """A gate as it stands now, in the shape that the log keeps gates in."""
    return {
        "rung": gate.rung.value,
        "applies": gate.applies,
        "detail": gate.detail,
        "until": stamp(gate.until),
        **gate.saw,
    }


def _alert_json(alert: FiringAlert) -> dict[str, Any]:
    return {
        "fingerprint": alert.fingerprint,
        "alertname": alert.alertname,
        "policy": alert.policy,
        "labels": dict(alert.labels),
        "value": alert.value,
        "starts_at": stamp(alert.starts_at),
        "confirmed_at": stamp(alert.confirmed_at),
        "expires_at": stamp(alert.expires_at),
        "stale_until": stamp(alert.stale_until),
    }
