"""What the demo shows: a bar that moves in a terminal, plain lines everywhere else."""

import os
import threading
from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import Self, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from receiver.demo.asking import DemoError, NoAnswerError

T = TypeVar("T")

LOOK_EVERY = 0.3
SAY_EVERY = 10.0
"""A plain log says now and then what it waits for, so that it does not seem to hang."""


class Steps:
    """Shows the steps, and waits for each within its own time."""

    def __init__(self, steps: int, meanwhile: Callable[[], None]) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._steps = steps
        self._done = 0
        self._meanwhile = meanwhile
        self._began = monotonic()
        self._said = (self._began, "")
        self._progress: Progress | None = None
        if self._console.is_terminal and not os.environ.get("NO_COLOR"):
            self._progress = Progress(
                SpinnerColumn(),
                BarColumn(bar_width=20),
                TextColumn("{task.completed}/{task.total}"),
                TextColumn("{task.description}"),
                TimeElapsedColumn(),
                console=self._console,
            )
            self._bar = self._progress.add_task("", total=steps)

    def __enter__(self) -> Self:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take the bar away; what was said stays."""
        if self._progress is not None:
            self._progress.stop()

    def say(self, text: str, *, mark: str = " ", style: str = "") -> None:
        """Say something that stays."""
        if self._progress is None:
            self._console.print(f"{self._elapsed()} {mark} {text}", markup=False, style=None)
        else:
            self._console.print(
                f"[dim]{self._elapsed()}[/dim] [{style or 'default'}]{mark} {escape(text)}[/]"
            )

    def note(self, text: str) -> None:
        """Show how things stand while a step is waited for."""
        if self._progress is not None:
            self._progress.update(self._bar, description=escape(text))
            return
        said_at, said = self._said
        if text != said and (not said or monotonic() - said_at >= SAY_EVERY):
            self._said = (monotonic(), text)
            self.say(text, mark=".")

    def done(self, text: str) -> None:
        """Tick a step off."""
        self._done += 1
        self.say(text, mark="✓", style="green")
        if self._progress is not None:
            self._progress.update(self._bar, completed=self._done)

    def wait(self, what: str, look: Callable[[], T | None], *, within: float) -> T:
        """Look again and again until there is something, or the time is up."""
        ends = monotonic() + within
        self._said = (monotonic(), "")
        self.note(f"waiting for {what}")
        reason = ""
        while True:
            self._meanwhile()
            try:
                seen = look()
                reason = ""
            except NoAnswerError as error:
                seen, reason = None, f" ({error})"
            if seen is not None:
                return seen
            if monotonic() > ends:
                raise DemoError(f"waited {within:.0f} s in vain for {what}{reason}")
            threading.Event().wait(LOOK_EVERY)

    def _elapsed(self) -> str:
        return f"[{monotonic() - self._began:5.1f} s]"
