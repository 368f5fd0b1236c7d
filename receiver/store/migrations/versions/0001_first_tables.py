"""The first tables, and the triggers that make the audit log append-only."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Retention may delete what lies before the horizon that it wrote; nothing else may.
FORGETTABLE = """
    EXISTS (
        SELECT 1 FROM horizon
        WHERE OLD.decided_at < decisions_before
           OR (OLD.decided_at < skips_before
               AND OLD.reason IN ('unmatched', 'duplicate', 'invalid'))
    )
"""

SQLITE = (
    """
    CREATE TRIGGER decisions_refuse_update BEFORE UPDATE ON decisions
    BEGIN SELECT RAISE(ABORT, 'a decision is written once'); END
    """,
    # INSERT OR REPLACE would delete without asking the DELETE trigger.
    """
    CREATE TRIGGER decisions_refuse_replace BEFORE INSERT ON decisions
    WHEN EXISTS (SELECT 1 FROM decisions WHERE id = NEW.id)
    BEGIN SELECT RAISE(ABORT, 'a decision is written once'); END
    """,
    f"""
    CREATE TRIGGER decisions_refuse_delete BEFORE DELETE ON decisions
    WHEN NOT {FORGETTABLE}
    BEGIN SELECT RAISE(ABORT, 'only retention deletes decisions'); END
    """,
)

POSTGRESQL = (
    # Tells replicas apart: see decision_ids.
    "CREATE SEQUENCE replica_numbers MINVALUE 0 MAXVALUE 15 CYCLE",
    f"""
    CREATE FUNCTION decisions_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' THEN
            IF {FORGETTABLE} THEN RETURN OLD; END IF;
            RAISE EXCEPTION 'only retention deletes decisions';
        END IF;
        RAISE EXCEPTION 'a decision is written once';
    END $$
    """,
    """
    CREATE TRIGGER decisions_refuse BEFORE UPDATE OR DELETE ON decisions
    FOR EACH ROW EXECUTE FUNCTION decisions_refuse()
    """,
    """
    CREATE TRIGGER decisions_refuse_truncate BEFORE TRUNCATE ON decisions
    FOR EACH STATEMENT EXECUTE FUNCTION decisions_refuse()
    """,
)


def upgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    op.create_table(
        "answers",
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("answered_at", sa.BigInteger(), nullable=False),
        sa.Column("decision_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("actor", "key"),
    )
    op.create_table(
        "attempts",
        sa.Column("dispatch_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("begun_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("status_code", sa.Integer(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "failure IN ('refused', 'unavailable', 'unknown')",
            name=op.f("ck_attempts_failure_is_known"),
        ),
        sa.PrimaryKeyConstraint("dispatch_id", "number"),
    )
    op.create_table(
        "configs",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("loaded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash"),
    )
    op.create_table(
        "decisions",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("alertname", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("starts_at", sa.BigInteger(), nullable=True),
        sa.Column("labels", sa.Text(), nullable=True),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("gates", sa.Text(), nullable=False),
        sa.Column("next_check_at", sa.BigInteger(), nullable=True),
        sa.Column("dispatch_id", sa.Text(), nullable=True),
        sa.Column("notification_id", sa.Text(), nullable=True),
        sa.Column("seen_in", sa.Text(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=True),
        sa.Column("config_hash", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "outcome IN ('hold', 'note', 'skip', 'trigger')",
            name=op.f("ck_decisions_outcome_is_known"),
        ),
        sa.CheckConstraint(
            "reason IN ('approval', 'budget', 'cooldown', 'duplicate', 'exhausted', 'expired', 'in_flight', 'invalid', 'observed', 'operator', 'paused', 'resolved', 'stale', 'storm', 'triggered', 'unmatched', 'window')",
            name=op.f("ck_decisions_reason_is_known"),
        ),
        sa.CheckConstraint(
            "source IN ('alertmanager', 'operator', 'poll', 'timer')",
            name=op.f("ck_decisions_source_is_known"),
        ),
        sa.CheckConstraint(
            "status IN ('firing', 'resolved')", name=op.f("ck_decisions_status_is_known")
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    # SQLite ends every index with the row's number, which is the id; PostgreSQL must be told.
    suffix, then = ("", []) if is_sqlite else ("_id", ["id"])
    for column in (
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
    ):
        op.create_index(f"ix_decisions_{column}{suffix}", "decisions", [column, *then])
    op.create_table(
        "deliveries",
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("resolved_at", sa.BigInteger(), nullable=True),
        sa.Column("forget_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", "starts_at"),
    )
    op.create_index("ix_deliveries_forget_at", "deliveries", ["forget_at"], unique=False)
    op.create_table(
        "dispatches",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("inputs", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("cooldown", sa.BigInteger(), nullable=False),
        sa.Column("settle", sa.BigInteger(), nullable=False),
        sa.Column("decision_id", sa.BigInteger(), nullable=False),
        sa.Column("alertname", sa.Text(), nullable=False),
        sa.Column("ordered", sa.Boolean(), nullable=False),
        sa.Column("overruled", sa.Boolean(), nullable=False),
        sa.Column("cooldown_before", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("in_doubt", sa.Text(), nullable=False),
        sa.Column("accepted", sa.Boolean(), nullable=False),
        sa.Column("absences", sa.Integer(), nullable=False),
        sa.Column("looks", sa.Integer(), nullable=False),
        sa.Column("doubt_since", sa.BigInteger(), nullable=True),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("run_url", sa.Text(), nullable=True),
        sa.Column("claim", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state IN ('abandoned', 'cancelled', 'failed', 'parked', 'pending', 'refused', 'running', 'sending', 'succeeded', 'superseded', 'unknown')",
            name=op.f("ck_dispatches_state_is_known"),
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "ix_dispatches_due",
        "dispatches",
        ["target", "due_at"],
        unique=False,
        sqlite_where=sa.text("state IN ('pending', 'running', 'sending', 'unknown')"),
        postgresql_where=sa.text("state IN ('pending', 'running', 'sending', 'unknown')"),
    )
    op.create_index("ix_dispatches_model_id", "dispatches", ["model", "id"], unique=False)
    op.create_index("ix_dispatches_state_id", "dispatches", ["state", "id"], unique=False)
    op.create_index(
        "ux_dispatches_live_model",
        "dispatches",
        ["model"],
        unique=True,
        sqlite_where=sa.text("state IN ('pending', 'running', 'sending', 'unknown')"),
        postgresql_where=sa.text("state IN ('pending', 'running', 'sending', 'unknown')"),
    )
    op.create_table(
        "firing_alerts",
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("alertname", sa.Text(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("stale_until", sa.BigInteger(), nullable=True),
        sa.Column("observing", sa.Boolean(), nullable=False),
        sa.Column("seen_in", sa.Text(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("fingerprint"),
    )
    op.create_index("ix_firing_alerts_expires_at", "firing_alerts", ["expires_at"], unique=False)
    op.create_index("ix_firing_alerts_model", "firing_alerts", ["model"], unique=False)
    op.create_table(
        "horizon",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("decisions_before", sa.BigInteger(), nullable=False),
        sa.Column("skips_before", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_horizon_one_row")),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "models",
        sa.Column(
            "name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("policy", sa.Text(), nullable=True),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("episode_started_at", sa.BigInteger(), nullable=True),
        sa.Column("emptied_at", sa.BigInteger(), nullable=True),
        sa.Column("cooldown_until", sa.BigInteger(), nullable=True),
        sa.Column("backoff_until", sa.BigInteger(), nullable=True),
        sa.Column("refusals", sa.Integer(), nullable=False),
        sa.Column("observed_until", sa.BigInteger(), nullable=True),
        sa.Column("next_check_at", sa.BigInteger(), nullable=True),
        sa.Column("dispatch_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_index("ix_models_next_check_at", "models", ["next_check_at"], unique=False)
    op.create_table(
        "notifications",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("receiver", sa.Text(), nullable=False),
        sa.Column("group_key", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("external_url", sa.Text(), nullable=False),
        sa.Column("truncated_alerts", sa.BigInteger(), nullable=False),
        sa.Column("notification_reason", sa.Text(), nullable=True),
        sa.Column("route_labels", sa.Text(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_notifications_received_at", "notifications", ["received_at"], unique=False)
    op.create_table(
        "pauses",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "scope IN ('everything', 'model', 'policy')", name=op.f("ck_pauses_scope_is_known")
        ),
        sa.PrimaryKeyConstraint("scope", "name"),
    )
    op.create_table(
        "rejections",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("status_code", sa.Integer(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "seen_ids",
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("place"),
    )
    op.create_table(
        "transitions",
        sa.Column("dispatch_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("dispatch_id", "number"),
    )

    for statement in SQLITE if is_sqlite else POSTGRESQL:
        op.execute(statement)
