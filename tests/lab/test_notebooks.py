"""examples/notebooks: both parts of the lab run from their first cell to their last."""

import json
import os
import subprocess

import pytest

from tests.demo.kfp_environment import need_kfp_environment
from tests.e2e.alerting import program
from tests.lab.shop import EXAMPLES
from tests.lab.test_drift_detector import environment

NOTEBOOKS = sorted((EXAMPLES / "notebooks").glob("*.ipynb"))


def cells(notebook, kind):
    return [
        each for each in json.loads(notebook.read_text())["cells"] if each["cell_type"] == kind
    ]


def test_there_are_two_parts():
    """What the README of the folder names."""
    readme = (EXAMPLES / "notebooks" / "README.md").read_text()

    assert len(NOTEBOOKS) == 2
    assert all(f"({each.name})" in readme for each in NOTEBOOKS)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_no_output_is_stored(notebook):
    """Outputs change at each run, and hold addresses and paths of whoever ran it."""
    stored = [(each["outputs"], each["execution_count"]) for each in cells(notebook, "code")]

    assert stored == [([], None)] * len(stored)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_every_cell_runs(notebook):
    """Its assertions are what it promises: one that fails ends the notebook with an error."""
    need_kfp_environment()
    program("prometheus")
    program("prometheus-alertmanager", "alertmanager")
    jupyter = environment("notebooks").with_name("jupyter-execute")
    ran = subprocess.run(
        [jupyter, notebook],
        env={**os.environ, "PYDEVD_DISABLE_FILE_VALIDATION": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
