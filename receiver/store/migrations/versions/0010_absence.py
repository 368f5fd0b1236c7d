"""Since when a followed run is missing at its target; NULL while it is known there."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("dispatches", sa.Column("missing_since", sa.BigInteger()))
