"""Checks of the rules that retrain something: their labels, their value, their times."""

import re
from collections.abc import Iterator
from datetime import timedelta

from receiver.config.churning import REPLICA, what_happens
from receiver.core.durations import format_duration
from receiver.core.policies import Policy, shown, template_parts
from receiver.lint.chain import Chain, Taken
from receiver.lint.findings import CheckId, Finding, Place, Severity, listed
from receiver.lint.label_sets import ABSENT, Answer, LabelSet
from receiver.lint.relabelling import relabelled, steps_of

VALUE = "value"

_PLAIN_VALUE = re.compile(
    r"""\s*\{\{-?\s*(?:(?:\$value|\.Value)\s*(?:\|\s*printf\s+"%[.0-9]*[efg]"\s*)?
    |printf\s+"%[.0-9]*[efg]"\s+(?:\$value|\.Value)\s*)-?\}\}\s*""",
    re.VERBOSE,
)
_FOR_PEOPLE = re.compile(r"humanize|%%|%\"?\s*$|\}\}\s*[^\s{]")
_VALUE = re.compile(r"\$value|\.Value")
_CONDITION = re.compile(r"\{\{-?\s*(?:if|with|range)\b")


def check_rules(chain: Chain) -> Iterator[Finding]:
    """Look at each rule that a policy takes, and at what Prometheus does to its alerts."""
    for taken in chain.ours:
        yield from _labels_of_value(taken)
        for policy, answer in taken.policies:
            yield from _identity(taken, policy, answer)
            yield from _value(chain, taken, policy)
            yield from _settle(chain, taken, policy)
    yield from _replicas(chain)
    yield from _relabelling(chain)


def _identity(taken: Taken, policy: Policy, answer: Answer) -> Iterator[Finding]:
    """Whether a model can be named at all."""
    rule = taken.rule
    for label, pattern in policy.identity.items():
        possible = taken.told.possible(label)
        if possible == ABSENT:
            unknown = taken.told.assumes(label)
            said = (
                f"no series in Prometheus has the label {label}, which names a model of "
                f"{policy.name}"
                if unknown
                else f"{rule.name} has no label {label}, which names a model of {policy.name}: "
                "its expression aggregates it away"
            )
            yield Finding(
                CheckId.IDENTITY_MISSING,
                Severity.ERROR if answer is Answer.YES and not unknown else Severity.WARNING,
                rule.place("expr"),
                said,
                "its alerts are `invalid`: no model is ever retrained for them",
                f"keep it, as in `by ({', '.join(policy.identity)})`, or set it in the rule's "
                "labels",
            )
        elif possible is not None and not any(map(pattern.accepts, possible - {""})):
            values = listed(shown(each) for each in sorted(possible - {""}))
            within = ("labels", label) if label in rule.labels else ("expr",)
            yield Finding(
                CheckId.IDENTITY_REFUSED,
                Severity.ERROR if answer is Answer.YES else Severity.WARNING,
                rule.place(*within),
                f"{label} is {values} in alerts of {rule.name}, which {policy.name} does not "
                f"take for a name ({pattern.pattern})",
                "its alerts are `invalid`: no model is ever retrained for them",
                f"widen the pattern of model.labels.{label}, or mend the label",
            )


def _value(chain: Chain, taken: Taken, policy: Policy) -> Iterator[Finding]:
    """Whether a run that wants the alert's number gets it."""
    inputs = [
        name
        for name, template in chain.config.targets[policy.target].target.inputs.items()
        if any(field == VALUE for _, field in template_parts(template))
    ]
    if not inputs:
        return
    rule, name = taken.rule, policy.value_annotation
    written = rule.annotations.get(name)
    if written is None and chain.asks_values:
        return  # Prometheus is asked
    if written is None:
        yield Finding(
            CheckId.VALUE_MISSING,
            Severity.WARNING,
            rule.place(),
            f"{rule.name} has no annotation `{name}`, from which {listed(inputs)} of the target "
            f"{policy.target} is filled",
            f"runs are started without {listed(inputs)}, and decisions show no number",
            f"add annotations: {{{name}: '{{{{ $value }}}}'}} to the rule, or name the one that "
            f"has the number in {policy.name} (value_annotation), or set sources.prometheus",
        )
    elif "{{" in written and _for_people(written):
        yield Finding(
            CheckId.VALUE_FOR_PEOPLE,
            Severity.WARNING,
            rule.place("annotations", name),
            f"the annotation `{name}` of {rule.name} is written for people: {shown(written)}",
            f"it is no number, so runs are started without {listed(inputs)}",
            f"write {name}: '{{{{ $value }}}}', and keep the rest for summary",
        )


