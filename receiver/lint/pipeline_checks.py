"""Checks of the compiled pipeline that a target runs: its parameters, and its cache."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from receiver.core.policies import Policy, fill, template_parts
from receiver.core.targets import Target
from receiver.lint.chain import Chain
from receiver.lint.documents import Document, Path_, mapping, truth
from receiver.lint.findings import CheckId, Finding, Severity, listed
from receiver.lint.workflow_checks import DISPATCH_ID, valueless

NUMBERS = ("NUMBER_DOUBLE", "NUMBER_INTEGER")
TRUTHS = ("true", "false")

SPEC = "pipeline_spec"
"""Where a package with a platform's part has the pipeline itself."""

PARAMETERS: Path_ = ("root", "inputDefinitions", "parameters")

REFUSED = "each run is refused before it starts"


def check_pipelines(chain: Chain) -> Iterator[Finding]:
    """Hold each compiled pipeline against the target that runs it."""
    for package in chain.packages:
        document = package.at(SPEC) if SPEC in mapping(package.data) else package
        if "root" not in mapping(document.data):  # a platform's part, which may follow
            continue
        for target in _targets(chain, document):
            yield from _parameters(chain, document, target)
        yield from _cache(document)


def _targets(chain: Chain, document: Document) -> list[Target]:
    """Those that name the file; the only one there is, if none does."""
    known = [
        settings.target
        for settings in chain.config.targets.values()
        if "pipeline" in settings.target.place
    ]
    name = PurePath(document.name).name
    named = [
        target for target in known if PurePath(fill(target.place["pipeline"], {})).name == name
    ]
    return named or (known if len(known) == 1 else [])


def _parameters(chain: Chain, document: Document, target: Target) -> Iterator[Finding]:
    root = mapping(mapping(document.data).get("root"))
    declared = mapping(mapping(root.get("inputDefinitions")).get("parameters"))
    unknown = sorted(target.inputs.keys() - declared.keys())
    if unknown:
        yield Finding(
            CheckId.PIPELINE_PARAMETER_UNDECLARED,
            Severity.ERROR,
            document.place(PARAMETERS),
            f"the pipeline has no parameter {listed(unknown)}, which the target {target.name} "
            "gives it",
            REFUSED,
            f"take it out of the target's parameters; there are {listed(sorted(declared), 9)}"
            if declared
            else "take it out of the target's parameters; the pipeline has none",
        )
    for name, written in declared.items():
        parameter = mapping(written)
        optional = "defaultValue" in parameter or truth(
            parameter.get("isOptional"), otherwise=False
        )
        if not optional and name != DISPATCH_ID:
            yield from _needed(chain, document, target, name)
        if name in target.inputs:
            yield from _type(chain, document, target, name, parameter)


def _needed(chain: Chain, document: Document, target: Target, name: str) -> Iterator[Finding]:
    place = document.place((*PARAMETERS, name))
    if name not in target.inputs:
        yield Finding(
            CheckId.PIPELINE_PARAMETER_NEEDED,
            Severity.ERROR,
            place,
            f"the pipeline needs {name}, which the target {target.name} does not give",
            REFUSED,
            f"add {name} to the target's parameters, or give it a default in the pipeline",
        )
    elif any(field == "value" for _, field in template_parts(target.inputs[name])):
        without = valueless(chain, target)
        said = (
            f"the pipeline needs {name}, and alerts of {listed(without)} have no value for it"
            if without
            else f"the pipeline needs {name}, which is left out when an alert's value is NaN"
        )
        yield Finding(
            CheckId.PIPELINE_PARAMETER_NEEDED,
            Severity.ERROR if without else Severity.WARNING,
            place,
            said,
            "such a run is refused before it starts",
            f"give {name} a default in the pipeline",
        )


def _type(
    chain: Chain, document: Document, target: Target, name: str, parameter: Mapping[str, Any]
) -> Iterator[Finding]:
    wanted = str(parameter.get("parameterType") or "STRING")
    template = target.inputs[name]
    severity = _misfit(wanted, template, chain.config.policies, target)
    if severity is None:
        return
    yield Finding(
        CheckId.PIPELINE_PARAMETER_TYPE,
        severity,
        document.place((*PARAMETERS, name, "parameterType")),
        f"the parameter {name} is {wanted}, and the target {target.name} gives it {template!r}",
        REFUSED if severity is Severity.ERROR else "runs are refused whose text does not fit",
        f"make {name} a STRING in the pipeline, or give it what fits",
    )


