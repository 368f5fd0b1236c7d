"""Each process's line to the targets, which has accidents."""

import zlib
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from receiver.core.dispatches import Dispatch, DispatchError, Failure
from receiver.core.ports import Dispatcher
from receiver.core.reports import BadReport, Report, Verdict
from receiver.core.runs import Absent, Look, NotSeen, Run, RunState, RunStatus
from receiver.core.targets import Target, address_of
from receiver.dispatchers.at_address import AtItsAddress, at_their_addresses
from receiver.dispatchers.lazy import LateDispatcher
from tests.fakes import Killed
from tests.simulation.plans import HOUR
from tests.simulation.sites import Post, Site
from tests.simulation.world import Kind

if TYPE_CHECKING:
    from tests.simulation.replicas import Replica


def dispatchers_of(
    targets: Mapping[str, Target],
    sites: Mapping[str, Site],
    replica: "Replica",
    wrap: Callable[[Dispatcher], Dispatcher],
) -> dict[str, AtItsAddress]:
    """One process's dispatchers for where its configuration says that the targets are."""
    late = {}
    for name, target in targets.items():
        client = wrap(Client(sites[name], target.address, replica))
        late[name] = LateDispatcher(
            lambda client=client: client,
            lookup_window=client.lookup_window,
            run_timeout=client.run_timeout,
        )
    return at_their_addresses(targets, late)


