"""Tables that only policies with rungs below `cooldown` write to."""

from sqlalchemy import Boolean, Column, Table, Text

from receiver.store.column_types import Instant, Plain
from receiver.store.tables import Name, metadata

# What a human was asked about a model in its present (or last) episode, and the answer.
approvals = Table(
    "approvals",
    metadata,
    Column("model", Name, primary_key=True),
    Column("episode_started_at", Instant, nullable=False),
    Column("rung", Text, nullable=False),
    Column("asked_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("approved", Boolean),
    Column("answered_at", Instant),
    Column("actor", Plain),
    Column("comment", Plain),
    Column("dispatch_id", Text),
)
