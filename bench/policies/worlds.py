"""Worlds: when models get bad, as the literature says streams drift; generated, none is copied.

Where the shapes come from:

- sudden and recurring drift: Gama, Žliobaitė, Bifet, Pechenizkiy and Bouchachia, "A survey on
  concept drift adaptation", ACM Computing Surveys 46(4), 2014, section 2;
- drift with the seasons: the Elec2 stream, Harries, "Splice-2 comparative evaluation: electricity
  pricing", UNSW 1999, where it recurs with the half hour, the week and the season;
- labels that come late: Žliobaitė, "Change with delayed labeling: when is it detectable?", ICDM
  Workshops 2010;
- bad data that many models share: Breck, Polyzotis, Roy, Whang and Zinkevich, "Data validation for
  machine learning", MLSys 2019;
- flapping: an alert on a metric near its threshold, for which Prometheus has `keep_firing_for`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

from receiver.backtest.histories import Firing
from receiver.backtest.truth import Spell, TrueAlert, Truth

HOUR = timedelta(hours=1)
DAY = 24 * HOUR
BEGINS = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = 90
MODELS = 20

Episode = tuple[timedelta, Sequence[tuple[timedelta, timedelta]], timedelta | None, bool]
"""When it begins; its firings from there; from when on a run can help; whether one can at all."""


@dataclass(frozen=True, slots=True)
class World:
    """How models get bad.

    Attributes:
        helps: The chance that a run helps where it can.
        took: How long a run takes.

    """

    name: str
    episodes: Callable[[Random, int], Iterator[Episode]]
    helps: float = 0.8
    took: timedelta = timedelta(minutes=40)

    def truth(self, policy: str, seed: int = 1) -> Truth:
        """What happens in it if nobody does anything."""
        spells = {}
        for number in range(MODELS):
            chance = Random(f"{self.name}/{seed}/{number}")  # noqa: S311  a world, no secret
            model = f"m{number:02d}"
            spells[model] = tuple(_spells(model, self.episodes(chance, number)))
        return Truth(BEGINS, BEGINS + DAYS * DAY, spells, dict.fromkeys(spells, policy))


def _spells(model: str, episodes: Iterator[Episode]) -> Iterator[Spell]:
    labels = {"alertname": "HighModelMAE", "user_id": model}
    free, number = timedelta(0), 0
    for began, firings, late, curable in sorted(episodes, key=lambda one: one[0]):
        if began < free or began >= DAYS * DAY:
            continue
        bad = tuple(
            Firing(BEGINS + began + start, BEGINS + began + start + length)
            for start, length in firings
        )
        alert = TrueAlert(f"{hash_of(model):016x}", labels, bad)
        from_when = None if late is None else BEGINS + began + late
        yield Spell(model, number, (alert,), bad, curable_from=from_when, curable=curable)
        last_start, last_length = firings[-1]
        free, number = began + last_start + last_length + 6 * HOUR, number + 1


def hash_of(model: str) -> int:
    """A fingerprint that is the same in every run."""
    return int.from_bytes(model.encode(), "big")


def _lasting(chance: Random, mean: timedelta) -> timedelta:
    return max(chance.expovariate(1) * mean, timedelta(minutes=20))


def seasonal(chance: Random, number: int) -> Iterator[Episode]:
    """Each week the same days are different; after some days the season is over by itself."""
    day = number % 7
    for week in range(DAYS // 7 + 1):
        began = (7 * week + day) * DAY + chance.uniform(6, 12) * HOUR
        yield began, [(timedelta(0), chance.uniform(12, 40) * HOUR)], None, True


def sudden(chance: Random, _number: int) -> Iterator[Episode]:
    """Now and then the world is another one, and stays so for weeks unless one retrains."""
    at = chance.uniform(0, 20) * DAY
    while at < DAYS * DAY:
        length = chance.uniform(5, 15) * DAY
        yield at, [(timedelta(0), length)], None, True
        at += length + _lasting(chance, 15 * DAY)


def bad_data(chance: Random, number: int) -> Iterator[Episode]:
    """Rare drift of its own; and a feature that breaks for everybody, which no run mends."""
    shared = Random("storms")  # noqa: S311  the same hours for all models
    for _ in range(4):
        began = shared.uniform(2, DAYS - 2) * DAY
        length = shared.uniform(3, 18) * HOUR
        late = chance.uniform(0, 10) * timedelta(minutes=1)
        yield began + late, [(timedelta(0), length)], None, False
    if number % 2:
        began = chance.uniform(0, DAYS) * DAY
        yield began, [(timedelta(0), chance.uniform(3, 10) * DAY)], None, True


def late_labels(chance: Random, _number: int) -> Iterator[Episode]:
    """A run helps only once the labels of the new world are there, a day or two later."""
    at = chance.uniform(0, 15) * DAY
    while at < DAYS * DAY:
        late = chance.uniform(12, 48) * HOUR
        yield at, [(timedelta(0), chance.uniform(4, 10) * DAY)], late, True
        at += 10 * DAY + _lasting(chance, 15 * DAY)


def flapping(chance: Random, _number: int) -> Iterator[Episode]:
    """The metric hovers at its threshold: short firings with short rests, for a day or two."""
    at = chance.uniform(0, 10) * DAY
    while at < DAYS * DAY:
        firings, offset = [], timedelta(0)
        end = chance.uniform(12, 48) * HOUR
        while offset < end:
            length = _lasting(chance, 1.5 * HOUR)
            firings.append((offset, length))
            offset += length + min(_lasting(chance, HOUR), 5 * HOUR)
        yield at, firings, None, True
        at += end + DAY + _lasting(chance, 8 * DAY)


def hopeless(chance: Random, number: int) -> Iterator[Episode]:
    """Models that no run mends, beside healthy ones: a wrong rule, a wrong threshold."""
    at = chance.uniform(0, 20) * DAY
    while at < DAYS * DAY:
        length = chance.uniform(1, 6) * DAY
        yield at, [(timedelta(0), length)], None, number % 4 != 0
        at += length + _lasting(chance, 20 * DAY)


WORLDS = (
    World("seasonal drift", seasonal),
    World("sudden drift", sudden),
    World("bad data storms", bad_data),
    World("late labels", late_labels),
    World("flapping", flapping),
    World("runs that never help", hopeless),
)
