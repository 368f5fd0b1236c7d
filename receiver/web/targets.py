"""GET /targets: whether each target answers, since when it does not, what waits for it."""

from collections.abc import Sequence

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from receiver.config import Role, TargetSettings
from receiver.core.target_health import LOCKED_OUT, TargetRecord, TargetStanding, cure
from receiver.secret_files import BadFile, read_key, read_secret, read_token
from receiver.store.views.view import View
from receiver.web.auth import require
from receiver.web.params import only
from receiver.web.responses import answer
from receiver.web.service import Loaded, Service
from receiver.web.shapes.targets import TargetJson, TargetsJson

MOST_NAMES = 100


class Targets:
    """The route about targets."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def list(self, request: Request) -> Response:
        """Every target of the configuration, in its order."""
        loaded = self._service.loaded
        require(request, loaded.tokens, Role.READER, Role.OPERATOR)
        only(request, ())

        def read() -> TargetsJson:
            with self._service.store.view() as view:
                return {"targets": targets_json(view, loaded)}

        return answer(await run_in_threadpool(read))


def targets_json(view: View, loaded: Loaded) -> list[TargetJson]:
    """Every target that the configuration names, and how it stands."""
    stand = {one.record.name: one for one in view.targets.standing()}
    settings = loaded.config.targets
    behind = view.targets.behind([*settings], MOST_NAMES)
    return [
        _target_json(
            settings[name],
            stand.get(name, TargetStanding(TargetRecord(name))),
            [policy.name for policy in loaded.config.policies if policy.target == name],
            [row.model for row in behind[name]],
        )
        for name in settings
    ]


def _target_json(
    settings: TargetSettings,
    standing: TargetStanding,
    policies: Sequence[str],
    waiting: Sequence[str],
) -> TargetJson:
    target, record = settings.target, standing.record
    remedy = cure(target.kind, target.place, record.error, record.status_code)
    return {
        "name": target.name,
        "kind": target.kind,
        "place": dict(target.place),
        "policies": policies,
        "state": standing.state,
        "failing_since": record.failing_since if standing.fails else None,
        "failed_at": record.failed_at,
        "answered_at": record.answered_at,
        "error": record.error or None,
        "cure": remedy if standing.fails else None,
        "waiting": standing.waiting,
        "models": waiting,
        "in_flight": standing.in_flight,
        "retry_at": standing.retry_at,
        "credential": credential_problem(settings, record),
    }


def credential_problem(settings: TargetSettings, record: TargetRecord) -> str | None:
    """Why the target would not let us in, as far as can be told without asking it."""
    try:
        if settings.token_file is not None:
            read_token(settings.token_file)
        if settings.app is not None:
            read_key(settings.app.private_key_file)
        for path in filter(None, (settings.password_file, settings.secret_file)):
            read_secret(path)
    except BadFile as problem:
        return str(problem)
    return record.error if record.status_code in LOCKED_OUT else None
