"""What became of runs: their reports, and whether their models recovered."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# The runs of episodes that go on: how many of them helped nobody must not be forgotten.
PRESENT_RUNS = """
    INSERT INTO run_ends
    SELECT d.id, d.model, d.policy, d.target, d.state, d.created_at, d.ended_at,
           d.ended_at + d.settle, TRUE, NULL, NULL, '{}', '', NULL, 0
    FROM dispatches d JOIN models m ON m.name = d.model
    WHERE d.state IN ('succeeded', 'failed', 'cancelled') AND d.ended_at IS NOT NULL
      AND d.created_at >= m.episode_started_at
      AND EXISTS (SELECT 1 FROM firing_alerts f WHERE f.model = d.model)
"""


def upgrade() -> None:
    """The release before uses none of it."""
    op.create_table(
        "run_ends",
        sa.Column("dispatch_id", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.Column("settles_at", sa.BigInteger(), nullable=False),
        sa.Column("fired", sa.Boolean(), nullable=False),
        sa.Column("recovered_at", sa.BigInteger(), nullable=True),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.Column("metrics", sa.Text(), nullable=False),
        sa.Column("report_detail", sa.Text(), nullable=False),
        sa.Column("report_due_at", sa.BigInteger(), nullable=True),
        sa.Column("report_tries", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state IN ('cancelled', 'failed', 'succeeded')",
            name=op.f("ck_run_ends_state_is_known"),
        ),
        sa.CheckConstraint(
            "verdict IN ('promoted', 'rejected')", name=op.f("ck_run_ends_verdict_is_known")
        ),
        sa.PrimaryKeyConstraint("dispatch_id"),
    )
    op.create_index("ix_run_ends_model", "run_ends", ["model", "created_at"], unique=False)
    op.create_index("ix_run_ends_ended_at", "run_ends", ["ended_at"], unique=False)
    op.create_index(
        "ix_run_ends_report_due",
        "run_ends",
        ["target", "report_due_at"],
        unique=False,
        sqlite_where=sa.text("report_due_at IS NOT NULL"),
        postgresql_where=sa.text("report_due_at IS NOT NULL"),
    )
    op.execute(PRESENT_RUNS)
