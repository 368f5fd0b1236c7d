"""Remembers of each source which `externalURL`s it speaks for; an earlier release leaves it alone."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sources", sa.Column("urls", sa.Text))
