"""Remembers with a run's end which of its attempts that was: a later one ends it anew."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("run_ends", sa.Column("run_attempt", sa.BigInteger))
