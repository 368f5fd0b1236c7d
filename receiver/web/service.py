"""What the routes need of the running process."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from receiver.config import Config
from receiver.core.policy_set import PolicySet
from receiver.core.ports import Clock, ValueSource
from receiver.flows.intake.committer import Committer
from receiver.store.store import Store
from receiver.web.auth import Tokens
from receiver.web.backtests import Backtests


@dataclass(frozen=True, slots=True)
class Loaded:
    """One configuration as the routes use it; a reload puts another in its place.

    Attributes:
        told: What it leaves behind of what is stored under names of the one before.
        values: Who is asked what a model's value was between deliveries; None if nobody.

    """

    config: Config
    policy_set: PolicySet
    tokens: Tokens
    told: tuple[str, ...] = ()
    values: ValueSource | None = None


@dataclass(slots=True)
class Service:
    """The running process, as the routes see it.

    Attributes:
        reload: Loads the configuration again; raises `ConfigError` and changes nothing if it is
            broken. Says what needs a restart.
        hint: Tells the workers that there may be something to do.
        draining: Set once the process is asked to end: not ready any more.
        backtests: Runs one over our own log when an operator asks for it.
        raw_alerts: Taken while an alert is looked up in a notification, which takes several times
            the notification's size: one at a time.

    """

    store: Store
    clock: Clock
    committer: Committer
    loaded: Loaded
    reload: Callable[[], list[str]]
    hint: Callable[[], None]
    draining: threading.Event = field(default_factory=threading.Event)
    backtests: Backtests = field(default_factory=Backtests)
    raw_alerts: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
