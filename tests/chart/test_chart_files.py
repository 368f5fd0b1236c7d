"""What stands in two places says the same in both."""

import json
import re
import subprocess
import sys
import tomllib

import pytest
import yaml

from receiver import __version__
from tests.chart.rendering import CHART, HELMS, ROOT, of_kind, rendered

RULES = sorted((ROOT / "rules").glob("*.yaml"))
DASHBOARDS = sorted((ROOT / "dashboards").glob("*.json"))


def test_copies_and_the_table_of_values_are_fresh():
    """The chart's rules, dashboards and README are made from their sources: `make chart-files`."""
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "chart_files.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("which", HELMS)
def test_the_charts_rules_are_the_repositorys(which):
    """Prometheus' braces, numbers and blocks come through a Go template unchanged."""
    made = rendered(which, "--set", "prometheusRule.enabled=true")
    specs = [each["spec"] for each in of_kind(made, "PrometheusRule")]
    sources = [yaml.safe_load(path.read_text()) for path in RULES]

    assert sources
    assert specs == sources


def test_the_chart_names_files_that_are_there():
    """Comments and texts of the chart lead to files of the repository that are still there."""
    made = {CHART / "files"}
    texts = [
        path.read_text()
        for path in CHART.rglob("*")
        if path.is_file() and not made & {*path.parents}
    ]
    named = {
        name.rstrip(".")
        for text in texts
        for name in re.findall(r"\b(?:docs|examples|scripts|tests)/[\w./-]*\w", text)
    }

    assert "tests/chart/test_chart_files.py" in named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_an_alert_can_be_left_out():
    """Somebody has thresholds of their own."""
    (source,) = [path for path in RULES if path.stem == "model-quality"]
    made = rendered(
        *("helm4", "--set", "prometheusRule.enabled=true"),
        *("--set", "prometheusRule.disabledAlerts={LowModelR2}"),
    )
    (found,) = [
        each
        for each in of_kind(made, "PrometheusRule")
        if each["metadata"]["name"].endswith("model-quality")
    ]
    names = {rule["alert"] for group in found["spec"]["groups"] for rule in group["rules"]}
    of_source = re.findall(r"- alert: (\w+)", source.read_text())

    assert names == set(of_source) - {"LowModelR2"}


@pytest.mark.parametrize("which", HELMS)
def test_the_charts_dashboards_are_the_repositorys(which):
    """Grafana's sidecar finds each in a ConfigMap of its own."""
    made = rendered(which, "--set", "dashboards.enabled=true")
    maps = [
        each
        for each in of_kind(made, "ConfigMap")
        if each["metadata"]["labels"].get("grafana_dashboard") == "1"
    ]
    found = {name: json.loads(text) for each in maps for name, text in each["data"].items()}

    assert found == {path.name: json.loads(path.read_text()) for path in DASHBOARDS}


def test_package_chart_and_image_have_one_version():
    """The tag names all three."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    images = yaml.safe_load(chart["annotations"]["artifacthub.io/images"])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    readme = (CHART / "README.md").read_text()

    assert project["dynamic"] == ["version"]
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)
    assert [each["image"].rpartition(":")[2] for each in images] == [__version__]
    assert re.findall(r"--version (\S+)", readme) == [__version__]


def test_the_image_of_the_chart_is_the_one_that_is_released():
    """Values, annotation and release workflow name the same image."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    images = yaml.safe_load(chart["annotations"]["artifacthub.io/images"])
    workflow = yaml.safe_load((ROOT / ".github/workflows/release.yaml").read_text())

    assert values["image"]["repository"] == workflow["env"]["IMAGE"]
    assert images[0]["image"].startswith(workflow["env"]["IMAGE"] + ":")


def test_the_release_builds_what_the_dockerfile_has():
    """Stages by their names, and the version handed in: the Dockerfile has none of its own."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    image = yaml.safe_load(WORKFLOW)["jobs"]["image"]
    targets = {each["target"] for each in image["strategy"]["matrix"]["include"]}
    (build,) = [each for each in image["steps"] if "build-push-action" in each.get("uses", "")]
    handed_in = set(re.findall(r"^(\w+)=", build["with"]["build-args"], re.MULTILINE))
    known = set(re.findall(r"^ARG (\w+)", dockerfile, re.MULTILINE))

    assert targets <= set(re.findall(r"^FROM \S+ AS (\S+)", dockerfile, re.MULTILINE))
    assert handed_in == known == {"PYTHON_IMAGE", "VERSION", "REVISION"}
    assert re.findall(r"^ARG VERSION=(\S+)", dockerfile, re.MULTILINE) == ["0.0.0"]


WORKFLOW = (ROOT / ".github/workflows/release.yaml").read_text()


def test_every_action_of_the_release_is_pinned():
    """By commit: a tag can be moved."""
    used = re.findall(r"uses: (\S+)", WORKFLOW)

    assert used
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", each) for each in used)


def test_the_release_checks_its_tag_before_it_publishes():
    """No job that writes runs before the one that compares the tag."""
    jobs = yaml.safe_load(WORKFLOW)["jobs"]

    def before(name: str) -> set[str]:
        needs = jobs[name].get("needs", [])
        needs = [needs] if isinstance(needs, str) else needs
        return {*needs, *(each for need in needs for each in before(need))}

    writing = [name for name, job in jobs.items() if "write" in job["permissions"].values()]

    assert writing
    assert all("check" in before(name) for name in writing)
