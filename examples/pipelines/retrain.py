"""Retrains one model: train, evaluate, deploy if it is better, and report.

Needs the kfp SDK and kfp-kubernetes. After a change, compile it again; a test compares the two:

    .venv-kfp/bin/python examples/pipelines/retrain.py

The components are lightweight: each carries its own source, so their imports stand inside.
"""

# Imports inside components; a component's arguments are its inputs and outputs.
# ruff: noqa: PLC0415, PLR0917

import sys
from pathlib import Path
from typing import NamedTuple

from kfp import compiler, dsl, kubernetes
from kfp.dsl import Artifact, Dataset, Input, Metrics, Model, Output

COMPILED = Path(__file__).with_suffix(".yaml")

# The image of the Dockerfile beside this; on a laptop the interpreter that runs it has what is in
# it. Nothing is installed at run time.
component = dsl.component(
    base_image="ghcr.io/retrain-receiver/example-retrain:0.2.0", install_kfp_package=False
)

CLAIM, MOUNTED_AT, NOBODY = "models", "/mnt/models", 65532
"""The claim with models/ and logs/ in the runs' namespace; the user that it is written by."""


@component
def train(
    user_id: str,
    workdir: str,
    n_estimators: int,
    max_depth: int,
    challenger: Output[Model],
    held_out: Output[Dataset],
) -> None:
    """Fit a challenger on the newest requests whose truth is known; hold out every third.

    With `n_estimators` it is a forest of so many trees, else a linear model.
    """
    import json
    import re
    from pathlib import Path

    import joblib
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.linear_model import Ridge

    newest, least = 600, 90
    if re.fullmatch(r"[a-z0-9-]{1,40}", user_id) is None:
        raise ValueError(f"{user_id!r} is no name of a model")
    # Each pod that serves has a folder of its own; the older file, `.1`, comes first.
    logs = sorted((Path(workdir) / "logs").rglob(f"{user_id}.jsonl*"), reverse=True)
    asked, sold = {}, []
    for file in logs:
        for line in file.read_bytes().splitlines(keepends=True):
            if not line.endswith(b"\n"):
                continue  # it is being written
            entry = json.loads(line)
            if entry.get("status") == "ok":
                asked[entry["id"]] = entry["instances"]
            elif "actual" in entry and entry["id"] in asked:
                rows = zip(asked.pop(entry["id"]), entry["actual"], strict=False)
                sold += [(entry["at"], row, actual) for row, actual in rows]
    sold = [(row, actual) for _, row, actual in sorted(sold)[-newest:]]
    if len(sold) < least:
        raise ValueError(f"{len(sold)} predictions of {user_id} came true; {least} are needed")
    seen = [pair for number, pair in enumerate(sold) if number % 3]
    unseen = sold[::3]

    model = Ridge(alpha=1.0)
    if n_estimators:
        model = RandomForestRegressor(n_estimators, max_depth=max_depth or None, random_state=0)
    fitted = model.fit([row for row, _ in seen], [actual for _, actual in seen])
    with Path(challenger.path).open("wb") as file:
        joblib.dump(fitted, file)
    challenger.metadata["framework"] = "scikit-learn"
    challenger.metadata["trained_on"] = len(seen)
    Path(held_out.path).write_text(json.dumps(unseen))


@component
def evaluate(
    user_id: str,
    workdir: str,
    dispatch_id: str,
    mlflow_uri: str,
    run_name: str,
    challenger: Input[Model],
    held_out: Input[Dataset],
    evaluation: Output[Artifact],
    metrics: Output[Metrics],
) -> None:
    """Compare the challenger with the served model on what the challenger never saw."""
    import json
    import os
    from pathlib import Path

    import joblib
    from sklearn.metrics import mean_absolute_error, r2_score

    pairs = json.loads(Path(held_out.path).read_text())
    rows, actual = [row for row, _ in pairs], [value for _, value in pairs]
    served = Path(workdir) / "models" / user_id / "model.joblib"

    scores = {}
    for name, file in (("champion", served), ("challenger", Path(challenger.path))):
        if not file.exists():
            continue
        predicted = joblib.load(file).predict(rows)
        scores[name] = {
            "mae": float(mean_absolute_error(actual, predicted)),
            "r2": float(r2_score(actual, predicted)),
        }
        metrics.log_metric(f"{name}_mae", scores[name]["mae"])
        metrics.log_metric(f"{name}_r2", scores[name]["r2"])
    Path(evaluation.path).write_text(json.dumps(scores))

    if mlflow_uri:
        # MLflow wants to be asked twice for a folder, which is enough for a laptop.
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        import mlflow

        mlflow.set_tracking_uri(mlflow_uri)
        mlflow.set_experiment(f"retrain-{user_id}")
        with mlflow.start_run(run_name=run_name or dispatch_id or None):
            mlflow.set_tag("dispatch_id", dispatch_id)
            for name, score in scores.items():
                mlflow.log_metrics({f"{name}_{key}": value for key, value in score.items()})


