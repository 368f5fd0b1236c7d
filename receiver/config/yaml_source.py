"""Parses the file's YAML into lists and mappings, and tells errors of the YAML itself."""

from pathlib import Path
from typing import Any

import yaml

from receiver.config.complaints import Complaint
from receiver.secret_files import read_piped


class NotYaml(Exception):
    """Nothing can be told about the settings, for the text is no YAML mapping."""


def read_yaml(path: Path) -> tuple[dict[Any, Any], list[Complaint]]:
    """Read the file. Raises `NotYaml`; what can be told besides is returned."""
    try:
        found, problems = _parse(read_piped(path).decode("utf-8-sig"))
    except OSError as error:
        raise NotYaml(
            f"the file can't be read: {error.strerror or error}; check its path"
        ) from None
    except UnicodeDecodeError as error:
        raise NotYaml(f"byte {error.start} is not UTF-8; save the file as UTF-8") from None
    except yaml.MarkedYAMLError as error:
        raise NotYaml(_place(error.problem_mark) + _sentence(error)) from None
    except yaml.reader.ReaderError as error:
        raise NotYaml(
            f"YAML forbids character {error.position}, U+{error.character:04X}; remove it"
        ) from None
    except RecursionError:
        raise NotYaml("the file is nested too deeply; write it flatter") from None
    except ValueError as error:  # a date such as 2026-99-99
        raise NotYaml(f"YAML can't read a value: {error}; put it in quotes") from None
    if not isinstance(found, dict):
        raise NotYaml("the file must be a mapping such as 'policies: []', not a list or text")
    return found, problems


def _parse(text: str) -> tuple[object, list[Complaint]]:
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return {}, []
        repeated = _repeated_keys(node)  # before merging puts others' keys beside a mapping's own
        found = loader.construct_document(node)
        return ({} if found is None else found), repeated
    finally:
        loader.dispose()


def _repeated_keys(root: yaml.Node) -> list[Complaint]:
    """Find keys written twice: YAML itself silently takes the last."""
    problems: list[Complaint] = []
    todo, seen = [root], {id(root)}
    while todo:
        node = todo.pop(0)
        below = node.value if isinstance(node, yaml.SequenceNode) else []
        if isinstance(node, yaml.MappingNode):
            first: dict[str, yaml.Node] = {}
            for key, value in node.value:
                below = [*below, value]
                if (
                    isinstance(key, yaml.ScalarNode)
                    and first.setdefault(key.value, key) is not key
                ):
                    line = first[key.value].start_mark.line + 1
                    problems.append(
                        Complaint(
                            (),
                            f"{_place(key.start_mark)}{key.value!r} is written twice, first in "
                            f"line {line}; remove one",
                        )
                    )
        todo.extend(child for child in below if id(child) not in seen)
        seen.update(map(id, below))
    return problems


def _place(mark: yaml.Mark | None) -> str:
    return "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "


def _sentence(error: yaml.MarkedYAMLError) -> str:
    parts = filter(None, [error.context, error.problem])
    return f"YAML can't read this: {', '.join(parts)}; check quotes, colons and indentation"
