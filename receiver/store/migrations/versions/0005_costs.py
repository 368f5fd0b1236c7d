"""What runs cost."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "costs",
        sa.Column("dispatch_id", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("ordered_at", sa.BigInteger(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("reserved", sa.Float(), nullable=False),
        sa.Column("run_time", sa.BigInteger()),
        sa.Column("amount", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("dispatch_id"),
    )
    op.create_index("ix_costs_ordered_at", "costs", ["ordered_at"], unique=False)
