"""The demo's retraining pipeline: train, evaluate, deploy if better.

Needs the kfp SDK (`.venv-kfp`). After a change, compile it again; a test compares the two:

    .venv-kfp/bin/python receiver/demo/pipeline.py

The components are lightweight: each carries its own source, so their imports stand inside.
"""

# Imports inside components; a component's arguments are its inputs and outputs.
# ruff: noqa: PLC0415, PLR0917
# The service's environment has no kfp: there mypy sees its decorators and paths untyped.
# mypy: disable-error-code="untyped-decorator, valid-type"

import sys
from pathlib import Path
from typing import NamedTuple

from kfp import compiler, dsl
from kfp.dsl import Artifact, Dataset, Input, Metrics, Model, Output

COMPILED = Path(__file__).with_name("retrain.yaml")

# The interpreter that runs it has kfp and scikit-learn: nothing is installed at run time.
component = dsl.component(base_image="python:3.11", install_kfp_package=False)


@component
def train(
    user_id: str, workdir: str, challenger: Output[Model], held_out: Output[Dataset]
) -> None:
    """Fit a challenger on two thirds of the recent samples; hold out the rest."""
    import csv
    import json
    import re
    from pathlib import Path

    from sklearn.linear_model import Ridge

    if re.fullmatch(r"[a-z0-9-]{1,40}", user_id) is None:
        raise ValueError(f"{user_id!r} is no user_id of the demo")
    target = "concave_points"
    with (Path(workdir) / "recent" / f"{user_id}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    # By sample, not by row: a sample that came twice must not stand on both sides.
    unseen = [row for row in rows if int(float(row["row_id"])) % 3 == 0]
    seen = [row for row in rows if int(float(row["row_id"])) % 3 != 0]

    features = [name for name in rows[0] if name not in ("row_id", target)]
    ridge = Ridge(alpha=1.0).fit(
        [[float(row[name]) for name in features] for row in seen],
        [float(row[target]) for row in seen],
    )
    fitted = {
        "user_id": user_id,
        "features": features,
        "coefficients": ridge.coef_.tolist(),
        "intercept": float(ridge.intercept_),
        "trained_on": len(seen),
    }
    Path(challenger.path).write_text(json.dumps(fitted))
    challenger.metadata["framework"] = "scikit-learn"
    with Path(held_out.path).open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(unseen)


@component
def evaluate(
    user_id: str,
    workdir: str,
    challenger: Input[Model],
    held_out: Input[Dataset],
    evaluation: Output[Artifact],
    metrics: Output[Metrics],
    report: dsl.OutputPath(str),
) -> None:
    """Compare the challenger with the served model on samples that the challenger never saw.

    `report` is what the run says of itself: the receiver's docs/policies.md has its form.
    """
    import csv
    import json
    from pathlib import Path

    from sklearn.metrics import mean_absolute_error, r2_score

    with Path(held_out.path).open(newline="") as file:
        rows = list(csv.DictReader(file))
    actual = [float(row["concave_points"]) for row in rows]
    served = Path(workdir) / "served" / f"{user_id}.json"

    scores = {}
    for name, artefact in (("champion", served), ("challenger", Path(challenger.path))):
        if not artefact.exists():
            continue
        model = json.loads(artefact.read_text())
        weights = list(zip(model["features"], model["coefficients"], strict=True))
        predicted = [
            model["intercept"] + sum(weight * float(row[feature]) for feature, weight in weights)
            for row in rows
        ]
        scores[name] = {
            "mae": float(mean_absolute_error(actual, predicted)),
            "r2": float(r2_score(actual, predicted)),
        }
        metrics.log_metric(f"{name}_mae", scores[name]["mae"])
        metrics.log_metric(f"{name}_r2", scores[name]["r2"])
    Path(evaluation.path).write_text(json.dumps(scores))

    champion, challenger = scores.get("champion"), scores["challenger"]
    better = champion is None or challenger["mae"] < champion["mae"]
    words = ["promoted" if better else "rejected"]
    words += [f"{name}={challenger[name]:.4g}" for name in ("mae", "r2")]
    if champion is not None:
        words.append(f"champion_mae={champion['mae']:.4g}")
    Path(report).parent.mkdir(parents=True, exist_ok=True)
    Path(report).write_text(" ".join(words))


@component
def is_better(report: str) -> bool:
    """Say whether the challenger should be served."""
    # The run's log is where a human looks first.
    print(report)  # noqa: T201
    return report.split(maxsplit=1)[0] == "promoted"


@component
def deploy(
    user_id: str,
    drift_score: float,
    dispatch_id: str,
    workdir: str,
    challenger: Input[Model],
    evaluation: Input[Artifact],
) -> None:
    """Serve the challenger. The model server sees the old artefact or the new one, whole."""
    import json
    from pathlib import Path

    artefact = {
        **json.loads(Path(challenger.path).read_text()),
        "dispatch_id": dispatch_id,
        "drift_score": drift_score,
        "evaluation": json.loads(Path(evaluation.path).read_text()),
    }
    served = Path(workdir) / "served" / f"{user_id}.json"
    served.parent.mkdir(parents=True, exist_ok=True)
    scratch = served.with_suffix(".writing")
    scratch.write_text(json.dumps(artefact, indent=2) + "\n")
    scratch.replace(served)


class Reported(NamedTuple):
    """The pipeline's outputs: where the receiver looks for what a local run reports."""

    retrain_verdict: str


@dsl.pipeline(name="retrain", description="Train, evaluate, deploy if better.")
def retrain(
    user_id: str, workdir: str, drift_score: float = 0.0, dispatch_id: str = ""
) -> Reported:
    """One retraining of one model, which says whether the new one is served.

    The receiver leaves out a number that it does not have, so `drift_score` has a default.
    """
    trained = train(user_id=user_id, workdir=workdir)
    evaluated = evaluate(
        user_id=user_id,
        workdir=workdir,
        challenger=trained.outputs["challenger"],
        held_out=trained.outputs["held_out"],
    )
    # A component with this one output: kfp.local takes a condition on a named output for false.
    gate = is_better(report=evaluated.outputs["report"])
    with dsl.If(gate.output == True, name="better"):  # noqa: E712 - builds a condition
        deployed = deploy(
            user_id=user_id,
            drift_score=drift_score,
            dispatch_id=dispatch_id,
            workdir=workdir,
            challenger=trained.outputs["challenger"],
            evaluation=evaluated.outputs["evaluation"],
        )
    for task in (trained, evaluated, gate, deployed):
        # Same arguments, other data: what is recent lies in `workdir`.
        task.set_caching_options(enable_caching=False)
    return Reported(retrain_verdict=evaluated.outputs["report"])


if __name__ == "__main__":
    out = Path(sys.argv[1]) if sys.argv[1:] else COMPILED
    compiler.Compiler().compile(retrain, str(out))
