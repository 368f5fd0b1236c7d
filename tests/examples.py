"""Values that many tests start from."""

from datetime import datetime, timedelta
from typing import Any

from receiver.core.alerts import Alert, AlertStatus, Notification
from receiver.core.matchers import parse_matchers
from receiver.core.policies import Mode, Policy
from receiver.core.policy_set import PolicySet
from receiver.core.regexes import Regex
from receiver.core.targets import Target, TargetKind
from tests.fakes import NOON

PIPELINE = Target(
    name="pipeline",
    kind=TargetKind.KFP,
    place={"endpoint": "http://kfp", "namespace": "kubeflow-{user_id}"},
    inputs={"user_id": "{user_id}", "drift_score": "{value}", "reason": "{alertname}"},
)

DRIFT = Policy(
    name="drift",
    matchers=parse_matchers('alertname=~"HighModelMAE|LowModelR2"'),
    model_name="{user_id}",
    identity={"user_id": Regex("[a-z0-9-]{1,40}")},
    target="pipeline",
    cooldown=timedelta(hours=6),
    settle=timedelta(hours=1),
    dedup_window=timedelta(minutes=10),
    alert_expiry=timedelta(hours=13),
)


def observing(policy: Policy = DRIFT) -> Policy:
    return Policy(
        **{name: getattr(policy, name) for name in policy.__slots__ if name != "mode"},
        mode=Mode.OBSERVE,
    )


def policy_set(*policies: Policy, config_hash: str = "hash") -> PolicySet:
    return PolicySet(policies or (DRIFT,), {"pipeline": PIPELINE}, config_hash)


def alert(
    user_id: str = "42",
    *,
    name: str = "HighModelMAE",
    status: AlertStatus = AlertStatus.FIRING,
    starts_at: datetime | None = NOON,
    ends_at: datetime | None = None,
    fingerprint: str | None = None,
    value: float | None = 0.62,
    **labels: str,
) -> Alert:
    return Alert(
        status=status,
        labels={"alertname": name, "user_id": user_id, **labels},
        starts_at=starts_at,
        ends_at=ends_at,
        fingerprint=fingerprint or f"{name}-{user_id}",
        value=value,
        position=0,
    )


def resolved(user_id: str = "42", *, ends_at: datetime, **more: Any) -> Alert:
    return alert(user_id, status=AlertStatus.RESOLVED, ends_at=ends_at, **more)


def notification(*alerts: Alert) -> Notification:
    return Notification(
        receiver="retrain",
        group_key="{}:{}",
        status="firing",
        external_url="http://am:9093",
        truncated_alerts=0,
        notification_reason=None,
        route_labels=None,
        alerts=alerts,
        body=b"{}",
    )
