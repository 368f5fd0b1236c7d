"""A source with a memory, and a receiver that asks it: the test says what fires there."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from receiver.alertmanager.entries import fingerprint_of
from receiver.core.alerts import Alert, AlertStatus
from receiver.core.sources import Asking, Hush, Listed, Listing, Quiet, SourceDown
from receiver.flows.worker.polling import Asked, poll_next
from tests.examples import alert, policy_set
from tests.histories import History

POLL = timedelta(minutes=1)
WITHIN = timedelta(minutes=5)


class FakeSource:
    """Lists what fires until it is told otherwise.

    Attributes:
        answers: How often it answered.
        down: Why it does not answer; None if it does.

    """

    def __init__(self, up_since: str = "one life") -> None:
        self.up_since = up_since
        self.down: str | None = None
        self.answers = 0
        self._alerts: dict[str, Listed] = {}

    def ask(self) -> Listing:
        if self.down is not None:
            raise SourceDown(self.down)
        self.answers += 1
        return Listing(list(self._alerts.values()), self.up_since)

    def fire(self, *alerts: Alert, **more: Any) -> None:
        """From now on these are listed."""
        for one in alerts:
            assert one.starts_at is not None
            told = {} if one.value is None else {"value": repr(one.value)}
            self._alerts[one.fingerprint] = Listed(
                one.fingerprint, one.labels, one.starts_at, told, **more
            )

    def end(self, *alerts: Alert) -> None:
        """From now on these are not."""
        for one in alerts:
            del self._alerts[one.fingerprint]

    def hush(self, quiet: Quiet | None, *alerts: Alert) -> None:
        """Nobody is told of these, or of all, or somebody is again."""
        for name in [one.fingerprint for one in alerts] or list(self._alerts):
            self._alerts[name] = replace(self._alerts[name], quiet=quiet)

    def restart(self, *, empty: bool) -> None:
        """A new life begins."""
        self.up_since += "'"
        if empty:
            self._alerts.clear()


class AskingHistory:
    """A history whose receiver asks sources, each as often as `POLL` says."""

    def __init__(self, history: History, *names: str, prometheus: bool = False) -> None:
        self.history = history
        self.sources = {name: FakeSource() for name in names or ("main",)}
        self.prometheus = FakeSource() if prometheus else None
        asking = Asking(frozenset(self.sources), WITHIN, prometheus=prometheus)
        history.policy_set = replace(policy_set(), asking=asking)

    @property
    def main(self) -> FakeSource:
        return next(iter(self.sources.values()))

    def poll(self) -> None:
        """Every source that is due is asked."""
        for name, source in self.sources.items():
            asked = Asked(name, source, POLL, self.prometheus)
            poll_next(self.history.store, asked, self.history.policy_set)

    def wait(self, span: timedelta, step: timedelta = timedelta(seconds=30)) -> None:
        """Let time pass, with every loop at work."""
        end = self.history.now() + span
        while self.history.now() < end:
            self.history.clock.pass_(min(step, end - self.history.now()))
            self.poll()
            self.history.work()

    def record(self, name: str = "main") -> Any:
        with self.history.store.view() as view:
            return view.sources.find(name)

    def told(self, *, after: datetime | None = None) -> list[str]:
        """Why each decision since then went the way it did, and who asked for it."""
        return [
            f"{row.source} {row.reason}"
            for row in self.history.log()
            if after is None or row.decided_at > after
        ]

    def last(self) -> Any:
        """The newest decision."""
        with self.history.store.view() as view:
            return view.decisions.page({}, limit=1).rows[0]


def told(user_id: str = "42", **more: Any) -> Alert:
    """An alert with the fingerprint that Alertmanager gives it."""
    one = alert(user_id, **more)
    return replace(one, fingerprint=fingerprint_of(one.labels))


def told_over(user_id: str = "42", *, ends_at: datetime, **more: Any) -> Alert:
    """The same, resolved."""
    return told(user_id, status=AlertStatus.RESOLVED, ends_at=ends_at, **more)


def silence(
    ends_at: datetime | None, *, author: str = "ana", comment: str = "new sensor"
) -> Quiet:
    return Quiet(Hush.SILENCED, "5e1f", author, comment, ends_at)
