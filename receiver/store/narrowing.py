"""Narrows a transaction to what belongs to one tenant: nobody else's rows are there to be read.

Every statement is given a `WITH` that puts, in place of each table, that table's rows of the
tenant. So lists, counts, pages and their cursors are right by themselves, and a read that nobody
thought of finds nothing rather than everything: a table that is not named here is empty.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, event, select

from receiver.core.decisions import Reason
from receiver.core.models import PauseScope
from receiver.core.tenants import Tenant
from receiver.json_text import encode
from receiver.store.tables import metadata, models

THEIRS = "EXISTS (SELECT 1 FROM models WHERE models.name = {table}.model)"

OF_DISPATCHES = "EXISTS (SELECT 1 FROM dispatches WHERE dispatches.id = {table}.dispatch_id)"

OF_ALERTS = (
    "EXISTS (SELECT 1 FROM firing_alerts WHERE firing_alerts.fingerprint = {table}.fingerprint)"
)

NOBODYS = "1 = 0"

CARRIES = "{carries}"
"""Stands for: the column `labels` of the row has what makes the tenant's models theirs."""

NARROWED: Mapping[str, str] = {
    "models": CARRIES,
    "firing_alerts": THEIRS,
    "dispatches": THEIRS,
    "attempts": OF_DISPATCHES,
    "transitions": OF_DISPATCHES,
    "run_ends": THEIRS,
    "approvals": THEIRS,
    # A name may have belonged to others before, and what names nothing is nobody's. What has no
    # labels is an operator's act on the model.
    "decisions": f"{THEIRS} AND (labels IS NULL OR {CARRIES})"
    f" AND reason NOT IN ('{Reason.UNMATCHED}', '{Reason.INVALID}')",
    "sightings": OF_ALERTS,
    # Holds others' alerts too: of a body only the alert at a decision's position is ever read.
    "notifications": "EXISTS (SELECT 1 FROM decisions WHERE decisions.notification_id ="
    " notifications.id) OR EXISTS (SELECT 1 FROM firing_alerts WHERE firing_alerts.seen_in ="
    " notifications.id)",
    # A wide pause is theirs as well where it may hold a model of theirs.
    "pauses": f"scope = '{PauseScope.EVERYTHING}'"  # noqa: S608  words of ours
    f" OR scope = '{PauseScope.MODEL}' AND EXISTS (SELECT 1 FROM models WHERE models.name ="
    f" pauses.name) OR scope = '{PauseScope.POLICY}' AND (EXISTS (SELECT 1 FROM models WHERE"
    " models.policy = pauses.name) OR EXISTS (SELECT 1 FROM firing_alerts WHERE"
    " firing_alerts.policy = pauses.name))",
}
"""Which rows of a table belong to a tenant. Those of a table that is not here belong to nobody."""

MARK = "{value}"
"""Stands for a value: each driver has its own sign, and its own order."""


class Narrowed:
    """A transaction that reads, narrowed from now on."""

    def __init__(self, db: Connection, tenant: Tenant) -> None:
        self._db = db
        self._sqlite = db.dialect.name == "sqlite"
        self._off = False
        carries, values = _carrying(tenant, "instr" if self._sqlite else "strpos")
        self._with = _with(carries, sqlite=self._sqlite)
        self._values = values * (self._with.count(MARK) // max(1, len(values)))
        event.listen(db, "before_cursor_execute", self._narrow, retval=True)

    @cached_property
    def names(self) -> Sequence[str]:
        """The tenant's models: every model is looked at."""
        return list(self._db.scalars(select(models.c.name).order_by(models.c.name)))

    @contextmanager
    def off(self) -> Iterator[None]:
        """What is read within may be anybody's: it must not be shown."""
        self._off = True
        try:
            yield
        finally:
            self._off = False

    def _narrow(
        self, _db: Any, _cursor: Any, sql: str, values: Any, _context: Any, _many: Any
    ) -> tuple[str, Any]:
        if self._off:
            return sql, values
        if sql.startswith("WITH "):  # its own tables see the narrowed ones; its order is lost
            sql = f"SELECT * FROM ({sql}) AS within"  # noqa: S608  our own words
        if not sql.startswith(("SELECT ", "SELECT\n", "(SELECT ")):
            raise AssertionError(f"a tenant's transaction only reads, but this is {sql[:60]!r}")
        if isinstance(values, Mapping):
            marks = {f"tenant_{place}": value for place, value in enumerate(self._values)}
            head = self._with
            for name in marks:
                head = head.replace(MARK, f"%({name})s", 1)
            return f"{head} {sql}", {**values, **marks}
        head = self._with.replace(MARK, "?" if self._sqlite else "%s")
        return f"{head} {sql}", (*self._values, *values)


def _carrying(tenant: Tenant, find: str) -> tuple[str, list[str]]:
    """The condition that `labels` holds all pairs of one of the sets, and its values.

    In our JSON a quote within a text stands behind a backslash, so a pair with what comes before
    its name can be found nowhere else.
    """
    values: list[str] = []
    sets = []
    for pairs in sorted(map(sorted, tenant.label_sets)):
        each = []
        for name, value in pairs:
            pair = encode({name: value})[1:-1]
            each.append(f"({find}(labels, {MARK}) > 0 OR {find}(labels, {MARK}) > 0)")
            values += ["{" + pair, "," + pair]
        sets.append(" AND ".join(each))
    return f"({' OR '.join(sets) or NOBODYS})", values


def _with(carries: str, *, sqlite: bool) -> str:
    """The rows of each table in place of the table."""
    schema = "main." if sqlite else ""  # SQLite takes the bare name for the one that is defined
    parts = []
    for name in [*NARROWED, *(name for name in metadata.tables if name not in NARROWED)]:
        which = NARROWED.get(name, NOBODYS).replace(CARRIES, carries).replace("{table}", name)
        parts.append(
            f"{name} AS NOT MATERIALIZED (SELECT * FROM {schema}{name} WHERE {which})"  # noqa: S608  our own words
        )
    return f"WITH {', '.join(parts)}"
