"""YAML and JSON documents that know where each of their values stands.

Every scalar is the text that was written (null is None): programs in Go read a label's value
`yes` or `1` as text, where YAML's own rules would make a truth or a number of it.
"""

import binascii
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from receiver.lint.findings import Place
from receiver.secret_files import TooLargeError, read_piped

Path_ = tuple[str | int, ...]
"""Where a value is within a document: `("route", "routes", 0, "matchers")`."""

LARGEST = 64 * 1024 * 1024

# libyaml reads ten times as fast as the pure Python loader.
_LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

FILES: Mapping[str, Sequence[str]] = {"ConfigMap": ("data",), "Secret": ("stringData", "data")}
"""The resources whose values are whole files, and where these stand."""

_TEMPLATE = re.compile(r"\s*(?:- )?(?:[\w.-]+:\s*)?\{\{")

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
        within: Of a document in a ConfigMap: line and column at which its text begins.

    """

    name: str
    data: Any
    lines: Sequence[str] = field(default=(), repr=False)
    root: Any = field(default=None, repr=False)
    within: tuple[int, int] = (0, 0)

    def at(self, key: str) -> "Document":
        """What stands under a key, as a document of its own."""
        return replace(self, data=mapping(self.data).get(key), root=_node(self.root, (key,)))

    def place(self, path: Path_, where: str = "") -> Place:
        """Where a value stands; the nearest enclosing one if it is not there itself."""
        if self.root is None:
            return Place(self.name, where=where)
        mark, (line, column) = _mark(self.root, path), self.within
        return place_of(self.name, self.lines, line + mark.line, column + mark.column)


def place_of(name: str, lines: Sequence[str], line: int, column: int) -> Place:
    """A place whose line and column count from 0, with the text of its line."""
    source = lines[line] if line < len(lines) else ""
    return Place(name, line + 1, column + 1, source=source.rstrip("\r\n"))


def read_file(path: Path) -> list[Document]:
    """Read all documents of a file, and those within its ConfigMaps. Raises `Unreadable`."""
    try:
        text = read_piped(path, LARGEST).decode("utf-8-sig")
    except TooLargeError:
        raise Unreadable(Place(str(path)), "is larger than 64 MiB") from None
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
        whole = [Document(name, _value(root, {}), lines, root) for root in roots]
        return [document for each in whole for document in (each, *_embedded(each))]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = place_of(name, lines, mark.line, mark.column) if mark else Place(name)
        said = ", ".join(filter(None, [error.context, error.problem]))
        if _TEMPLATE.match(place.source):
            said += "; a template of Helm is linted as `helm template` renders it"
        raise Unreadable(place, f"is not YAML: {said}") from None
    except yaml.reader.ReaderError as error:
        raise Unreadable(Place(name), f"YAML forbids U+{error.character:04X}") from None
    except RecursionError:
        raise Unreadable(Place(name), "is nested too deeply") from None


def _embedded(document: Document) -> Iterator[Document]:
    """The YAML files that a ConfigMap or a Secret holds; what else it holds is passed over."""
    data = mapping(document.data)
    kind = str(data.get("kind"))
    for section in FILES.get(kind, ()):
        for key, value in mapping(data.get(section)).items():
            if kind == "Secret" and section == "data":
                yield from _read_within(document, _decoded(value), None)
            elif isinstance(value, str) and "\n" in value:
                yield from _read_within(document, value, _node(document.root, (section, key)))


def _decoded(value: Any) -> str:
    try:
        return b64decode(str(value), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _read_within(document: Document, text: str, node: Any) -> Iterator[Document]:
    """Read a text within a document; without lines where its own are not the file's."""
    try:
        roots = [root for root in yaml.compose_all(text, _LOADER) if root is not None]
        values = [_value(root, {}) for root in roots]
    except (yaml.YAMLError, RecursionError):
        return  # a script, a page of text, a certificate
    is_literal = node is not None and node.style == "|"
    for root, value in zip(roots, values, strict=True):
        if not is_literal:
            yield Document(document.name, value)
            continue
        first = node.start_mark.line + 1
        indented = next((each for each in document.lines[first:] if each.strip()), "")
        within = first, len(indented) - len(indented.lstrip(" "))
        yield Document(document.name, value, document.lines, root, within)


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


def _node(root: yaml.Node, path: Path_) -> yaml.Node | None:
    """The node at a path of keys."""
    node: yaml.Node | None = root
    for part in path:
        pairs = _pairs(node) if isinstance(node, yaml.MappingNode) else iter(())
        node = next((value for key, value in pairs if key.value == part), None)
    return node


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


def sections(data: Any, name: str) -> Iterator[tuple[Path_, Mapping[str, Any]]]:
    """All mappings with an entry of this name, however deep, with their paths; none within one."""
    waiting: list[tuple[Path_, Any]] = [((), data)]
    known: set[int] = set()
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict | list) and id(value) in known:
            continue  # an anchor's, which is referred to again
        known.add(id(value))
        if isinstance(value, dict):
            if name in value:
                yield path, value
            inner: list[tuple[Path_, Any]] = [
                ((*path, key), each) for key, each in value.items() if key != name
            ]
        else:
            inner = [((*path, number), each) for number, each in enumerate(sequence(value))]
        waiting += reversed(inner)


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