def _misfit(
    wanted: str, template: str, policies: Sequence[Policy], target: Target
) -> Severity | None:
    """How sure it is that what a template gives is not of a type; None if it is."""
    parts = template_parts(template)
    fields = [field for _, field in parts if field is not None]
    if wanted == "STRING":
        return None
    if not fields:
        return None if _fits(wanted, "".join(text for text, _ in parts)) else Severity.ERROR
    if wanted not in NUMBERS or fields == ["alertname"]:
        return Severity.ERROR
    if template == "{value}":
        return Severity.WARNING if wanted == "NUMBER_INTEGER" else None
    patterns = [
        policy.identity[field]
        for policy in policies
        if policy.target == target.name
        for field in fields
        if field in policy.identity
    ]
    if template == "{" + fields[0] + "}" and all(
        not pattern.accepts(text) for pattern in patterns for text in ("a", "x1", "a-b")
    ):
        return None
    return Severity.WARNING


def _fits(wanted: str, text: str) -> bool:
    if wanted == "BOOLEAN":
        return text in TRUTHS
    try:
        number = float(text)
    except ValueError:
        return False
    return wanted == "NUMBER_DOUBLE" or (wanted == "NUMBER_INTEGER" and number.is_integer())


def _cache(document: Document) -> Iterator[Finding]:
    """Tasks that an earlier run answers: nothing in what they are given is new."""
    spec = mapping(document.data)
    found = [*_stale(spec, ("root",), frozenset({DISPATCH_ID}))]
    if not found:
        return
    yield Finding(
        CheckId.PIPELINE_CACHE,
        Severity.WARNING,
        document.place((*found[0], "cachingOptions")),
        f"{listed(str(path[-1]) for path in found)} may be answered from the cache: the same "
        "inputs give the result of the run before",
        "a run that may use the cache (enable_caching, or one by hand) succeeds without training "
        "anything",
        "switch its cache off (task.set_caching_options(False)), or give it dispatch_id",
    )


def _stale(spec: Mapping[str, Any], path: Path_, fresh: frozenset[str]) -> Iterator[Path_]:
    """The tasks of a graph that the cache may answer. `fresh`: inputs that differ each time."""
    section: Any = spec
    for part in path:
        section = mapping(section).get(str(part))
    tasks = mapping(mapping(mapping(section).get("dag")).get("tasks"))
    new = _new_each_time(tasks, fresh)
    for name, written in tasks.items():
        task = mapping(written)
        below = ("components", str(mapping(task.get("componentRef")).get("name")))
        if "dag" in mapping(mapping(spec.get("components")).get(below[1])):
            its = {given for given, source in _given(task) if _is_new(source, new, fresh)}
            yield from _stale(spec, below, frozenset(its))
        elif name not in new and _is_cached(task):
            yield (*path, "dag", "tasks", name)


def _is_cached(task: Mapping[str, Any]) -> bool:
    return truth(mapping(task.get("cachingOptions")).get("enableCache"), otherwise=False)


def _given(task: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    inputs = mapping(task.get("inputs"))
    for kind in ("parameters", "artifacts"):
        for name, source in mapping(inputs.get(kind)).items():
            yield name, mapping(source)


def _is_new(source: Mapping[str, Any], new: set[str], fresh: frozenset[str]) -> bool:
    """Whether what comes from there differs from the run before."""
    given = source.get("componentInputParameter") or source.get("componentInputArtifact")
    made = mapping(source.get("taskOutputParameter") or source.get("taskOutputArtifact"))
    return given in fresh or made.get("producerTask") in new


def _new_each_time(tasks: Mapping[str, Any], fresh: frozenset[str]) -> set[str]:
    """The tasks that run each time: without cache, or with something new."""
    new: set[str] = set()
    while True:
        more = {
            name
            for name, task in tasks.items()
            if name not in new
            and (
                ("cachingOptions" in mapping(task) and not _is_cached(mapping(task)))
                or any(_is_new(source, new, fresh) for _, source in _given(mapping(task)))
            )
        }
        if not more:
            return new
        new |= more
