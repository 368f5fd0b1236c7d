"""The interpreter that has kfp and scikit-learn; a laptop without it skips, CI fails."""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "receiver" / "demo"
PYTHON = ROOT / ".venv-kfp" / "bin" / "python"

RUN = """
import json, sys
from kfp import components, local
local.init(local.SubprocessRunner(use_venv=False), pipeline_root=sys.argv[1], raise_on_error=True)
components.load_component_from_file(sys.argv[2])(**json.loads(sys.argv[3]))
"""


def need_kfp_environment():
    """Skip, or fail in CI, where the environment is missing."""
    if PYTHON.exists():
        return
    reason = "the pipeline's environment is missing; make .venv-kfp/.installed"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def kfp_python(*arguments):
    """Run something under that interpreter."""
    return subprocess.run(
        [PYTHON, "-P", *arguments],
        # Nothing may be installed or fetched while a pipeline runs.
        env={**os.environ, "PIP_NO_INDEX": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def prepare(workdir, *user_ids):
    """Write the demo's data and first models."""
    prepared = kfp_python(DEMO / "prepare.py", workdir, *user_ids)
    assert prepared.returncode == 0, prepared.stdout + prepared.stderr


def run_pipeline(workdir, **arguments):
    """Run the compiled pipeline on this machine."""
    given = json.dumps({"workdir": str(workdir), **arguments})
    return kfp_python("-c", RUN, workdir / "pipeline-root", DEMO / "retrain.yaml", given)
