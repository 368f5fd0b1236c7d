from pathlib import Path

from receiver.core.decisions import Reason
from receiver.core.dispatches import DispatchState
from receiver.core.models import ModelState
from receiver.core.reports import Verdict
from receiver.core.run_ends import Effect
from tests.metric_names import described

TEXT = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()


def row(metric):
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {metric.type} | {labels} | {metric.help} |"


def test_every_metric_is_documented_as_it_is_defined():
    """No row is missing, and none is about a metric that is gone."""
    rows = [line for line in TEXT.splitlines() if line.startswith("| `retrain_")]

    assert sorted(rows) == sorted(row(metric) for metric in described())


def test_every_value_of_a_label_is_documented():
    """Whoever writes a query finds what can be asked for."""
    for values in (Reason, ModelState, DispatchState, Effect, Verdict):
        assert all(f"`{value.value}`" in TEXT for value in values)


def test_only_the_models_own_metrics_name_a_model():
    """Everything else would grow with the number of models."""
    for metric in described():
        assert ("model" in metric.labels) == metric.name.startswith("retrain_model_")
