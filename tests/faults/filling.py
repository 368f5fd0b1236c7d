"""A disk that is full, and one that fails to sync: a small tmpfs, and errors from the kernel."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from tests.e2e.alerting import program
from tests.faults.laboratory import Lab
from tests.faults.load import Acknowledged, Load, seeded
from tests.faults.promises import check_log
from tests.faults.recording import under_strace
from tests.faults.sites import MODELS
from tests.posts import entry, post
from tests.processes import Api, Station, now
from tests.serving import NO_AUTH, Answer
from tests.waiting import eventually

DISK = "48m"
KEEPING = NO_AUTH
FORGETTING = NO_AUTH.replace("min_free: 0", "min_free: 16MiB") + (
    "retention: {decisions: 1s, skips: 1s, notifications: 1s}\n"
)
PADDED = 5
"""Alerts of a notification that takes much room."""

MANY = 3000
"""Notifications that surely fill the disk."""


def fill(lab: Lab, seeds: range) -> None:
    """Somebody else takes all the room: 503, and 200 when there is room again. Nothing is lost."""
    with small_disk(lab.folder()) as disk:
        station = Station(disk, KEEPING, start=lab.start)
        told: list[Acknowledged] = []
        with station:
            for seed in seeds:
                random = seeded(f"fill/{seed}")
                take_all_room(disk / "ballast")
                told += accepted_until_refused(station.api, random)
                assert station.api.get("/decisions").status == 200
                assert station.api.get("/-/healthy").status == 200
                if random.random() < 0.3:
                    station.kill()
                (disk / "ballast").unlink()
                if station.process is None or station.process.poll() is not None:
                    station.start()
                told.append(eventually(lambda random=random: accepted(station.api, random)))
            station.kill()
            station.start()
            check_log(told, station.api.decisions())
            assert "Traceback" not in station.said()


def forget(lab: Lab, seeds: range) -> None:
    """Our own rows leave less than `min_free`: 503 until retention has made room, each time."""
    with (
        small_disk(lab.folder()) as disk,
        Station(disk, FORGETTING, start=lab.start) as station,
    ):
        for seed in seeds:
            random = seeded(f"forget/{seed}")
            accepted_until_refused(station.api, random, why="min_free")
            assert station.api.get("/-/ready").status == 503
            assert station.stop() == 0  # retention works at a start, and every ten minutes
            station.start()
            accepted(station.api, random)
        assert "Traceback" not in station.said()


def fail_syncs(lab: Lab, seeds: range) -> None:
    """Every seventh sync fails: 503, and what was acknowledged is there after a kill."""
    program("strace")
    failing = under_strace(["-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=20+7"])
    folder = lab.folder()
    broken = Station(folder, KEEPING, start=failing)
    broken.start()
    try:
        with Load(broken.api, f"syncs/{seeds.start}", MODELS) as load:
            eventually(lambda: len(load.refused) >= len(seeds))
            more = len(load.acknowledged) + 20
            eventually(lambda: len(load.acknowledged) > more)
    finally:
        broken.kill()
        broken.wait()
    assert {answer.status for answer in load.refused} == {503}
    with Station(folder, KEEPING, port=broken.port, start=lab.start) as whole:
        check_log(load.acknowledged, whole.api.decisions())


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own, which only root can make."""
    mounted = os.geteuid() == 0 and (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", folder], check=False
        ).returncode
        == 0
    )
    if not mounted:
        reason = "a small disk needs root, and the right to mount"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def take_all_room(ballast: Path) -> None:
    """Write until nothing more fits."""
    with ballast.open("ab", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while file.write(bytes(size)) == size:
                    continue
            except OSError:
                continue


def accepted_until_refused(api: Api, random: Random, why: str = "") -> list[Acknowledged]:
    """Send large notifications until one is refused: 503, three times in a row."""
    told = []
    for _ in range(MANY):
        answer, one = _send(api, random)
        if one is None:
            break
        told.append(one)
    else:
        raise AssertionError("the disk does not become full")
    for _ in range(3):
        assert answer.status == 503, answer
        assert why in answer.detail
        answer, _ = _send(api, random)
    return told


def accepted(api: Api, random: Random) -> Acknowledged:
    """Send a notification that must be taken."""
    answer, one = _send(api, random)
    assert one is not None, answer
    return one


def _send(api: Api, random: Random) -> tuple[Answer, Acknowledged | None]:
    alerts = [
        {**entry(f"model-{number}", starts_at=now()), "annotations": {"padding": padding}}
        for number in range(PADDED)
        for padding in [random.randbytes(25_000).hex()]
    ]
    answer = api.post("/webhook", post(*alerts))
    if answer.status != 200:
        return answer, None
    said = answer.json()
    return answer, Acknowledged(said["notification_id"], said["decisions"], alerts)
