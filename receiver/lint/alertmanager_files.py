"""Reads Alertmanager configurations: routes, with what they inherit, and webhooks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from typing import Any

from receiver.core.durations import parse_duration
from receiver.core.matchers import Matcher, Operator, parse_matchers
from receiver.lint.documents import Document, Path_, mapping, sections, sequence, truth
from receiver.lint.findings import Place
from receiver.lint.route_index import RouteIndex

GROUP_WAIT = timedelta(seconds=30)
GROUP_INTERVAL = timedelta(minutes=5)
REPEAT_INTERVAL = timedelta(hours=4)
"""Alertmanager's defaults."""

OUR_PATH = "/webhook"

TIMES = ("mute_time_intervals", "active_time_intervals")

INHERITED = ("receiver", "group_by", "group_interval", "repeat_interval")


@dataclass(frozen=True, slots=True)
class LocatedMatcher:
    """A matcher and where it stands."""

    matcher: Matcher
    path: Path_


@dataclass(frozen=True)
class Route:
    """One node of the tree.

    Attributes:
        path: Where it stands.
        receiver: The name, inherited if the route names none.
        goes_on: `continue`: whether later siblings see its alerts too.
        settings: Where its settings stand, here or above, by Alertmanager's own names.
        times: The time intervals that it names, and where.

    """

    path: Path_
    matchers: tuple[LocatedMatcher, ...]
    receiver: str
    goes_on: bool
    group_by: tuple[str, ...]
    group_wait: timedelta
    group_interval: timedelta
    repeat_interval: timedelta
    settings: Mapping[str, Path_]
    times: tuple[tuple[Path_, str], ...]
    routes: tuple["Route", ...]

    @cached_property
    def receivers(self) -> frozenset[str]:
        """The receivers to which it or a route below it leads."""
        return frozenset({self.receiver}).union(*(each.receivers for each in self.routes))

    @cached_property
    def index(self) -> RouteIndex:
        """The children, to be found by an alert's labels."""
        return RouteIndex([[each.matcher for each in child.matchers] for child in self.routes])


@dataclass(frozen=True, slots=True)
class Webhook:
    """One `webhook_config` of a receiver."""

    receiver: str
    path: Path_
    section: Mapping[str, Any]

    def get(self, name: str) -> Any:
        """A setting, written as Alertmanager does or as its operator's resources do."""
        return setting(self.section, name)[1]

    def path_of(self, name: str) -> Path_:
        """Where a setting stands, or would stand."""
        return (*self.path, setting(self.section, name)[0])


@dataclass(frozen=True, slots=True)
class AlertmanagerFile:
    """One configuration.

    Attributes:
        namespace: Of an AlertmanagerConfig: its own, empty if the file does not say.
        problems: What can't be read, with its path.

    """

    document: Document
    route: Route
    receivers: Mapping[str, Path_]
    webhooks: tuple[Webhook, ...]
    problems: tuple[tuple[Path_, str], ...] = field(default=())
    namespace: str | None = None

    def place(self, path: Path_) -> Place:
        """Where something stands."""
        return self.document.place(path)


def read_alertmanager(documents: Sequence[Document]) -> AlertmanagerFile | None:
    """The section that holds routes, of several one that posts to us; None if there is none.

    It stands in a file of its own, in a resource of Prometheus' operator, or in a chart's values.
    """
    found = [
        _Reading(document).whole(section, path)
        for document in documents
        for path, section in sections(document.data, "route")
        if isinstance(section["route"], dict) and _is_ours(section, path)
    ]
    ours = (each for each in found if any(ends_as_ours(its) for its in each.webhooks))
    return next(ours, found[0] if found else None)


def _is_ours(section: Mapping[str, Any], path: Path_) -> bool:
    """Whether it is no other program's `route`: a chart's values may have one for its Service."""
    alone = not path and {"receiver", "routes"} & section["route"].keys()
    return isinstance(section.get("receivers"), list) or bool(alone)


def ends_as_ours(webhook: Webhook) -> bool:
    """Whether a webhook's address ends as ours does; a hidden one does not."""
    url = str(webhook.get("url") or "").partition("?")[0]
    return url.rstrip("/").endswith(OUR_PATH)


def setting(section: Mapping[str, Any], name: str) -> tuple[str, Any]:
    """A setting by its name; the operator's resources write `groupBy` for `group_by`."""
    first, *rest = name.split("_")
    camel = first + "".join(word.capitalize() for word in rest)
    return (camel, section[camel]) if camel in section else (name, section.get(name))


