"""Checks of the GitHub workflow that a target starts: its inputs, its name, its concurrency."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from receiver.core.policies import Policy, template_parts
from receiver.core.targets import Target, TargetKind
from receiver.lint.chain import Chain
from receiver.lint.documents import Document, Path_, mapping, sequence, truth
from receiver.lint.findings import CheckId, Finding, Severity, listed

DISPATCH_ID = "dispatch_id"
MOST_INPUTS, MOST_INPUTS_BEFORE = 25, 10
"""GitHub's bound, and that of Enterprise servers before 3.20."""

GITHUB = "https://api.github.com"

REFUSED = "GitHub refuses the run with 422"

_INPUT = re.compile(r"(?:github\.event\.)?inputs\.([A-Za-z_][A-Za-z0-9_-]*)|inputs\['([^']+)'\]")
_OF_EVENT = re.compile(r"github\.event_name\s*(?P<sign>[!=]=)\s*'(?P<event>\w+)'")
_ONE_EACH = re.compile(r"github\.run_(?:id|number)")


def check_workflows(chain: Chain) -> Iterator[Finding]:
    """Hold each workflow against the target that starts it."""
    for document in chain.workflows:
        targets = _targets(chain, document)
        if not targets:
            yield _no_target(document)
        for target in targets:
            yield from _workflow(chain, document, target)


def _targets(chain: Chain, document: Document) -> list[Target]:
    """Those that name the file; the only one there is, if none does."""
    known = [
        settings.target
        for settings in chain.config.targets.values()
        if settings.target.kind is TargetKind.GITHUB
    ]
    name = PurePath(document.name).name
    named = [target for target in known if target.place["workflow"] == name]
    numbered = [target for target in known if target.place["workflow"].isdigit()]
    return named or (numbered if len(known) == 1 else [])


def _no_target(document: Document) -> Finding:
    return Finding(
        CheckId.WORKFLOW_WITHOUT_TARGET,
        Severity.WARNING,
        document.place(()),
        f"no target starts the workflow {PurePath(document.name).name}",
        "it was not examined",
        "write its file's name as `workflow` of a target, or lint the one that is there",
    )


def _workflow(chain: Chain, document: Document, target: Target) -> Iterator[Finding]:
    data = mapping(document.data)
    triggers = data.get("on")
    names = [triggers] if isinstance(triggers, str) else list(triggers or ())
    if "workflow_dispatch" not in names:
        yield Finding(
            CheckId.WORKFLOW_NOT_DISPATCHED,
            Severity.ERROR,
            document.place(("on",)),
            "the workflow has no workflow_dispatch",
            f"{REFUSED}: no run can be started",
            "add workflow_dispatch with its inputs under `on`",
        )
        return
    yield from _inputs(chain, document, target)
    run_name = str(data.get("run-name") or "")
    if DISPATCH_ID not in _inputs_in(run_name):
        yield Finding(
            CheckId.WORKFLOW_RUN_NAME,
            Severity.ERROR,
            document.place(("run-name",) if "run-name" in data else ("name",)),
            "run-name does not show our id" if run_name else "there is no run-name with our id",
            "a run whose answer was lost is not found again: its dispatch is parked for a human",
            'write run-name: "retrain [${{ inputs.dispatch_id }}]"',
        )
    yield from _concurrency(chain, document, target, ())
    for job in mapping(data.get("jobs")):
        yield from _concurrency(chain, document, target, ("jobs", job))


def _inputs_in(text: str) -> set[str]:
    return {plain or quoted for plain, quoted in _INPUT.findall(text)}


def _inputs(chain: Chain, document: Document, target: Target) -> Iterator[Finding]:
    path: Path_ = ("on", "workflow_dispatch", "inputs")
    triggers = mapping(mapping(document.data).get("on"))
    declared = mapping(mapping(triggers.get("workflow_dispatch")).get("inputs"))
    sent = {**target.inputs, DISPATCH_ID: ""}
    missing = [name for name in sent if name not in declared]
    if missing:
        yield Finding(
            CheckId.WORKFLOW_INPUT_UNDECLARED,
            Severity.ERROR,
            document.place(path),
            f"{listed(missing)} of the target {target.name} {_is(missing)} not among the inputs",
            f"{REFUSED}: unexpected inputs",
            f"add {', '.join(f'{name}: {{type: string}}' for name in missing)} under inputs",
        )
    if len(declared) > MOST_INPUTS:
        yield _too_many(document, path, len(declared), Severity.ERROR, MOST_INPUTS)
    elif len(declared) > MOST_INPUTS_BEFORE and target.place["base_url"] != GITHUB:
        yield _too_many(document, path, len(declared), Severity.WARNING, MOST_INPUTS_BEFORE)
    for name, written in declared.items():
        section = mapping(written)
        yield from _required(chain, document, target, (*path, name), section)
        if name in target.inputs:
            yield from _type(chain, document, target, (*path, name), section)


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _too_many(
    document: Document, path: Path_, number: int, severity: Severity, most: int
) -> Finding:
    where = "" if severity is Severity.ERROR else " before Enterprise Server 3.20"
    return Finding(
        CheckId.WORKFLOW_TOO_MANY_INPUTS,
        severity,
        document.place(path),
        f"the workflow has {number} inputs, and GitHub takes {most}{where}",
        f"{REFUSED}, or the workflow is not valid at all",
        "put several values into one input",
    )


