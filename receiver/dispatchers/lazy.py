"""A dispatcher whose client library is loaded after the receiver answers, or at its first use."""

import threading
from collections.abc import Callable
from datetime import timedelta

from receiver.core.dispatches import Dispatch
from receiver.core.ports import Dispatcher
from receiver.core.reports import Report
from receiver.core.runs import Look, Run, RunStatus


class LateDispatcher:
    """Stands for the real one, which `build` makes once.

    The generated client of KFP takes a third of a second to load: a quarter of the whole start.
    """

    def __init__(
        self,
        build: Callable[[], Dispatcher],
        *,
        lookup_window: timedelta,
        run_timeout: timedelta,
    ) -> None:
        self.lookup_window = lookup_window
        self.run_timeout = run_timeout
        self._build = build
        self._built: Dispatcher | None = None
        self._building = threading.Lock()

    def load(self) -> Dispatcher:
        """Make the real one, unless that is done."""
        with self._building:
            if self._built is None:
                self._built = self._build()
            return self._built

    @property
    def always_shows_id(self) -> bool:
        """Whether every run can be found by its dispatch's id."""
        return self.load().always_shows_id

    def find(self, dispatch: Dispatch, known: Dispatch | None = None) -> Look:
        """The run that carries this dispatch's id, of any attempt in doubt."""
        return self.load().find(dispatch, known)

    def start(self, dispatch: Dispatch) -> Run:
        """Ask once for a run that carries this dispatch's id."""
        return self.load().start(dispatch)

    def poll(self, dispatch: Dispatch) -> RunStatus:
        """How the run `dispatch.run_id` stands now."""
        return self.load().poll(dispatch)

    def read_report(self, dispatch: Dispatch) -> Report | None:
        """What the ended run `dispatch.run_id` says of what it made."""
        return self.load().read_report(dispatch)
