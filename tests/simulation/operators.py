"""Operators act now and then: some hold back, some order, some mend, some answer."""

from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING

from receiver.core.models import PauseScope
from receiver.flows.operator import approvals, controls, dispatches
from receiver.flows.operator.acts import Act, Conflict, NotFound
from receiver.flows.operator.controls import Named
from receiver.store.store import StoreUnavailable
from tests.simulation.plans import HOUR
from tests.simulation.world import Kind, World

if TYPE_CHECKING:
    from tests.simulation.replicas import Replica

QUESTIONS = """
SELECT model FROM approvals WHERE dispatch_id IS NULL
ORDER BY approved IS NOT NULL, asked_at DESC, model"""
"""The newest that is open first; also those that were answered: a human may think again."""

DISPATCHES = "SELECT id, model, state FROM dispatches WHERE state IN ({states}) ORDER BY id"


@dataclass(frozen=True, slots=True)
class Ordered:
    """What an operator asks for; the decision's comment is `comment`.

    Attributes:
        subject: A model, a policy or a dispatch.

    """

    comment: str
    what: str
    scope: PauseScope
    subject: str
    length: timedelta | None = None


class Operators:
    """People in a hurry."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._numbers = count(1)

    def act(self, replica: "Replica") -> None:
        """Do something through this replica, perhaps twice with one `Idempotency-Key`."""
        order = self._draw(replica)
        if order is None:
            return
        number = next(self._numbers)
        order = Ordered(f"act {number}", *order)
        key = self._world.random.choice((None, f"key {number}"))
        act = Act("ana", order.comment, key, request=order.what)
        what = f"{order.what} {order.scope} {order.subject}, length {order.length}"
        self._world.note("ana", Kind.ACT, f"{order.comment}: {what}", order)
        for _ in range(2 if key else 1):
            if replica.ready:
                replica.work("operator", lambda: self._do(replica, act, order))

    def answer(self, replicas: list["Replica"]) -> None:
        """Approve or reject what is asked: at once, late, twice, at two replicas; or release."""
        world, random = self._world, self._world.random
        asked = [str(row["model"]) for row in replicas[0].stores.rows(QUESTIONS)]
        if not asked:
            return
        what = random.choice(("approve", "approve", "approve", "reject", "release"))
        model = random.choice((asked[0], random.choice(asked)))
        order = Ordered("", what, PauseScope.MODEL, model)
        if what == "release":
            subject = random.choice((PauseScope.POLICY, PauseScope.EVERYTHING))
            name = "drift" if subject is PauseScope.POLICY else ""
            order = Ordered("", "release", subject, name)
        late = random.choice((0.0, 0.0, 10.0, world.between(0, 3 * HOUR)))
        for replica in replicas[: random.choice((1, 2))]:
            world.hub.after(late, lambda replica=replica: self._order(replica, order))

    def _order(self, replica: "Replica", order: Ordered) -> None:
        """Ask for this at a replica, under a number of its own."""
        if replica.ready:
            order = replace(order, comment=f"act {next(self._numbers)}")
            said = f"{order.comment}: {order.what} {order.scope} {order.subject}"
            self._world.note("ana", Kind.ACT, f"{said} at {replica.name}", order)
            act = Act("ana", order.comment)
            replica.work("operator", lambda: self._do(replica, act, order))

    def heal(self, replica: "Replica") -> None:
        """Lift every pause."""
        self._resume(replica, PauseScope.EVERYTHING, "")
        for policy in replica.policy_set.policies:
            self._resume(replica, PauseScope.POLICY, policy.name)
        for number in range(self._world.plan.models):
            self._resume(replica, PauseScope.MODEL, f"m{number + 1}")

    def _resume(self, replica: "Replica", scope: PauseScope, name: str) -> None:
        order = Ordered(f"act {next(self._numbers)}", "resume", scope, name)
        self._world.note("ana", Kind.ACT, f"{order.comment}: resume {scope} {name}", order)
        act = Act("ana", order.comment)
        replica.work("operator", lambda: self._do(replica, act, order))

    def _draw(self, replica: "Replica") -> tuple[str, PauseScope, str, timedelta | None] | None:
        random = self._world.random
        model = f"m{random.randint(1, self._world.plan.models)}"
        scope, name = random.choice(
            (
                (PauseScope.MODEL, model),
                (PauseScope.MODEL, model),
                (PauseScope.POLICY, "drift"),
                (PauseScope.EVERYTHING, ""),
            )
        )
        what = random.choice(("retrain", "pause", "resume", "retry", "abandon"))
        if what == "retrain":
            return what, PauseScope.MODEL, model, None
        if what in {"pause", "resume"}:
            hours = timedelta(hours=random.uniform(0.01, 5))
            return what, scope, name, random.choice((None, hours, hours))
        states = "'parked', 'refused'" if what == "retry" else "'sending', 'unknown', 'running'"
        found = replica.stores.rows(DISPATCHES.format(states=states))
        if not found:
            return None
        return what, PauseScope.MODEL, str(random.choice(found)["id"]), None

    def _do(self, replica: "Replica", act: Act, order: Ordered) -> None:
        store, policy_set, subject = replica.store, replica.policy_set, order.subject
        named = Named("drift", {"user_id": subject})
        try:
            if order.what == "retrain":
                controls.retrain(store, policy_set, act, subject, named)
            elif order.what == "pause":
                controls.pause(
                    store,
                    policy_set,
                    act,
                    order.scope,
                    subject,
                    length=order.length,
                    named=named,
                )
            elif order.what == "resume":
                controls.resume(store, policy_set, act, order.scope, subject, named=named)
            elif order.what == "release":
                controls.release(store, policy_set, act, order.scope, subject)
            elif order.what == "approve":
                approvals.approve(store, policy_set, act, subject)
            elif order.what == "reject":
                approvals.reject(store, policy_set, act, subject)
            elif order.what == "retry":
                dispatches.retry(store, policy_set, act, subject)
            else:
                dispatches.abandon(store, policy_set, act, subject)
        except (NotFound, Conflict, StoreUnavailable) as error:
            said = f"{order.comment}: {type(error).__name__}: {error}"
            self._world.note("ana", Kind.NACK, said)
