"""Processes of the receiver: they start, work in lanes, answer, die and start again."""

import json
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from receiver.core.alerts import Notification
from receiver.core.policy_set import PolicySet
from receiver.core.ports import Clock
from receiver.dispatchers.at_address import AtItsAddress
from receiver.dispatchers.unconfigured import UnconfiguredTarget
from receiver.flows.intake import taking_in
from receiver.flows.intake.taking_in import Receipt
from receiver.flows.operator.reloading import apply_configuration
from receiver.flows.worker.loops import TICK, Setup
from receiver.flows.worker.mending import AGAIN
from receiver.store.store import BeginAgain, StoreUnavailable
from tests.fakes import Killed
from tests.simulation.alertmanagers import Answered
from tests.simulation.book import Book, Seen
from tests.simulation.doors import NOTHING, Door
from tests.simulation.parts import (
    FRUITLESS,
    MOST_STEPS,
    NOTHING_SEEN,
    Lane,
    Loops,
    Parts,
    Spinning,
)
from tests.simulation.plans import HOUR
from tests.simulation.sites import Site
from tests.simulation.stores import Stores
from tests.simulation.subscribers import Subscription
from tests.simulation.targets import dispatchers_of
from tests.simulation.tasks import Task
from tests.simulation.upstreams import Answer, Upstreams
from tests.simulation.world import Kind, ProcessClock, WallClock, World

ASKING_ANEW = {"clock", "retention"}
"""Lanes that look for something that no row says."""

CLOCK_LOOKS, SOON, CLOCK_PACE = 8, 3, AGAIN.total_seconds() + TICK
"""So often the clock is looked at after it was set: one look may be too slow to be a measure, and
calls that were under way then end within minutes."""

RETENTION_PACE = 3 * HOUR
"""The real one looks every ten minutes: nothing of these histories is so old."""

LONGEST_ASKING = timedelta(minutes=2)

NEVER = float("inf")


