"""Ports: the interfaces that flows call: clock, dispatcher, announcer."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from receiver.core.announcements import Announcement
from receiver.core.dispatches import Dispatch
from receiver.core.reports import Report
from receiver.core.runs import Look, Run, RunStatus
from receiver.core.sources import Listing


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC. It may jump."""

    def elapsed(self) -> timedelta:
        """Time since some fixed moment of this process. It never jumps."""


class Dispatcher(Protocol):
    """Starts and watches runs on one target. Raises only `DispatchError`.

    Each method may be called from several threads at the same time, and ends within two and a
    half minutes, whatever the target does: a claim's lease rests on that. Of an error of `find`
    or `poll` only the message counts; its failure says nothing about the run.

    Attributes:
        lookup_window: How long after an attempt its run may still be missing from the target's
            listing.
        run_timeout: A run that is older is handed to a human.

    """

    lookup_window: timedelta
    run_timeout: timedelta

    @property
    def always_shows_id(self) -> bool:
        """Whether every run can be found by its dispatch's id.

        If not, absence proves something only after one of our ids has been seen there.
        """

    def find(self, dispatch: Dispatch, known: Dispatch | None = None) -> Look:
        """The run that carries this dispatch's id, of any attempt in doubt, or that none was seen.

        `known` is another one whose run was seen there: a control, for whoever has no other.

        `Absent` only if the target's listing was read to its end, does not hold it, and was seen
        to work: an empty answer alone is what a broken listing gives as well. `Repeatable` only
        if the target promised to start no second run for the same dispatch.
        """

    def start(self, dispatch: Dispatch) -> Run:
        """Ask once for a run that carries this dispatch's id. Never retries."""

    def poll(self, dispatch: Dispatch) -> RunStatus:
        """How the run `dispatch.run_id` stands now."""

    def read_report(self, dispatch: Dispatch) -> Report | None:
        """What the ended run `dispatch.run_id` says of what it made; None if it says nothing.

        Raises `BadReport` too, if it says something that can't be understood.
        """


class Announcer(Protocol):
    """Sends announcements to one subscriber. Raises only `NotDelivered`."""

    def send(self, announcement: Announcement, now: datetime) -> None:
        """Send once, and return if the subscriber said yes. Ends within a minute."""


class AlertSource(Protocol):
    """Says which alerts fire. Raises only `SourceDown`."""

    def ask(self) -> Listing:
        """Everything of ours that fires there now. Ends within one and a half minutes."""


class ValueSource(Protocol):
    """Says what an expression was over time. Raises only `SourceDown`."""

    def values(
        self, expression: str, begin: datetime, end: datetime, step: timedelta, *, seconds: float
    ) -> Sequence[tuple[datetime, float]]:
        """Its numbers at each step that has one, oldest first. Ends within `seconds`.

        Of several series those of the one that has the most.
        """