@component
def is_better(evaluation: Input[Artifact]) -> bool:
    """Say whether the challenger should be served: by 2 % at least, which chance seldom gives."""
    import json
    from pathlib import Path

    scores = json.loads(Path(evaluation.path).read_text())
    champion, challenger = scores.get("champion"), scores["challenger"]
    better = champion is None or challenger["mae"] < 0.98 * champion["mae"]
    # The run's log is where a human looks first.
    print(f"champion {champion}, challenger {challenger}: {'deploy' if better else 'keep'}")
    return better


@component
def deploy(
    user_id: str,
    drift_score: float,
    dispatch_id: str,
    workdir: str,
    serving_namespace: str,
    challenger: Input[Model],
    evaluation: Input[Artifact],
) -> None:
    """Serve the challenger: swap the file, and on a cluster roll the InferenceService over."""
    import json
    import shutil
    from pathlib import Path

    folder = Path(workdir) / "models" / user_id
    folder.mkdir(parents=True, exist_ok=True)
    # Whoever loads it finds the old model or the new one, whole. The old one can be gone back to.
    scratch, served = folder / "model.writing", folder / "model.joblib"
    if served.exists():
        shutil.copyfile(served, scratch)
        scratch.replace(folder / "model.previous.joblib")
    shutil.copyfile(challenger.path, scratch)
    scratch.replace(served)
    origin = {
        "dispatch_id": dispatch_id,
        "drift_score": drift_score,
        "evaluation": json.loads(Path(evaluation.path).read_text()),
    }
    (folder / "origin.json").write_text(json.dumps(origin, indent=2) + "\n")

    if serving_namespace:
        from kubernetes import client, config

        config.load_config()
        client.CustomObjectsApi().patch_namespaced_custom_object(
            "serving.kserve.io",
            "v1beta1",
            serving_namespace,
            "inferenceservices",
            user_id,
            {"spec": {"predictor": {"annotations": {"retrain-dispatch-id": dispatch_id}}}},
        )


@component
def tell(evaluation: Input[Artifact], better: bool) -> str:
    """Put into one line what the run made, for whoever ordered it."""
    import json
    from pathlib import Path

    scores = json.loads(Path(evaluation.path).read_text())
    champion, challenger = scores.get("champion"), scores["challenger"]
    line = f"{'promoted' if better else 'rejected'} "
    line += f"mae={challenger['mae']:.4f} r2={challenger['r2']:.4f}"
    return line if champion is None else f"{line} champion_mae={champion['mae']:.4f}"


# KFP's API shows the names of tasks and no outputs: these two are what it can tell of the run.
@component
def retrain_verdict_promoted() -> None:
    """The new model is served now."""


@component
def retrain_verdict_rejected() -> None:
    """It was no better: the old one stays."""


class Outputs(NamedTuple):
    """What a local run gives back."""

    retrain_verdict: str


@dsl.pipeline(name="retrain", description="Train, evaluate, deploy if better, report.")
def retrain(
    user_id: str,
    drift_score: float = 0.0,
    dispatch_id: str = "",
    workdir: str = MOUNTED_AT,
    serving_namespace: str = "",
    mlflow_uri: str = "",
    run_name: str = "",
    n_estimators: int = 0,
    max_depth: int = 0,
) -> Outputs:
    """One retraining of one model.

    The receiver leaves out a number that it does not have, so `drift_score` has a default.
    """
    trained = train(
        user_id=user_id, workdir=workdir, n_estimators=n_estimators, max_depth=max_depth
    )
    evaluated = evaluate(
        user_id=user_id,
        workdir=workdir,
        dispatch_id=dispatch_id,
        mlflow_uri=mlflow_uri,
        run_name=run_name,
        challenger=trained.outputs["challenger"],
        held_out=trained.outputs["held_out"],
    )
    # A component with this one output: kfp.local takes a condition on a named output for false.
    gate = is_better(evaluation=evaluated.outputs["evaluation"])
    told = tell(evaluation=evaluated.outputs["evaluation"], better=gate.output)
    with dsl.If(gate.output == True, name="better"):  # noqa: E712 - builds a condition
        deployed = deploy(
            user_id=user_id,
            drift_score=drift_score,
            dispatch_id=dispatch_id,
            workdir=workdir,
            serving_namespace=serving_namespace,
            challenger=trained.outputs["challenger"],
            evaluation=evaluated.outputs["evaluation"],
        )
        promoted = retrain_verdict_promoted().after(deployed)
    with dsl.Else(name="no-better"):
        rejected = retrain_verdict_rejected()
    for task in (trained, evaluated, gate, told, deployed, promoted, rejected):
        # Same arguments, other data: what is recent lies in `workdir`.
        task.set_caching_options(enable_caching=False)
        # A namespace that demands restricted pods wants it said, and not only in the image.
        kubernetes.set_security_context(
            task, run_as_user=NOBODY, run_as_group=NOBODY, run_as_non_root=True
        )
    for task in (trained, evaluated, deployed):
        kubernetes.mount_pvc(task, pvc_name=CLAIM, mount_path=MOUNTED_AT)
    return Outputs(told.output)


if __name__ == "__main__":
    out = Path(sys.argv[1]) if sys.argv[1:] else COMPILED
    compiler.Compiler().compile(retrain, str(out))
