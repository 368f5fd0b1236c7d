"""Power loss on SQLite: a real receiver is recorded, and its disk is lost at every moment."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL
from tempfile import TemporaryDirectory

from sqlalchemy import text

from receiver.store.store import Store
from tests.e2e.alerting import program
from tests.fakes import HandClock
from tests.faults.disks import Disk
from tests.faults.laboratory import Lab
from tests.faults.load import Load, seeded
from tests.faults.recording import Answered, Event, await_end, read_events, recorded
from tests.faults.sites import MODELS
from tests.postgres import MEMORY
from tests.processes import Station
from tests.serving import NO_AUTH
from tests.waiting import eventually

LIVES = {"ends": 100, "dies": 80}
"""How each ends, after so many notifications: the WAL is folded into the file and begun anew."""

FILE = "receiver.db"


@dataclass(frozen=True)
class Recording:
    """The disk before, and all that happened then."""

    before: dict[str, bytes]
    events: list[Event]


def lose_power(lab: Lab, seeds: range) -> str:
    """After each loss every acknowledged decision is there, and the file is whole."""
    recording = record(lab.folder(), seeds.start)
    broken = [loss for loss in losses(recording, seeds) if loss]
    assert not broken, f"{len(broken)} of {len(seeds)} states, for example {broken[0]}"
    return f"in {len(recording.events)} recorded events"


def record(
    folder: Path, seed: int, lives: Mapping[str, int] = LIVES, receiver: str = "receiver"
) -> Recording:
    """Let a receiver work under load, end, start again, and be killed."""
    program("strace")
    trace = folder / "trace"
    station = Station(folder, NO_AUTH, start=recorded(trace, receiver))
    Store.open(f"sqlite:///{folder / FILE}", HandClock()).close()
    heard: set[str] = set()
    before = {FILE: (folder / FILE).read_bytes()}
    try:
        for life, enough in lives.items():
            station.start()
            with Load(station.api, f"{seed}/{life}", MODELS) as load:
                eventually(lambda load=load, least=enough: len(load.acknowledged) > least)
            heard |= {one.notification_id for one in load.acknowledged}
            if life == "ends":
                assert station.stop() == 0
            else:
                station.send(SIGKILL)
            await_end(trace, station.pid)
            station.wait()
    finally:
        station.kill()
    events = read_events(trace, folder)
    told = {event.notification_id for event in events if isinstance(event, Answered)}
    assert heard <= told, "an answer was heard that is not in the recording"
    return Recording(before, events)


def losses(recording: Recording, seeds: range) -> Iterator[str]:
    """Lose the power at the moment that each seed says: what is wrong then, mostly nothing."""
    moments = sorted(
        (random.randrange(len(recording.events) + 1), seed, random)
        for seed in seeds
        for random in [seeded(f"power/{seed}")]
    )
    disk, happened = Disk(recording.before), 0
    for moment, seed, random in moments:
        for event in recording.events[happened:moment]:
            disk.follow(event)
        happened = moment
        wrong = _inspect(disk.lose_power(random), recording.events, moment)
        yield f"seed {seed}, after event {moment}: {wrong}" if wrong else ""


def _inspect(found: dict[str, bytes], events: list[Event], moment: int) -> str:
    """Start on what the disk holds; say what is wrong with it."""
    answers = [event for event in events if isinstance(event, Answered)]
    told = sum(isinstance(event, Answered) for event in events[:moment])
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        for name, data in found.items():
            (Path(folder) / name).write_bytes(data)
        stored, state = _read(f"sqlite:///{folder}/{FILE}")
    if state != "ok":
        return f"the file is broken: {state}"
    for number, answer in enumerate(answers):
        kept = stored & set(answer.decisions)
        if number < told and len(kept) < len(answer.decisions):
            return f"acknowledged and lost: {answer}"
        if kept and len(kept) < len(answer.decisions):
            return f"stored by halves: {answer}"
    return ""


def _read(url: str) -> tuple[set[int], str]:
    store = Store.open(url, HandClock())
    try:
        with store._reading() as db:
            ids = set(db.scalars(text("SELECT id FROM decisions")))
            return ids, str(db.scalar(text("PRAGMA integrity_check")))
    finally:
        store.close()
