"""A receiver that acknowledges what is not on the disk yet: power loss must catch it."""

from typing import Any

from sqlalchemy import Engine, event

from receiver.cli import main
from receiver.store import store

durable = store.sqlite_engine


def hasty(*args: Any, **options: Any) -> Engine:
    """The real engine, but for the one setting that makes commits durable."""
    engine = durable(*args, **options)

    @event.listens_for(engine, "connect")
    def hurry(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA synchronous=NORMAL").close()

    return engine


if __name__ == "__main__":
    store.sqlite_engine = hasty
    main()
