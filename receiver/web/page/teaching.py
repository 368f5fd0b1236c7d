"""The first steps shown on an empty page: lines to paste, with this receiver's address."""

import json
import re
from dataclasses import dataclass

from starlette.requests import Request

from receiver.config import Config
from receiver.core.policies import Policy

HOST = re.compile(r"[A-Za-z0-9.:\[\]-]{1,255}")
PLAIN = re.compile(r"[A-Za-z0-9_:.-]{1,100}")

FIRST_POLICY = """\
targets:
  retrain:
    github: {repository: acme/models, workflow: retrain-model.yaml, token_file: secrets/github}
policies:
  - name: model-quality
    match: ['alertname=~"HighModelMAE|LowModelR2"']
    model: {name: "{user_id}", labels: {user_id: "[a-z0-9-]{1,40}"}}
    target: retrain
    mode: observe              # decide and record, start nothing"""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What an empty page teaches."""

    url: str
    alertmanager: str
    curl: str
    policy: str | None


def lesson_for(request: Request, config: Config) -> Lesson:
    """The lines to paste into Alertmanager's configuration and into a terminal."""
    url = config.server.external_url or _asked_as(request)
    names = list(dict.fromkeys(name for policy in config.policies for name in policy.identity))
    return Lesson(
        url=url,
        alertmanager=_alertmanager(url, names or ["user_id"], auth=config.auth is not None),
        curl=_curl(url, next(iter(config.policies), None), auth=config.auth is not None),
        policy=None if config.policies else FIRST_POLICY,
    )


def _asked_as(request: Request) -> str:
    host = request.headers.get("host", "")
    return f"{request.url.scheme}://{host if HOST.fullmatch(host) else '127.0.0.1:8080'}"


def _alertmanager(url: str, labels: list[str], *, auth: bool) -> str:
    credentials = (
        "        http_config:\n"
        "          authorization: {credentials_file: /etc/alertmanager/retrain-token}\n"
    )
    return (
        "receivers:\n"
        "  - name: retrain\n"
        "    webhook_configs:\n"
        f"      - url: {url}/webhook\n"
        f"{credentials if auth else ''}"
        "route:\n"
        "  routes:\n"
        "    - matchers: ['action=\"retrain\"']\n"
        "      receiver: retrain\n"
        f"      group_by: [{', '.join(['alertname', *labels])}]"
    )


def _curl(url: str, policy: Policy | None, *, auth: bool) -> str:
    """Decides a test alert and stores it; `retrain_test` keeps it from starting anything."""
    labels = {"alertname": _alertname(policy), "retrain_test": "true"}
    labels |= dict.fromkeys(policy.identity if policy else ("user_id",), "42")
    alert = {
        "status": "firing",
        "labels": labels,
        "annotations": {"value": "0.62"},
        "startsAt": "2026-01-01T00:00:00Z",
        "fingerprint": "test",
    }
    body = {"version": "4", "groupKey": "test", "status": "firing", "alerts": [alert]}
    token = '-H "Authorization: Bearer $(cat secrets/webhook)" ' if auth else ""
    text = json.dumps(body).replace("'", "'\\''")
    return f"curl {url}/webhook {token}-d '{text}'"


def _alertname(policy: Policy | None) -> str:
    """A name that the policy most likely matches."""
    for matcher in policy.matchers if policy else ():
        if matcher.name == "alertname":
            first = matcher.value.partition("|")[0]
            if PLAIN.fullmatch(first):
                return first
    return "HighModelMAE"