def _for_people(written: str) -> bool:
    plain = _PLAIN_VALUE.fullmatch(written) is not None
    return not plain and _FOR_PEOPLE.search(written) is not None


def _settle(chain: Chain, taken: Taken, policy: Policy) -> Iterator[Finding]:
    """Whether a better model has time to show."""
    rule, window = taken.rule, taken.rule.result.window
    intervals = (route.group_interval for route in chain.routes_of(rule))
    interval = max(intervals, default=timedelta(0))
    needed = rule.keep_firing_for + window + interval
    if policy.settle >= needed:
        return
    parts = (
        (rule.keep_firing_for, "keep_firing_for"),
        (window, "the range in expr"),
        (interval, "group_interval"),
    )
    sum_ = " + ".join(f"{format_duration(span)} ({what})" for span, what in parts if span)
    yield Finding(
        CheckId.SETTLE_TOO_SHORT,
        Severity.WARNING,
        rule.place("keep_firing_for" if rule.keep_firing_for else "expr"),
        f"a better model shows only after {sum_} = {format_duration(needed)}, but settle of "
        f"{policy.name} is {format_duration(policy.settle)}",
        "after settle the alert of the old model still fires, and may order another run",
        f"write settle: {format_duration(needed)} or more in {policy.name}",
    )


def _labels_of_value(taken: Taken) -> Iterator[Finding]:
    """Labels that change with each evaluation."""
    rule = taken.rule
    for name, text in rule.labels.items():
        if not _VALUE.search(text):
            continue
        tiers = _CONDITION.search(text) is not None
        yield Finding(
            CheckId.LABEL_FROM_VALUE,
            Severity.WARNING if tiers else Severity.ERROR,
            rule.place("labels", name),
            f"the label {name} of {rule.name} is made of the value",
            "each time it changes the old alert ends and a new one begins, whose `for` starts anew"
            + ("" if tiers else ": it never fires, or is never the same alert twice"),
            "put the value into an annotation, and tiers into rules of their own",
        )


def _replicas(chain: Chain) -> Iterator[Finding]:
    """External labels that tell two Prometheus of one pair apart."""
    if chain.prometheus is None:
        return
    for name in chain.world.external:
        if what_happens(name) != REPLICA:
            continue
        kept = any(taken.labels.possible(name) != ABSENT for taken in chain.ours)
        if kept:
            yield Finding(
                CheckId.REPLICA_LABEL,
                Severity.WARNING,
                chain.prometheus.place(("global", "external_labels", name)),
                f"alerts carry the external label {name}, which differs between replicas",
                "Alertmanager takes each replica's copy for another alert: a model's alert ends "
                "only when all copies have",
                "drop it from alerts: alerting: {alert_relabel_configs: [{action: labeldrop, "
                f"regex: {name}}}]}}",
            )


def _relabelling(chain: Chain) -> Iterator[Finding]:
    """Steps of Prometheus that take away what names a model, or the alert itself."""
    document = chain.prometheus
    if document is None:
        return
    told = {id(taken): taken.told for taken in chain.ours}
    for path, step in steps_of(document):
        place = document.place(path)
        dropped: list[str] = []
        nameless: dict[str, list[str]] = {}
        for taken in chain.ours:
            before = told[id(taken)]
            after = relabelled(before, step)
            if after is None:
                dropped.append(taken.rule.name)
                continue
            told[id(taken)] = after
            for label in _lost_names(taken, before, after):
                nameless.setdefault(label, []).append(taken.rule.name)
        if dropped:
            yield _relabelled_away(place, str(step.get("action")), dropped)
        for label, names in nameless.items():
            yield _relabelled_identity(place, label, names)


def _lost_names(taken: Taken, before: LabelSet, after: LabelSet) -> set[str]:
    return {
        label
        for policy, _ in taken.policies
        for label in policy.identity
        if before.possible(label) != ABSENT and after.possible(label) == ABSENT
    }


def _relabelled_away(place: Place, action: str, names: list[str]) -> Finding:
    return Finding(
        CheckId.ALERT_RELABELLED_AWAY,
        Severity.ERROR,
        place,
        f"this step ({action}) takes away the alerts of {listed(names)}",
        "Alertmanager never hears of them",
        "narrow its regex",
    )


def _relabelled_identity(place: Place, label: str, names: list[str]) -> Finding:
    return Finding(
        CheckId.IDENTITY_RELABELLED,
        Severity.ERROR,
        place,
        f"this step takes the label {label}, which names the model, from alerts of "
        f"{listed(names)}",
        "they are `invalid`: no model is ever retrained for them",
        f"leave {label} alone",
    )