class _Reading:
    """One pass over a configuration, which collects what can't be read."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[tuple[Path_, str]] = []

    def whole(self, section: Mapping[str, Any], path: Path_) -> AlertmanagerFile:
        names: dict[str, Path_] = {}
        webhooks: list[Webhook] = []
        for number, receiver in enumerate(sequence(section.get("receivers"))):
            name = str(mapping(receiver).get("name"))
            here = (*path, "receivers", number)
            names[name] = here
            key, configs = setting(mapping(receiver), "webhook_configs")
            webhooks += [
                Webhook(name, (*here, key, place), mapping(each))
                for place, each in enumerate(sequence(configs))
            ]
        root = self.route(section["route"], (*path, "route"), None)
        whole = mapping(self.document.data)
        namespace = None
        if whole.get("kind") == "AlertmanagerConfig":
            namespace = str(mapping(whole.get("metadata")).get("namespace") or "")
        elif not whole.get("kind"):
            self.problems += _of_root(root, section["route"])
        self.problems += _undefined(root, names, _intervals(section)) if names else ()
        return AlertmanagerFile(
            self.document, root, names, tuple(webhooks), tuple(self.problems), namespace
        )

    def route(self, section: Mapping[str, Any], path: Path_, parent: Route | None) -> Route:
        inherited = {} if parent is None else parent.settings
        written = {name: inherited[name] for name in INHERITED if name in inherited} | {
            name: (*path, setting(section, name)[0])
            for name in (*INHERITED, *TIMES)
            if setting(section, name)[1] is not None
        }
        group_by = setting(section, "group_by")[1]
        own = Route(
            path=path,
            matchers=tuple(self.matchers(section, path)),
            receiver=str(section.get("receiver") or (parent.receiver if parent else "")),
            goes_on=truth(section.get("continue"), otherwise=False),
            group_by=tuple(map(str, sequence(group_by)))
            if group_by is not None
            else (parent.group_by if parent else ()),
            group_wait=self.span(section, path, "group_wait")
            or (parent.group_wait if parent else GROUP_WAIT),
            group_interval=self.span(section, path, "group_interval")
            or (parent.group_interval if parent else GROUP_INTERVAL),
            repeat_interval=self.span(section, path, "repeat_interval")
            or (parent.repeat_interval if parent else REPEAT_INTERVAL),
            settings=written,
            times=tuple(_times(section, path)),
            routes=(),
        )
        routes = tuple(
            self.route(mapping(each), (*path, "routes", number), own)
            for number, each in enumerate(sequence(section.get("routes")))
        )
        return replace(own, routes=routes)

    def matchers(self, section: Mapping[str, Any], path: Path_) -> Iterator[LocatedMatcher]:
        for number, written in enumerate(_texts(section.get("matchers"))):
            here = (*path, "matchers", number)
            try:
                for matcher in _parsed(written):
                    yield LocatedMatcher(matcher, here)
            except ValueError as error:
                self.problems.append((here, str(error)))
        for name, operator in (("match", Operator.EQUAL), ("match_re", Operator.MATCHES)):
            for label, value in mapping(section.get(name)).items():
                here = (*path, name, label)
                if value is None and operator is Operator.MATCHES:
                    self.problems.append((here, f"the pattern of {label} is empty"))
                    continue
                try:
                    yield LocatedMatcher(Matcher(label, operator, str(value or "")), here)
                except ValueError as error:
                    self.problems.append((here, f"{value!r} is not a pattern: {error}"))

    def span(self, section: Mapping[str, Any], path: Path_, name: str) -> timedelta | None:
        key, written = setting(section, name)
        if written is None:
            return None
        try:
            span = parse_duration(written)
        except ValueError as error:
            self.problems.append(((*path, key), str(error)))
            return None
        if not span:
            self.problems.append(((*path, key), f"{name} can't be zero"))
        return span


def _times(section: Mapping[str, Any], path: Path_) -> Iterator[tuple[Path_, str]]:
    for name in TIMES:
        key, written = setting(section, name)
        for number, each in enumerate(sequence(written)):
            yield (*path, key, number), str(each)


def _of_root(root: Route, section: Mapping[str, Any]) -> Iterator[tuple[Path_, str]]:
    """What Alertmanager does not take in the first route, which is that of all alerts."""
    if not root.receiver and len(root.path) == 1:  # values of charts are laid over others
        yield root.path, "the first route names no receiver"
    if root.matchers:
        yield root.matchers[0].path, "the first route takes all alerts: it may have no matchers"
    if root.goes_on:
        yield (*root.path, "continue"), "the first route may have no continue"
    for name in TIMES:
        if section.get(name):
            yield (*root.path, name), f"the first route may have no {name}"


def _intervals(section: Mapping[str, Any]) -> set[str]:
    """The names of the times that a configuration defines."""
    defined = (setting(section, name)[1] for name in ("time_intervals", "mute_time_intervals"))
    return {str(mapping(each).get("name")) for some in defined for each in sequence(some)}


def _undefined(
    root: Route, receivers: Mapping[str, Path_], intervals: set[str]
) -> Iterator[tuple[Path_, str]]:
    """Names to which nothing belongs."""
    for route in all_routes(root):
        own = (*route.path, "receiver")
        if route.settings.get("receiver") == own and route.receiver not in receivers:
            yield own, f"there is no receiver {route.receiver}"
        for path, name in route.times:
            if name not in intervals:
                yield path, f"there is no time interval {name}"


def _texts(written: Any) -> Sequence[Any]:
    return [written] if isinstance(written, str) else sequence(written)


def _parsed(written: Any) -> tuple[Matcher, ...]:
    """Read a matcher, also as the operator's resources write it. Raises `ValueError`."""
    if not isinstance(written, dict):
        return parse_matchers(str(written))
    pattern = truth(written.get("regex"), otherwise=False)
    operator = written.get("matchType") or ("=~" if pattern else "=")
    return (
        Matcher(str(written.get("name")), Operator(operator), str(written.get("value") or "")),
    )


def all_routes(route: Route) -> Iterator[Route]:
    """A route and all below it, in the file's order."""
    yield route
    for each in route.routes:
        yield from all_routes(each)
