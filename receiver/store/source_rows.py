"""What sources were asked and said: when each is asked next, and what it said of each alert."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, select

from receiver.core.sightings import Sighting
from receiver.core.sources import Hush, Quiet, SourceRecord
from receiver.store.compiled import Compiled, count, given, moment
from receiver.store.compiled_select import ReadingChosen, chunks, columns_of
from receiver.store.compiled_upsert import Writing, insert_into, upsert
from receiver.store.tables import sightings, sources

FORGOTTEN = timedelta(days=1)
"""A source that was not asked for so long is gone from the configuration of every replica."""


class SourceRows:
    """Statements about sources."""

    _db: Connection

    def change_source(
        self, name: str, now: datetime, change: Callable[[SourceRecord], SourceRecord]
    ) -> SourceRecord:
        """Lock a source's row, made if it is missing, and change it."""
        row = LOCK_SOURCE.row(self._db, of_name=name)
        if row is None:
            fresh = {"name": name, "due_at": now, "up_since": ""}
            self._db.execute(insert_into(self._db, sources).on_conflict_do_nothing(), [fresh])
            (row,) = LOCK_SOURCE.rows(self._db, of_name=name)
        known = SourceRecord(*row)
        changed = change(known)
        if changed != known:
            upsert(self._db, sources, ("name",), [asdict(changed)])
        return changed

    def want_sources(self, names: Collection[str], now: datetime) -> None:
        """Let these sources be asked as soon as may be. In the order of their names."""
        for name in sorted(names):
            self.change_source(name, now, lambda known: known.wanted(now))

    def free_sources(self, now: datetime) -> None:
        """Take the leases of a dead process from it, and let every source be asked."""
        self._db.execute(sources.update().values(leased_until=None, due_at=now))

    def sightings(self, fingerprints: Collection[str]) -> dict[str, list[Sighting]]:
        """What each source said last of these alerts."""
        return sightings_of(self._db, fingerprints)

    def urls_of_sources(self) -> dict[str, Sequence[str]]:
        """Which `externalURL`s each source is known to speak for."""
        return {name: urls or () for name, urls in URLS.rows(self._db)}

    def save_sightings(self, seen: Iterable[Sighting]) -> None:
        """Write down what a source said."""
        SAVING.write(self._db, seen)

    def remove_sightings(self, source: str, fingerprints: Collection[str]) -> None:
        """Forget what a source said of these alerts."""
        for chunk in chunks(sorted(fingerprints)):
            these = sightings.c.fingerprint.in_(chunk)
            self._db.execute(delete(sightings).where(sightings.c.source == source, these))

    def forget_sources(self, now: datetime, limit: int) -> int:
        """Delete what is left of sources that are gone from the configuration."""
        names = OLD_SOURCES.column(self._db, before=now - FORGOTTEN, most=limit)
        if not names:
            return 0
        gone = self._db.execute(delete(sightings).where(sightings.c.source.in_(names))).rowcount
        return gone + self._db.execute(delete(sources).where(sources.c.name.in_(names))).rowcount


def source_record(db: Connection, name: str) -> SourceRecord | None:
    """What is remembered of one source."""
    row = SOURCE.row(db, of_name=name)
    return None if row is None else SourceRecord(*row)


def sightings_of(db: Connection, fingerprints: Collection[str]) -> dict[str, list[Sighting]]:
    """What each source said last of these alerts, by alert."""
    found: dict[str, list[Sighting]] = {}
    for row in SIGHTINGS.chosen(db, fingerprints):
        one = _sighting_of(row)
        found.setdefault(one.fingerprint, []).append(one)
    return found


def sightings_by(db: Connection, source: str) -> dict[str, Sighting]:
    """What one source said last, by alert."""
    rows = BY_SOURCE.chosen(db, [source])
    return {one.fingerprint: one for one in map(_sighting_of, rows)}


@dataclass(frozen=True, slots=True)
class _Row:
    """A sighting as its row."""

    fingerprint: str
    source: str
    starts_at: datetime
    missed_since: datetime | None
    misses: int
    refused: bool
    quiet: str | None
    quiet_id: str | None
    quiet_author: str | None
    quiet_comment: str | None
    quiet_until: datetime | None
    refused_by: str | None
    clashes: bool | None


def _sighting_of(row: Sequence[Any]) -> Sighting:
    *columns, heard_at = row
    read = _Row(*columns)
    quiet = None
    if read.quiet is not None:
        author, comment = read.quiet_author or "", read.quiet_comment or ""
        quiet = Quiet(Hush(read.quiet), read.quiet_id or "", author, comment, read.quiet_until)
    return Sighting(
        read.source,
        read.fingerprint,
        read.starts_at,
        read.missed_since,
        read.misses,
        quiet,
        # An earlier release did not say by which.
        (read.refused_by or "") if read.refused else None,
        bool(read.clashes),
        heard_at,
    )


def _row_of(one: Sighting) -> list[Any]:
    quiet = one.quiet
    told: list[Any] = [None] * 5
    if quiet is not None:
        told = [quiet.how.value, quiet.id, quiet.author, quiet.comment, quiet.ends_at]
    said = [one.missed_since, one.misses, one.refused_by is not None]
    refusal = [one.refused_by, one.clashes]
    return [one.fingerprint, one.source, one.starts_at, *said, *told, *refusal]


_COLUMNS = tuple(field.name for field in fields(_Row))
_QUERY = select(*(sightings.c[name] for name in _COLUMNS), sources.c.last_answer_at).select_from(
    sightings.outerjoin(sources, sources.c.name == sightings.c.source)
)
_OF_NAME = select(*columns_of(sources, SourceRecord)).where(
    sources.c.name == given("of_name", sources.c.name)
)
SOURCE = Compiled(_OF_NAME)
URLS = Compiled(select(sources.c.name, sources.c.urls))
OLD_SOURCES = Compiled(
    select(sources.c.name).where(sources.c.asked_at < moment("before")).limit(count("most"))
)
LOCK_SOURCE = Compiled(_OF_NAME.with_for_update())
SIGHTINGS = ReadingChosen(_QUERY, sightings.c.fingerprint)
BY_SOURCE = ReadingChosen(_QUERY, sightings.c.source)
SAVING = Writing(sightings, ("fingerprint", "source"), columns=_COLUMNS, take=_row_of)
