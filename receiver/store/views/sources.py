"""Sources as they are read: what each said last, and what that is compared with."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, func, select

from receiver.core.models import FiringAlert
from receiver.core.sightings import SILENCED, Belief, KnownEntry, Sighting, believed
from receiver.core.sources import Asking, SourceRecord
from receiver.store.compiled import Compiled, given
from receiver.store.model_rows import Delivery, deliveries_of
from receiver.store.source_rows import sightings_by, sightings_of, source_record
from receiver.store.tables import firing_alerts, sightings, sources
from receiver.store.views.moment import Reads


class SourceReads(Reads):
    """Reads about sources."""

    def find(self, name: str) -> SourceRecord | None:
        """What is remembered of one source."""
        return source_record(self._db, name)

    def down(self, asking: Asking | None) -> list[SourceRecord]:
        """Those of the configuration that did not answer when they were last asked, by name."""
        known = list_sources(self._db, asking.everybody) if asking else []
        return [record for record in known if record.error is not None]

    def seen_by(self, name: str) -> dict[str, Sighting]:
        """What one source said last, by alert."""
        return sightings_by(self._db, name)

    def every_entry(self) -> dict[str, KnownEntry]:
        """Every entry of every firing set, by fingerprint."""
        return {fingerprint: KnownEntry(*rest) for fingerprint, *rest in ENTRIES.rows(self._db)}

    def deliveries(self, fingerprints: Collection[str]) -> dict[str, list[Delivery]]:
        """What is remembered of deliveries of these alerts, by alert."""
        return deliveries_of(self._db, fingerprints)

    def beliefs(
        self, entries: Sequence[FiringAlert], asking: Asking | None
    ) -> Mapping[str, Belief | None]:
        """How far each of these entries may be believed, by fingerprint."""
        names = [entry.fingerprint for entry in entries]
        said = sightings_of(self._db, names) if asking else {}
        now = self._moment.now
        return {
            entry.fingerprint: believed(entry, said.get(entry.fingerprint, ()), asking, now)
            for entry in entries
        }

    def held_quiet_by(self, name: str) -> list[str]:
        """What is held as silenced and this source was heard to keep quiet, by fingerprint."""
        return HELD_QUIET.column(self._db, of_name=name)


ENTRIES = Compiled(
    select(
        firing_alerts.c.fingerprint,
        firing_alerts.c.model,
        firing_alerts.c.confirmed_at,
        firing_alerts.c.held_by,
    )
)
HELD_QUIET = Compiled(
    select(firing_alerts.c.fingerprint)
    .join(sightings, sightings.c.fingerprint == firing_alerts.c.fingerprint)
    .where(
        sightings.c.source == given("of_name", sightings.c.source),
        sightings.c.quiet.is_not(None),
        firing_alerts.c.held_by == SILENCED,
    )
    .order_by(firing_alerts.c.fingerprint)
)


def list_sources(db: Connection, names: Collection[str]) -> list[SourceRecord]:
    """What is remembered of these sources; nothing of those that were never asked."""
    query = select(sources).where(sources.c.name.in_(names)).order_by(sources.c.name)
    return [SourceRecord(**row._mapping) for row in db.execute(query)]


def count_unconfirmed(db: Connection, before: datetime) -> int:
    """How many entries nobody has confirmed since then."""
    query = select(func.count()).where(firing_alerts.c.confirmed_at <= before)
    return db.scalar(query) or 0
