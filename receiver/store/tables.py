"""Tables, constraints and indexes; the migrations make them, a test compares."""

from datetime import timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    false,
    text,
)

from receiver.core.alerts import AlertStatus, Source
from receiver.core.announcements import AnnouncementState, Kind
from receiver.core.decisions import Outcome, Reason
from receiver.core.dispatches import LIVE, DispatchState, Failure
from receiver.core.models import PauseScope
from receiver.core.reports import Verdict
from receiver.core.sources import Hush
from receiver.core.sweeps import Sweep
from receiver.store.column_types import MICROSECOND, Claims, Instant, Json, Plain, Span, Word

FILTERS = (
    "model",
    "policy",
    "alertname",
    "fingerprint",
    "status",
    "reason",
    "outcome",
    "source",
    "dispatch_id",
    "notification_id",
)


def filter_index(column: str) -> tuple[Index, Index]:
    """Let each single filter of the log read its page in order: the index ends with the id.

    SQLite ends every index with the row's number, which is the id; PostgreSQL must be told.
    """
    return (
        Index(f"ix_decisions_{column}", column, info={"engine": "sqlite"}),
        Index(f"ix_decisions_{column}_id", column, "id", info={"engine": "postgresql"}),
    )


ID_SLACK = timedelta(hours=1)
"""How far a decision's id runs ahead of its time without more ado: batches, small steps back."""

RAN_AHEAD = text(f"id - decided_at > {ID_SLACK // MICROSECOND}")
"""Decisions whose ids ran further ahead: the clock had been ahead, and an id never goes back.

Their partial index is used only by statements that say exactly this.
"""


# SQLite makes a column the row's own number only if it is called INTEGER.
Id = BigInteger().with_variant(Integer, "sqlite")


# Models are locked in the order of their names, which Python and every server must agree on.
# A column that is compared with them needs it, too: PostgreSQL finds none by an index otherwise.
Name = Text().with_variant(Text(collation="C"), "postgresql")


def one_of(column: str, values: Any) -> CheckConstraint:
    """Refuse anything else, in the database itself."""
    listed = ", ".join(f"'{value}'" for value in sorted(values))
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_is_known")


metadata = MetaData(naming_convention={"ck": "ck_%(table_name)s_%(constraint_name)s"})

models = Table(
    "models",
    metadata,
    Column("name", Name, primary_key=True),
    Column("policy", Text),
    Column("labels", Json, nullable=False),
    Column("episode_started_at", Instant),
    Column("emptied_at", Instant),
    Column("cooldown_until", Instant),
    Column("backoff_until", Instant),
    Column("refusals", Integer, nullable=False),
    Column("observed_until", Instant),
    Column("next_check_at", Instant),
    Column("dispatch_id", Text),
    Index("ix_models_next_check_at", "next_check_at"),
    Index("ix_models_policy_name", "policy", "name"),
)

pauses = Table(
    "pauses",
    metadata,
    Column("scope", Word, nullable=False),
    Column("name", Text, nullable=False),
    Column("since", Instant, nullable=False),
    Column("until", Instant),
    Column("actor", Plain, nullable=False),
    Column("comment", Plain, nullable=False),
    PrimaryKeyConstraint("scope", "name"),
    one_of("scope", PauseScope),
)

