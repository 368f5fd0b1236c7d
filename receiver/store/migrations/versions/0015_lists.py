"""Lists the models of a policy without reading those of all the others."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_models_policy_name", "models", ["policy", "name"])
