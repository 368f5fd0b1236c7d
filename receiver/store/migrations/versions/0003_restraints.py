"""What holds an alert below `cooldown`, and what a human was asked about its model."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The release before neither reads nor writes these: each has a value without it.
    op.add_column("firing_alerts", sa.Column("held_by", sa.Text()))
    op.add_column("firing_alerts", sa.Column("held_until", sa.BigInteger()))
    op.add_column(
        "firing_alerts",
        sa.Column("asks", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "approvals",
        sa.Column("model", name, nullable=False),
        sa.Column("episode_started_at", sa.BigInteger(), nullable=False),
        sa.Column("rung", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger()),
        sa.Column("approved", sa.Boolean()),
        sa.Column("answered_at", sa.BigInteger()),
        sa.Column("actor", sa.Text()),
        sa.Column("comment", sa.Text()),
        sa.Column("dispatch_id", sa.Text()),
        sa.PrimaryKeyConstraint("model"),
    )
