"""Goes on after a bug: one row that can't be worked on must not stop the others."""

from collections.abc import Callable
from typing import TypeVar

from receiver.store.store import StoreUnavailable

T = TypeVar("T")


def unless_bug(step: Callable[[], T], otherwise: Callable[[], T]) -> T:
    """Do this; `otherwise` answers for a bug in it, which must not stop the other rows.

    Raises `StoreUnavailable`: then the others can't be done either.
    """
    try:
        return step()
    except StoreUnavailable:
        raise
    except Exception:  # noqa: BLE001  whoever answers for it logs and counts it, or looks closer
        return otherwise()
