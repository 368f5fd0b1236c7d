"""What a fault needs around it: folders, a database server, receivers that start fast, load."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import cached_property
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from tests.faults.load import Load, seeded
from tests.faults.promises import check_cooldowns, check_dispatches, check_log, check_target
from tests.faults.sites import CONFIG, COOLDOWN, MODELS, SETTLE, Site, site
from tests.postgres import PostgresServer, serving
from tests.waiting import eventually
from tests.warm import Warm

LIVE = {"pending", "sending", "unknown", "running"}

LEASE = timedelta(seconds=8)
"""In place of three minutes: what a dead replica had claimed falls due again so much later."""

REPLICAS = 3


class Lab:
    """Makes what is asked for, once. To be used with `with`, which takes all of it away."""

    def __init__(self) -> None:
        self._made = ExitStack()
        self._numbers = count(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._made.close()

    @cached_property
    def start(self) -> Warm:
        """Starts receivers fast, with the short lease."""
        return self._made.enter_context(Warm(lease=LEASE))

    @cached_property
    def postgres(self) -> PostgresServer:
        """A PostgreSQL server."""
        return self._made.enter_context(serving())

    def folder(self) -> Path:
        """A new folder on a disk."""
        return Path(self._made.enter_context(TemporaryDirectory(prefix="faults-")))

    @contextmanager
    def on_sqlite(self, seeds: range) -> Iterator[Site]:
        """One receiver on a SQLite file."""
        with site(self.folder(), self.start, seeded(f"peer/{seeds.start}")) as one:
            yield one

    @contextmanager
    def on_postgres(
        self,
        seeds: range,
        routes: Sequence[Callable[[str], str]] = (),
        config: str = CONFIG,
    ) -> Iterator[Site]:
        """Three receivers on a database of their own; `routes` are their ways to reach it."""
        with self.postgres.database() as name:
            urls = [route(name) for route in routes or [self.postgres.url] * REPLICAS]
            random = seeded(f"peer/{seeds.start}")
            with site(self.folder(), self.start, random, urls, config) as three:
                yield three


@contextmanager
def living(site: Site, seeds: range) -> Iterator[Load]:
    """Load for the length of the block, in which faults happen; then every promise is checked."""
    with Load(site.api, f"load/{seeds.start}", MODELS) as load:
        yield load
    site.api.notify(*load.ends_of_all())
    eventually(lambda: is_calm(site))
    check(site, load)


def is_calm(site: Site) -> bool:
    """Tell whether every dispatch has come to an end."""
    return all(dispatch["state"] not in LIVE for dispatch in site.api.dispatches())


def check(site: Site, load: Load) -> None:
    """Every promise, of all that was acknowledged; and that there was enough of it."""
    decisions, dispatches = site.api.decisions(), site.api.dispatches()
    assert load.acknowledged
    assert dispatches
    check_log(load.acknowledged, decisions)
    check_dispatches(decisions, dispatches)
    check_cooldowns(dispatches, COOLDOWN, SETTLE)
    check_target(site.peer, dispatches, site.api)
    refused = {answer.status for answer in load.refused}
    assert refused <= {503}, refused
    assert "Traceback" not in site.replicas.said()
