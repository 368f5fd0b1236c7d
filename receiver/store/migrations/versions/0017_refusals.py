"""By which configuration a listed alert was invalid, so that it is decided again by another."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The release before writes neither: what it refused is decided once more."""
    op.add_column("sightings", sa.Column("refused_by", sa.Text()))
    op.add_column("sightings", sa.Column("clashes", sa.Boolean()))
