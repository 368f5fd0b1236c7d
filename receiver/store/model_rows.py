"""What deciding reads and writes: models, firing alerts, pauses, remembered deliveries."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Row, Select, bindparam, delete, or_, select, update

from receiver.core.dispatches import DispatchState
from receiver.core.models import FiringAlert, LatestDispatch, Model, Pause, PauseScope
from receiver.store.bulk import insert_into, upsert
from receiver.store.column_types import storable
from receiver.store.errors import BeginAgain
from receiver.store.tables import (
    deliveries,
    dispatches,
    firing_alerts,
    models,
    pauses,
)

CHUNK = 500
"""Values in one IN (...): far below every engine's limit."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is remembered of one (fingerprint, startsAt).

    Attributes:
        decided_at: When its last firing delivery went down the ladder.
        resolved_at: When it was reported resolved.
        forget_at: When this memory ends.

    """

    fingerprint: str
    starts_at: datetime
    forget_at: datetime
    decided_at: datetime | None = None
    resolved_at: datetime | None = None


class ModelRows:
    """Statements about models. Deciding locks the models first and reads second."""

    _db: Connection

    def homes_of(self, fingerprints: Collection[str]) -> dict[str, str]:
        """The model whose firing set holds each of these alerts."""
        return {row.fingerprint: row.model for row in self._chosen(HOMES, fingerprints)}

    def require_homeless(self, fingerprints: Collection[str]) -> None:
        """Raise `BeginAgain` if one of these alerts is in a set now: it came there meanwhile.

        A model that is not locked yet would have to be locked out of order, and two transactions
        could then wait for each other.
        """
        if self._db.dialect.name != "sqlite" and self.homes_of(fingerprints):
            raise BeginAgain("an alert moved to another model meanwhile")

    def lock_models(self, names: Collection[str]) -> dict[str, Model]:
        """Make missing rows and lock all, in sorted order; read them after that.

        Never lock and read in one statement: on READ COMMITTED it waits for the lock, and then
        answers from before it.
        """
        ordered = sorted(names)
        known = {row.name for row in self._chosen(NAMES, ordered)}
        missing = [{"name": n, "labels": {}, "refusals": 0} for n in ordered if n not in known]
        if missing:
            self._db.execute(insert_into(self._db, models).on_conflict_do_nothing(), missing)
        if self._db.dialect.name != "sqlite":  # an IMMEDIATE transaction is alone already
            for _ in self._chosen(LOCK, ordered):
                pass
        return {row.name: model_of(row) for row in self._chosen(MODELS_NAMED, ordered)}

    def save_models(self, changed: Iterable[Model]) -> None:
        """Write what deciding changed. The rows are locked by this transaction."""
        rows = [
            {
                "name": model.name,
                "policy": model.policy,
                "labels": dict(model.labels),
                "episode_started_at": model.episode_started_at,
                "emptied_at": model.emptied_at,
                "cooldown_until": model.cooldown_until,
                "backoff_until": model.backoff_until,
                "refusals": model.refusals,
                "observed_until": model.observed_until,
                "next_check_at": model.next_check_at,
                "dispatch_id": model.latest.id if model.latest else None,
            }
            for model in changed
        ]
        upsert(self._db, models, ("name",), rows)

    def firing_sets(self, names: Collection[str]) -> list[FiringAlert]:
        """The firing alerts of these models, oldest first."""
        alerts = [firing_alert_of(row) for row in self._chosen(FIRING, names)]
        return sorted(alerts, key=lambda alert: (alert.starts_at, alert.fingerprint))

    def save_firing(self, alerts: Iterable[FiringAlert]) -> None:
        """Write entries of firing sets."""
        rows = [
            {column.name: getattr(alert, column.name) for column in firing_alerts.columns}
            for alert in alerts
        ]
        upsert(self._db, firing_alerts, ("fingerprint",), rows)

    def remove_firing(self, fingerprints: Collection[str]) -> None:
        """Take entries out of their sets."""
        for chunk in chunks(sorted(fingerprints)):
            self._db.execute(delete(firing_alerts).where(firing_alerts.c.fingerprint.in_(chunk)))

    def models_with_alerts(self) -> list[str]:
        """Every model that has a firing alert."""
        return list(self._db.scalars(select(firing_alerts.c.model).distinct()))

    def check_all(self, now: datetime) -> None:
        """Let the timer decide every firing alert anew: the configuration changed.

        It also ends the back-offs: what a target refused may have been mended.
        """
        refused = models.c.backoff_until.is_not(None)
        firing = models.c.name.in_(select(firing_alerts.c.model))
        names = list(self._db.scalars(LOCKING.where(or_(refused, firing))))
        for chunk in chunks(names):
            these = update(models).where(models.c.name.in_(chunk))
            self._db.execute(these.where(firing).values(next_check_at=now))
            self._db.execute(these.where(refused).values(backoff_until=None, refusals=0))

    def check_models(self, names: Collection[str], now: datetime) -> None:
        """Let the timer decide these models anew."""
        self.lock_models(names)
        for chunk in chunks(sorted(names)):
            these = update(models).where(models.c.name.in_(chunk))
            self._db.execute(these.values(next_check_at=now))

    def postpone_check(self, name: str, until: datetime) -> None:
        """Keep a model that can't be decided from holding up the others."""
        self._db.execute(update(models).where(models.c.name == name).values(next_check_at=until))

    def knows_model(self, name: str) -> bool:
        """Whether any alert or operator has named this model before."""
        query = select(models.c.policy).where(models.c.name == storable(name))
        return self._db.scalar(query) is not None

    def deliveries(
        self, fingerprints: Collection[str], now: datetime
    ) -> dict[tuple[str, datetime], Delivery]:
        """What is remembered of these alerts; what should be forgotten is not read."""
        rows = self._chosen(DELIVERIES, fingerprints, now=now)
        return {(row.fingerprint, row.starts_at): Delivery(**row._mapping) for row in rows}

    def save_deliveries(self, changed: Iterable[Delivery]) -> None:
        """Remember deliveries."""
        rows = [
            {column.name: getattr(delivery, column.name) for column in deliveries.columns}
            for delivery in changed
        ]
        upsert(self._db, deliveries, ("fingerprint", "starts_at"), rows)

    def pauses(self) -> list[Pause]:
        """Every pause; those that ended are still among them."""
        return [pause_of(row) for row in self._db.execute(select(pauses))]

    def save_pause(self, pause: Pause) -> None:
        """Set a pause, in place of an earlier one of the same scope."""
        row = {column.name: getattr(pause, column.name) for column in pauses.columns}
        upsert(self._db, pauses, ("scope", "name"), [row])

    def end_pause(self, scope: PauseScope, name: str) -> bool:
        """Lift a pause. False if there was none."""
        ended = self._db.execute(
            delete(pauses).where(pauses.c.scope == scope.value, pauses.c.name == name)
        )
        return ended.rowcount > 0

    def _chosen(
        self, query: Select[Any], values: Collection[str], **more: object
    ) -> Iterator[Row[Any]]:
        for chunk in chunks(sorted(values)):
            yield from self._db.execute(query, {"chosen": chunk, **more})


