"""What the log can be filtered by, and the index that each filter needs."""

from sqlalchemy import Index

FILTERS = (
    "model",
    "policy",
    "alertname",
    "fingerprint",
    "status",
    "reason",
    "outcome",
    "source",
    "dispatch_id",
    "notification_id",
)


def filter_index(column: str) -> tuple[Index, Index]:
    """Let each single filter of the log read its page in order: the index ends with the id.

    SQLite ends every index with the row's number, which is the id; PostgreSQL must be told.
    """
    return (
        Index(f"ix_decisions_{column}", column, info={"engine": "sqlite"}),
        Index(f"ix_decisions_{column}_id", column, "id", info={"engine": "postgresql"}),
    )
