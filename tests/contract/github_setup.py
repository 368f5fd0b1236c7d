"""What the tests of the GitHub dispatcher start from."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from receiver.core.dispatches import Dispatch, DispatchError, DispatchState
from receiver.core.targets import TargetKind
from receiver.dispatchers.github import GithubDispatcher, TokenPath
from tests.peers.github import GithubPeer

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
DISPATCH_ID = "01kj3v8m0q4x7c2n9b5t6r1w8z"


def dispatch_to(peer: GithubPeer, **changes: Any) -> Dispatch:
    """Order one run at the peer."""
    return _dispatch(**({"place": peer.place} | changes))


def dispatch_to_url(base_url: str, **changes: Any) -> Dispatch:
    """Order one run at some other server."""
    place = {"base_url": base_url, "repository": "a/b", "workflow": "w.yaml", "ref": "main"}
    return _dispatch(place=place, **changes)


def _dispatch(**changes: Any) -> Dispatch:
    fields: dict[str, Any] = {
        "id": DISPATCH_ID,
        "decision_id": 1,
        "model": "churn",
        "policy": "model-quality",
        "target": "retrain-workflow",
        "kind": TargetKind.GITHUB,
        "inputs": {"user_id": "churn", "drift_score": 0.62},
        "state": DispatchState.SENDING,
        "attempt": 1,
        "created_at": NOON,
        "cooldown": timedelta(hours=6),
        "settle": timedelta(hours=1),
        "due_at": NOON,
    }
    return Dispatch(**(fields | changes))


def token_file(folder: Path) -> Path:
    """Write the peer's token where operators would."""
    path = folder / "github-token"
    path.write_text("peer-token\n")
    return path


def dispatcher_with(credentials: Any, **changes: Any) -> GithubDispatcher:
    """Build a dispatcher that loses no time between two reads."""
    if isinstance(credentials, Path):
        credentials = TokenPath(credentials)
    fields: dict[str, Any] = {
        "ca_file": None,
        "lookup_window": timedelta(minutes=5),
        "run_timeout": timedelta(hours=24),
        "read_pause": timedelta(0),
    }
    return GithubDispatcher(credentials=credentials, **(fields | changes))


def failure_to_start(dispatcher: GithubDispatcher, dispatch: Dispatch) -> DispatchError:
    """Start, and give the error, whose message is fit for a log."""
    with pytest.raises(DispatchError) as caught:
        dispatcher.start(dispatch)
    message = str(caught.value)
    assert len(message) <= 500
    assert message.isascii()
    assert message.isprintable()
    assert "peer-token" not in message
    return caught.value
