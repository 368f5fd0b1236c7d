"""Brings a database's tables up to date."""

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, select, text

HEAD = "0001"
"""The newest migration; a test compares it with the folder."""

KNOWN = ("0001",)


def migrate(engine: Engine) -> None:
    """Run the migrations that are due, in one transaction.

    Alembic costs 11 MiB and a third of a second, so it is loaded only if there is something to
    do. A revision that we don't know was made by a later release, whose tables we can still use.
    """
    with engine.connect() as db:
        revision = revision_of(db)
    if revision == HEAD or (revision is not None and revision not in KNOWN):
        return
    with engine.connect().execution_options(sqlite_begin="IMMEDIATE") as db, db.begin():
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
