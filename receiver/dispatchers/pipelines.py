"""Compiled pipelines: what they declare, what a run of one is given, and how it is named."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import yaml

from receiver.core.dispatches import Dispatch, DispatchError, Failure
from receiver.core.policies import shown

SUFFIXES = frozenset({".yaml", ".yml", ".json"})

# libyaml reads a 40 KiB package in 10 ms, the pure Python loader in 150 ms.
_LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Value = str | float | int | bool


@dataclass(frozen=True, slots=True)
class Package:
    """A compiled pipeline as `kfp compile` writes it.

    Attributes:
        spec: The pipeline itself.
        platform: What only some platforms understand; None for most pipelines.

    """

    spec: Mapping[str, Any]
    platform: Mapping[str, Any] | None = None

    @property
    def body(self) -> dict[str, Any]:
        """What a KFP server takes for `pipeline_spec`."""
        if self.platform is None:
            return dict(self.spec)
        return {"pipeline_spec": dict(self.spec), "platform_spec": dict(self.platform)}

    @property
    def caches(self) -> bool:
        """Whether a task may be answered by what an earlier run of it made."""
        return self != self.without_cache()

    def without_cache(self) -> "Package":
        """The same, with every task run each time: what comes from a cache trained nothing."""
        spec = {name: _without_cache(part) for name, part in self.spec.items()}
        return Package(spec, self.platform)


def _without_cache(part: Any) -> Any:
    match part:
        case {"dag": {"tasks": {} as tasks} as dag}:
            uncached = {name: _run_each_time(task) for name, task in tasks.items()}
            return {**part, "dag": {**dag, "tasks": uncached}}
        case {}:  # the components, by name, may be graphs of their own
            return {name: _without_cache(each) for name, each in part.items()}
    return part


def _run_each_time(task: Any) -> Any:
    match task:
        case {"cachingOptions": {"enableCache": enabled}} if enabled:
            return {**task, "cachingOptions": {}}
    return task


def run_id(dispatch_id: str, attempt: int) -> str:
    """Name the run of one attempt: it can be looked up without having been told."""
    return str(uuid5(NAMESPACE_OID, f"{dispatch_id}:{attempt}"))


def run_name(dispatch: Dispatch) -> str:
    """Name the runs of all attempts for people."""
    return f"retrain {dispatch.model} [{dispatch.id}]"


def is_package(pipeline: str) -> bool:
    """Whether this is the path of a compiled package rather than an uploaded pipeline's name."""
    path = Path(pipeline)
    return path.is_absolute() or path.suffix in SUFFIXES


def read_package(path: Path) -> Package:
    """Read a compiled package. Raises `DispatchError` (refused) that says what to mend."""
    try:
        documents = list(yaml.load_all(path.read_bytes(), _LOADER))
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise refusal(f"cannot read the pipeline {path}: {_first_line(error)}") from error
    return package(
        documents, f"{path} is not a compiled pipeline; write it with `kfp dsl compile`"
    )


def package(documents: list[Any], otherwise: str) -> Package:
    """Tell the pipeline's spec from its platform's; `otherwise` is said if it is none."""
    match documents:
        case [{"root": {}} as spec] | [{"root": {}} as spec, None]:
            return Package(spec)
        case [{"root": {}} as spec, {"platforms": {}} as platform]:
            return Package(spec, platform)
        case [{"pipeline_spec": {"root": {}} as spec, "platform_spec": {} as platform}]:
            return Package(spec, platform)
        case [{"pipeline_spec": {"root": {}} as spec}]:
            return Package(spec)
    raise refusal(otherwise)


def fill_parameters(spec: Mapping[str, Any], dispatch: Dispatch) -> dict[str, Value]:
    """Give the run its parameters, typed as the pipeline declares them.

    A parameter it does not declare is refused here as a KFP server would refuse it; `dispatch_id`
    is passed only to pipelines that declare it. Raises `DispatchError` (refused).
    """
    declared = _declared(spec)
    given = dict(dispatch.inputs)
    if "dispatch_id" in declared:
        given["dispatch_id"] = dispatch.id
    unknown = sorted(given.keys() - declared.keys())
    if unknown:
        raise refusal(
            f"the pipeline does not declare {_listed(unknown)}; it declares "
            f"{_listed(sorted(declared)) or 'no parameters'}: mend the target's `parameters`"
        )
    missing = sorted(
        name
        for name, parameter in declared.items()
        if name not in given
        and "defaultValue" not in parameter
        and parameter.get("isOptional") is not True
    )
    if missing:
        raise refusal(
            f"the pipeline needs {_listed(missing)}, which this run does not have: add it to the "
            "target's `parameters`, or give it a default in the pipeline"
        )
    return {name: _typed(name, declared[name], value) for name, value in given.items()}


def _declared(spec: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    match spec:
        case {"root": {"inputDefinitions": {"parameters": {} as parameters}}}:
            return {str(name): dict(parameter or {}) for name, parameter in parameters.items()}
    return {}


def _typed(name: str, parameter: Mapping[str, Any], value: str | float) -> Value:
    wanted = parameter.get("parameterType", "STRING")
    try:
        match wanted:
            case "STRING":
                return value if isinstance(value, str) else repr(value)
            case "NUMBER_DOUBLE" if math.isfinite(float(value)):
                return float(value)
            case "NUMBER_INTEGER" if float(value).is_integer():
                return int(value)
            case "BOOLEAN" if value in {"true", "false"}:
                return value == "true"
    except (ValueError, OverflowError):
        pass
    raise refusal(f"the pipeline's {shown(name)} is {wanted}, and {shown(str(value))} is not")


def refusal(message: str) -> DispatchError:
    """Make a definite no, found before anything was sent."""
    return DispatchError(message, Failure.REFUSED)


def _listed(names: list[str]) -> str:
    return ", ".join(shown(name) for name in names)


def _first_line(error: Exception) -> str:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return reason.partition("\n")[0]
