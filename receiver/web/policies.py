"""GET /policies: what the policies are, what is left of budgets, how often retraining helped."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from receiver.config import Role
from receiver.core.budgets import Usage
from receiver.core.models import Pause
from receiver.core.policies import Policy
from receiver.core.run_ends import INEFFECTIVE, Effect, median
from receiver.store.views.view import View
from receiver.web.auth import require
from receiver.web.params import moment, only
from receiver.web.responses import answer
from receiver.web.service import Loaded, Service
from receiver.web.shapes.policies import (
    BudgetUsageJson,
    EffectsJson,
    OrphanedPauseJson,
    PoliciesJson,
    PolicyJson,
    StatedPolicyJson,
)

ASKED = ("since",)

LOOK_BACK = timedelta(days=90)
"""How far back runs are counted, unless `since` says otherwise."""


class Policies:
    """The route about policies."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def list(self, request: Request) -> Response:
        """Every policy of the configuration, in its order."""
        loaded = self._service.loaded
        require(request, loaded.tokens, Role.READER, Role.OPERATOR)
        only(request, ASKED)
        return answer(await run_in_threadpool(self._read, request, loaded))

    def _read(self, request: Request, loaded: Loaded) -> PoliciesJson:
        with self._service.store.view() as view:
            since = moment(request, "since", view.now) or view.now - LOOK_BACK
            shown = policies_json(view, loaded, since)
            orphaned = loaded.policy_set.orphaned(view.models.pauses(), view.now)
        return {
            "since": since,
            "policies": shown,
            "orphaned_pauses": [orphaned_pause_json(pause) for pause in orphaned],
        }


def orphaned_pause_json(pause: Pause) -> OrphanedPauseJson:
    """A pause whose policy is not in the configuration."""
    return {
        "policy": pause.name,
        "since": pause.since,
        "until": pause.until,
        "actor": pause.actor,
        "comment": pause.comment,
    }


def policies_json(view: View, loaded: Loaded, since: datetime) -> list[PolicyJson]:
    """Every policy, how much of its budget is used, and what its runs since then brought."""
    named, firing = view.models.counts_by_policy()
    effects = view.policies.effects(since)
    times = view.policies.recovery_times(since)
    settings = {one["name"]: one for one in json.loads(loaded.config.text)["policies"]}
    shown: list[PolicyJson] = []
    for policy in loaded.policy_set.policies:
        name, middle = policy.name, median(times.get(policy.name, ()))
        shown.append(
            {
                **policy_json(policy, settings.get(name, {})),
                "models": named.get(name, 0),
                "firing": firing.get(name, 0),
                "budget": [usage_json(usage) for usage in view.usages.shared(policy)],
                **effects_json(effects.get(name, {})),
                "median_recovery_seconds": None if middle is None else middle.total_seconds(),
            }
        )
    return shown


def policy_json(policy: Policy, settings: Mapping[str, Any]) -> StatedPolicyJson:
    """A policy as its file says it."""
    return {
        "name": policy.name,
        "mode": policy.mode,
        "target": policy.target,
        "settings": settings,
    }


def usage_json(usage: Usage) -> BudgetUsageJson:
    """How much of a limit is used now."""
    limit = usage.limit
    return {
        "limit": str(limit),
        "scope": limit.scope,
        "counted": limit.counted,
        "unit": limit.unit or None,
        "used": usage.used,
        "most": limit.most,
        "spent": usage.is_spent,
        "frees_at": usage.frees_at,
        "asks": limit.asks,
        "detail": str(usage),
    }


def effects_json(effects: Mapping[Effect, int]) -> EffectsJson:
    """How many runs there were, and what they brought."""
    return {
        "runs": sum(effects.values()),
        "helped": effects.get(Effect.RECOVERED, 0),
        "no_effect": sum(effects.get(effect, 0) for effect in INEFFECTIVE),
        "rejected": effects.get(Effect.REJECTED, 0),
        "failed": effects.get(Effect.FAILED, 0),
        "cancelled": effects.get(Effect.CANCELLED, 0),
        "settling": effects.get(Effect.SETTLING, 0),
        "unclear": effects.get(Effect.UNCLEAR, 0),
        "unknown": effects.get(Effect.UNKNOWN, 0),
    }
