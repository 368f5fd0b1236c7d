"""The world that the models predict: flats of each tenant's city, and what they are sold for.

A price is a sum of five measured things, each tenant's city weighing them its own way, plus what
nobody measures. A drift brings other flats to the market and changes what one thing is worth: no
model trained before can know that, and one that is trained on what was sold since can learn it.
`lost` is another matter: prices no longer depend on anything, and no training helps.
"""

import math
import random
from pathlib import Path

TENANTS = tuple(f"user{number:02}" for number in range(1, 21))
FEATURES = ("income", "rooms", "age", "distance", "crime")

PRICE = 2.0
WORTH = (0.9, 0.45, 0.35, 0.3, 0.2)
"""In hundreds of thousands, for one standard deviation of each feature; signs differ by city."""

DRIFTS = 2
"""Which feature's worth changes."""

NOISE = 0.476
"""What nobody measures. A perfect model's mean absolute error is 0.8 times it: 0.38."""

LEVELS = {"none": 0.0, "low": 0.15, "medium": 0.27, "high": 0.40}
"""How much of its worth the feature loses. At `high` an old model's error rises by 30 % and its R²
falls by 15 %: both cross the thresholds of rules/model-quality.yaml."""

SHIFT = 0.75
"""How far the same feature moves, for each unit of worth that it loses. Visible without truth."""

LOST = "lost"


class City:
    """One tenant's flats: `draw` sells some."""

    def __init__(self, user_id: str, seed: str = "") -> None:
        signs = random.Random(user_id)
        self._worth = [worth * signs.choice((-1, 1)) for worth in WORTH]
        self._random = random.Random(f"{user_id} {seed}")

    def draw(self, count: int, level: str = "none") -> tuple[list[list[float]], list[float]]:
        """Features and prices of the next flats."""
        flats = [[self._random.gauss() for _ in FEATURES] for _ in range(count)]
        for flat in flats:
            flat[DRIFTS] += SHIFT * LEVELS.get(level, LEVELS["high"])
        return flats, [self._price(flat, level) for flat in flats]

    def _price(self, flat: list[float], level: str) -> float:
        if level == LOST:
            return PRICE + self._random.gauss(sigma=math.hypot(*WORTH, NOISE))
        worth = list(self._worth)
        worth[DRIFTS] -= math.copysign(LEVELS[level], worth[DRIFTS])
        known = sum(each * value for each, value in zip(worth, flat, strict=True))
        return PRICE + known + self._random.gauss(sigma=NOISE)


def level_file(workdir: Path, user_id: str) -> Path:
    """Where the present drift of a tenant stands, for whoever sells its flats."""
    return workdir / "live" / f"{user_id}.level"


def present_level(workdir: Path, user_id: str) -> str:
    """How far a tenant's city has drifted."""
    try:
        level = level_file(workdir, user_id).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return "none"
    return level if level in {*LEVELS, LOST} else "none"


def set_level(workdir: Path, user_id: str, level: str) -> None:
    """Let a tenant's city drift. Whoever reads the file sees the old level or the new one."""
    file = level_file(workdir, user_id)
    file.parent.mkdir(parents=True, exist_ok=True)
    scratch = file.with_suffix(".writing")
    scratch.write_text(level, encoding="utf-8")
    scratch.replace(file)
