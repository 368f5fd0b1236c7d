"""What is looked at again in steps, after something changed for every model that fires."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Names are compared with those of the models, in one order on every server.
    name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "sweeps",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("after", name, nullable=False),
        sa.PrimaryKeyConstraint("kind"),
        sa.CheckConstraint("kind IN ('decide', 'look')", name="ck_sweeps_kind_is_known"),
    )
