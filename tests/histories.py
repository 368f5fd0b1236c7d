"""A receiver without threads and sockets: the test says what happens, and when."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from receiver.core.alerts import Alert
from receiver.core.decisions import Decision
from receiver.core.dispatches import Dispatch, DispatchState
from receiver.core.models import FiringAlert, Model
from receiver.core.policy_set import PolicySet
from receiver.core.ports import AlertSource
from receiver.core.runs import RunState
from receiver.flows.intake.taking_in import arrive, take_in
from receiver.flows.sweeping import sweep_next
from receiver.flows.worker.dispatching import dispatch_next
from receiver.flows.worker.following import follow_next
from receiver.flows.worker.mending import StepWatch, mend
from receiver.flows.worker.rechecking import due_models, recheck
from receiver.flows.worker.reconciling import DoubtTimer
from receiver.flows.worker.releasing import release_shared
from receiver.flows.worker.reports import read_next_report
from receiver.flows.worker.reruns import RerunPace, look_for_rerun
from receiver.store.store import Store
from receiver.store.views.decisions import StoredDecision, WholeDecision
from receiver.store.views.paging import MOST_ROWS
from tests.examples import notification, policy_set
from tests.fakes import FakeTarget, HandClock

TARGET = "pipeline"


class History:
    """The real flows on a real store, one step at a time."""

    def __init__(self, store: Store, clock: HandClock, target: FakeTarget) -> None:
        self.store = store
        self.clock = clock
        self.target = target
        self.policy_set: PolicySet = policy_set()
        self.watch = DoubtTimer(clock)
        self.steps = StepWatch(clock)
        self.pace = RerunPace(clock)
        self.prometheus: AlertSource | None = None

    def restart(self) -> None:
        """What a process keeps in its memory is lost."""
        self.watch = DoubtTimer(self.clock)
        self.steps = StepWatch(self.clock)
        if self.store.alone:
            with self.store.begin() as tx:
                tx.release_leases(tx.now())

    def deliver(self, *alerts: Alert) -> list[Decision]:
        """Alertmanager posts these alerts."""
        arrival = arrive(notification(*alerts), self.policy_set)
        return list(take_in(self.store, [arrival])[0].decisions)

    def reasons(self, *alerts: Alert) -> list[str]:
        """Alertmanager posts these alerts; why each went the way it did."""
        return [decision.reason.value for decision in self.deliver(*alerts)]

    def send(self) -> bool:
        """One step of the loop that sends."""
        return dispatch_next(
            self.store,
            TARGET,
            self.target,
            self.policy_set,
            self.watch,
            prometheus=self.prometheus,
        )

    def follow(self) -> bool:
        """One step of the loop that follows."""
        followed = follow_next(self.store, TARGET, self.target, self.policy_set, self.watch)
        return (
            followed
            or read_next_report(self.store, TARGET, self.target)
            or look_for_rerun(self.store, TARGET, self.target, self.policy_set, self.pace)
        )

    def tick(self) -> bool:
        """One step of the timer. Whether it ordered a run."""
        mend(self.store, self.policy_set, self.steps)
        while sweep_next(self.store, self.policy_set):
            pass
        release_shared(self.store, self.policy_set)
        names = due_models(self.store)
        return recheck(self.store, self.policy_set, names) if names else False

    def wait(self, span: timedelta, step: timedelta = timedelta(seconds=30)) -> None:
        """Let time pass, with every loop at work."""
        end = self.clock.now() + span
        while self.clock.now() < end:
            self.clock.pass_(min(step, end - self.clock.now()))
            self.work()

    def work(self) -> None:
        """Let every loop do all that is due."""
        self.tick()
        while self.send() or self.follow():
            pass

    def run_to_its_end(self, state: RunState = RunState.SUCCEEDED) -> None:
        """Send what is due, and let its run end at once."""
        while self.send():
            pass
        self.target.finish(state)
        self.clock.pass_(timedelta(seconds=2))
        while self.follow():
            pass
        if state is RunState.GONE:  # believed only after it was said for a while
            for _ in range(11):
                self.clock.pass_(timedelta(minutes=1))
                while self.follow():
                    pass

    def model(self, name: str = "42") -> Model:
        """A model as it stands."""
        with self.store.view() as view:
            model = view.models.find(name)
        assert model is not None, f"no model {name}"
        return model

    def firing(self, name: str = "42") -> list[FiringAlert]:
        """A model's firing set."""
        with self.store.view() as view:
            return view.models.firing([name])[name]

    def log(self, **filters: str) -> list[StoredDecision]:
        """Decisions, oldest first."""
        with self.store.view() as view:
            page = view.decisions.page(filters, limit=MOST_ROWS)
        return list(reversed(page.rows))

    def every_decision(self) -> Iterator[StoredDecision]:
        """The whole log, newest first, however long."""
        before: int | None = None
        with self.store.view() as view:
            while True:
                page = view.decisions.page({}, before=before, limit=MOST_ROWS)
                yield from page.rows
                if page.next_cursor is None:
                    return
                before = int(page.next_cursor)

    def whole(self, decision: StoredDecision) -> WholeDecision:
        """A decision of the log with what its rungs saw."""
        with self.store.view() as view:
            found = view.decisions.find(decision.id)
        assert found is not None
        return found

    def dispatches(self, **filters: str) -> list[Dispatch]:
        """Dispatches, oldest first."""
        with self.store.view() as view:
            page = view.dispatches.page(filters, limit=MOST_ROWS)
        return list(reversed(page.rows))

    def states(self) -> list[DispatchState]:
        """How each dispatch stands, oldest first."""
        return [DispatchState(row.state) for row in self.dispatches()]

    def now(self) -> datetime:
        """The clock's time."""
        return self.clock.now()
