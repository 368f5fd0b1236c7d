"""Who is asked which alerts fire, what was said, and the two reasons that follow from it."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

BEFORE = (
    "'approval', 'budget', 'cooldown', 'duplicate', 'exhausted', 'expired', 'in_flight', "
    "'invalid', 'observed', 'operator', 'paused', 'resolved', 'stale', 'storm', 'triggered', "
    "'unmatched', 'window'"
)
SINCE = (
    "'approval', 'budget', 'cooldown', 'duplicate', 'exhausted', 'expired', 'in_flight', "
    "'invalid', 'observed', 'operator', 'paused', 'resolved', 'silenced', 'stale', 'storm', "
    "'triggered', 'unconfirmed', 'unmatched', 'window'"
)
"""What `decisions.reason` may be: more than before, so what is stored need not be read."""


def upgrade() -> None:
    """The release before neither reads nor writes the tables: each column has a value without it.

    It shows reasons that it does not know as they are.
    """
    op.create_table(
        "sources",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("leased_until", sa.BigInteger()),
        sa.Column("asked_at", sa.BigInteger()),
        sa.Column("last_answer_at", sa.BigInteger()),
        sa.Column("up_since", sa.Text(), nullable=False),
        sa.Column("steady_since", sa.BigInteger()),
        sa.Column("error", sa.Text()),
        sa.Column("error_since", sa.BigInteger()),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "sightings",
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("missed_since", sa.BigInteger()),
        sa.Column("misses", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Boolean(), nullable=False),
        sa.Column("quiet", sa.Text()),
        sa.Column("quiet_id", sa.Text()),
        sa.Column("quiet_author", sa.Text()),
        sa.Column("quiet_comment", sa.Text()),
        sa.Column("quiet_until", sa.BigInteger()),
        sa.CheckConstraint(
            "quiet IN ('muted', 'silenced')", name=op.f("ck_sightings_quiet_is_known")
        ),
        sa.PrimaryKeyConstraint("fingerprint", "source"),
    )
    op.create_index("ix_sightings_source", "sightings", ["source"], unique=False)
    op.add_column("firing_alerts", sa.Column("confirmed_by", sa.Text()))
    op.add_column("firing_alerts", sa.Column("held_since", sa.BigInteger()))
    op.add_column(
        "run_ends", sa.Column("asked", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.add_column("run_ends", sa.Column("confirmed_at", sa.BigInteger()))
    db = op.get_bind()
    (_admit_on_sqlite if db.dialect.name == "sqlite" else _admit_on_postgresql)(db)


def _admit_on_postgresql(db: sa.Connection) -> None:
    # NOT VALID: what is stored obeys the narrower rule. A log of millions need not be read.
    db.execute(sa.text("ALTER TABLE decisions DROP CONSTRAINT ck_decisions_reason_is_known"))
    db.execute(
        sa.text(
            "ALTER TABLE decisions ADD CONSTRAINT ck_decisions_reason_is_known "
            f"CHECK (reason IN ({SINCE})) NOT VALID"
        )
    )


def _admit_on_sqlite(db: sa.Connection) -> None:
    """Change the rule in the schema's own text: docs/adr/0008 says why, and why that is safe.

    SQLite has no ALTER for it. To copy the log would take minutes and twice its room, in which
    nothing is taken in. This is what SQLite's manual has for changes that leave every row as it
    is (lang_altertable, section 7).
    """
    known = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'decisions'"
    text = db.scalar(sa.text(known))
    rule = f"reason IN ({BEFORE})"
    if text is None or text.count(rule) != 1:
        raise RuntimeError("the table of decisions is not as the migrations made it")
    version = db.scalar(sa.text("PRAGMA schema_version"))
    db.execute(sa.text("PRAGMA writable_schema = ON"))
    try:
        db.execute(
            sa.text(
                "UPDATE sqlite_master SET sql = :text WHERE type = 'table' AND name = 'decisions'"
            ),
            {"text": text.replace(rule, f"reason IN ({SINCE})")},
        )
        # Every connection reads the schema again, this one too.
        db.execute(sa.text(f"PRAGMA schema_version = {version + 1}"))
    finally:
        db.execute(sa.text("PRAGMA writable_schema = OFF"))
    if db.scalar(sa.text(known)).count(f"reason IN ({SINCE})") != 1:
        raise RuntimeError("the rule of decisions.reason could not be changed")
