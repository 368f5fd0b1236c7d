"""Loads a configuration: reads the file, validates everything, converts it."""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from receiver.config.checks import check
from receiver.config.complaints import Complaint, complaints
from receiver.config.conversion import convert
from receiver.config.partial import partial
from receiver.config.sections import FileSection
from receiver.config.values import Config, ConfigError
from receiver.config.yaml_source import NotYaml, read_yaml
from receiver.secret_files import BadFile


def load_config(
    path: Path, *, environment: Path = Path(sys.prefix), with_files: bool = True
) -> Config:
    """Read a configuration. Raises `ConfigError`, which tells all problems at once.

    The virtual environment with the kfp SDK is looked for beside `environment`, then beside the
    file. Without `with_files` the secrets and other files that it names are not looked at: they
    may be on another machine.
    """
    path = Path(path).absolute()
    try:
        raw, problems = read_yaml(path)
    except NotYaml as error:
        raise ConfigError(path, (str(error),)) from None
    # A heading without content means nothing, except that `auth:` closes every role.
    raw = {key: {} if key == "auth" and raw[key] is None else raw[key] for key in raw}
    raw = {key: value for key, value in raw.items() if value is not None}
    file = None
    try:
        file = FileSection.model_validate(raw)
    except ValidationError as error:
        problems += complaints(error, FileSection)
    found = check(partial(FileSection, raw), path.parent)
    problems += (each for each in found if with_files or not each.of_file)
    if problems or file is None:
        ordered = _in_order(problems, raw)
        raise ConfigError(path, tuple(ordered), tuple(each.place for each in ordered.values()))
    try:
        return convert(file, path, environment, with_files=with_files)
    except BadFile as error:  # changed since it was checked
        raise ConfigError(path, (str(error),)) from None


def _in_order(problems: Iterable[Complaint], raw: Mapping[str, Any]) -> dict[str, Complaint]:
    """Tell the problems as their places stand in the file, each once."""

    def position(problem: Complaint) -> list[float]:
        found: Any = raw
        positions: list[float] = []
        for part in problem.place:
            entries = dict(enumerate(found)) if isinstance(found, list) else found
            if not isinstance(entries, dict) or part not in entries:
                return [*positions, float("inf")]
            positions.append(list(entries).index(part))
            found = entries[part]
        return positions

    return {str(problem): problem for problem in sorted(problems, key=position)}
