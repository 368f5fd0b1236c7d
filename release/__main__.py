"""`make release VERSION=1.2.3`: builds, checks and signs what is published, in dist/1.2.3/.

`--dry-run` does the same with HEAD and a key that is thrown away, and leaves the image out: it
says before the tag what would be refused.
"""

import argparse
import re
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from release import Refused, image, notes, packages, sbom, signing, source, versions

ROOT = Path(__file__).resolve().parent.parent
PUBLIC_KEY = ROOT / "release" / "minisign.pub"
TOOLS = ROOT / ".tools"


@dataclass(frozen=True)
class Order:
    """What is to be released, and how.

    Attributes:
        tree: A clean copy of the commit's files.
        key: The secret key, and the public one that must fit it.
        reports: What `make faults` and `make simulate` wrote with `--report`.

    """

    version: str
    source: source.Source
    tree: Path
    out: Path
    key: tuple[Path, Path]
    with_image: bool
    reports: list[str]
    dry_run: bool = False


def main() -> int:
    """Run the command. 1 if there is no release of this."""
    asked = arguments()
    try:
        with ExitStack() as stack:
            order = dry_order(asked, stack) if asked.dry_run else signed_order(asked, stack)
            release(order)
    except Refused as refused:
        say(f"no release: {refused}")
        return 1
    return 0


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m release", description=__doc__)
    parser.add_argument("--version", help="its tag is vVERSION; without it the tag at HEAD")
    parser.add_argument("--dry-run", action="store_true", help="HEAD, tagged or not")
    parser.add_argument(
        "--image",
        action=argparse.BooleanOptionalAction,
        help="build the image, which takes minutes and root; a dry run does not unless told to",
    )
    parser.add_argument("--key", type=Path, default=Path.home() / ".minisign" / "minisign.key")
    parser.add_argument("--faults", type=Path, action="append", default=[], metavar="REPORT")
    parser.add_argument("--out", type=Path, help="an empty folder, dist/VERSION without it")
    return parser.parse_args()


def signed_order(asked: argparse.Namespace, stack: ExitStack) -> Order:
    """Release a tag: nothing that lies about gets in, and the public key is a committed one."""
    commit, version = source.tagged(ROOT, asked.version)
    if not PUBLIC_KEY.exists():
        raise Refused(
            "release/minisign.pub is missing: make a key with `minisign -G -p "
            "release/minisign.pub`, commit that file, and tag again"
        )
    signing.program()
    out = asked.out or ROOT / "dist" / version
    tree = exported(commit, stack)
    key = (asked.key, PUBLIC_KEY)
    return Order(version, commit, tree, out, key, asked.image is not False, texts(asked))


def dry_order(asked: argparse.Namespace, stack: ExitStack) -> Order:
    """Try a release of HEAD, as the version that it says it is."""
    try:
        source.tagged(ROOT, asked.version)
    except Refused as refused:
        say(f"dry run; a release would be refused: {refused}")
    scratch = Path(stack.enter_context(TemporaryDirectory()))
    commit = source.head(ROOT)
    tree = exported(commit, stack)
    key = signing.throwaway_key(scratch)
    out = asked.out or scratch / "out"
    version = asked.version or version_of(tree)
    return Order(
        version, commit, tree, out, key, asked.image is True, reports=texts(asked), dry_run=True
    )


def exported(commit: source.Source, stack: ExitStack) -> Path:
    """Write the commit's files somewhere for as long as the stack stands."""
    tree = Path(stack.enter_context(TemporaryDirectory()))
    source.export(ROOT, commit, tree)
    return tree


def version_of(tree: Path) -> str:
    """Read which version a tree says it is."""
    told = re.search(versions.VERSION, (tree / "receiver" / "__init__.py").read_text())
    if told is None:
        raise Refused("receiver/__init__.py names no version")
    return told["version"]


def texts(asked: argparse.Namespace) -> list[str]:
    """Read the reports of faults."""
    return [path.read_text() for path in asked.faults]


def release(order: Order) -> None:
    """Check first, for that takes a second; then build, and sign last."""
    out, tree, version = order.out, order.tree, order.version
    versions.check(tree, version)
    changelog = (tree / notes.CHANGELOG).read_text()
    changes = notes.section(changelog, version, going_on=order.dry_run)
    guarantees = (tree / notes.GUARANTEES).read_text()
    faults = notes.fault_report(guarantees, version, order.source.commit, order.reports)
    if out.exists() and any(out.iterdir()):
        raise Refused(f"{out} is not empty: remove it, or name another with --out")
    out.mkdir(parents=True, exist_ok=True)
    say(f"version {version} at {order.source.commit[:12]}: every place that names it agrees")

    wheel = packages.build_python(tree, out, order.source.epoch)
    packages.build_chart(TOOLS / "helm4", tree, out)
    say("built wheel, source distribution and chart")
    with TemporaryDirectory() as empty:
        lock = tree / "requirements" / "runtime.txt"
        python = packages.install(wheel, lock, Path(empty))
        packages.check_installed(python, version)
        say("the wheel works in an empty environment with the locked versions")
        sbom.of_environment(TOOLS / "release" / "bin", python, tree, out, version)
    if order.with_image:
        archive = image.build_image(tree, out, version, order.source)
        sbom.of_image(TOOLS / "release" / "bin", archive, version)
        say("built the image")
    (out / "FAULTS.md").write_text(f"{faults}\n")
    (out / "NOTES.md").write_text(notes.release_notes(version, changes, sorted(out.iterdir())))
    seal(order)


def seal(order: Order) -> None:
    """Sum up and sign what is there, and look at it as whoever gets it will."""
    secret, public = order.key
    sums = signing.write_sums(order.out)
    signing.sign(sums, secret, f"retrain-receiver {order.version} {order.source.commit}")
    signing.check_sums(order.out)
    signing.verify(sums, public)
    say(f"signed {len(sums.read_text().splitlines())} files, and the signature verifies")
    for path in sorted(order.out.iterdir()):
        say(f"  {path.stat().st_size:>11,}  {path.name}")
    say("a dry run: the key is thrown away" if order.dry_run else f"all of it is in {order.out}")


def say(line: str) -> None:
    """Write a line that is seen at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
