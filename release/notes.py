"""What is told of a release: its section of the changelog, and which faults it was put through."""

import re
from collections.abc import Iterable
from pathlib import Path

from release import Refused

CHANGELOG = "CHANGELOG.md"
GUARANTEES = "docs/guarantees.md"
UNRELEASED = "## Unreleased\n"
AGAIN = """\
- `make simulate SEEDS=5000` lives through the histories, `make simulate SEED=17` tells one.
- `make faults` makes the faults; some of one kind:
  `make faults ARGS="--only kills-sqlite --first-seed 300 --count 100"`."""

DATED = r"## {} - \d{{4}}-\d\d-\d\d"


def section(changelog: str, version: str, *, going_on: bool = False) -> str:
    """Take the version's section, without its heading; it must be the newest.

    While work is going on there may be unreleased lines before it; in a release there may not.
    """
    heading, body = "", ""
    for part in re.split(r"^(?=## )", changelog, flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        if heading != UNRELEASED.strip():
            break
        if body.strip() and not going_on:
            raise Refused(
                f'{CHANGELOG} has lines under "Unreleased": move them into the section of '
                f"{version}, or take the release from before them"
            )
    if not re.fullmatch(DATED.format(re.escape(version)), heading):
        raise Refused(
            f'{CHANGELOG} begins with "{heading}": its newest section must be '
            f'"## {version} - YYYY-MM-DD" (`make release-prepare VERSION={version}` writes it)'
        )
    if not body.strip():
        raise Refused(
            f"{CHANGELOG} says nothing under {version}: write what operators will notice"
        )
    return body.strip()


def with_heading(changelog: str, version: str, date: str) -> str:
    """Give what is unreleased the heading of a version; what comes later is unreleased again."""
    if UNRELEASED not in changelog:
        raise Refused(f'{CHANGELOG} has no "{UNRELEASED.strip()}"')
    return changelog.replace(UNRELEASED, f"{UNRELEASED}\n## {version} - {date}\n", 1)


def fault_report(guarantees: str, version: str, commit: str, reports: Iterable[str]) -> str:
    """Tell what the release lived through, with the figures of its own runs or the last known."""
    own = [text.strip() for text in reports]
    broken = [
        text.splitlines()[0] for text in own if "FAILED" in text or "broke a promise" in text
    ]
    if broken:
        raise Refused(f"a promise was broken ({broken[0]}): mend that before it is released")
    said = "\n\n".join(f"```\n{text}\n```" for text in own) or (
        "No report was handed in for this commit: these are the last known figures."
    )
    return "\n\n".join(
        [
            f"# Faults that retrain-receiver {version} was put through",
            f"Commit {commit}. A fault or history of the same seed is the same one.",
            said,
            "## Again, in a clone of this tag",
            AGAIN,
            "## What each fault is, and its last known figure",
            _table(guarantees),
        ]
    )


def _table(guarantees: str) -> str:
    rows = [row for row in guarantees.splitlines() if row.startswith(("| `--only`", "| `"))]
    if len(rows) < 2:  # noqa: PLR2004  a heading and what it heads
        raise Refused(f'{GUARANTEES} has no table of faults ("| `--only` | ...")')
    return "\n".join([rows[0], "|" + " --- |" * (rows[0].count("|") - 1), *rows[1:]])


def release_notes(version: str, changes: str, files: Iterable[Path]) -> str:
    """Write what the page of the release says."""
    listed = "\n".join(f"- `{file.name}`" for file in files)
    return f"""\
# retrain-receiver {version}

{changes}

## Files

{listed}

`SHA256SUMS` names each, and is signed. With the public key `release/minisign.pub` of the
repository (not of this page):

```console
$ minisign -V -p minisign.pub -m SHA256SUMS && sha256sum --check --ignore-missing SHA256SUMS
```

Before an upgrade read `docs/upgrade.md`. Which faults it was put through is in `FAULTS.md`.
"""
