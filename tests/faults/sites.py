"""Where faults happen: one receiver on SQLite, or three on PostgreSQL, behind a balancer."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Self

from tests.faults.balancing import Balancer
from tests.faults.busy import FIRST, Busy
from tests.posts import entry
from tests.processes import Api, Start, Station, now
from tests.waiting import eventually

MODELS = [f"model-{number}" for number in range(12)]
COOLDOWN, SETTLE = timedelta(seconds=2), timedelta(seconds=1)

CONFIG = """\
targets:
  wf:
    github:
      repository: acme/models
      workflow: retrain-model.yaml
      token_file: token
      base_url: BASE_URL
      lookup_window: 1s
      inputs: {user_id: "{user_id}", reason: "{alertname}"}
policies:
  - name: model-quality
    match: ['alertname=~"HighModelMAE|LowModelR2"']
    model: {name: "{user_id}", labels: {user_id: "[a-z0-9-]{1,40}"}}
    target: wf
    cooldown: 2s
    settle: 1s
    dedup_window: 1s
"""


class Replicas:
    """Receivers with one store, and the balancer before them. All of them end with its block.

    Attributes:
        api: What Alertmanager and operators reach.

    """

    def __init__(self, stations: Sequence[Station]) -> None:
        self.stations = stations
        self.balancer = Balancer([station.port for station in stations])

    def __enter__(self) -> Self:
        with ExitStack() as begun:
            begun.callback(self._kill)
            begun.enter_context(self.balancer)
            self.api = Api(self.balancer.url)
            for station in self.stations:
                station.begin()
            for station in self.stations:
                station.await_ready()
            self._begun = begun.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._begun.close()

    def said(self) -> str:
        """Everything that they wrote into their logs."""
        return "".join(station.said() for station in self.stations)

    def _kill(self) -> None:
        for station in self.stations:
            station.kill()


@dataclass(frozen=True)
class Site:
    """Receivers and the target that they start runs at."""

    replicas: Replicas
    peer: Busy

    @property
    def api(self) -> Api:
        """What Alertmanager and operators reach."""
        return self.replicas.api

    @property
    def stations(self) -> Sequence[Station]:
        """Each replica."""
        return self.replicas.stations


@contextmanager
def site(
    folder: Path,
    start: Start,
    random: Random,
    urls: Sequence[str] = (),
    config: str = CONFIG,
) -> Iterator[Site]:
    """Receivers at work: one for each storage URL; without any, one on a SQLite file.

    Absence proves something from the beginning, for the target has shown an id.
    """
    with Busy(random) as peer:
        config = config.replace("BASE_URL", peer.base_url)
        stations = [
            station(folder / f"replica-{number}", f"storage: {{url: '{url}'}}\n{config}", start)
            for number, url in enumerate(urls or ["sqlite:///receiver.db"])
        ]
        with Replicas(stations) as replicas:
            show_an_id(replicas.api)
            yield Site(replicas, peer)


def station(folder: Path, config: str, start: Start) -> Station:
    """One receiver that has a token for its target."""
    folder.mkdir()
    (folder / "token").write_text("peer-token")
    return Station(folder, config, start=start)


def show_an_id(api: Api) -> None:
    """Let one run come to its end, so that absence proves something from now on."""
    began = now()
    api.notify(entry(FIRST, starts_at=began))
    eventually(lambda: api.dispatches()[0]["state"] == "succeeded")
    api.notify(entry(FIRST, starts_at=began, status="resolved", ends_at=now()))
