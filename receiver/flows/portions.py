"""How much one transaction does, which whoever else writes waits for, the webhook among them."""

from collections.abc import Iterable, Mapping

ALERTS_AT_ONCE = 500
"""Alerts in one transaction: deciding them takes a fraction of a second on a busy machine, too.

Models are no measure of that: one may have one alert, another an alert of each of its pods.
"""


def portion(names: Iterable[str], alerts: Mapping[str, int]) -> list[str]:
    """The first of these models, as many as have so few alerts together.

    The first of them is always among them: a model is decided whole, however many it has.
    """
    taken: list[str] = []
    left = ALERTS_AT_ONCE
    for name in names:
        left -= alerts.get(name, 0)
        if taken and left < 0:
            break
        taken.append(name)
    return taken
