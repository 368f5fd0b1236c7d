"""What the KFP tests have in common."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

import pytest
import yaml

from receiver.core.dispatches import Dispatch, DispatchError, DispatchState
from receiver.core.targets import TargetKind
from receiver.dispatchers.kfp import KfpDispatcher
from tests.peers.kfp import KfpPeer

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
DISPATCH_ID = "01jd9xk3v0q8z5m7n2b4c6d8fg"
TINY = Path(__file__).parent.parent / "pipelines" / "tiny.yaml"
SPEC = yaml.safe_load(TINY.read_text())
LOGIN = b"<html><title>Log in to Your Account</title></html>"


@pytest.fixture
def peer() -> Iterator[KfpPeer]:
    with KfpPeer() as server:
        yield server


def dispatcher(timeout=10.0, **settings):
    return KfpDispatcher(
        token_file=settings.get("token_file"),
        ca_file=settings.get("ca_file"),
        lookup_window=timedelta(minutes=3),
        run_timeout=timedelta(hours=24),
        timeout=timedelta(seconds=timeout),
    )


def order(url, **changes):
    """A dispatch to this endpoint, about to make its first attempt."""
    place = {"endpoint": url, "pipeline": str(TINY), **changes.pop("place", {})}
    dispatch = Dispatch(
        id=DISPATCH_ID,
        decision_id=1,
        model="churn",
        policy="model-quality",
        target="retrain-pipeline",
        kind=TargetKind.KFP,
        place=place,
        inputs={"word": "churn", "number": 0.25},
        state=DispatchState.SENDING,
        attempt=1,
        created_at=NOON,
        cooldown=timedelta(hours=6),
        settle=timedelta(hours=1),
        due_at=NOON,
    )
    return replace(dispatch, **changes)


def run_of(attempt):
    return str(uuid5(NAMESPACE_OID, f"{DISPATCH_ID}:{attempt}"))


def failure_of(act, dispatch):
    """The `DispatchError` that this call ends with."""
    with pytest.raises(DispatchError) as caught:
        act(dispatch)
    return caught.value