LATEST = [
    dispatches.c.id.label("latest_id"),
    dispatches.c.state.label("latest_state"),
    dispatches.c.run_id.label("latest_run_id"),
    dispatches.c.sent_at.label("latest_sent_at"),
    dispatches.c.ended_at.label("latest_ended_at"),
    dispatches.c.detail.label("latest_detail"),
]

MODELS = select(models, *LATEST).outerjoin(dispatches, dispatches.c.id == models.c.dispatch_id)


def among(query: Select[Any], column: Column[Any]) -> Select[Any]:
    """A query that is built once; what it chooses is handed in each time."""
    return query.where(column.in_(bindparam("chosen", expanding=True)))


LOCKING = select(models.c.name).order_by(models.c.name).with_for_update()

HOMES = among(
    select(firing_alerts.c.fingerprint, firing_alerts.c.model), firing_alerts.c.fingerprint
)
NAMES = among(select(models.c.name), models.c.name)
LOCK = among(LOCKING, models.c.name)
MODELS_NAMED = among(MODELS, models.c.name)
FIRING = among(select(firing_alerts), firing_alerts.c.model)
DELIVERIES = among(
    select(deliveries).where(deliveries.c.forget_at > bindparam("now")), deliveries.c.fingerprint
)


def chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """Slices that fit one statement."""
    return (values[start : start + CHUNK] for start in range(0, len(values), CHUNK))


def model_of(row: Row[Any]) -> Model:
    """A row of `MODELS` as a core value."""
    latest = None
    if row.latest_id is not None:
        latest = LatestDispatch(
            id=row.latest_id,
            state=DispatchState(row.latest_state),
            run_id=row.latest_run_id,
            sent_at=row.latest_sent_at,
            ended_at=row.latest_ended_at,
            detail=row.latest_detail,
        )
    return Model(
        name=row.name,
        policy=row.policy,
        labels=row.labels,
        episode_started_at=row.episode_started_at,
        emptied_at=row.emptied_at,
        cooldown_until=row.cooldown_until,
        backoff_until=row.backoff_until,
        refusals=row.refusals,
        observed_until=row.observed_until,
        next_check_at=row.next_check_at,
        latest=latest,
    )


def firing_alert_of(row: Row[Any]) -> FiringAlert:
    """A row of `firing_alerts` as a core value."""
    return FiringAlert(**row._mapping)


def pause_of(row: Row[Any]) -> Pause:
    """A row of `pauses` as a core value."""
    return Pause(**{**row._mapping, "scope": PauseScope(row.scope)})
