"""A snapshot of the store at one moment: the values behind the gauges of one scrape."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from receiver.core.budgets import Usage
from receiver.core.dispatches import DispatchState
from receiver.core.models import ModelState
from receiver.core.run_ends import Effect
from receiver.core.sources import SourceRecord
from receiver.core.target_health import TargetStanding


@dataclass(frozen=True, slots=True)
class OpenDispatches:
    """The dispatches of one target that share a state and are not over.

    Attributes:
        since: Since when the oldest of them is in it.

    """

    target: str
    state: DispatchState
    count: int
    since: datetime | None


@dataclass(frozen=True, slots=True)
class ModelsInState:
    """The models that share a state.

    Attributes:
        firing_since: When the oldest episode among them began; None if none of them fires.

    """

    state: ModelState
    count: int
    firing_since: datetime | None


@dataclass(frozen=True, slots=True)
class ModelSnapshot:
    """One model.

    Attributes:
        held_until: The later of cooldown and back-off.
        run_state: State of the latest dispatch.

    """

    name: str
    state: ModelState
    firing_alerts: int
    held_until: datetime | None
    run_sent_at: datetime | None
    run_ended_at: datetime | None
    run_state: DispatchState | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that is read at one scrape.

    Attributes:
        unheld_since: Since when the model that waits longest fires with nothing holding it.
        last_received_at: When Alertmanager last told us something that was stored.
        models: The first ones by name.
        held: Models that a rung below `cooldown` holds, by that rung.
        asking: Models of which such a rung asks a human, by that rung.
        ineffective: Runs of the present episode that helped nobody, by model that fires.
        effects: What the runs of each policy brought lately.
        budgets: How much is used of the limits that the models of each policy share.
        announcements: How many wait for each subscriber, and since when the oldest does.
        sources: Those that the configuration names, as far as they were asked.
        targets: Those that were ever asked, and what waits for them.
        unconfirmed: Entries that nobody has confirmed for `confirm_within`; None if nobody can.

    """

    dispatches: Sequence[OpenDispatches] = ()
    states: Sequence[ModelsInState] = ()
    unheld_since: datetime | None = None
    last_received_at: datetime | None = None
    models: Sequence[ModelSnapshot] = ()
    held: Mapping[str, int] = field(default_factory=dict)
    asking: Mapping[str, int] = field(default_factory=dict)
    ineffective: Mapping[str, int] = field(default_factory=dict)
    effects: Mapping[str, Mapping[Effect, int]] = field(default_factory=dict)
    budgets: Mapping[str, Sequence[Usage]] = field(default_factory=dict)
    announcements: Mapping[str, tuple[int, datetime]] = field(default_factory=dict)
    sources: Sequence[SourceRecord] = ()
    targets: Sequence[TargetStanding] = ()
    unconfirmed: int | None = None
