"""What the tests of HTTP targets have in common: the files of `examples/http`, moved to a peer."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from receiver.config import load_config
from receiver.core.dispatches import Dispatch, DispatchError, DispatchState
from receiver.core.inputs import fill_inputs, fill_place
from receiver.core.targets import TargetKind
from receiver.dispatchers.http import HttpDispatcher
from receiver.dispatchers.http_client import HttpAccess

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
DISPATCH_ID = "01jd9xk3v0q8z5m7n2b4c6d8fg"
OUR_ID = f"retrain-{DISPATCH_ID}"
EXAMPLES = Path(__file__).parent.parent.parent / "examples" / "http"
LOGIN = b"<html><title>Log in to Your Account</title></html>"

BRIDGE = """
targets:
  bridge:
    http:
      url: PEER/runs
      check_url: PEER/healthz
      inputs: {user_id: "{user_id}", drift_score: "{value}"}
      answer: {id: /job/id}
      run:
        url: PEER/runs/{run_id}
        state: /state
        succeeded: [done]
        failed: [broken]
        cancelled: [stopped]
        message: /why
policies:
  - name: model-quality
    match: ['alertname="HighModelMAE"']
    model: {name: "{user_id}", labels: {user_id: "[^/]+"}}
    target: bridge
"""


def dispatcher(timeout=10.0, **access):
    return HttpDispatcher(
        HttpAccess(**access),
        lookup_window=timedelta(minutes=3),
        run_timeout=timedelta(hours=24),
        timeout=timedelta(seconds=timeout),
    )


def example(name, url):
    """One of the examples, moved to this server."""
    text = (EXAMPLES / f"{name}.yaml").read_text()
    return re.sub(r"https://[a-z.-]+(:2746)?(?=/api/)", url, text)


def bridge(url, **lines):
    """A target that numbers its runs itself; `lines` go into its settings."""
    more = "".join(f"\n      {name}: {value}" for name, value in lines.items())
    return BRIDGE.replace("PEER", url).replace("\n      answer: {id: /job/id}", more, 1)


def target_of(text, folder):
    """The one target of a configuration."""
    path = folder / "receiver.yaml"
    path.write_text(text)
    config = load_config(path, with_files=False)
    (settings,) = config.targets.values()
    return settings.target


def order(target, labels=None, *, value=0.25, **changes):
    """A dispatch to this target, about to make its first attempt."""
    labels = labels or {"user_id": "user01"}
    dispatch = Dispatch(
        id=DISPATCH_ID,
        decision_id=1,
        model="user01",
        policy="model-quality",
        target=target.name,
        kind=TargetKind.HTTP,
        place=fill_place(target, labels),
        inputs=fill_inputs(target, labels, value=value, alertname="HighModelMAE"),
        state=DispatchState.SENDING,
        attempt=1,
        in_doubt=(1,),
        created_at=NOON,
        cooldown=timedelta(hours=6),
        settle=timedelta(hours=1),
        due_at=NOON,
    )
    return replace(dispatch, **changes)


def failure_of(act, dispatch):
    """The `DispatchError` that this call ends with."""
    with pytest.raises(DispatchError) as caught:
        act(dispatch)
    return caught.value
