"""Parses the thresholds of `check-drift`: metric, limit, side and the alert's name."""

import re
from dataclasses import dataclass

from receiver.cli.client import UsageError
from receiver.cli.metrics import MAE, R2

SHORT = re.compile(r"(?:(mae|r2)=)?([-+]?[0-9.eE+-]+)")
LONG = re.compile(r"([A-Za-z_][A-Za-z0-9_]{0,99}):\s*(.*\S)\s*([<>])\s*([-+]?[0-9.eE+-]+)")

HELP = (
    "Where a model is bad: `mae=0.45` (HighModelMAE; the number alone means the same), `r2=0.75` "
    "(LowModelR2), or `ALERTNAME: PROMQL > NUMBER`; repeat. Without it: mae=0.45 and r2=0.75."
)


@dataclass(frozen=True, slots=True)
class Threshold:
    """A line that a number must not cross.

    Attributes:
        alertname: What the alert is called, for the receiver's policies to match.
        expression: PromQL; one series for each model.
        above: Whether the bad side is above the limit.

    """

    alertname: str
    expression: str
    limit: float
    above: bool

    def crossed(self, value: float) -> bool:
        """Whether a number is on the bad side. NaN is on neither."""
        return value > self.limit if self.above else value < self.limit


DEFAULTS = ("mae=0.45", "r2=0.75")
"""As rules/model-quality.yaml has them; a test compares."""


def parse_threshold(text: str) -> Threshold:
    """Read one. A usage error that says how to write it."""
    short = SHORT.fullmatch(text.strip())
    if short is not None and short[1] == "r2":
        return Threshold("LowModelR2", R2, _number(text, short[2]), above=False)
    if short is not None:
        return Threshold("HighModelMAE", MAE, _number(text, short[2]), above=True)
    long = LONG.fullmatch(text.strip())
    if long is None:
        raise _unreadable(text)
    return Threshold(long[1], long[2], _number(text, long[4]), above=long[3] == ">")


def _number(text: str, number: str) -> float:
    try:
        return float(number)
    except ValueError:
        raise _unreadable(text) from None


def _unreadable(text: str) -> UsageError:
    return UsageError(
        f"--threshold {text!r} can't be read; write mae=0.45, r2=0.75 or "
        "'HighDrift: max by (user_id) (model_drift_share) > 0.5'"
    )
