"""Reads and writes what deciding needs: models, firing alerts, pauses, deliveries."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, and_, delete, exists, func, select, update

from receiver.core.dispatches import DispatchState
from receiver.core.models import FiringAlert, LatestDispatch, Model, Pause, PauseScope
from receiver.store.bounded_columns import NO_LABELS, columns_within_bounds
from receiver.store.column_types import storable
from receiver.store.compiled import Compiled
from receiver.store.compiled_select import ReadingChosen, chunks, columns_of
from receiver.store.compiled_upsert import Changing, Writing, insert_into
from receiver.store.errors import BeginAgain
from receiver.store.tables import (
    approvals,
    deliveries,
    dispatches,
    firing_alerts,
    models,
    pauses,
)


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

    def lock_with_sets(
        self, names: Collection[str], fingerprints: Collection[str]
    ) -> tuple[dict[str, Model], list[FiringAlert]]:
        """Lock these models, and those whose firing sets hold one of these alerts; and their sets.

        Raises `BeginAgain` if an alert came meanwhile into the set of a model that is not locked:
        it would have to be locked out of order, and two transactions could wait for each other.
        """
        if self._db.dialect.name == "sqlite":
            return self._models_with_sets(names, fingerprints)
        locked = self.lock_models({*names, *self._homes_of(fingerprints)})
        entries = self.firing_sets(locked)
        if self._homes_of(_without(entries, fingerprints)):
            raise BeginAgain("an alert moved to another model meanwhile")
        return locked, entries

    def _models_with_sets(
        self, names: Collection[str], fingerprints: Collection[str]
    ) -> tuple[dict[str, Model], list[FiringAlert]]:
        """The same where nobody else writes: nearly all alerts are in the sets of these models."""
        entries = self.firing_sets(names)
        others = self._homes_of(_without(entries, fingerprints))
        return self.lock_models({*names, *others}), entries + self.firing_sets(others)

    def _homes_of(self, fingerprints: Collection[str]) -> set[str]:
        """The models whose firing sets hold these alerts."""
        return {model for (model,) in HOMES.chosen(self._db, fingerprints)}

    def lock_models(self, names: Collection[str]) -> dict[str, Model]:
        """Make missing rows and lock all, in sorted order; read them after that.

        Never lock and read in one statement: on READ COMMITTED it waits for the lock, and then
        answers from before it.
        """
        if self._db.dialect.name == "sqlite":  # an IMMEDIATE transaction is alone already
            found = models_named(self._db, names)
            if len(found) == len(set(names)):
                return found
        known = {name for (name,) in NAMES.chosen(self._db, names)}
        missing = [{"name": n, "labels": {}, "refusals": 0} for n in sorted(set(names) - known)]
        if missing:
            self._db.execute(insert_into(self._db, models).on_conflict_do_nothing(), missing)
        if self._db.dialect.name == "sqlite":
            return models_named(self._db, names)
        if len(LOCK.chosen(self._db, names)) < len(set(names)):
            # One was forgotten while we waited for its lock.
            raise BeginAgain("a model was forgotten meanwhile")
        return models_named(self._db, names)

    def has_model(self, name: str) -> bool:
        """Whether anything is remembered of a model."""
        query = select(models.c.name).where(models.c.name == storable(name))
        return self._db.scalar(query) is not None

    def forget_model(self, name: str) -> None:
        """Delete what is remembered of a model; the log and its dispatches stay."""
        mine = and_(pauses.c.scope == PauseScope.MODEL.value, pauses.c.name == name)
        self._db.execute(delete(pauses).where(mine))
        self._db.execute(delete(approvals).where(approvals.c.model == name))
        self.remove_models([name])

    def remove_models(self, names: Collection[str]) -> None:
        """Delete these models' rows, which are locked. Whoever waits for one begins again."""
        for chunk in chunks(sorted(names)):
            self._db.execute(delete(models).where(models.c.name.in_(chunk)))

    def save_models(self, changed: Iterable[Model]) -> None:
        """Write what deciding changed. The rows are locked by this transaction."""
        SAVING_MODELS.write(self._db, changed)

    def firing_sets(self, names: Collection[str]) -> list[FiringAlert]:
        """The firing alerts of these models, oldest first."""
        alerts = [FiringAlert(*row) for row in FIRING.chosen(self._db, names)]
        return sorted(alerts, key=lambda alert: (alert.starts_at, alert.fingerprint))

    def alerts_of_each(self, names: Collection[str]) -> dict[str, int]:
        """How many alerts of each of these models fire; those without any are left out."""
        return alerts_of_each(self._db, names)

    def save_firing(self, alerts: Iterable[FiringAlert]) -> None:
        """Write entries of firing sets."""
        SAVING_FIRING.write(self._db, alerts)

    def renew_firing(self, alerts: Iterable[FiringAlert]) -> None:
        """Write of entries who confirmed them, and until when that holds; they are there."""
        RENEWING_FIRING.write(self._db, alerts)

    def remove_firing(self, fingerprints: Collection[str]) -> None:
        """Take entries out of their sets."""
        for chunk in chunks(sorted(fingerprints)):
            self._db.execute(delete(firing_alerts).where(firing_alerts.c.fingerprint.in_(chunk)))

    def make_due(self, names: Collection[str], now: datetime) -> None:
        """Let the timer decide the alerts of these models anew, if they have any."""
        LOCK.chosen(self._db, names)
        firing = exists().where(firing_alerts.c.model == models.c.name)
        for chunk in chunks(sorted(names)):
            these = update(models).where(models.c.name.in_(chunk), firing)
            self._db.execute(these.values(next_check_at=now))

    def end_backoffs(self, names: Collection[str]) -> None:
        """What a target refused may have been mended. The models are locked."""
        refused = models.c.backoff_until.is_not(None)
        for chunk in chunks(sorted(names)):
            these = update(models).where(models.c.name.in_(chunk), refused)
            self._db.execute(these.values(backoff_until=None, refusals=0))

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
        """What is remembered of these alerts, and not to be forgotten."""
        remembered = [Delivery(*row) for row in DELIVERIES.chosen(self._db, fingerprints)]
        return {(one.fingerprint, one.starts_at): one for one in remembered if one.forget_at > now}

    def save_deliveries(self, changed: Iterable[Delivery]) -> None:
        """Remember deliveries."""
        SAVING_DELIVERIES.write(self._db, changed)

    def pauses(self) -> list[Pause]:
        """Every pause; those that ended are still among them."""
        return list_pauses(self._db)

    def save_pause(self, pause: Pause) -> None:
        """Set a pause, in place of an earlier one of the same scope."""
        SAVING_PAUSE.write(self._db, [pause])

    def end_pause(self, scope: PauseScope, name: str) -> bool:
        """Lift a pause. False if there was none."""
        ended = self._db.execute(
            delete(pauses).where(pauses.c.scope == scope.value, pauses.c.name == name)
        )
        return ended.rowcount > 0


