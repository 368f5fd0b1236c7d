"""Writes the demo's data and its first models; runs under the interpreter that has scikit-learn.

    python prepare.py WORKDIR USER_ID...

The data is scikit-learn's breast cancer set: measured outlines of cell nuclei. The models estimate
one measure that is costly to take by hand (how concave the outlines' dents are in number) from
eight simple ones. Columns are standardised with the first half's mean and deviation, so that an
MAE reads in standard deviations of the target.
"""

import csv
import json
import sys
from pathlib import Path
from typing import Any

from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import Ridge
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

TARGET = "concave_points"
LEFT_OUT = "perimeter"
"""The radius once more: the two would share one coefficient arbitrarily."""


def prepare(workdir: Path, user_ids: list[str]) -> None:
    """Write `live.csv` and, for each user, `served/USER_ID.json`."""
    columns, measured = measured_outlines()
    target = columns.index(TARGET)
    history, live, _, row_ids = train_test_split(
        measured, range(len(measured)), test_size=0.5, random_state=8
    )
    scaler = StandardScaler().fit(history)
    history, live = scaler.transform(history), scaler.transform(live)

    workdir.mkdir(parents=True, exist_ok=True)
    with (workdir / "live.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["row_id", *columns])
        for row_id, row in zip(row_ids, live, strict=True):
            rows.writerow([row_id, *(f"{value:.6f}" for value in row)])

    features = [i for i in range(len(columns)) if i != target]
    ridge = Ridge(alpha=1.0).fit(history[:, features], history[:, target])
    model = {
        "features": [columns[i] for i in features],
        "coefficients": ridge.coef_.tolist(),
        "intercept": float(ridge.intercept_),
        "trained_on": len(history),
        "dispatch_id": "",
    }
    (workdir / "served").mkdir(exist_ok=True)
    for user_id in user_ids:
        artefact = json.dumps({"user_id": user_id, **model}, indent=2)
        (workdir / "served" / f"{user_id}.json").write_text(artefact + "\n")


def measured_outlines() -> tuple[list[str], Any]:
    """The columns that are means over a sample's nuclei, and their values."""
    outlines = load_breast_cancer()
    columns = {
        str(name).removeprefix("mean ").replace(" ", "_"): i
        for i, name in enumerate(outlines.feature_names)
        if str(name).startswith("mean ")
    }
    del columns[LEFT_OUT]
    return list(columns), outlines.data[:, list(columns.values())]


if __name__ == "__main__":
    prepare(Path(sys.argv[1]), sys.argv[2:])
