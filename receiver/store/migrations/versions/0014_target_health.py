"""How each target answered last, since when a dispatch waits for one, and its announcement."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

BEFORE = "'approval', 'exhausted', 'parked', 'recovered', 'refused', 'triggered'"
SINCE = "'approval', 'exhausted', 'parked', 'recovered', 'refused', 'target_failing', 'triggered'"
"""What `announcements.kind` may be: more than before, so what is stored need not be read."""


def upgrade() -> None:
    """The release before leaves the table and the column alone; both have values without it.

    It passes over announcements of the new kind, which it can't read.
    """
    op.create_table(
        "targets",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("failing_since", sa.BigInteger()),
        sa.Column("failed_at", sa.BigInteger()),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("status_code", sa.Integer()),
        sa.Column("answered_at", sa.BigInteger()),
        sa.Column("announced_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("name"),
    )
    op.add_column("dispatches", sa.Column("failing_since", sa.BigInteger()))
    db = op.get_bind()
    (_admit_on_sqlite if db.dialect.name == "sqlite" else _admit_on_postgresql)(db)


def _admit_on_postgresql(db: sa.Connection) -> None:
    # NOT VALID: what is stored obeys the narrower rule.
    db.execute(sa.text("ALTER TABLE announcements DROP CONSTRAINT ck_announcements_kind_is_known"))
    db.execute(
        sa.text(
            "ALTER TABLE announcements ADD CONSTRAINT ck_announcements_kind_is_known "
            f"CHECK (kind IN ({SINCE})) NOT VALID"
        )
    )


def _admit_on_sqlite(db: sa.Connection) -> None:
    """Change the rule in the schema's own text: docs/adr/0008 says why, and why that is safe."""
    known = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'announcements'"
    text = db.scalar(sa.text(known))
    rule = f"kind IN ({BEFORE})"
    if text is None or text.count(rule) != 1:
        raise RuntimeError("the table of announcements is not as the migrations made it")
    version = db.scalar(sa.text("PRAGMA schema_version"))
    db.execute(sa.text("PRAGMA writable_schema = ON"))
    try:
        db.execute(
            sa.text(
                "UPDATE sqlite_master SET sql = :text "
                "WHERE type = 'table' AND name = 'announcements'"
            ),
            {"text": text.replace(rule, f"kind IN ({SINCE})")},
        )
        # Every connection reads the schema again, this one too.
        db.execute(sa.text(f"PRAGMA schema_version = {version + 1}"))
    finally:
        db.execute(sa.text("PRAGMA writable_schema = OFF"))
    if db.scalar(sa.text(known)).count(f"kind IN ({SINCE})") != 1:
        raise RuntimeError("the rule of announcements.kind could not be changed")
