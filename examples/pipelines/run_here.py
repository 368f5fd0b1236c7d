"""Runs `retrain.yaml` on this machine as a step of a workflow; needs the kfp SDK.

What the run is told comes in environment variables, never in a command line: USER_ID, DRIFT_SCORE
and DISPATCH_ID by the workflow, MODELS_DIR, SERVING_NAMESPACE and MLFLOW_URI by the runner. Who
trains by hand may set N_ESTIMATORS, MAX_DEPTH and RUN_NAME. What it reports goes to GITHUB_OUTPUT
as `report`.
"""

import os
import sys
import tempfile
from pathlib import Path

from kfp import components, local

COMPILED = Path(__file__).with_name("retrain.yaml")


def main() -> None:
    """Run it, and report."""
    told = {
        "user_id": os.environ["USER_ID"],
        "dispatch_id": os.environ["DISPATCH_ID"],
        "workdir": os.environ.get("MODELS_DIR", "/mnt/models"),
        "serving_namespace": os.environ.get("SERVING_NAMESPACE", ""),
        "mlflow_uri": os.environ.get("MLFLOW_URI", ""),
        "run_name": os.environ.get("RUN_NAME", ""),
        "n_estimators": int(os.environ.get("N_ESTIMATORS") or 0),
        "max_depth": int(os.environ.get("MAX_DEPTH") or 0),
    }
    # The receiver leaves out a number that it does not have.
    score = os.environ.get("DRIFT_SCORE", "")
    with tempfile.TemporaryDirectory() as root:
        runner = local.SubprocessRunner(use_venv=False)
        local.init(runner=runner, pipeline_root=root, raise_on_error=True)
        pipeline = components.load_component_from_file(str(COMPILED))
        report = pipeline(**told, drift_score=float(score or 0)).outputs["retrain_verdict"]
    if "\n" in report:
        sys.exit("a report is one line")
    if "GITHUB_OUTPUT" in os.environ:
        with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as output:
            output.write(f"report={report}\n")
    print(report)


if __name__ == "__main__":
    main()
