"""Several replicas on one database, and transactions that stop where the test wants it."""

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Any, Self

from receiver.core.models import Model
from receiver.core.ports import Clock
from receiver.store.store import Store, Tx
from tests.fakes import FakeTarget, HandClock
from tests.histories import History
from tests.postgres import Backdoor, PostgresServer
from tests.waiting import GENEROUS, eventually


class Stop:
    """Where a transaction waits for the test: having locked its models, or before its commit."""

    def __init__(self, at: str) -> None:
        self.at = at
        self.reached, self.go = Event(), Event()

    def wait(self) -> None:
        """Let the test go on; go on when it says so."""
        self.reached.set()
        assert self.go.wait(GENEROUS)


class StoppingStore(Store):
    """The real store. Its next transaction can be stopped."""

    stop: Stop | None = None

    @contextmanager
    def begin(self) -> Iterator[Tx]:
        stop, self.stop = self.stop, None
        with super().begin() as tx:
            yield StoppingTx(tx, stop) if stop is not None and stop.at == "locked" else tx
            if stop is not None and stop.at == "commit":
                stop.wait()


class StoppingTx(Tx):
    """Stops after its first locks."""

    def __init__(self, tx: Tx, stop: Stop) -> None:
        super().__init__(tx._db, tx._clock, tx._ids)
        self._stop: Stop | None = stop

    def lock_models(self, names: Collection[str]) -> dict[str, Model]:
        locked = super().lock_models(names)
        if self._stop is not None:
            stop, self._stop = self._stop, None
            stop.wait()
        return locked


class Replicas:
    """Histories that share a database and a target; each has a store of its own.

    Attributes:
        backdoor: Sees from outside who waits for whom.

    """

    def __init__(self, server: PostgresServer, database: str) -> None:
        self.clock, self.target = HandClock(), FakeTarget()
        self.server, self.database = server, database
        self.backdoor = Backdoor(server, database)
        self._pool = ThreadPoolExecutor(16)
        self._stores: list[StoppingStore] = []

    def start(self, through: Path | None = None) -> History:
        """Start one more replica, on the clock that the test moves."""
        return History(self.open(self.clock, through), self.clock, self.target)

    def open(self, clock: Clock | None, through: Path | None = None) -> StoppingStore:
        """Open one more store; without a clock the database tells the time.

        `through`: the folder of the socket to connect to, in place of the server's own.
        """
        store = StoppingStore.open(self.server.url(self.database, through), clock)
        assert isinstance(store, StoppingStore)
        self._stores.append(store)
        return store

    def begin(self, work: Callable[..., Any], *args: Any) -> "Future[Any]":
        """Do it in a thread."""
        return self._pool.submit(work, *args)

    @contextmanager
    def held(
        self, store: Store, work: Callable[..., Any], *args: Any, at: str = "commit"
    ) -> Iterator["Future[Any]"]:
        """Do it up to its commit, or until it has `locked`; it goes on at the block's end."""
        assert isinstance(store, StoppingStore)
        stop = store.stop = Stop(at)
        done = self.begin(work, *args)
        try:
            eventually(lambda: stop.reached.is_set() or done.done(), every=0.005)
            assert not done.done(), done.result()
            yield done
        finally:
            stop.go.set()
            done.result(GENEROUS)

    def await_waiting(self, number: int = 1) -> None:
        """Wait until so many transactions wait for another's locks."""
        eventually(lambda: self.backdoor.waiting() == number, every=0.005)

    def time(self) -> datetime:
        """What the database's clock says now."""
        ((now,),) = self.backdoor.execute("SELECT clock_timestamp()")
        assert isinstance(now, datetime)
        return now

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()
        for store in self._stores:
            store.close()
        self.backdoor.__exit__(None)
