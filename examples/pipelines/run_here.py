"""Runs `retrain.yaml` on this machine as a step of a workflow; needs the kfp SDK.

What the run is told comes in environment variables, never in a command line: USER_ID, DRIFT_SCORE
and DISPATCH_ID by the workflow, MODELS_DIR and SERVING_NAMESPACE by the runner. What it reports
goes to GITHUB_OUTPUT as `report`.
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
