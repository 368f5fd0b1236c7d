"""YAML and JSON documents that know where each of their values stands.

Every scalar is the text that was written (null is None): programs in Go read a label's value
`yes` or `1` as text, where YAML's own rules would make a truth or a number of it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from receiver.lint.findings import Place

Path_ = tuple[str | int, ...]
"""Where a value is within a document: `("route", "routes", 0, "matchers")`."""

LARGEST = 64 * 1024 * 1024

# libyaml reads ten times as fast as the pure Python loader.
_LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_MERGE = "tag:yaml.org,2002:merge"
_NULL = "tag:yaml.org,2002:null"


class Unreadable(Exception):
    """A document can't be read; says why and where."""

    def __init__(self, place: Place, said: str) -> None:
        super().__init__(f"{place}: {said}")
        self.place, self.said = place, said


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document.

    Attributes:
        name: Its file, or the address that answered it.
        data: Mappings, lists, texts and None.
        lines: The text, for showing places; empty for an answer without lines.

    """

    name: str
    data: Any
    lines: Sequence[str] = field(default=(), repr=False)
    root: Any = field(default=None, repr=False)

    def place(self, path: Path_, where: str = "") -> Place:
        """Where a value stands; the nearest enclosing one if it is not there itself."""
        if self.root is None:
            return Place(self.name, where=where)
        mark = _mark(self.root, path)
        return place_of(self.name, self.lines, mark.line, mark.column)


def place_of(name: str, lines: Sequence[str], line: int, column: int) -> Place:
    """A place whose line and column count from 0, with the text of its line."""
    source = lines[line] if line < len(lines) else ""
    return Place(name, line + 1, column + 1, source=source.rstrip("\r\n"))


def read_file(path: Path) -> list[Document]:
    """Read all documents of a file. Raises `Unreadable`."""
    try:
        if path.stat().st_size > LARGEST:
            raise Unreadable(Place(str(path)), "is larger than 64 MiB")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise Unreadable(Place(str(path)), f"can't be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise Unreadable(Place(str(path)), f"byte {error.start} is not UTF-8") from None
    return read_text(str(path), text)


def read_text(name: str, text: str) -> list[Document]:
    """Read all documents of a text. Raises `Unreadable`."""
    lines = text.split("\n")
    try:
        roots = [root for root in yaml.compose_all(text, _LOADER) if root is not None]
        return [Document(name, _value(root, {}), lines, root) for root in roots]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = place_of(name, lines, mark.line, mark.column) if mark else Place(name)
        said = ", ".join(filter(None, [error.context, error.problem]))
        raise Unreadable(place, f"is not YAML: {said}") from None
    except yaml.reader.ReaderError as error:
        raise Unreadable(Place(name), f"YAML forbids U+{error.character:04X}") from None
    except RecursionError:
        raise Unreadable(Place(name), "is nested too deeply") from None


def _value(node: yaml.Node, known: dict[int, Any]) -> Any:
    """What a node says. An anchor's is made once, however often it is referred to."""
    if isinstance(node, yaml.ScalarNode):
        return None if node.tag == _NULL else node.value
    if id(node) not in known:
        if isinstance(node, yaml.SequenceNode):
            known[id(node)] = [_value(each, known) for each in node.value]
        else:
            pairs = _pairs(node)
            known[id(node)] = {str(key.value): _value(value, known) for key, value in pairs}
    return known[id(node)]


def _pairs(node: yaml.Node) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    """A mapping's entries: those that it merges come first, so that its own win."""
    merged = [value for key, value in node.value if key.tag == _MERGE]
    for value in merged:
        for each in value.value if isinstance(value, yaml.SequenceNode) else [value]:
            if isinstance(each, yaml.MappingNode):
                yield from _pairs(each)
    yield from ((key, value) for key, value in node.value if key.tag != _MERGE)


def _mark(root: yaml.Node, path: Path_) -> yaml.Mark:
    """Where a value begins; that of its key if it stands further down."""
    mark, node = root.start_mark, root
    for part in path:
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            if part >= len(node.value):
                return mark
            node = node.value[part]
            mark = node.start_mark
        elif isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in _pairs(node) if key.value == part]
            if not found:
                return mark
            key, node = found[-1]
            is_scalar = isinstance(node, yaml.ScalarNode)
            beside = is_scalar and node.start_mark.line == key.start_mark.line
            mark = node.start_mark if beside else key.start_mark
        else:
            return mark
    return mark


def mapping(value: Any) -> Mapping[str, Any]:
    """A mapping, or an empty one in place of whatever else is there."""
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> Sequence[Any]:
    """A list, or an empty one in place of whatever else is there."""
    return value if isinstance(value, list) else ()


def truth(value: Any, *, otherwise: bool) -> bool:
    """A truth as YAML 1.1 writes it."""
    if not isinstance(value, str):
        return otherwise if value is None else bool(value)
    word = value.lower()
    return word in {"true", "yes", "on", "y"} or (
        otherwise and word not in {"false", "no", "off", "n"}
    )
