"""Gathers the chain: reads every file that was named, and what programs answered."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from receiver.config import Config, ConfigError, load_config
from receiver.core.policies import fill
from receiver.dispatchers.pipelines import is_package
from receiver.lint.alertmanager_files import AlertmanagerFile, read_alertmanager
from receiver.lint.chain import Chain
from receiver.lint.collector import paused
from receiver.lint.config_checks import own_document, refused
from receiver.lint.documents import Document, Unreadable, mapping, read_file, read_text, sequence
from receiver.lint.findings import CheckId, Finding, Place, Severity
from receiver.lint.rule_files import Rule, World, read_rules

PROMETHEUS = {"global", "alerting", "rule_files", "scrape_configs"}
"""What a configuration of Prometheus has."""

SUFFIXES = (".yaml", ".yml", ".rules", ".json")


@dataclass(frozen=True, slots=True)
class Answered:
    """What a program answered.

    Attributes:
        address: Its URL.
        text: A configuration in YAML.
        rules: The data of `/api/v1/rules`.
        label_names: All labels of all series; None if they were not asked for.

    """

    address: str
    text: str | None = None
    rules: Any = None
    label_names: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Sources:
    """What is to be read.

    Attributes:
        prometheus: Prometheus' configuration file, whose `rule_files` are read too.
        rules: Files, folders and patterns.
        receivers: Names of Alertmanager's receivers that post to us.

    """

    config: Path
    alertmanager: Path | Answered | None = None
    prometheus: Path | Answered | None = None
    rules: Sequence[str] = ()
    workflows: Sequence[Path] = ()
    packages: Sequence[Path] = ()
    receivers: frozenset[str] = frozenset()


@paused()
def gather(sources: Sources) -> Chain | list[Finding]:
    """Read everything; findings only, if the receiver's own file can't be read."""
    document = own_document(sources.config)
    try:
        config, elsewhere = _config(sources.config)
    except ConfigError as error:
        return list(refused(document, error))
    reading = _Reading()
    alertmanager = reading.alertmanager(sources.alertmanager)
    prometheus, rules = reading.prometheus(sources.prometheus)
    given = reading.rules(sources.rules)
    some_rules = bool(sources.rules) or rules is not None
    return Chain(
        config=config,
        document=document,
        alertmanager=alertmanager,
        prometheus=prometheus,
        rules=[*given, *(rules or ())] if some_rules else None,
        receiver_names=sources.receivers or _named(config),
        workflows=reading.documents(sources.workflows),
        packages=reading.packages([*sources.packages, *_packages(config)]),
        world=_world(prometheus, sources.prometheus),
        unreadable=[*(_elsewhere(document, elsewhere) if elsewhere else ()), *reading.problems],
    )


def _config(path: Path) -> tuple[Config, ConfigError | None]:
    """Our own file. Raises `ConfigError`, but not for secrets that are on another machine."""
    try:
        return load_config(path), None
    except ConfigError as error:
        return load_config(path, with_files=False), error


def _elsewhere(document: Document, error: ConfigError) -> Iterator[Finding]:
    """Files that the configuration names, and that are not here."""
    for each in refused(document, error):
        yield replace(
            each,
            severity=Severity.NOTE,
            consequence="if it is so where the receiver runs, it does not start",
        )


def _unreadable(error: Unreadable) -> Finding:
    return Finding(
        CheckId.UNREADABLE,
        Severity.ERROR,
        error.place,
        error.said,
        "nothing in it was examined",
        "name the right file, or mend it",
    )


def _named(config: Config) -> frozenset[str]:
    asked = config.sources.alertmanagers if config.sources else ()
    return frozenset(each.receiver for each in asked)


def _packages(config: Config) -> list[Path]:
    """The compiled pipelines that our own file names."""
    places = (
        fill(settings.target.place["pipeline"], {})
        for settings in config.targets.values()
        if "pipeline" in settings.target.place
    )
    return [Path(place) for place in places if is_package(place) and Path(place).is_file()]


def _of_prometheus(documents: Sequence[Document]) -> Document | None:
    """The document that is a configuration: a ConfigMap holds others too."""
    fitting = (each for each in documents if PROMETHEUS & mapping(each.data).keys())
    return next(fitting, documents[0] if documents else None)


def _world(document: Document | None, prometheus: Path | Answered | None) -> World:
    data = mapping(document.data) if document is not None else {}
    external = mapping(mapping(data.get("global")).get("external_labels"))
    world = World(external={name: str(value or "") for name, value in external.items()})
    if isinstance(prometheus, Answered) and prometheus.label_names is not None:
        return replace(world, names=prometheus.label_names)
    return world


class _Reading:
    """One pass over the files, which collects what can't be read."""

    def __init__(self) -> None:
        self.problems: list[Finding] = []

    def documents(self, paths: Iterable[Path]) -> list[Document]:
        found: list[Document] = []
        for path in paths:
            try:
                found += read_file(path)
            except Unreadable as error:
                self.problems.append(_unreadable(error))
        return found

    def packages(self, paths: Iterable[Path]) -> list[Document]:
        known = {path.resolve(): path for path in reversed([*paths])}
        documents = self.documents(known.values())
        for path in known.values():
            its = [each for each in documents if each.name == str(path)]
            if its and not any(
                {"root", "pipeline_spec"} & mapping(each.data).keys() for each in its
            ):
                said = "is no compiled pipeline: it has no `root`; write it with kfp dsl compile"
                self.problems.append(_unreadable(Unreadable(its[0].place(()), said)))
        return documents

    def answer(self, answered: Answered, what: str) -> list[Document]:
        try:
            return read_text(f"{answered.address} ({what})", answered.text or "")
        except Unreadable as error:
            self.problems.append(_unreadable(error))
            return []

    def alertmanager(self, source: Path | Answered | None) -> AlertmanagerFile | None:
        if source is None:
            return None
        if isinstance(source, Answered):
            name, documents = source.address, self.answer(source, "its configuration")
        else:
            name, documents = str(source), self.documents([source])
        found = read_alertmanager(documents)
        if found is None and not self.problems:
            said = "holds no `route`, so it is no configuration of Alertmanager"
            self.problems.append(_unreadable(Unreadable(Place(name), said)))
        return found

    def prometheus(
        self, source: Path | Answered | None
    ) -> tuple[Document | None, list[Rule] | None]:
        if source is None:
            return None, None
        if isinstance(source, Answered):
            document = next(iter(self.answer(source, "its configuration")), None)
            answer = Document(f"{source.address}/api/v1/rules", source.rules)
            return document, list(read_rules([answer]))
        document = _of_prometheus(self.documents([source]))
        patterns = sequence(mapping(document.data if document else {}).get("rule_files"))
        named = [str(source.parent / str(pattern)) for pattern in patterns]
        return document, self.rules(named, Severity.NOTE) if named else None

    def rules(self, patterns: Iterable[str], missing: Severity = Severity.ERROR) -> list[Rule]:
        paths = [path for pattern in patterns for path in self.found(pattern, missing)]
        documents = self.documents(dict.fromkeys(paths))
        rules = list(read_rules(documents))
        if documents and not rules and not self.problems:
            said = "holds no alerting rule"
            self.problems.append(_unreadable(Unreadable(Place(documents[0].name), said)))
        return rules

    def found(self, pattern: str, missing: Severity) -> list[Path]:
        """The files that a pattern names; a folder stands for its YAML files."""
        path, found = Path(pattern), list[Path]()
        if path.is_dir():
            found = sorted(each for each in path.rglob("*") if each.suffix in SUFFIXES)
        elif path.exists():
            found = [path]
        elif any(character in pattern for character in "*?["):
            found = sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
        if not found:
            problem = _unreadable(Unreadable(Place(pattern), "names no file"))
            self.problems.append(replace(problem, severity=missing))
        return found
