"""By which configuration a firing alert was last decided; None where an earlier release did."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("firing_alerts", sa.Column("config_hash", sa.Text()))
