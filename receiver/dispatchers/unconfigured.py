"""Stands in for a target that the configuration does not name any more."""

from datetime import timedelta

from receiver.core.dispatches import Dispatch, DispatchError, Failure
from receiver.core.reports import Report
from receiver.core.runs import Look, Run, RunStatus


class UnconfiguredTarget:
    """Nothing can be asked of it: what is in doubt or runs there ends with a human."""

    lookup_window = timedelta(minutes=5)
    run_timeout = timedelta(hours=24)
    always_shows_id = False

    def __init__(self, name: str) -> None:
        self._name = name

    def find(self, dispatch: Dispatch, known: Dispatch | None = None) -> Look:  # noqa: ARG002
        """Nobody can look there."""
        raise self._gone()

    def start(self, dispatch: Dispatch) -> Run:  # noqa: ARG002
        """Nobody can start anything there."""
        raise self._gone()

    def poll(self, dispatch: Dispatch) -> RunStatus:  # noqa: ARG002
        """Nobody can ask there."""
        raise self._gone()

    def read_report(self, dispatch: Dispatch) -> Report | None:  # noqa: ARG002
        """Nobody can read there."""
        raise self._gone()

    def _gone(self) -> DispatchError:
        return DispatchError(
            f"target {self._name} is not in the configuration any more", Failure.UNAVAILABLE
        )
