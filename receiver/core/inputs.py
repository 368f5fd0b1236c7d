"""Fills a run's inputs from identity labels, numbers and a well-formed alertname only."""

import math
import re
from collections.abc import Mapping

from receiver.core.alerts import VALUE
from receiver.core.policies import fill, template_parts
from receiver.core.targets import Target

ALERTNAME = re.compile(r"[A-Za-z0-9_:.-]{1,100}")
"""No other text of an alert ever leaves us."""


def fill_inputs(
    target: Target, identity: Mapping[str, str], *, value: float | None, alertname: str
) -> dict[str, str | float]:
    """The inputs of one run.

    A template that needs something this alert does not have is left out. A template that is just
    `{value}` becomes a number.
    """
    fields = dict(identity)
    if value is not None and math.isfinite(value):
        fields["value"] = repr(value)
    if ALERTNAME.fullmatch(alertname):
        fields["alertname"] = alertname
    inputs: dict[str, str | float] = {}
    for name, template in target.inputs.items():
        needed = {field for _, field in template_parts(template) if field is not None}
        if not needed <= fields.keys():
            continue
        if template == "{value}" and value is not None:
            inputs[name] = value
        else:
            inputs[name] = fill(template, fields)
    return inputs


def lacks_value(target: Target, inputs: Mapping[str, str | float]) -> bool:
    """Whether inputs of a run were left out because its alert had no number."""
    return any(
        name not in inputs and any(field == VALUE for _, field in template_parts(template))
        for name, template in target.inputs.items()
    )


def fill_place(target: Target, identity: Mapping[str, str]) -> dict[str, str]:
    """Where this model's run is started."""
    return {key: fill(template, identity) for key, template in target.place.items()}
