"""Gives models' names one collation, without which PostgreSQL uses no index where two are compared."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Indexes on them are made anew; the rows stay as they are."""
    if op.get_bind().dialect.name == "postgresql":
        for table in ("firing_alerts", "dispatches", "run_ends"):
            op.alter_column(table, "model", type_=sa.Text(collation="C"))