firing_alerts = Table(
    "firing_alerts",
    metadata,
    Column("fingerprint", Text, primary_key=True),
    Column("model", Name, nullable=False),
    Column("policy", Text, nullable=False),
    Column("alertname", Plain, nullable=False),
    Column("labels", Json, nullable=False),
    Column("value", Float),
    Column("starts_at", Instant, nullable=False),
    Column("confirmed_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("stale_until", Instant),
    Column("observing", Boolean, nullable=False),
    Column("held_by", Word),
    Column("held_until", Instant),
    Column("asks", Boolean, nullable=False, server_default=false()),
    Column("seen_in", Text),
    Column("position", Integer),
    Column("config_hash", Text),
    Column("claims", Claims),
    Column("confirmed_by", Text),
    Column("held_since", Instant),
    Index("ix_firing_alerts_model", "model"),
    Index("ix_firing_alerts_expires_at", "expires_at"),
)

# Who can be asked which alerts fire; a row for each source that was ever asked.
sources = Table(
    "sources",
    metadata,
    Column("name", Text, primary_key=True),
    Column("due_at", Instant, nullable=False),
    Column("leased_until", Instant),
    Column("asked_at", Instant),
    Column("last_answer_at", Instant),
    Column("up_since", Plain, nullable=False),
    Column("steady_since", Instant),
    Column("error", Plain),
    Column("error_since", Instant),
    Column("urls", Json),
)

# What each source said last of the alerts that name a model of ours.
sightings = Table(
    "sightings",
    metadata,
    Column("fingerprint", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("starts_at", Instant, nullable=False),
    Column("missed_since", Instant),
    Column("misses", Integer, nullable=False),
    Column("refused", Boolean, nullable=False),
    Column("quiet", Text),
    Column("quiet_id", Plain),
    Column("quiet_author", Plain),
    Column("quiet_comment", Plain),
    Column("quiet_until", Instant),
    Column("refused_by", Text),
    Column("clashes", Boolean),
    PrimaryKeyConstraint("fingerprint", "source"),
    one_of("quiet", Hush),
    Index("ix_sightings_source", "source"),
)

# What the `duplicate` and `stale` rungs remember: never read from the log, so that retention
# changes no decision.
deliveries = Table(
    "deliveries",
    metadata,
    Column("fingerprint", Text, nullable=False),
    Column("starts_at", Instant, nullable=False),
    Column("decided_at", Instant),
    Column("resolved_at", Instant),
    Column("forget_at", Instant, nullable=False),
    PrimaryKeyConstraint("fingerprint", "starts_at"),
    Index("ix_deliveries_forget_at", "forget_at"),
)

notifications = Table(
    "notifications",
    metadata,
    Column("id", Text, primary_key=True),
    Column("received_at", Instant, nullable=False),
    Column("source", Word, nullable=False),
    Column("sender", Plain, nullable=False),
    Column("receiver", Plain, nullable=False),
    Column("group_key", Plain, nullable=False),
    Column("status", Plain, nullable=False),
    Column("external_url", Plain, nullable=False),
    Column("truncated_alerts", BigInteger, nullable=False),
    Column("notification_reason", Plain),
    Column("route_labels", Json),
    Column("body", LargeBinary, nullable=False),
    Index("ix_notifications_received_at", "received_at"),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("decided_at", Instant, nullable=False),
    Column("source", Word, nullable=False),
    Column("policy", Text),
    Column("model", Text),
    Column("alertname", Plain, nullable=False),
    Column("fingerprint", Plain, nullable=False),
    Column("status", Word),
    Column("starts_at", Instant),
    Column("labels", Json),
    Column("value", Float),
    Column("reason", Word, nullable=False),
    Column("outcome", Word, nullable=False),
    Column("detail", Plain, nullable=False),
    Column("gates", Json, nullable=False),
    Column("next_check_at", Instant),
    Column("dispatch_id", Text),
    Column("notification_id", Text),
    Column("seen_in", Text),
    Column("position", Integer),
    Column("config_hash", Text, nullable=False),
    Column("actor", Plain),
    Column("comment", Plain),
    one_of("source", Source),
    one_of("status", AlertStatus),
    one_of("reason", Reason),
    one_of("outcome", Outcome),
    *(index for column in FILTERS for index in filter_index(column)),
    Index(
        "ix_decisions_ran_ahead",
        "decided_at",
        "id",
        sqlite_where=RAN_AHEAD,
        postgresql_where=RAN_AHEAD,
    ),
)

# The only thing that lets a decision be deleted: the horizon that retention wrote before.
horizon = Table(
    "horizon",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("decisions_before", Instant, nullable=False),
    Column("skips_before", Instant, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

_LIVE = ", ".join(f"'{state}'" for state in sorted(LIVE))

dispatches = Table(
    "dispatches",
    metadata,
    Column("id", Text, primary_key=True),
    Column("model", Name, nullable=False),
    Column("policy", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("place", Json, nullable=False),
    Column("inputs", Json, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("cooldown", Span, nullable=False),
    Column("settle", Span, nullable=False),
    Column("decision_id", BigInteger, nullable=False),
    Column("alertname", Plain, nullable=False),
    Column("ordered", Boolean, nullable=False),
    Column("overruled", Boolean, nullable=False),
    Column("cooldown_before", Instant),
    Column("state", Text, nullable=False),
    Column("detail", Plain, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("in_doubt", Json, nullable=False),
    Column("accepted", Boolean, nullable=False),
    Column("absences", Integer, nullable=False),
    Column("looks", Integer, nullable=False),
    Column("doubt_since", Instant),
    Column("sent_at", Instant),
    Column("ended_at", Instant),
    Column("run_id", Plain),
    Column("run_url", Plain),
    Column("claim", Integer, nullable=False),
    Column("missing_since", Instant),
    Column("failing_since", Instant),
    one_of("state", DispatchState),
    # The backstop behind the locks: one live dispatch per model, whoever asks.
    Index(
        "ux_dispatches_live_model",
        "model",
        unique=True,
        sqlite_where=text(f"state IN ({_LIVE})"),
        postgresql_where=text(f"state IN ({_LIVE})"),
    ),
    # Of all states: SQLite uses a partial index only where the statement itself names the states.
    Index("ix_dispatches_due", "target", "state", "due_at", "id"),
    Index("ix_dispatches_model_id", "model", "id"),
    Index("ix_dispatches_state_id", "state", "id"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("dispatch_id", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("begun_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("failure", Text),
    Column("status_code", Integer),
    Column("detail", Plain, nullable=False),
    PrimaryKeyConstraint("dispatch_id", "number"),
    one_of("failure", Failure),
)

transitions = Table(
    "transitions",
    metadata,
    Column("dispatch_id", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("at", Instant, nullable=False),
    Column("state", Text, nullable=False),
    Column("detail", Plain, nullable=False),
    Column("actor", Plain),
    PrimaryKeyConstraint("dispatch_id", "number"),
)

# How each target answered last; a row for each that was ever asked.
targets = Table(
    "targets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("failing_since", Instant),
    Column("failed_at", Instant),
    Column("error", Plain, nullable=False),
    Column("status_code", Integer),
    Column("answered_at", Instant),
    Column("announced_at", Instant),
)

# Places that showed one of our ids: there, and only there, absence proves something.
seen_ids = Table(
    "seen_ids",
    metadata,
    Column("place", Text, primary_key=True),
    Column("seen_at", Instant, nullable=False),
)

rejections = Table(
    "rejections",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("received_at", Instant, nullable=False),
    Column("sender", Plain, nullable=False),
    Column("status_code", Integer, nullable=False),
    Column("detail", Plain, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

configs = Table(
    "configs",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("body", Text, nullable=False),
    Column("loaded_at", Instant, nullable=False),
)

answers = Table(
    "answers",
    metadata,
    Column("actor", Plain, nullable=False),
    Column("key", Plain, nullable=False),
    Column("request", Plain, nullable=False),
    Column("answered_at", Instant, nullable=False),
    Column("decision_id", BigInteger, nullable=False),
    PrimaryKeyConstraint("actor", "key"),
)

ENDS = (DispatchState.SUCCEEDED, DispatchState.FAILED, DispatchState.CANCELLED)

# Kept longer than dispatches: how often retraining helped is told from here.
run_ends = Table(
    "run_ends",
    metadata,
    Column("dispatch_id", Text, primary_key=True),
    Column("model", Name, nullable=False),
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
    Column("asked", Boolean, nullable=False, server_default=false()),
    Column("confirmed_at", Instant),
    Column("rerun_due_at", Instant),
    Column("run_attempt", BigInteger),
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
    Index(
        "ix_run_ends_rerun_due",
        "target",
        "rerun_due_at",
        sqlite_where=text("rerun_due_at IS NOT NULL"),
        postgresql_where=text("rerun_due_at IS NOT NULL"),
    ),
)

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

# How far the timer has come with what it sees to for every model that fires.
sweeps = Table(
    "sweeps",
    metadata,
    Column("kind", Word, primary_key=True),
    Column("after", Name, nullable=False),
    one_of("kind", Sweep),
)

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
    Index("ix_announcements_due", "subscriber", "state", "due_at", "id"),
    Index("ix_announcements_state_id", "state", "id"),
    Index("ix_announcements_ended_at", "ended_at"),
)
