"""The artefact that the pipeline deploys and the model server predicts with: a linear model."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A linear model, as `served/USER_ID.json` holds it.

    Attributes:
        coefficients: By feature.
        dispatch_id: Which dispatch's run trained it; empty for the first one.

    """

    coefficients: Mapping[str, float]
    intercept: float
    dispatch_id: str = ""

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read an artefact."""
        artefact = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            coefficients=dict(zip(artefact["features"], artefact["coefficients"], strict=True)),
            intercept=float(artefact["intercept"]),
            dispatch_id=str(artefact["dispatch_id"]),
        )

    def predict(self, observed: Mapping[str, float]) -> float:
        """Estimate the target of one observation."""
        return self.intercept + sum(
            weight * observed[feature] for feature, weight in self.coefficients.items()
        )
