"""Tables that only policies with rungs below `cooldown` write to."""

from sqlalchemy import Boolean, Column, Float, Index, Table, Text

from receiver.store.column_types import Instant, Plain, Span
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

# What runs cost: reserved when they are ordered, corrected when they end. Written only for
# policies that tell their cost, and kept as long as run ends.
costs = Table(
    "costs",
    metadata,
    Column("dispatch_id", Text, primary_key=True),
    Column("model", Text, nullable=False),
    Column("policy", Text, nullable=False),
    Column("ordered_at", Instant, nullable=False),
    Column("unit", Plain, nullable=False),
    Column("reserved", Float, nullable=False),
    Column("run_time", Span),
    Column("amount", Float, nullable=False),
    Index("ix_costs_ordered_at", "ordered_at"),
)

# When an operator said that a policy's storm is none: models that fired before go on.
storm_releases = Table(
    "storm_releases",
    metadata,
    Column("policy", Text, primary_key=True),
    Column("released_at", Instant, nullable=False),
)
