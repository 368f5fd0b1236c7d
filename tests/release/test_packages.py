"""Wheel, source distribution, chart and image are of one commit and one version."""

import io
import json
import tarfile

import pytest
import yaml

from receiver import __version__
from release import Refused, packages, source
from release.image import VERSION_LABEL, check_image
from tests.chart.rendering import helm, tool
from tests.processes import ROOT


def built(folder):
    """Everything that takes no root and no network, from a copy of its own."""
    tree, out, commit = folder / "tree", folder / "out", source.head(ROOT)
    tree.mkdir(parents=True)
    source.export(ROOT, commit, tree)
    wheel = packages.build_python(tree, out, commit.epoch)
    packages.build_chart(tool("helm4"), tree, out)
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return built(tmp_path_factory.mktemp("release"))


def test_two_builds_of_one_commit_are_the_same_bytes(wheel, tmp_path):
    """Whoever builds it again can compare the sums."""
    again = built(tmp_path).parent
    first = {path.name: path.read_bytes() for path in wheel.parent.iterdir()}

    assert sorted(first) == [
        f"retrain-receiver-{__version__}.tgz",
        f"retrain_receiver-{__version__}-py3-none-any.whl",
        f"retrain_receiver-{__version__}.tar.gz",
    ]
    assert first == {path.name: path.read_bytes() for path in again.iterdir()}


def test_the_wheel_works_in_an_empty_environment(wheel, tmp_path):
    """Its command tells the version; another version is refused."""
    python = packages.install_beside(wheel, tmp_path / "venv")
    packages.check_installed(python, __version__)

    with pytest.raises(Refused, match=r"not 9\.9\.9"):
        packages.check_installed(python, "9.9.9")


def test_helm_takes_the_chart(wheel):
    """As the archive that is published, not as the folder."""
    chart = wheel.parent / f"retrain-receiver-{__version__}.tgz"
    shown = helm("helm4", "show", "chart", chart)
    rendered = helm("helm3", "template", "retrain", chart)

    assert yaml.safe_load(shown.out)["version"] == __version__
    assert rendered.code == 0, rendered.err


def test_an_image_of_another_version_is_refused(tmp_path):
    """By the label in its configuration, wherever it was built."""
    archive = tmp_path / "image.tar"
    files = {
        "index.json": {"manifests": [{"digest": "sha256:m"}]},
        "blobs/sha256/m": {"config": {"digest": "sha256:c"}},
        "blobs/sha256/c": {"config": {"Labels": {VERSION_LABEL: "1.2.3"}}},
    }
    with tarfile.open(archive, "w") as packed:
        for name, content in files.items():
            text = json.dumps(content).encode()
            member = tarfile.TarInfo(name)
            member.size = len(text)
            packed.addfile(member, io.BytesIO(text))

    check_image(archive, "1.2.3")
    with pytest.raises(Refused, match=r"an image of version 1\.2\.3, not 1\.2\.4"):
        check_image(archive, "1.2.4")
