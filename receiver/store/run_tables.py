"""Tables about what became of runs."""

from sqlalchemy import Boolean, Column, Index, Integer, Table, Text, text

from receiver.core.dispatches import DispatchState
from receiver.core.reports import Verdict
from receiver.store.column_types import Instant, Json, Plain
from receiver.store.tables import metadata, one_of

ENDS = (DispatchState.SUCCEEDED, DispatchState.FAILED, DispatchState.CANCELLED)

# Kept longer than dispatches: how often retraining helped is told from here.
run_ends = Table(
    "run_ends",
    metadata,
    Column("dispatch_id", Text, primary_key=True),
    Column("model", Text, nullable=False),
    Column("policy", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("ended_at", Instant, nullable=False),
    Column("settles_at", Instant, nullable=False),
    Column("fired", Boolean, nullable=False),
    Column("recovered_at", Instant),
    Column("verdict", Text),
    Column("metrics", Json, nullable=False),
    Column("report_detail", Plain, nullable=False),
    Column("report_due_at", Instant),
    Column("report_tries", Integer, nullable=False),
    one_of("state", ENDS),
    one_of("verdict", Verdict),
    Index("ix_run_ends_model", "model", "created_at"),
    Index("ix_run_ends_ended_at", "ended_at"),
    Index(
        "ix_run_ends_report_due",
        "target",
        "report_due_at",
        sqlite_where=text("report_due_at IS NOT NULL"),
        postgresql_where=text("report_due_at IS NOT NULL"),
    ),
)
