"""What can be said of the image without building it; `make image` builds and runs it."""

import re
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
TEXT = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
LINES = [line for line in TEXT.splitlines() if line and not line.startswith("#")]


def said(word):
    """What follows this instruction, wherever it stands."""
    return [line.partition(" ")[2].strip() for line in LINES if line.startswith(f"{word} ")]


STAGES = {stage: base for base, stage in (line.split(" AS ") for line in said("FROM"))}


def test_hadolint_has_nothing_to_say():
    """Pinned versions, exec forms, no shell surprises."""
    hadolint = Path(sys.executable).parent / "hadolint"

    linted = subprocess.run(
        [hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )

    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_every_stage_begins_at_the_base_that_can_be_pinned():
    """A release pins one digest, and nothing else comes from outside."""
    assert said("ARG")[0].startswith("PYTHON_IMAGE=docker.io/library/python:")
    for base in STAGES.values():
        assert base == "${PYTHON_IMAGE}" or base in STAGES


def test_the_last_stage_is_the_service():
    """It is what is built without `--target`, and what compose asks for by name."""
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"].values()
    targets = {service["build"]["target"] for service in services if "build" in service}

    assert list(STAGES)[-1] == "receiver"
    assert targets == {"receiver"}
    assert "kfp-local" in STAGES


def test_the_context_holds_what_is_copied_and_nothing_else():
    """Secrets and databases beside the Dockerfile can't slip into a layer."""
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in ignored if line and not line.startswith("#")]
    copied = {
        source.partition("/")[0]
        for line in said("COPY")
        if not line.startswith("--from")
        for source in line.split()[:-1]
    }

    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied
    assert all((ROOT / name).exists() for name in copied)


def test_only_locked_packages_are_installed():
    """Whatever pip gets is checked against its hash; the rest comes from what it got."""
    for line in said("RUN"):
        for step in line.split(" && "):
            if " install " in step or " wheel " in step:
                from_here = "--no-index" in step or step.split()[-1] == "."
                assert "--require-hashes" in step or from_here, step


def test_it_runs_as_nobody_and_hears_signals():
    """Numbers, so that Kubernetes can tell that it is not root; no shell in between."""
    assert said("USER")[-1] == "65532:65532"
    assert said("USER")[0] == "65532:65532"
    assert said("STOPSIGNAL") == ["SIGTERM"]
    assert said("ENTRYPOINT") == ['["/opt/venv/bin/retrain-receiver"]']