class Client:
    """One process's dispatcher for a target, with a bad line to it.

    It has the credential for `address`. What has moved is served by the same site, wherever it is.
    """

    def __init__(self, site: Site, address: str, replica: "Replica") -> None:
        plan = site.world.plan
        self.lookup_window: timedelta = plan.lookup_window
        self.run_timeout: timedelta = plan.run_timeout
        self.always_shows_id: bool = plan.listing == "always"
        self._address = address
        self._world = site.world
        self._replica = replica
        self._shows = plan.listing != "hidden"
        # The window counts from the answer; a little less, for it begins to count a little later.
        self._window = plan.lookup_window.total_seconds() - 1

    def start(self, dispatch: Dispatch) -> Run:
        site, world = self._site(dispatch), self._world
        self._replica.meets("before a POST")
        self._log_in(dispatch)
        post = Post(dispatch.id, dispatch.model, dispatch.attempt, dispatch.ordered, world.hub.now)
        site.posts.append(post)
        said = f"POST for {dispatch.id}, attempt {dispatch.attempt} of {dispatch.model}"
        world.note(site.name, Kind.POST, said, post)
        try:
            run = self._answer(dispatch, post)
        except DispatchError as error:
            post.ended = world.hub.now
            post.surely_not = error.failure is not Failure.UNKNOWN
            world.note(site.name, Kind.ANSWER, f"{error.failure} for {dispatch.id}: {error}")
            raise
        except Killed:
            post.ended = world.hub.now
            raise
        post.ended = world.hub.now
        world.note(site.name, Kind.ANSWER, f"yes for {dispatch.id}: run {run.id}")
        self._replica.meets("after a POST")
        return run

    def find(self, dispatch: Dispatch, known: Dispatch | None = None) -> Look:  # noqa: ARG002
        began, site = self._world.hub.now, self._site(dispatch)
        self._call(dispatch, slow=0.05)
        if self._world.strikes(self._world.plan.poll_trouble):
            raise DispatchError("the listing can't be read", Failure.UNAVAILABLE)
        if site.hides_until > began:
            return NotSeen("the listing shows no run at all")
        if not self._shows:
            return Absent()
        for run in site.runs:
            asked = run.dispatch_id == dispatch.id and run.attempt in dispatch.in_doubt
            if asked and run.listed_at <= began < run.gone_at:
                run.known = True
                return Run(run.id, None, shows_id=True)
        return Absent()

    def poll(self, dispatch: Dispatch) -> RunStatus:
        self._call(dispatch, slow=0.02)
        if self._world.strikes(self._world.plan.poll_trouble):
            raise DispatchError("no answer", Failure.UNAVAILABLE)
        now, site = self._world.hub.now, self._site(dispatch)
        run = next(run for run in site.runs if run.id == dispatch.run_id)
        if self._world.strikes(0.002):
            run.gone_at = min(run.gone_at, now)
        if run.gone_at <= now or site.denies_until > now:
            return RunStatus(RunState.GONE, "404")
        state = run.state if run.ends <= now else RunState.RUNNING
        return RunStatus(state, state.value, shows_id=self._shows)

    def read_report(self, dispatch: Dispatch) -> Report | None:
        self._call(dispatch, slow=0.02)
        if self._world.strikes(self._world.plan.poll_trouble):
            trouble: tuple[Exception, ...] = (
                BadReport("it says both"),
                DispatchError("no answer", Failure.UNAVAILABLE),
            )
            raise self._world.random.choice(trouble)
        number = zlib.crc32(f"{dispatch.run_id} of {self._world.plan.seed}".encode())
        return REPORTS[number % len(REPORTS)]

    def _site(self, dispatch: Dispatch) -> Site:
        """Whom a dispatch's place leads to."""
        return self._replica.sites[dispatch.target]

    def _call(self, dispatch: Dispatch, slow: float) -> None:
        """Take the time of a call; the process may die meanwhile."""
        self._replica.meets("before a call")
        self._log_in(dispatch)
        if self._world.strikes(slow):
            self._world.hub.pause(self._world.between(1, 50))

    def _log_in(self, dispatch: Dispatch) -> None:
        """Show the credential to whom the dispatch is for."""
        if self._replica.has_no_token:
            raise DispatchError("the token's file is empty", Failure.UNAVAILABLE)
        asked = address_of(dispatch.kind, dispatch.place)
        self._site(dispatch).sees_credential(asked, self._address)

    def _answer(self, dispatch: Dispatch, post: Post) -> Run:
        world, site = self._world, self._site(dispatch)
        if site.refuses_until > world.hub.now:
            raise DispatchError("422", Failure.REFUSED, status_code=422)
        if not world.strikes(world.plan.target_trouble):
            return self._accept(dispatch, world.between(0.05, 1.0))
        accident = world.random.choice(ACCIDENTS)
        return accident(self, dispatch, post)

    def _accept(self, dispatch: Dispatch, seconds: float, *, named: bool = True) -> Run:
        self._wait(dispatch, seconds)
        run = self._site(dispatch).begin(dispatch, self._world.hub.now + self._window)
        self._wait(dispatch, 0)
        run.known = named
        return Run(run.id if named else None, None, shows_id=named and self.always_shows_id)

    def _wait(self, dispatch: Dispatch, seconds: float) -> None:
        """Wait for the target. If the process dies, its request may still be under way."""
        try:
            if seconds:
                self._world.hub.pause(seconds)
            self._replica.meets("during a POST")
        except Killed:
            asked = (dispatch.id, dispatch.attempt)
            begun = any(
                (run.dispatch_id, run.attempt) == asked for run in self._site(dispatch).runs
            )
            if not begun and self._world.random.random() < 0.5:
                self._begin_later(dispatch)
            raise

    def _begin_later(self, dispatch: Dispatch) -> None:
        """The target works on the request after nobody waits for its answer any more."""
        world, site = self._world, self._site(dispatch)
        latest = world.hub.now + self._window
        world.hub.after(world.between(0, 0.5 * self._window), lambda: site.begin(dispatch, latest))

    def slow(self, dispatch: Dispatch, _post: Post) -> Run:
        """The answer takes nearly as long as a call may; others may have looked meanwhile."""
        self._tempt_the_clock()
        return self._accept(dispatch, self._world.between(10, 58))

    def unnamed(self, dispatch: Dispatch, _post: Post) -> Run:
        """A 204: yes, without the run's id."""
        return self._accept(dispatch, self._world.between(0.05, 5), named=False)

    def lost(self, dispatch: Dispatch, _post: Post) -> Run:
        """The run starts, the answer is lost."""
        self._accept(dispatch, self._world.between(0.05, 5), named=False)
        self._tempt_the_clock()
        raise DispatchError("the answer was cut", Failure.UNKNOWN)

    def cut(self, dispatch: Dispatch, _post: Post) -> Run:
        """Nothing starts, and nobody can tell."""
        self._wait_for_nothing()
        del dispatch
        raise DispatchError("cut", Failure.UNKNOWN)

    def hang(self, dispatch: Dispatch, _post: Post) -> Run:
        """Time runs out for the client; the target starts the run after that."""
        self._wait(dispatch, self._world.between(20, 58))
        self._begin_later(dispatch)
        self._tempt_the_clock()
        raise DispatchError("timed out", Failure.UNKNOWN)

    def server_error(self, dispatch: Dispatch, _post: Post) -> Run:
        """A 502 from something between us, after the target had accepted."""
        self._accept(dispatch, self._world.between(0.05, 5), named=False)
        raise DispatchError("502", Failure.UNKNOWN, status_code=502)

    def unavailable(self, _dispatch: Dispatch, _post: Post) -> Run:
        """Nothing starts, and we know it."""
        self._wait_for_nothing()
        wish = self._world.random.choice((None, timedelta(minutes=10)))
        raise DispatchError("connection refused", Failure.UNAVAILABLE, retry_after=wish)

    def refuse(self, dispatch: Dispatch, _post: Post) -> Run:
        """It says no, and goes on saying so for a while."""
        refuses_until = self._world.hub.now + self._world.between(1, 2 * HOUR)
        self._site(dispatch).refuses_until = refuses_until
        raise DispatchError("422", Failure.REFUSED, status_code=422)

    def _wait_for_nothing(self) -> None:
        self._world.hub.pause(self._world.between(0.05, 5))
        self._replica.meets("during a POST")

    def _tempt_the_clock(self) -> None:
        """A clock that jumps over a look-up window is most dangerous just now."""
        if self._world.plan.jumps and self._world.strikes(0.3):
            after = self._world.between(1, 30)
            self._world.hub.after(after, lambda: self._replica.set_clock(HOUR / 2))


REPORTS = (
    None,
    None,
    Report(Verdict.PROMOTED, {"mae": 0.41}),
    Report(Verdict.REJECTED),
)

ACCIDENTS = (
    Client.slow,
    Client.unnamed,
    Client.lost,
    Client.lost,
    Client.cut,
    Client.cut,
    Client.hang,
    Client.hang,
    Client.server_error,
    Client.unavailable,
    Client.refuse,
)
