"""Reads alerting rules: of rule files, of PrometheusRule resources, of Prometheus' API."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from typing import Any

from receiver.core.durations import parse_duration
from receiver.lint.documents import Document, Path_, mapping, sections, sequence
from receiver.lint.findings import Place
from receiver.lint.label_sets import ABSENT, LabelSet, Values
from receiver.lint.promql import NotPromql, Result, Series, follow

_USUAL = """
    app application availability_zone cluster cluster_name component container customer
    datacenter dc domain endpoint env environment group host hostname id instance ip job
    kubernetes_namespace kubernetes_pod_name machine model model_id model_name model_version
    name namespace node node_name organization owner partition pod pod_name product project
    project_id region replica service service_name shard site squad stage stream target team
    tenant tenant_id tier type user user_id version zone
"""

USUAL_LABELS = frozenset(_USUAL.split())
"""What series carry by themselves; `severity`, `action` and the like are set by rules."""

_TEMPLATE = re.compile(r"\{\{")
_NAMED = re.compile(r"\$?\.?[lL]abels\.([a-zA-Z_][a-zA-Z0-9_]*)")


@dataclass(frozen=True)
class Rule:
    """One alerting rule.

    Attributes:
        path: Where it stands; for an answer of the API it names group and rule.
        firing: Labels of the alerts that it has right now, where Prometheus was asked.

    """

    document: Document
    path: Path_
    group: str
    name: str
    expression: str
    keep_firing_for: timedelta
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    firing: tuple[Mapping[str, str], ...] = ()

    def place(self, *within: str | int) -> Place:
        """Where it, or something within it, stands."""
        path = (*self.path, *within) if within else (*self.path, "alert")
        return self.document.place(path, where=f"group {self.group}, rule {self.name}")

    @cached_property
    def result(self) -> Result:
        """What its expression gives; anything at all if it can't be followed."""
        try:
            return follow(self.expression)
        except (NotPromql, IndexError):
            return Result(Series(is_open=True), timedelta(0))

    @property
    def named(self) -> frozenset[str]:
        """The labels that its templates ask for: whoever wrote it thinks that they are there."""
        texts = [*self.labels.values(), *self.annotations.values()]
        return frozenset(name for text in texts for name in _NAMED.findall(text))


@dataclass(frozen=True, slots=True)
class World:
    """What is known of labels beyond a rule.

    Attributes:
        usual: Labels that series carry though no rule says so.
        external: `external_labels`, which Prometheus adds to each alert.
        names: All labels of all series, where Prometheus itself said so.

    """

    usual: frozenset[str] = USUAL_LABELS
    external: Mapping[str, str] = field(default_factory=dict)
    names: frozenset[str] | None = None

    def with_usual(self, names: frozenset[str]) -> "World":
        """The same where series are thought to have these labels too, unless it is known."""
        usual = self.usual | names
        return replace(self, usual=usual if self.names is None else usual & self.names)


def label_set(rule: Rule, world: World) -> LabelSet:
    """What is known of the labels of a rule's alerts."""
    series = rule.result.series or Series()
    usual = world.usual | series.mentioned | rule.named
    if rule.firing:  # what its alerts carry now is what its series have
        usual = frozenset().union(*rule.firing)
    values: dict[str, Values] = {**series.values}
    values |= outline(rule).values
    for name, text in world.external.items():
        there = LabelSet(values, series.is_open, usual | {name}).possible(name)
        values[name] = None if there is None else frozenset({each or text for each in there})
    return LabelSet(values, series.is_open, usual)


class _Every(frozenset[str]):
    """All labels that there could be."""

    def __contains__(self, _: object) -> bool:
        return True


def outline(rule: Rule) -> LabelSet:
    """What a rule itself says of the labels of its alerts, without a look at its expression."""
    values: dict[str, Values] = {
        name: None if _TEMPLATE.search(text) else frozenset({text})
        for name, text in rule.labels.items()
    }
    values["alertname"] = frozenset({rule.name})
    return LabelSet(values, is_open=True, usual=_Every())


def read_rules(documents: Iterable[Document]) -> Iterator[Rule]:
    """All alerting rules, in the documents' order.

    Groups stand in a rule file, in a PrometheusRule, in an answer of `/api/v1/rules`, in a chart's
    values, which may be part of another chart's, or in a list of such resources.
    """
    for document in documents:
        for path, section in sections(document.data, "groups"):
            for number, group in enumerate(sequence(section["groups"])):
                yield from _of_group(document, (*path, "groups", number), mapping(group))


def _of_group(document: Document, path: Path_, group: Mapping[str, Any]) -> Iterator[Rule]:
    for number, raw in enumerate(sequence(group.get("rules"))):
        rule = mapping(raw)
        name = rule.get("alert") or (rule.get("name") if rule.get("type") == "alerting" else None)
        if name is None:
            continue
        yield Rule(
            document=document,
            path=(*path, "rules", number),
            group=str(group.get("name", "")),
            name=str(name),
            expression=str(rule.get("expr") or rule.get("query") or ""),
            keep_firing_for=_span(rule.get("keep_firing_for", rule.get("keepFiringFor"))),
            labels=_texts(rule.get("labels")),
            annotations=_texts(rule.get("annotations")),
            firing=tuple(_texts(mapping(each).get("labels")) for each in _alerts(rule)),
        )


def _alerts(rule: Mapping[str, Any]) -> Sequence[Any]:
    return sequence(rule.get("alerts"))


def _texts(section: Any) -> dict[str, str]:
    return {str(name): str(value) for name, value in mapping(section).items() if value is not None}


def _span(written: Any) -> timedelta:
    """A duration as a rule file writes it; Prometheus' API tells seconds."""
    if isinstance(written, int | float):
        return timedelta(seconds=written)
    try:
        return parse_duration(written)
    except ValueError:
        return timedelta(0)


def is_absent(values: Values) -> bool:
    """Whether a label is surely missing."""
    return values == ABSENT
