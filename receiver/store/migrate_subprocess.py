"""Runs migrations in a subprocess, so that Alembic's 11 MiB are freed when it ends.

The parent has the SQLite file's lock, so the child takes none; it is called as
`python -m receiver.store.migrate_subprocess`.
"""

import subprocess
import sys

from receiver.store.errors import StoreUnavailable
from receiver.store.store import Store, engine_of


def migrate_apart(store: Store) -> None:
    """Run the migrations that are due. Raises `StoreUnavailable`."""
    url = store.url
    # The URL may hold a password, so it is no argument: those can be seen by everybody.
    command = [sys.executable, "-m", "receiver.store.migrate_subprocess"]
    child = subprocess.run(command, input=url, capture_output=True, text=True, check=False)  # noqa: S603
    if child.returncode != 0:
        said = child.stderr.strip().splitlines() or [f"exit status {child.returncode}"]
        raise StoreUnavailable(f"the migration failed: {said[-1]}")


def main() -> None:
    """Migrate the database whose URL stands on standard input."""
    # Whoever called us has judged the file system already.
    engine = engine_of(sys.stdin.read(), network_filesystem=True)
    Store(engine, None, path=None, min_free=0).migrate()


if __name__ == "__main__":
    main()
