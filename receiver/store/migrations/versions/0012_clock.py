"""Finds the decisions whose ids ran ahead of their time because the clock was set back."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

RAN_AHEAD = sa.text("id - decided_at > 3600000000")


def upgrade() -> None:
    op.create_index(
        "ix_decisions_ran_ahead",
        "decisions",
        ["decided_at", "id"],
        sqlite_where=RAN_AHEAD,
        postgresql_where=RAN_AHEAD,
    )