def _required(
    chain: Chain, document: Document, target: Target, path: Path_, section: Mapping[str, Any]
) -> Iterator[Finding]:
    name = str(path[-1])
    if not truth(section.get("required"), otherwise=False) or "default" in section:
        return
    if name not in target.inputs:
        if name == DISPATCH_ID:
            return
        yield Finding(
            CheckId.WORKFLOW_INPUT_REQUIRED,
            Severity.ERROR,
            document.place(path),
            f"the input {name} is required, and the target {target.name} does not send it",
            f"{REFUSED}: a required input is missing",
            f"add {name} to the target's inputs, or give it a default here",
        )
    elif any(field == "value" for _, field in template_parts(target.inputs[name])):
        without = valueless(chain, target)
        said = (
            f"the input {name} is required, and alerts of {listed(without)} have no value for it"
            if without
            else f"the input {name} is required, and is left out when an alert's value is NaN"
        )
        yield Finding(
            CheckId.WORKFLOW_INPUT_REQUIRED,
            Severity.ERROR if without else Severity.WARNING,
            document.place(path),
            said,
            f"{REFUSED} then: a required input is missing",
            "write required: false here"
            + (", and add annotations: {value: '{{ $value }}'} to the rules" if without else ""),
        )


def valueless(chain: Chain, target: Target) -> list[str]:
    """The rules whose alerts start a target's runs without a number."""
    if chain.asks_values:
        return []
    return [
        taken.rule.name
        for taken in chain.ours
        if any(
            policy.target == target.name and policy.value_annotation not in taken.rule.annotations
            for policy, _ in taken.policies
        )
    ]


def _type(
    chain: Chain, document: Document, target: Target, path: Path_, section: Mapping[str, Any]
) -> Iterator[Finding]:
    """A choice takes nothing but its options, and a boolean two words."""
    template = target.inputs[str(path[-1])]
    options = [str(each) for each in sequence(section.get("options"))]
    if section.get("type") == "boolean":
        options = ["true", "false"]
    elif section.get("type") != "choice":
        return
    said = _beyond(chain.config.policies, target, template, options)
    if said is None:
        return
    severity, what = said
    yield Finding(
        CheckId.WORKFLOW_INPUT_TYPE,
        severity,
        document.place((*path, "type")),
        f"the input {path[-1]} takes {listed(options)} only, and the target {target.name} sends "
        f"{what}",
        REFUSED,
        "write type: string"
        if any(field for _, field in template_parts(template))
        else f"send one of them, or write type: string in {PurePath(document.name).name}",
    )


def _beyond(
    policies: Sequence[Policy], target: Target, template: str, options: Sequence[str]
) -> tuple[Severity, str] | None:
    """What is sent besides the options, and how sure that is."""
    fields = [field for _, field in template_parts(template) if field is not None]
    if not fields:
        text = "".join(text for text, _ in template_parts(template))
        return None if text in options else (Severity.ERROR, repr(text))
    patterns = [
        policy.identity[field]
        for policy in policies
        if policy.target == target.name
        for field in fields
        if field in policy.identity
    ]
    refused = [each for each in patterns if not any(each.accepts(option) for option in options)]
    if "{" + fields[0] + "}" == template and refused:
        return Severity.ERROR, f"what matches {refused[0].pattern}"
    return Severity.WARNING, template


def _concurrency(
    chain: Chain, document: Document, target: Target, where: Path_
) -> Iterator[Finding]:
    section: Any = document.data
    for part in where:
        section = mapping(section).get(str(part))
    written = mapping(section).get("concurrency")
    if written is None:
        return
    group = str(written if isinstance(written, str) else mapping(written).get("group") or "")
    cancel = mapping(written).get("cancel-in-progress")
    cancels = cancel is not None and _is_true_for_us(str(cancel))
    inputs = _inputs_in(group)
    if DISPATCH_ID in inputs or _ONE_EACH.search(group):
        return
    shared = not inputs & _naming(chain, target)
    path = (*where, "concurrency")
    if cancels:
        yield Finding(
            CheckId.WORKFLOW_CANCELS,
            Severity.ERROR if shared else Severity.WARNING,
            document.place((*path, "cancel-in-progress")),
            f"a run cancels the one before it in the group {group}"
            + (", which all models share" if shared else ""),
            "the retraining of one model ends when that of another begins"
            if shared
            else "an order given by hand ends the run that is under way",
            "write cancel-in-progress: false"
            + (
                f", and name the model in group (inputs.{_example(chain, target)})"
                if shared
                else ""
            ),
        )
    elif shared:
        yield Finding(
            CheckId.WORKFLOW_CANCELS,
            Severity.WARNING,
            document.place((*path, "group") if isinstance(written, dict) else path),
            f"all models share the group {group}, in which only one run may wait",
            "GitHub cancels the second one that waits: of three models at once one is not "
            "retrained",
            f"name the model in it, as in retrain-${{{{ inputs.{_example(chain, target)} }}}}",
        )


def _is_true_for_us(written: str) -> bool:
    """Whether a condition may hold in a run that we start: its event is `workflow_dispatch`."""
    condition = written.strip().removeprefix("${{").removesuffix("}}").strip()
    event = _OF_EVENT.fullmatch(condition)
    if event is None:
        return condition.lower() not in {"false", "no", "off"}
    return (event["sign"] == "==") == (event["event"] == "workflow_dispatch")


def _naming(chain: Chain, target: Target) -> set[str]:
    """The inputs that tell models apart."""
    labels = {
        label
        for policy in chain.config.policies
        if policy.target == target.name
        for label in policy.identity
    }
    return {
        name
        for name, template in target.inputs.items()
        if any(field in labels for _, field in template_parts(template))
    }


def _example(chain: Chain, target: Target) -> str:
    return next(iter(sorted(_naming(chain, target))), DISPATCH_ID)
