"""Who says that a firing alert fires; NULL where an earlier release kept it."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("firing_alerts", sa.Column("claims", sa.Text()))