# A model's latest dispatch, its last field, is kept elsewhere.
*_REMEMBERED, _ = (field.name for field in fields(Model))

REMEMBERED = [models.c[name] for name in _REMEMBERED]

LATEST = [
    dispatches.c[field.name].label(f"latest_{field.name}") for field in fields(LatestDispatch)
]

LATEST_AT = len(REMEMBERED)
"""Where the columns of `LATEST` begin in a row of `MODELS_NAMED`; the first is the id."""

LOCKING = select(models.c.name).order_by(models.c.name).with_for_update()

HOMES = ReadingChosen(select(firing_alerts.c.model), firing_alerts.c.fingerprint)
NAMES = ReadingChosen(select(models.c.name), models.c.name)
LOCK = ReadingChosen(LOCKING, models.c.name)
MODELS_NAMED = ReadingChosen(
    select(*REMEMBERED, *LATEST).outerjoin_from(
        models, dispatches, dispatches.c.id == models.c.dispatch_id
    ),
    models.c.name,
    words={"latest_state": DispatchState},
)
PAUSES = Compiled(select(*columns_of(pauses, Pause)), words={"scope": PauseScope})
FIRING_ALERT = columns_within_bounds(firing_alerts, FiringAlert, instead=NO_LABELS)
FIRING = ReadingChosen(select(*FIRING_ALERT), firing_alerts.c.model)
ALERTS_OF_EACH = ReadingChosen(
    select(firing_alerts.c.model, func.count()).group_by(firing_alerts.c.model),
    firing_alerts.c.model,
)
DELIVERIES = ReadingChosen(select(*columns_of(deliveries, Delivery)), deliveries.c.fingerprint)

_remembered = attrgetter(*_REMEMBERED)


def _saved(model: Model) -> list[Any]:
    return [*_remembered(model), model.latest.id if model.latest else None]


SAVING_FIRING = Writing(firing_alerts, ("fingerprint",))
RENEWING_FIRING = Changing(
    firing_alerts, ("fingerprint",), ("claims", "confirmed_at", "confirmed_by", "expires_at")
)
SAVING_DELIVERIES = Writing(deliveries, ("fingerprint", "starts_at"))
SAVING_PAUSE = Writing(pauses, ("scope", "name"))
SAVING_MODELS = Writing(models, ("name",), columns=(*_REMEMBERED, "dispatch_id"), take=_saved)


def _without(entries: Iterable[FiringAlert], fingerprints: Collection[str]) -> set[str]:
    return set(fingerprints) - {entry.fingerprint for entry in entries}


def models_named(db: Connection, names: Collection[str]) -> dict[str, Model]:
    """Those of these models that there are."""
    return {row[0]: model_of(row) for row in MODELS_NAMED.chosen(db, names)}


def alerts_of_each(db: Connection, names: Collection[str]) -> dict[str, int]:
    """How many alerts of each of these models fire; those without any are left out."""
    return dict(ALERTS_OF_EACH.chosen(db, names))


def deliveries_of(db: Connection, fingerprints: Collection[str]) -> dict[str, list[Delivery]]:
    """What is remembered of these alerts, by alert."""
    found: dict[str, list[Delivery]] = {}
    for row in DELIVERIES.chosen(db, fingerprints):
        found.setdefault(row[0], []).append(Delivery(*row))
    return found


def model_of(row: Sequence[Any]) -> Model:
    """A row of `MODELS_NAMED` as a core value.

    Its columns are called after the fields and come in their order, so that no two can be mixed
    up; naming each for every row would take longer than the query.
    """
    latest = None if row[LATEST_AT] is None else LatestDispatch(*row[LATEST_AT:])
    values = [*row[:LATEST_AT], latest]
    return Model(*values)


def list_pauses(db: Connection) -> list[Pause]:
    """Every pause; those that ended are still among them."""
    return [Pause(*row) for row in PAUSES.rows(db)]
