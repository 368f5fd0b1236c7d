"""Asks Prometheus for the number of an alert that carries none, before its run is sent."""

from collections.abc import Sequence
from dataclasses import replace

from receiver.core.dispatches import Dispatch
from receiver.core.inputs import fill_inputs, lacks_value
from receiver.core.models import FiringAlert
from receiver.core.policy_set import PolicySet
from receiver.core.ports import AlertSource
from receiver.core.sources import Listed, SourceDown, value_shown
from receiver.store.store import Store
from receiver.telemetry import log


def with_value(
    store: Store, policy_set: PolicySet, dispatch: Dispatch, prometheus: AlertSource | None
) -> Dispatch:
    """The dispatch with the inputs that its alert's number fills, if it has none of its own.

    Only before the first attempt: afterwards a run with these inputs may be there. A Prometheus
    that does not answer holds no run up; its inputs are left out, as without one.
    """
    target = policy_set.targets.get(dispatch.target)
    if target is None or prometheus is None or dispatch.attempt > 0:
        return dispatch
    if not lacks_value(target, dispatch.inputs):
        return dispatch
    try:
        shown = prometheus.ask().alerts
    except SourceDown as problem:
        log().warning("value_unknown", dispatch_id=dispatch.id, detail=str(problem))
        return dispatch
    with store.view() as view:
        model = view.models.find(dispatch.model)
        firing = view.models.firing([dispatch.model])[dispatch.model]
    value = _value(dispatch, firing, shown)
    if value is None or model is None:
        return dispatch
    filled = fill_inputs(target, model.labels, value=value, alertname=dispatch.alertname)
    return replace(dispatch, inputs={**filled, **dispatch.inputs})


def _value(
    dispatch: Dispatch, firing: Sequence[FiringAlert], shown: Sequence[Listed]
) -> float | None:
    """The number of the alert that the run was ordered for; of several, the oldest's."""
    named = (one for one in firing if one.alertname == dispatch.alertname)
    values = (value_shown(shown, one.labels) for one in named)
    return next((value for value in values if value is not None), None)
