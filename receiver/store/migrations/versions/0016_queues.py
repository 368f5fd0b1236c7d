"""Finds the next dispatch and the next announcement without reading all that wait."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_dispatches_due", "dispatches")
    op.create_index("ix_dispatches_due", "dispatches", ["target", "state", "due_at", "id"])
    op.drop_index("ix_announcements_due", "announcements")
    op.create_index("ix_announcements_due", "announcements", ["subscriber", "state", "due_at", "id"])
