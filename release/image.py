"""The image as one archive in OCI layout, which `scripts/image-oci` builds."""

import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

from release import Refused
from release.source import Source

VERSION_LABEL = "org.opencontainers.image.version"


def build_image(tree: Path, out: Path, version: str, source: Source) -> Path:
    """Build the image from this tree; takes minutes, and root."""
    archive = out / f"retrain-receiver-{version}-oci.tar"
    told = {"SOURCE_DATE_EPOCH": str(source.epoch), "REVISION": source.commit}
    command: list[str | Path] = [tree / "scripts" / "image-oci", version, archive]
    if subprocess.run(command, env=os.environ | told, check=False).returncode:  # noqa: S603
        raise Refused("the image was not built, see above; ARGS=--no-image leaves it out")
    check_image(archive, version)
    return archive


def check_image(archive: Path, version: str) -> None:
    """Refuse an archive whose image says that it is another version."""
    with tarfile.open(archive) as files:
        (manifest,) = _json(files, "index.json")["manifests"]
        config = _blob(files, _blob(files, manifest["digest"])["config"]["digest"])
    told = config["config"].get("Labels", {}).get(VERSION_LABEL)
    if told != version:
        raise Refused(f"{archive.name} holds an image of version {told}, not {version}")


def _blob(files: tarfile.TarFile, digest: str) -> dict[str, Any]:
    return _json(files, f"blobs/{digest.replace(':', '/')}")


def _json(files: tarfile.TarFile, name: str) -> dict[str, Any]:
    member = next(each for each in files.getmembers() if each.name.removeprefix("./") == name)
    file = files.extractfile(member)
    if file is None:
        raise Refused(f"{name} of the image is no file")
    found: dict[str, Any] = json.load(file)
    return found
