"""Links from a model to where it can be looked at: dashboards, graphs, the form for a silence."""

from collections.abc import Mapping
from urllib.parse import quote

from receiver.core.models import Model
from receiver.core.policies import fill, template_parts

OF_THE_MODEL = ("model", "policy")
"""Fields that every model has, beside its identity labels."""


def links_of(templates: Mapping[str, str], model: Model) -> dict[str, str]:
    """The links of one model, by what they are called.

    What is filled in is quoted, so that no label leads anywhere else. A link that needs a label
    which this model does not have is left out.
    """
    fields = {**model.labels, "model": model.name, "policy": model.policy or ""}
    quoted = {name: quote(text, safe="") for name, text in fields.items()}
    return {
        name: fill(template, quoted)
        for name, template in templates.items()
        if {field for _, field in template_parts(template) if field is not None} <= quoted.keys()
    }
