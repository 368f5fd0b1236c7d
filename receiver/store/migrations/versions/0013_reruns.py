"""Tells of a run's end when its target is asked whether somebody started the run anew."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

DUE = sa.text("rerun_due_at IS NOT NULL")


def upgrade() -> None:
    op.add_column("run_ends", sa.Column("rerun_due_at", sa.BigInteger))
    op.create_index(
        "ix_run_ends_rerun_due",
        "run_ends",
        ["target", "rerun_due_at"],
        sqlite_where=DUE,
        postgresql_where=DUE,
    )
