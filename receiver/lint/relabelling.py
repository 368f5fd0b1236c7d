"""What `alert_relabel_configs` make of an alert's labels, as far as these are known."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from receiver.core.regexes import Regex
from receiver.lint.documents import Document, Path_, mapping, sequence
from receiver.lint.label_sets import ABSENT, Answer, LabelSet, Values

MOST_TEXTS = 64

Steps = Sequence[tuple[Path_, Mapping[str, Any]]]


def steps_of(prometheus: Document | None) -> Steps:
    """All steps of a Prometheus' configuration; those of one of several Alertmanagers not."""
    alerting = mapping(mapping(prometheus.data if prometheus else {}).get("alerting"))
    found = list(_steps(("alerting",), alerting))
    peers = sequence(alerting.get("alertmanagers"))
    if len(peers) == 1:
        found += _steps(("alerting", "alertmanagers", 0), mapping(peers[0]))
    return found


def _steps(path: Path_, section: Mapping[str, Any]) -> Iterator[tuple[Path_, Mapping[str, Any]]]:
    for number, step in enumerate(sequence(section.get("alert_relabel_configs"))):
        yield (*path, "alert_relabel_configs", number), mapping(step)


def relabelled(labels: LabelSet, step: Mapping[str, Any]) -> LabelSet | None:
    """The labels behind one step; None if it surely drops the alert."""
    action = str(step.get("action") or "replace").lower()
    try:
        regex = Regex(str(step.get("regex") or "(.*)"))
    except ValueError:
        return labels  # Prometheus says so itself
    if action in {"labeldrop", "labelkeep"}:
        drop = action == "labeldrop"
        names = {*labels.values, *labels.usual}
        gone = {name for name in names if regex.accepts(name) is drop}
        return labels.with_values(dict.fromkeys(gone, ABSENT))
    texts = _texts(labels, step)
    said = _answer(regex, texts)
    if action in {"drop", "keep"}:
        return None if said is (Answer.YES if action == "drop" else Answer.NO) else labels
    if action == "replace" and said is Answer.NO:
        return labels
    target = str(step.get("target_label") or "")
    if not target or action not in {"replace", "lowercase", "uppercase", "hashmod"}:
        return labels
    new = _replacement(step, regex, texts) if action == "replace" else None
    if said is Answer.MAYBE and new is not None:
        before = labels.possible(target)
        new = None if before is None else before | new
    return labels.with_values({target: new})


def _texts(labels: LabelSet, step: Mapping[str, Any]) -> Values:
    """What the source labels, joined, may be."""
    separator = str(step.get("separator") or ";")
    texts = {""}
    for number, name in enumerate(sequence(step.get("source_labels"))):
        possible = labels.possible(str(name))
        if possible is None or len(texts) * len(possible) > MOST_TEXTS:
            return None
        joint = separator if number else ""
        texts = {f"{text}{joint}{value}" for text in texts for value in possible}
    return frozenset(texts)


def _answer(regex: Regex, texts: Values) -> Answer:
    if regex.pattern in {"(.*)", ".*"}:
        return Answer.YES
    if texts is None:
        return Answer.MAYBE
    said = {regex.accepts(text) for text in texts}
    if len(said) > 1:
        return Answer.MAYBE
    return Answer.YES if True in said else Answer.NO


def _replacement(step: Mapping[str, Any], regex: Regex, texts: Values) -> Values:
    written = step.get("replacement")
    replacement = "$1" if written is None and "replacement" not in step else str(written or "")
    if not re.search(r"\$", replacement):
        return frozenset({replacement})
    if replacement in {"$1", "${1}"} and regex.pattern == "(.*)":
        return texts
    return None
