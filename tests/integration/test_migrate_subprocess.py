"""The serving process migrates in a child, so that it never loads Alembic itself."""

import sqlite3
import subprocess
import sys

import pytest

from receiver.store.errors import StoreUnavailable
from receiver.store.migrate import HEAD
from receiver.store.migrate_subprocess import migrate_apart
from receiver.store.store import Store

OPEN = """
import sys
from receiver.store.migrate_subprocess import migrate_apart
from receiver.store.store import Store
Store.open(sys.argv[1], None, migrate=migrate_apart).close()
print(any(name.startswith("alembic") for name in sys.modules))
"""


def test_a_first_start_leaves_alembic_to_a_child(folder):
    """The tables are there afterwards, and the memory is not taken."""
    command = [sys.executable, "-c", OPEN, f"sqlite:///{folder}/new.db"]

    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert said == "False\n"
    with sqlite3.connect(folder / "new.db") as db:
        assert db.execute("SELECT version_num FROM alembic_version").fetchone() == (HEAD,)


def test_a_migration_that_fails_is_told_in_one_line(folder):
    """With the database's own words, and without a traceback."""
    with sqlite3.connect(folder / "taken.db") as db:
        db.execute("CREATE TABLE decisions (id INTEGER)")

    with pytest.raises(StoreUnavailable, match=r"the migration failed: .*already exists"):
        Store.open(f"sqlite:///{folder}/taken.db", None, migrate=migrate_apart)