@dataclass
class Replica:
    """A place where a process of the receiver lives, dies and is started again.

    Attributes:
        file: What its configuration file says; `policy_set` is what the process has loaded.

    """

    name: str
    world: World
    stores: Stores
    book: Book
    parts: Parts
    sites: Mapping[str, Site]
    upstreams: Upstreams
    door: Door
    policy_set: PolicySet
    ready: bool = False
    up: bool = False
    tasks: list[Task] = field(default_factory=list)
    lanes: dict[str, Lane] = field(default_factory=dict)
    life: int = 0
    alone: bool = True
    has_no_token: bool = False
    heard: dict[str, Answer] = field(default_factory=dict)
    _open: dict[str, Answered] = field(default_factory=dict)
    _loading: bool = False

    def __post_init__(self) -> None:
        self.file = self.policy_set

    def begin(self) -> None:
        """Start a process."""
        self.life += 1
        self.up = True
        self.policy_set, self._loading = self.file, False
        machine = self.world.wall if self.alone else WallClock(self.world.hub, timedelta(days=3))
        self._clock: Clock = ProcessClock(self.world.hub, machine)
        self.work("start", self._start)

    def _start(self) -> None:
        deciding = ProcessClock(self.world.hub, self.world.wall)
        store = self.stores.open(deciding, alone=self.alone)
        store.chances = self.world.random
        store.meets = self.meets
        store.written = self.book.read
        self.parts.store(store, self.world)
        self.parts.on_start(store)
        self.store = store
        self.door.open_anew()
        self._committing = False
        self._committer = self.parts.committer(store)
        self._clients = self._dispatchers_of(self.policy_set)
        self._announcers = {one.name: Subscription(self) for one in self.policy_set.subscribers}
        self.worker = Loops(store, self._clock, self._setup(), missing=UnconfiguredTarget)
        self.worker.hub = self.world.hub
        if self.alone:  # nobody else can hold a lease on this store
            with store.begin() as tx:
                tx.release_leases(tx.now())
                tx.free_sources(tx.now())
        self._apply()
        self.worker.start(set(self.sites))
        steps = self.parts.lanes(self.worker.steps())
        self.lanes = {name: Lane(step) for name, step in steps.items()}
        self._begin_anew()
        self.ready = True
        self.world.note(self.name, Kind.UP, "ready")
        self._let_strangers_try()
        self.wake()

    def reload(self, policy_set: PolicySet) -> None:
        """Write another configuration, and put it in force."""
        self.file = policy_set
        self._load()

    def _load(self) -> None:
        """Load the file as soon as no other reload is under way: the receiver has a lock."""
        if self._loading:
            self.world.hub.after(1.0, self._load)
        elif self.ready:
            self.work("reload", self._put_in_force)

    def _put_in_force(self) -> None:
        self._loading = True
        try:
            self.policy_set = self.file
            self._apply()
            self.door.reload()
            self._let_strangers_try()
            self._clients = self._dispatchers_of(self.policy_set)
            self.worker.change(self._setup())
            for lane in self.lanes.values():  # what they saw was seen by another configuration
                lane.in_vain, lane.seen = 0, NOTHING_SEEN
            self.wake()
        finally:
            self._loading = False

    def _dispatchers_of(self, policy_set: PolicySet) -> dict[str, AtItsAddress]:
        return dispatchers_of(policy_set.targets, self.sites, self, self.parts.client)

    def _setup(self) -> Setup:
        kept = self.world.plan.kept
        asked = self.upstreams.asked_by(self) if self.policy_set.asking else {}
        return Setup(self.policy_set, self._clients, kept, self._announcers, asked)

    def _apply(self) -> None:
        policy_set = self.policy_set
        self.world.note(
            self.name,
            Kind.RELOAD,
            f"{policy_set.config_hash} is loaded",
            (policy_set.config_hash, None),
        )
        sections = [
            {"name": policy.name, "match": [str(matcher) for matcher in policy.matchers]}
            for policy in policy_set.policies
        ]
        body = json.dumps({"policies": sections, "hash": policy_set.config_hash})
        changed = apply_configuration(self.store, policy_set, body).changed
        self.world.note(
            self.name,
            Kind.RELOAD,
            f"{policy_set.config_hash} is in force",
            (policy_set.config_hash, changed),
        )

    def crash(self, why: str) -> None:
        """The process dies at once; another one starts after a while."""
        if not self.up:
            return
        self.up = self.ready = False
        self.life += 1
        self.lanes = {}
        self.world.note(self.name, Kind.DOWN, why)
        tasks, self.tasks = self.tasks, []
        for task in tasks:
            task.kill()
        for answered in self._open.values():  # their connections are cut
            answered(good=False)
        self._open.clear()
        down = 1.0 if self.world.healing else self.world.between(1, self.world.plan.downtime)
        self.world.hub.after(down, self.begin)

    def meets(self, where: str) -> None:
        """What may happen to a process at each of its steps."""
        world = self.world
        self._live_or_die()
        world.steps += 1
        if world.strikes(world.plan.crash) or world.steps == world.plan.crash_at:
            self.crash(f"killed {where}")
            raise Killed
        if world.strikes(world.plan.stall):
            world.hub.pause(world.random.choice((0.01, 0.5, 4.0, 12.0)))
            self._live_or_die()
        if "transaction" in where and world.strikes(world.plan.store_fault):
            world.note(self.name, Kind.FAULT, f"the database is cut off {where}")
            lost = BeginAgain if "before" in where and world.random.random() < 0.5 else None
            raise (lost or StoreUnavailable)("cut")

    def _live_or_die(self) -> None:
        running = self.world.hub.running
        if running is not None and running not in self.tasks:
            raise Killed

    def set_clock(self, seconds: float) -> None:
        """Set the deciding clock."""
        self.world.wall.ahead += timedelta(seconds=seconds)
        self.world.note("clock", Kind.CLOCK, f"set by {timedelta(seconds=seconds)}", seconds)
        self.world.cure()

    def look_anew(self) -> None:
        """The clock was set: what is due, is due at another moment."""
        for lane in self.lanes.values():
            lane.wakes, lane.seen_due, lane.in_vain = float("inf"), None, 0
            lane.seen = NOTHING_SEEN
        self._begin_anew()
        self.wake()

    def _begin_anew(self) -> None:
        """Let the lanes look that have to, whatever is stored."""
        for name, lane in self.lanes.items():
            if name in ASKING_ANEW or name.startswith("ask"):
                lane.again, lane.looks = self.world.hub.now, CLOCK_LOOKS

    def lose_tokens(self) -> None:
        """The files of all tokens are empty for a while: it asks nobody, and strangers try."""
        if not self.world.healing:
            self.world.note(self.name, Kind.FAULT, "its token files are empty")
            self.has_no_token = True
            self.door.empty()
            self.world.hub.after(self.world.between(1, HOUR), self.find_tokens)
            self.world.hub.after(1.0, self._let_strangers_try)

    def find_tokens(self) -> None:
        """The files are as they were."""
        self.world.note(self.name, Kind.FAULT, "it has tokens again")
        self.has_no_token = False
        self.door.fill()

    def _let_strangers_try(self) -> None:
        """Whoever has no token comes by while its file is empty."""
        for shown in NOTHING if self.ready and self.has_no_token else ():
            self._knock("stranger", shown)

    def _knock(self, who: str, *shown: str | None) -> bool:
        """Whether somebody may come in."""
        knock = self.door.knock(*shown)
        if knock.refused or not knock.ours:
            said = f"comes in at {self.name} with {shown}: {knock.refused or 'yes'}"
            self.world.note(who, Kind.KNOCK, said, knock)
        return knock.refused is None

    def work(self, name: str, do: Callable[[], Any]) -> None:
        """Let the process do something in a thread of its own."""

        def done() -> None:
            try:
                do()
            except StoreUnavailable:
                if name == "start":  # the process ends, and is started again
                    self.crash("could not start: the store is unavailable")
            finally:
                if task in self.tasks:
                    self.tasks.remove(task)

        task = Task(self.world.hub, f"{self.name} {name}", done)
        self.tasks.append(task)
        task.turn()

    def post(self, notification: Notification, answered: Answered, who: str) -> None:
        """Take a notification in, together with those that wait."""
        if not self._knock(who):
            self.world.note(who, Kind.NACK, f"{notification.body.decode()}: its token is refused")
            self.world.hub.after(0.01, lambda: answered(good=False))
            return
        arrival = taking_in.arrive(notification, self.policy_set, sender=who)
        answer = self._committer.submit(arrival)
        token = notification.body.decode()
        self._open[token] = answered

        def tell(future: Future[Receipt]) -> None:
            if self._open.pop(token, None) is None:
                return
            error = future.exception()
            good = error is None
            if error is not None and not isinstance(error, StoreUnavailable):
                self.world.hub.broken = error  # raised where the turn was given
                return
            if good and self.world.strikes(self.world.plan.answer_loss):
                self.world.note(who, Kind.NACK, f"{token}: the answer was lost")
                good = False
            elif good:
                receipt = future.result()
                reasons = ", ".join(one.reason.value for one in receipt.decisions)
                self.world.note(who, Kind.ACK, f"{token}: 200 {reasons}", (notification, receipt))
            else:
                self.world.note(who, Kind.NACK, f"{token}: 503")
            answered(good=good)

        answer.add_done_callback(tell)
        if not self._committing:
            self._committing = True
            self.work("intake", self._commit)

    def _commit(self) -> None:
        committer = self._committer
        try:
            while True:
                self.world.hub.pause(0.001)
                comes = not committer._waiting.empty()
                if not comes and not committer._long:
                    return
                committer._round(gathers=comes)
        finally:
            self._committing = False

    def wake(self) -> None:
        """Let each lane look when something is due for it, within its tick."""
        due, now = self.book.due(), self.world.wall.now()
        for name, lane in self.lanes.items():
            moments = [due[name]] if name in due else []
            if name == "timer" and (look := self.book.next_look(lane.seen)) is not None:
                moments.append(look)
            if name.startswith("ask") and moments:
                moments = [self._trusted(moments[0])]
            if moments or lane.again < NEVER:
                ahead = min((moment for moment in moments if moment > now), default=None)
                self._wake_lane(name, lane, min(moments, default=None), ahead)

    def _trusted(self, due: datetime) -> datetime:
        """When a source is asked next: further ahead than its rule puts it, no moment counts."""
        now = self.world.wall.now()
        return now if due > now + max(self.world.plan.poll, LONGEST_ASKING) else due

    def _more(self, name: str) -> bool:
        due = self.book.due().get(name)
        return due is not None and due <= self.world.wall.now()

    def _wake_lane(
        self, name: str, lane: Lane, due: datetime | None, ahead: datetime | None
    ) -> None:
        """Let a lane look when something is due; what is overdue in vain hides nothing `ahead`."""
        if due != lane.seen_due and not name.startswith(("send", "ask")):
            lane.in_vain = 0
        world = self.world
        tick = world.plan.follow_pace if name.startswith("follow") else 1.0
        late = world.between(0, tick)
        if lane.in_vain > FRUITLESS:  # it would look every second, and never find anything
            late = 2.0 ** min(lane.in_vain - FRUITLESS, 9)
        stored = NEVER if due is None else world.wall.true(due)
        moment = max(min(stored, lane.again), world.hub.now) + late
        if ahead is not None:
            moment = min(moment, max(world.wall.true(ahead), world.hub.now) + tick)
        if not lane.busy and (moment < lane.wakes or due != lane.seen_due):
            lane.seen_due = due
            lane.wakes = moment
            life = self.life
            world.hub.at(moment, lambda: self._run_lane(name, lane, moment, life))

    def _look_again(self, name: str, lane: Lane) -> None:
        """Let a lane look anew by itself: what it looks for is not stored."""
        now = self.world.hub.now
        lane.again = NEVER
        if name == "retention":
            lane.again = now + RETENTION_PACE
        elif name == "clock" and lane.looks:
            lane.looks -= 1
            lane.again = now + (TICK if lane.looks > CLOCK_LOOKS - SOON else CLOCK_PACE)
        elif name == "clock" and self.book.newest > self.world.wall.now():
            lane.again = now + RETENTION_PACE
        elif name.startswith("ask") and name not in self.book.due():
            lane.again = now + TICK  # it has no row yet

    def _run_lane(self, name: str, lane: Lane, moment: float, life: int) -> None:
        if life != self.life or lane.wakes != moment or lane.busy:
            return
        lane.wakes = float("inf")
        lane.busy = True
        self.work(name, lambda: self._steps(name, lane))

    def _steps(self, name: str, lane: Lane) -> None:
        steps = 0
        if name == "timer" and lane.again <= self.world.hub.now:
            lane.again = NEVER  # a look within the tick is not the one that is due after it
        self.heard.pop(name.removeprefix("ask:"), None)
        seen, told = Seen(self.world.wall.now(), self.book.commits), len(self.world.notes)
        try:
            while lane.step():
                steps += 1
                if steps > MOST_STEPS:
                    raise Spinning(name)
                if not self._more(name):  # it would look once more, and find nothing
                    if name == "timer":  # of what is shared it looks once in a tick
                        lane.again = self.world.hub.now + TICK
                    break
            lane.seen = seen
            answer = self.heard.pop(name.removeprefix("ask:"), None)
            if answer is not None:
                said = f"what it said to {self.name} is stored"
                self.world.note(answer.source, Kind.BELIEVED, said, answer)
        except StoreUnavailable:
            pass
        finally:
            lane.busy = False
        # What is only put off, behind a pause or a closed window, is no progress either.
        lane.in_vain = 0 if steps and len(self.world.notes) > told else lane.in_vain + 1
        if name in ASKING_ANEW or name.startswith("ask"):
            lane.in_vain = 0
            self._look_again(name, lane)
        self.wake()
