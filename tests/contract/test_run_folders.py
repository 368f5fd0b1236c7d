"""Which folders of local runs go, and when."""

import fcntl
import os
from datetime import timedelta

import pytest

from receiver.dispatchers.run_folders import KEPT, forget_ended

DAY = timedelta(days=1)


@pytest.fixture
def newest(tmp_path):
    return made(tmp_path, "newest", "ready", age=timedelta(0))


def made(runs, name, state, *, age):
    """Make a run's folder whose last change is so old."""
    folder = runs / name
    folder.mkdir()
    (folder / state).touch()
    changed = runs.stat().st_mtime - age.total_seconds()
    os.utime(folder, (changed, changed))
    return folder


@pytest.mark.parametrize(
    ("state", "age", "stays"),
    [
        ("started", KEPT + DAY, False),
        ("withdrawn", KEPT + DAY, False),
        ("started", KEPT - DAY, True),
        ("withdrawn", KEPT - DAY, True),
        # A starter that was slow may still come for it.
        ("ready", KEPT + DAY, True),
    ],
)
def test_what_ended_long_ago_goes(tmp_path, newest, state, age, stays):
    """Only what has ended, or never will begin, is forgotten, and only when it is old."""
    folder = made(tmp_path, "old", state, age=age)

    forget_ended(newest)

    assert folder.exists() is stays
    assert newest.exists()


def test_what_still_runs_stays(tmp_path, newest):
    """However long ago it began."""
    folder = made(tmp_path, "long", "started", age=10 * KEPT)
    with (folder / "started").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)

        forget_ended(newest)

    assert folder.exists()


def test_other_files_are_none_of_our_business(tmp_path, newest):
    """What an operator put there stays, and stops nothing."""
    note = tmp_path / "note.txt"
    note.touch()
    os.utime(note, (0, 0))

    forget_ended(newest)

    assert note.exists()
