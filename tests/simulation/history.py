"""One history: an installation lives through its seed's accidents, then heals."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from receiver.core.alerts import Notification
from receiver.core.sources import Hush, Quiet
from tests.simulation.alertmanagers import Alertmanager, Answered
from tests.simulation.book import Book
from tests.simulation.doors import Door
from tests.simulation.operators import Operators
from tests.simulation.parts import Parts, errors
from tests.simulation.plans import HOUR, MINUTE, Plan, draw
from tests.simulation.prometheus import Prometheus
from tests.simulation.replicas import Replica
from tests.simulation.settings import TARGETS, policy_sets
from tests.simulation.sites import Site
from tests.simulation.stores import MEMORY, Stores
from tests.simulation.upstreams import Upstreams
from tests.simulation.world import Kind, Note, World

AHEAD = (
    (5 * MINUTE, 6 * HOUR),
    (2 * HOUR, 6 * HOUR),
    (3 * 24 * HOUR, 3 * HOUR),
    (30 * 24 * HOUR, 50 * MINUTE),
    (365 * 24 * HOUR, 50 * MINUTE),
)
"""How far a clock is ahead, and for how long at most."""

SILENCED, INHIBITED = 0.7, 0.15
"""Of the models that are kept quiet so many are silenced, the others muted; some are inhibited."""


@dataclass(frozen=True)
class Lived:
    """What happened in one history, for the checker and for the story.

    Attributes:
        ended: When it came to its end, in seconds of true time.
        wall: What the deciding clock said then, which may be long after the last note.
        broken: An error that ended it; None if it came to its end.

    """

    plan: Plan
    notes: list[Note]
    sites: dict[str, Site]
    ended: float
    wall: datetime
    broken: BaseException | None = field(default=None)


class History:
    """The installation of one history."""

    def __init__(self, plan: Plan, stores: Stores, parts: Parts) -> None:
        self.plan = plan
        self.world = World(plan)
        self.stores = stores
        self.policy_sets = policy_sets(plan)
        self._folder = Path(mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.prometheus = Prometheus(self.world)
        self.sites = {
            name: Site(name, self.world, self.prometheus.trained) for name in sorted(TARGETS)
        }
        self.book = Book(self.world, stores)
        self.managers = [
            Alertmanager(self.world, position, self.prometheus, self)
            for position in range(plan.alertmanagers)
        ]
        upstreams = Upstreams(self.world, self.managers, self.prometheus)
        self.replicas = [
            Replica(
                f"r{number + 1}",
                self.world,
                stores,
                self.book,
                parts,
                self.sites,
                upstreams,
                Door(self._folder, f"r{number + 1}"),
                self.policy_sets["usual"],
                alone=plan.replicas == 1,
            )
            for number in range(plan.replicas)
        ]
        self.operators = Operators(self.world)
        self.book.on_change = lambda: self._each(Replica.wake)
        self.world.cure = lambda: self._each(Replica.look_anew)
        for manager in self.managers:
            manager.peers = self.managers
        self.prometheus.on_change = self._changed

    def live(self) -> Lived:
        """Live to the end."""
        self.stores.fresh()
        hub = self.world.hub
        self.world.note("seed", Kind.PLAN, str(self.plan))
        end = self.plan.ends + self.plan.heals
        broken: BaseException | None = None
        before = errors()
        try:
            self._plan_accidents()
            for replica in self.replicas:
                hub.after(0, replica.begin)
            self.prometheus.start()
            hub.run(self.plan.ends)
            self._heal()
            hub.run(end)
        except Exception as error:  # noqa: BLE001  the checker tells it, with the story
            broken = error
        if broken is None and (survived := errors() - before):
            broken = AssertionError(f"errors that nobody foresaw were only survived: {survived}")
        self.world.healing = True
        self._stop()
        return Lived(
            self.plan, self.world.notes, self.sites, hub.now, self.world.wall.now(), broken
        )

    def post(self, who: str, notification: Notification, answered: Answered) -> None:
        """Lead a POST to one of the replicas that are up."""
        ready = [replica for replica in self.replicas if replica.ready]
        if not ready:
            self.world.hub.after(0.01, lambda: answered(good=False))
            return
        replica = self.world.random.choice(ready)
        told = ", ".join(f"{one.fingerprint} {one.status}" for one in notification.alerts)
        cut = notification.truncated_alerts
        more = f", {cut} truncated" if cut else ""
        said = f"{notification.body.decode()} to {replica.name}: {told}{more}"
        self.world.note(who, Kind.DELIVERY, said)
        replica.post(notification, answered, who)

    def _plan_accidents(self) -> None:
        world, plan = self.world, self.plan
        accidents: list[tuple[int, Callable[[], None]]] = [
            (plan.jumps, self._jump),
            (plan.acts, self._act),
            (plan.reloads, self._reload),
            (plan.outages, self._outage),
            (plan.alertmanager_faults, lambda: world.random.choice(self.managers).trouble()),
            (plan.silences, self._silence),
            (plan.answers, self._answer),
            (plan.gales, self.prometheus.gale),
            (plan.source_faults, lambda: world.random.choice(self._asked()).mislead()),
            (plan.token_faults, lambda: world.random.choice(self.replicas).lose_tokens()),
            (plan.aheads, self._be_ahead),
        ]
        for times, accident in accidents:
            for _ in range(times):
                world.hub.at(world.between(MINUTE, plan.ends - MINUTE), accident)

    def _jump(self) -> None:
        seconds = self.world.random.choice(
            (-2 * HOUR, -5 * MINUTE, 5 * MINUTE, 2 * HOUR, 7 * HOUR)
        )
        self.replicas[0].set_clock(seconds)

    def _act(self) -> None:
        ready = [replica for replica in self.replicas if replica.ready]
        if ready:
            self.operators.act(self.world.random.choice(ready))

    def _answer(self) -> None:
        """Somebody sees a question; perhaps two do, at two replicas."""
        ready = [replica for replica in self.replicas if replica.ready]
        if ready:
            self.operators.answer(self.world.random.sample(ready, min(len(ready), 2)))

    def _reload(self) -> None:
        """Every replica gets the new file, one after the other."""
        policy_set = self.policy_sets[self.world.random.choice(sorted(self.policy_sets))]
        for replica in self.replicas:
            self.world.hub.after(
                self.world.between(0, 20), lambda replica=replica: replica.reload(policy_set)
            )

    def _outage(self) -> None:
        """Every replica dies."""
        for replica in self.replicas:
            replica.crash("killed with all others")

    def _be_ahead(self) -> None:
        """A clock is ahead by minutes to a year, and is set right after a while.

        By more than days for a short while only: a clock that stays there for hours is believed,
        and what is too old by it is deleted.
        """
        random = self.world.random
        ahead, longest = random.choice(AHEAD)
        self.replicas[0].set_clock(ahead)
        back = self.world.between(1, longest)
        self.world.hub.after(back, lambda: self.replicas[0].set_clock(-ahead))

    def _asked(self) -> list[Alertmanager]:
        """Those that are asked, or all if none is."""
        return self.managers[: self.plan.sources] or self.managers

    def _silence(self) -> None:
        """Somebody silences a model in all of a cluster, and perhaps ends that early."""
        world = self.world
        model = world.random.choice(sorted(self.prometheus.bad))
        length = world.between(MINUTE, 6 * HOUR)
        said = length * world.random.choice((1, 1, 2))
        hush = Hush.SILENCED if world.random.random() < SILENCED else Hush.MUTED
        until = world.moment(world.hub.now + said) if hush is Hush.SILENCED else None
        quiet: Quiet | None = Quiet(hush, f"{hush} {model}", "bob", "not now", until)
        if world.random.random() < INHIBITED:
            quiet = None
        for manager in self.managers:
            manager.hush(model, quiet)
            world.hub.after(length, lambda manager=manager: manager.speak(model, quiet))

    def _heal(self) -> None:
        """No more faults: what is broken recovers, what was changed is changed back."""
        self.world.healing = True
        self.world.note("seed", Kind.PLAN, "faults stop here")
        for site in self.sites.values():
            site.heal()
        for manager in self.managers:
            manager.heal()
        for replica in self.replicas:
            if replica.has_no_token:
                replica.find_tokens()
        self.world.hub.after(self.plan.heals / 4, self._restore)

    def _restore(self) -> None:
        for replica in self.replicas:
            replica.reload(self.policy_sets["usual"])
        self.operators.heal(self.replicas[0])

    def _changed(self, model: str) -> None:
        for manager in self.managers:
            manager.changed(model)

    def _each(self, do: Callable[[Replica], None]) -> None:
        for replica in self.replicas:
            do(replica)

    def _stop(self) -> None:
        """End what still waits: what it says then is no part of the history. Remove the files."""
        self.world.hub.broken = None
        for replica in self.replicas:
            for task in list(replica.tasks):
                with suppress(Exception):
                    task.kill()
                self.world.hub.broken = None
        rmtree(self._folder)


def live(plan: Plan | int, stores: Stores, parts: Parts | None = None) -> Lived:
    """Live through the history of a plan, or of a seed."""
    drawn = draw(plan) if isinstance(plan, int) else plan
    return History(drawn, stores, parts or Parts()).live()
