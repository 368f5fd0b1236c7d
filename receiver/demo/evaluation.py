"""How good predictions are: MAE and R² over a sliding window."""

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

MAE_LIMIT = 0.45
R2_LIMIT = 0.75
"""The thresholds of rules/model-quality.yaml; a test compares them."""

ENOUGH = 30
"""Below it R² jumps about: a window that has just begun says nothing yet."""


@dataclass(frozen=True, slots=True)
class Quality:
    """How good a served model is."""

    mae: float = math.nan
    r2: float = math.nan

    @property
    def breaches(self) -> Mapping[str, float]:
        """The alerts whose threshold it crosses, with the number that crosses it."""
        crossed = {}
        if self.mae > MAE_LIMIT:
            crossed["HighModelMAE"] = self.mae
        if self.r2 < R2_LIMIT:
            crossed["LowModelR2"] = self.r2
        return crossed

    @property
    def good(self) -> bool:
        """Whether both numbers are there and on the right side."""
        return self.mae <= MAE_LIMIT and self.r2 >= R2_LIMIT

    def __str__(self) -> str:
        return f"MAE {self.mae:.2f}, R² {self.r2:.2f}"


def mean_absolute_error(actual: Sequence[float], predicted: Sequence[float]) -> float:
    """How far off the predictions are on average. NaN if there are none."""
    if not actual:
        return math.nan
    return fmean(abs(a - p) for a, p in zip(actual, predicted, strict=True))


def r2_score(actual: Sequence[float], predicted: Sequence[float]) -> float:
    """The share of the variance that is explained. NaN where there is no variance."""
    if not actual:
        return math.nan
    mean = fmean(actual)
    total = sum((a - mean) ** 2 for a in actual)
    missed = sum((a - p) ** 2 for a, p in zip(actual, predicted, strict=True))
    return 1 - missed / total if total else math.nan


class RecentScores:
    """The last predictions and what came true. NaN until there are enough of them."""

    def __init__(self, size: int) -> None:
        self._pairs: deque[tuple[float, float]] = deque(maxlen=size)

    def add(self, actual: float, predicted: float) -> None:
        """Remember one prediction; the oldest is forgotten."""
        self._pairs.append((actual, predicted))

    def mae(self) -> float:
        """The window's mean absolute error."""
        return self._score(mean_absolute_error)

    def r2(self) -> float:
        """The window's R²."""
        return self._score(r2_score)

    def _score(self, score: Callable[[Sequence[float], Sequence[float]], float]) -> float:
        if len(self._pairs) < ENOUGH:
            return math.nan
        actual, predicted = zip(*self._pairs, strict=True)
        return score(actual, predicted)
