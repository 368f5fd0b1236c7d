"""Reports: a run's own verdict and numbers, in one line that every target can carry."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from receiver.core.policies import shown


class Verdict(StrEnum):
    """What became of the new model. Stored and shown: never rename one."""

    PROMOTED = "promoted"  # it is served now
    REJECTED = "rejected"  # it was no better: the old one stays


@dataclass(frozen=True, slots=True)
class Report:
    """What a run says of itself: its verdict, some numbers, or both."""

    verdict: Verdict | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)


class BadReport(ValueError):
    """The run said something that is no report; the message quotes it."""


LONGEST = 1000
MOST_METRICS = 20
METRIC = re.compile(r"([A-Za-z_][A-Za-z0-9_.]{0,39})=([-+]?[A-Za-z0-9.][-+A-Za-z0-9.]{0,29})")

MARK = "retrain-verdict"
"""What the name of a job, step or task begins with if it carries a report."""

MARKED = re.compile(rf"{MARK}(?::|\s)(.*)", re.DOTALL)


def parse_report(text: str) -> Report:
    """Read `promoted mae=0.41 r2=0.83`: a verdict, numbers, or both. Raises `BadReport`.

    A number that is not finite is left out, as it is among a run's inputs.
    """
    words = text[: LONGEST + 1].split()
    if len(text) > LONGEST or not words:
        raise BadReport(f"{shown(text)} is no report; write for example: promoted mae=0.41")
    verdict = Verdict(words.pop(0)) if words[0] in list(Verdict) else None
    metrics: dict[str, float] = {}
    for word in words:
        name, value = _metric(word)
        if math.isfinite(value):
            metrics[name] = value
    if len(metrics) > MOST_METRICS:
        raise BadReport(f"a report holds at most {MOST_METRICS} numbers, not {len(metrics)}")
    return Report(verdict, metrics)


def report_in_names(names: Iterable[str]) -> Report | None:
    """The report that names of jobs and steps carry, None if none does. Raises `BadReport`.

    A name whose expression was never filled in belongs to something that did not run.
    """
    said = [match[1].strip() for name in names if (match := MARKED.fullmatch(name.strip()))]
    reports = [parse_report(text) for text in said if text and "${{" not in text]
    return merge_reports(reports)


def merge_reports(reports: Iterable[Report]) -> Report | None:
    """Several reports of one run as one. Raises `BadReport` if they contradict each other."""
    merged: Report | None = None
    for report in reports:
        before = merged or Report()
        if report.verdict and before.verdict and report.verdict is not before.verdict:
            raise BadReport("the run says that its model was promoted, and that it was rejected")
        merged = Report(report.verdict or before.verdict, {**before.metrics, **report.metrics})
    if merged and len(merged.metrics) > MOST_METRICS:
        raise BadReport(f"a run reports at most {MOST_METRICS} numbers")
    return merged


def _metric(word: str) -> tuple[str, float]:
    match = METRIC.fullmatch(word)
    try:
        if match is not None:
            return match[1], float(match[2])
    except ValueError:
        pass
    raise BadReport(f"{shown(word)} in a report is neither a verdict first nor name=number")
