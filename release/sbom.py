"""What is in wheel and image: bills of materials (CycloneDX), by cyclonedx-py and syft."""

import json
import os
import subprocess
from pathlib import Path

from release import Refused

NAME = "retrain-receiver"


def of_environment(tools: Path, python: Path, tree: Path, out: Path, version: str) -> Path:
    """List what an environment with the wheel holds: versions, licences, who needs whom."""
    bill = out / f"retrain-receiver-{version}.cdx.json"
    _run(
        tools / "cyclonedx-py",
        *("environment", "--output-reproducible", "--pyproject", tree / "pyproject.toml"),
        *("--mc-type", "application", "--output-file", bill, python),
    )
    # The version is no text in pyproject.toml, so the tool does not find it there.
    told = json.loads(bill.read_text())
    told["metadata"]["component"]["version"] = version
    bill.write_text(json.dumps(told, indent=2) + "\n")
    check(bill, version)
    return bill


def of_image(tools: Path, archive: Path, version: str) -> Path:
    """List what the image holds, Debian's packages too."""
    bill = archive.with_suffix(".cdx.json")
    _run(
        tools / "syft",
        *("scan", f"oci-archive:{archive}", "--quiet", "--output", f"cyclonedx-json={bill}"),
        # In place of the archive's path on this machine.
        *("--source-name", NAME, "--source-version", version),
        # It asks whether there is a newer one of itself otherwise.
        settings={"SYFT_CHECK_FOR_APP_UPDATE": "false"},
    )
    check(bill, version)
    return bill


def check(bill: Path, version: str) -> None:
    """Refuse a bill that is about something else, or that lists nothing."""
    told = json.loads(bill.read_text())
    about = told.get("metadata", {}).get("component", {})
    said = (told.get("bomFormat"), about.get("name"), about.get("version"))
    if said != ("CycloneDX", NAME, version):
        raise Refused(f"{bill.name} is {said}, no bill of materials of {NAME} {version}")
    if "uvicorn" not in {each.get("name") for each in told.get("components", [])}:
        raise Refused(f"{bill.name} does not list what {NAME} needs")


def _run(tool: Path, *arguments: str | Path, settings: dict[str, str] | None = None) -> None:
    if not tool.exists():
        raise Refused(f"{tool.name} is missing: `make .tools/release/.installed`")
    ran = subprocess.run(  # noqa: S603
        [tool, *arguments],
        env=os.environ | (settings or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise Refused(f"{tool.name} failed: {ran.stderr.strip()[-400:]}")
