"""The table of announcements: the outbox to subscribers."""

from sqlalchemy import Column, Index, Integer, Table, Text, text

from receiver.core.announcements import AnnouncementState, Kind
from receiver.store.column_types import Instant, Json, Plain
from receiver.store.tables import metadata, one_of

announcements = Table(
    "announcements",
    metadata,
    Column("id", Text, primary_key=True),
    Column("subscriber", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("policy", Text),
    Column("at", Instant, nullable=False),
    Column("data", Json, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("state", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("claim", Integer, nullable=False),
    Column("detail", Plain, nullable=False),
    Column("status_code", Integer),
    Column("ended_at", Instant),
    one_of("kind", Kind),
    one_of("state", AnnouncementState),
    Index(
        "ix_announcements_due",
        "subscriber",
        "due_at",
        sqlite_where=text("state = 'pending'"),
        postgresql_where=text("state = 'pending'"),
    ),
    Index("ix_announcements_state_id", "state", "id"),
    Index("ix_announcements_ended_at", "ended_at"),
)
