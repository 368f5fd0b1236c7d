"""Sites: what a target really did, whatever anybody was told."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from receiver.core.dispatches import Dispatch
from receiver.core.runs import RunState
from tests.simulation.plans import HOUR, MINUTE, seeded
from tests.simulation.world import Kind, World

NEVER = float("inf")


@dataclass(slots=True)
class TrueRun:
    """A run that was really started.

    Attributes:
        listed_at: From then on a look by our id finds it.
        known: The target named it to us, or a look found it.

    """

    id: str
    dispatch_id: str
    model: str
    attempt: int
    began: float
    ends: float
    state: RunState
    listed_at: float
    known: bool = False
    gone_at: float = NEVER


@dataclass(slots=True)
class Post:
    """A request for a run, as it left the process.

    Attributes:
        ended: When its answer came, it was cut, or its process died.
        surely_not: The client was told that nothing was started.

    """

    dispatch_id: str
    model: str
    attempt: int
    ordered: bool
    at: float
    ended: float = NEVER
    surely_not: bool = False


@dataclass(slots=True)
class Site:
    """One target: the workflow or pipeline that every replica asks."""

    name: str
    world: World
    on_end: Callable[[TrueRun], None]
    runs: list[TrueRun] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    refuses_until: float = 0.0
    hides_until: float = 0.0
    denies_until: float = 0.0
    _shown: set[tuple[str, str]] = field(default_factory=set)

    def sees_credential(self, asked: str, meant: str) -> None:
        """It is asked at this address with the credential that is meant for that one."""
        if (asked, meant) not in self._shown:
            self._shown.add((asked, meant))
            said = f"asked at {asked} with the credential for {meant}"
            self.world.note(self.name, Kind.CREDENTIAL, said, (asked, meant))

    def begin(self, dispatch: Dispatch, listed_before: float) -> TrueRun:
        """Really start a run, to be listed before that moment."""
        world = self.world
        now = world.hub.now
        lag = world.between(0, max(listed_before - now, 0))
        if world.healing or world.random.random() < 0.4:
            lag = 0
        length = world.between(MINUTE, 10 * MINUTE)
        if world.plan.run_timeout <= timedelta(hours=2) and world.strikes(0.05):
            length = 4 * HOUR
        run = TrueRun(
            id=f"{self.name}-{len(self.runs) + 1}",
            dispatch_id=dispatch.id,
            model=dispatch.model,
            attempt=dispatch.attempt,
            began=now,
            ends=now + length,
            state=world.random.choices(
                (RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED), (8, 1, 1)
            )[0],
            listed_at=now + lag,
        )
        self.runs.append(run)
        late = f", listed {lag:.0f}s later" if lag else ""
        world.note(self.name, Kind.RUN, f"run {run.id} of {dispatch.id} begins{late}", run)
        world.hub.at(run.ends, lambda: self._end(run))
        self._fall_silent()
        return run

    def _fall_silent(self) -> None:
        """Perhaps show nothing of what runs for a while.

        By chances of its own, so that they change nothing else in a seed's story.
        """
        plan = self.world.plan
        if self.world.healing:
            return
        random = seeded(f"{self.name}/{len(self.runs)}/{plan.seed}")
        if random.random() < plan.hiding:
            self._hide(random.uniform(10 * MINUTE, 6 * HOUR))
        # Never one spell after another: what lasts ten minutes is believed.
        if random.random() < plan.denial and self.world.hub.now > self.denies_until + 20 * MINUTE:
            self._deny(random.uniform(MINUTE, 9 * MINUTE))

    def _hide(self, seconds: float) -> None:
        """Let the listing show nothing, whatever runs."""
        self.world.note(self.name, Kind.PLAN, f"the listing is empty for {seconds:.0f}s")
        self.hides_until = max(self.hides_until, self.world.hub.now + seconds)

    def _deny(self, seconds: float) -> None:
        """Answer 404 about every run, also about those that go on."""
        self.world.note(self.name, Kind.PLAN, f"it knows none of its runs for {seconds:.0f}s")
        self.denies_until = max(self.denies_until, self.world.hub.now + seconds)

    def heal(self) -> None:
        """Stop refusing, and end what would go on for ever."""
        self.refuses_until = self.hides_until = self.denies_until = 0
        for run in self.runs:
            if run.ends > self.world.hub.now + HOUR:
                run.ends = self.world.hub.now + HOUR
                self.world.hub.at(run.ends, partial(self._end, run))

    def _end(self, run: TrueRun) -> None:
        if run.ends <= self.world.hub.now:
            self.world.note(self.name, Kind.RUN, f"run {run.id} ends: {run.state}", run)
            self.on_end(run)
