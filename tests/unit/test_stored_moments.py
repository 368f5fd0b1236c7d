"""Every stored moment that is compared with now is mended after a clock that was ahead."""

from receiver.core.deadlines import spans_of
from receiver.store import clock_rows
from receiver.store.column_types import Instant
from receiver.store.tables import metadata

OTHERS_WORD = {
    "firing_alerts.starts_at",
    "sightings.starts_at",
    "sightings.quiet_until",
    "deliveries.starts_at",
    "decisions.starts_at",
}
"""Alertmanager's clock says it: a silence may end in a year."""

WRITTEN_ONCE = {"decisions.decided_at", "decisions.next_check_at"}
"""The log, which the database itself keeps as it is."""

TOLD_ONLY = {
    "attempts.begun_at",
    "attempts.ended_at",
    "transitions.at",
    "seen_ids.seen_at",
    "rejections.received_at",
}
"""Shown, and compared with nothing; they go with their dispatch, or by their number."""

MENDED_ELSEWHERE = {
    "configs.loaded_at": "each that is loaded is put behind all others",
    "horizon.decisions_before": "retention writes it anew each time, and waits after a jump",
    "horizon.skips_before": "likewise",
    "approvals.episode_started_at": "with its model's",
    "pauses.until": "with its beginning",
}


def test_each_moment_has_a_rule():
    """A new column is looked for when the clock was set back, or somebody says why not."""
    stored = {
        f"{table.name}.{column.name}"
        for table in metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, Instant)
    }
    searches = (clock_rows.MODELS, clock_rows.CHECKS, clock_rows.DISPATCHES, clock_rows.PAUSES)
    searched = " ".join(str(one.statement) for one in searches)
    cut = {f"{one.table.name}.{one.column.name}" for one in clock_rows.moments(spans_of(()))}
    looked_for = {name for name in stored if f"{name} > :" in searched} | cut
    explained = OTHERS_WORD | WRITTEN_ONCE | TOLD_ONLY | MENDED_ELSEWHERE.keys()

    assert stored - explained == looked_for
    assert explained < stored
