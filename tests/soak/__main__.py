"""`make soak`: a mixed load on real receivers for half an hour; nothing may swell, fail or stop.

Fails on any answer that its request may not get, and says which and why.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from threading import Event, Lock, Thread
from time import monotonic

from sqlalchemy import Engine, create_engine

from tests.faults.busy import Busy
from tests.peers.alertmanager import alertmanager
from tests.postgres import serving
from tests.processes import Station
from tests.soak.requests import MODELS, Answered, Request, draw, send
from tests.soak.samples import Sample, slope, take

CONFIG = """
storage: {{url: "{storage}", min_free: 0}}
retention: {{decisions: 2d, skips: 1d, notifications: 1d}}
sources:
  alertmanagers: [{{name: main, url: "{source}", receiver: retrain, poll: 10s}}]
targets:
  retrain-workflow:
    github:
      repository: acme/models
      workflow: retrain-model.yaml
      token_file: token
      base_url: {github}
      inputs: {{user_id: "{{user_id}}"}}
policies:
  - name: drift
    match: ['alertname=~"HighModelMAE|LowModelR2"']
    model: {{name: "{{user_id}}", labels: {{user_id: "[a-z0-9-]{{1,40}}"}}}}
    target: retrain-workflow
    cooldown: 1m
    settle: 5s
    dedup_window: 10s
"""

CLIENTS = 4

REST = 0.25
"""Seconds that a client rests at most between two requests."""

EVERY = 20.0
"""Seconds between two samples."""

SHOWN = 40
"""Unexpected answers that are told."""

MEMORY, DESCRIPTORS, JUDGED = 30.0, 30.0, 10.0
"""How much a process may grow in an hour, judged from so many minutes on: MiB, descriptors."""


@dataclass
class Load:
    """Clients that ask until they are told to stop.

    Attributes:
        unexpected: Answers that their requests may not get, by request, status and why.

    """

    urls: Sequence[str]
    seed: int
    stop: Event = field(default_factory=Event)
    asked: Counter[str] = field(default_factory=Counter)
    unexpected: Counter[str] = field(default_factory=Counter)
    _lock: Lock = field(default_factory=Lock)

    def client(self, number: int) -> None:
        """Ask one request after the other."""
        random = Random(f"{self.seed}/{number}")  # noqa: S311  nothing here is a secret
        while not self.stop.is_set():
            kind, request = draw(random)
            answered = send(random.choice(self.urls), request)
            self._count(kind, request, answered)
            self.stop.wait(random.uniform(0, REST))

    def _count(self, kind: str, request: Request, answered: Answered) -> None:
        with self._lock:
            self.asked[kind] += 1
            if answered.status not in request.may_be:
                path = request.path.partition("?")[0]
                said = f"{kind}: {request.method} {path}: {answered.status} {answered.said}"
                self.unexpected[said] += 1


@contextmanager
def stations(folder: Path, replicas: int) -> Iterator[tuple[list[Station], Engine]]:
    """Receivers with a target and a source: one on SQLite, or several on PostgreSQL."""
    with ExitStack() as stack:
        storage = f"sqlite:///{folder}/receiver.db"
        if replicas > 1:
            server = stack.enter_context(serving())
            storage = server.url(stack.enter_context(server.database()))
        peer = stack.enter_context(Busy(Random("soak")))  # noqa: S311  nothing here is a secret
        source = stack.enter_context(alertmanager())
        for number in range(0, MODELS, 3):
            source.fire(alertname="HighModelMAE", user_id=f"m{number}", pod="source")
        stack.enter_context(forgetful(peer, source))
        (folder / "token").write_text("peer-token")
        config = CONFIG.format(storage=storage, source=source.url, github=peer.base_url)
        found = []
        for number in range(replicas):
            place = folder / f"replica-{number}"
            place.mkdir()
            (place / "token").write_text("peer-token")
            found.append(stack.enter_context(Station(place, config)))
        engine = create_engine(storage)
        stack.callback(engine.dispose)
        yield found, engine


@contextmanager
def forgetful(*peers: object) -> Iterator[None]:
    """Let the peers forget what they were asked: they are not what is measured."""
    over = Event()

    def forget() -> None:
        while not over.wait(5):
            for peer in peers:
                asked = peer.asked  # type: ignore[attr-defined]
                del asked[: max(len(asked) - 1000, 0)]

    thread = Thread(target=forget, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def main() -> int:
    """Run the command. 1 if an answer was unexpected, or something grew."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--replicas", type=int, default=1, help="more than one: on PostgreSQL")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with TemporaryDirectory() as folder, stations(Path(folder), asked.replicas) as (found, engine):
        load = Load([one.url for one in found], asked.seed)
        samples = soak(load, found, engine, asked.minutes * 60)
        logs = [one.said() for one in found]
    return judge(load, samples, logs, asked.minutes)


def soak(load: Load, found: Sequence[Station], engine: Engine, seconds: float) -> list[Sample]:
    """Let the clients ask for so long, and look now and then."""
    threads = [Thread(target=load.client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    began, samples = monotonic(), []
    try:
        while (at := monotonic() - began) < seconds:
            samples.append(take(at, [one.pid for one in found], engine))
            say(line(samples[-1], load))
            load.stop.wait(min(EVERY, seconds / 6))
    finally:
        load.stop.set()
        for thread in threads:
            thread.join()
    samples.append(take(monotonic() - began, [one.pid for one in found], engine))
    say(line(samples[-1], load))
    return samples


def line(sample: Sample, load: Load) -> str:
    """One sample."""
    return (
        f"{sample.at:6.0f}s {sample.memory:6.1f} MiB, {sample.descriptors} descriptors, "
        f"{sum(sample.rows.values())} rows, {load.asked.total()} requests, "
        f"{load.unexpected.total()} unexpected answers"
    )


def judge(load: Load, samples: Sequence[Sample], logs: Sequence[str], minutes: float) -> int:
    """Tell what grew and what failed. 1 if that should not be."""
    memory = slope(samples, [sample.memory for sample in samples])
    descriptors = slope(samples, [sample.descriptors for sample in samples])
    say(f"an hour brings {memory:+.1f} MiB and {descriptors:+.1f} descriptors")
    for name in sorted(samples[-1].rows):
        rows = slope(samples, [sample.rows[name] for sample in samples])
        if samples[-1].rows[name]:
            say(f"  {name}: {samples[-1].rows[name]} rows, {rows:+.0f} an hour")
    say("asked: " + ", ".join(f"{count} {kind}" for kind, count in load.asked.most_common()))
    for said, count in load.unexpected.most_common(SHOWN):
        say(f"unexpected, {count} times: {said}")
    errors = sum(log.count("worker_error") + log.count("commit_failed") for log in logs)
    if errors:
        say(f"{errors} errors that nobody foresaw stand in the logs")
    judged = minutes >= JUDGED
    grows = judged and (memory > MEMORY or descriptors > DESCRIPTORS)
    if judged:
        say("it grows" if grows else "it does not grow")
    return 1 if grows or errors or load.unexpected else 0


def say(text: str) -> None:
    """Write a line that is seen at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
