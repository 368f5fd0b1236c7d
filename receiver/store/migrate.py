"""Runs the database migrations that are due."""

from pathlib import Path

from sqlalchemy import Connection, inspect, select, text

from receiver.store.advisory_locks import AdvisoryLock, take_advisory_lock

HEAD = "0020"
"""The newest migration; a test compares it with the folder."""

KNOWN = tuple(f"{number:04}" for number in range(1, int(HEAD) + 1))


def is_due(db: Connection) -> bool:
    """Whether a migration that we know has not run yet.

    A revision that we don't know was made by a later release, whose tables we can still use.
    """
    revision = revision_of(db)
    return revision is None or (revision != HEAD and revision in KNOWN)


def migrate(db: Connection) -> None:
    """Run the migrations that are due, in this transaction, once for all replicas.

    Alembic costs 11 MiB and a third of a second, so it is loaded only if there is something to
    do.
    """
    if db.dialect.name == "postgresql":
        # Another replica may be migrating much data: wait as long as that takes. But whoever
        # waits for a table keeps all who come later from using it: not for long.
        db.execute(text("SET LOCAL statement_timeout = 0"))
        db.execute(text("SET LOCAL lock_timeout = 0"))
        take_advisory_lock(db, AdvisoryLock.MIGRATE)
        db.execute(text("SET LOCAL lock_timeout = '5s'"))
    if is_due(db):
        upgrade(db)


def revision_of(db: Connection) -> str | None:
    """The database's revision, None for an empty one."""
    if not inspect(db).has_table("alembic_version"):
        return None
    query = select(text("version_num")).select_from(text("alembic_version"))
    revision: str | None = db.scalar(query)
    return revision


def upgrade(db: Connection) -> None:
    """Run Alembic on an open connection."""
    from alembic import command  # noqa: PLC0415  see `migrate`
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = db
    command.upgrade(config, "head")
