"""Writes findings: as text with the source line and a caret, as JSON, as SARIF 2.1.0."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from receiver import __version__
from receiver.lint.findings import ORDER, Finding, Place, Severity
from receiver.lint.pages import pages

LONGEST_LINE = 110

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
HOME = "https://github.com/retrain-receiver/retrain-receiver"
DOCUMENTATION = f"{HOME}/blob/main/docs/lint.md"


def text(findings: Sequence[Finding]) -> Iterator[str]:
    """Lines for people."""
    for finding in findings:
        yield f"{finding.place}: {finding.severity}: {finding.said} [{finding.check}]"
        yield from _caret(finding.place)
        yield f"    so {finding.consequence}"
        yield f"    cure: {finding.cure}"
        yield ""
    yield summary(findings)


def _caret(place: Place) -> Iterator[str]:
    if place.line is None or not place.source.strip():
        return
    source, column = place.source.replace("\t", " "), place.column
    if len(source) > LONGEST_LINE:
        cut = max(0, min(column - 20, len(source) - LONGEST_LINE))
        source, column = source[cut : cut + LONGEST_LINE], column - cut
    gutter = f"{place.line:>6} | "
    yield gutter + "".join(each if each.isprintable() else "?" for each in source)
    yield " " * (len(gutter) - 2) + "| " + " " * (column - 1) + "^"


def summary(findings: Sequence[Finding]) -> str:
    """How many there are of each kind."""
    if not findings:
        return "nothing was found"
    counts = [
        (sum(each.severity is severity for each in findings), severity) for severity in ORDER
    ]
    return ", ".join(
        f"{number} {severity}{'' if number == 1 else 's'}" for number, severity in counts if number
    )


def as_json(findings: Sequence[Finding]) -> str:
    """One object for programs."""
    counted = {
        f"{severity}s": sum(each.severity is severity for each in findings) for severity in ORDER
    }
    return json.dumps({"findings": [_object(each) for each in findings], **counted}, indent=2)


def _object(finding: Finding) -> dict[str, Any]:
    place = finding.place
    return {
        "check": finding.check,
        "severity": finding.severity,
        "file": place.file,
        "line": place.line,
        "column": place.column if place.line else None,
        "where": place.where or None,
        "said": finding.said,
        "consequence": finding.consequence,
        "cure": finding.cure,
    }


def as_sarif(findings: Sequence[Finding], folder: Path) -> str:
    """For GitHub code scanning; files below `folder` are named as its repository names them."""
    known = pages()
    rules = [
        {
            "id": check.value,
            "shortDescription": {"text": page.summary},
            "help": {"text": page.text.strip(), "markdown": page.text.strip()},
            "helpUri": f"{DOCUMENTATION}#{check.value}",
        }
        for check, page in known.items()
    ]
    order = [*known]
    run = {
        "tool": {
            "driver": {
                "name": "retrain-receiver lint",
                "version": __version__,
                "informationUri": HOME,
                "rules": rules,
            }
        },
        "columnKind": "unicodeCodePoints",
        "results": [_result(each, order.index(each.check), folder) for each in findings],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _result(finding: Finding, index: int, folder: Path) -> dict[str, Any]:
    place = finding.place
    said = f"{finding.said}; so {finding.consequence}. Cure: {finding.cure}"
    physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(place.file, folder)}}
    if place.line is not None:
        physical["region"] = {"startLine": place.line, "startColumn": place.column}
    location: dict[str, Any] = {"physicalLocation": physical}
    if place.where:
        location["logicalLocations"] = [{"fullyQualifiedName": place.where}]
    return {
        "ruleId": finding.check,
        "ruleIndex": index,
        "level": finding.severity if finding.severity is not Severity.NOTE else "note",
        "message": {"text": f"{said}."},
        "locations": [location],
    }


def _uri(file: str, folder: Path) -> str:
    if "://" in file:
        return file
    path = Path(file)
    absolute = path if path.is_absolute() else folder / path
    if absolute.is_relative_to(folder):
        return quote(absolute.relative_to(folder).as_posix())
    return absolute.as_uri()
