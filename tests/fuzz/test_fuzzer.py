"""The coverage-guided fuzzer, for a moment: `make fuzz` lets it work."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.fuzz.seeds import LONGEST, sow

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-fuzz/bin/python"


@pytest.fixture
def python():
    if not PYTHON.exists():
        reason = "no fuzzer: make .venv-fuzz/.installed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return PYTHON


def test_no_body_surprises_the_parser_and_the_ladder(python, tmp_path):
    """Mutated notifications are refused or decided, stored and shown; nothing else is raised."""
    sow(tmp_path / "seeds")

    ended = subprocess.run(
        [
            *(python, "-m", "tests.fuzz.notifications", "-seed=1", "-runs=3000"),
            "-reload=0",  # or it runs what it finds in the folder again after a second
            *(f"-max_len={LONGEST}", f"-artifact_prefix={tmp_path}/", str(tmp_path / "seeds")),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr[-3000:]
    assert "Done 3000 runs" in ended.stderr
