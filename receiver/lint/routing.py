"""Walks alerts down the tree of routes as Alertmanager does, with what is known of them."""

from collections.abc import Iterator
from dataclasses import dataclass

from receiver.lint.alertmanager_files import LocatedMatcher, Route
from receiver.lint.label_sets import Answer, LabelSet, answer


@dataclass(frozen=True, slots=True)
class Arrival:
    """A route whose receiver is told, or may be told."""

    route: Route
    certainty: Answer


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why alerts don't come to a route: a matcher, or an earlier sibling that takes them."""

    matcher: LocatedMatcher | None = None
    earlier: Route | None = None


def arrivals(route: Route, labels: LabelSet, certainty: Answer = Answer.YES) -> list[Arrival]:
    """The routes at which alerts of these labels end, once they have come to `route`."""
    found: list[Arrival] = []
    own = reached = certainty
    for child in _candidates(route, labels):
        said = matches(child, labels)
        if said is Answer.NO:
            continue
        found += arrivals(child, labels, _both(reached, said))
        if said is Answer.MAYBE:
            own = own if own is Answer.NO else Answer.MAYBE
            reached = reached if child.goes_on else Answer.MAYBE
        else:
            own = Answer.NO
            if not child.goes_on:
                break
    return found if own is Answer.NO else [*found, Arrival(route, own)]


def _both(one: Answer, other: Answer) -> Answer:
    return Answer.MAYBE if Answer.MAYBE in (one, other) else Answer.YES


def matches(route: Route, labels: LabelSet) -> Answer:
    """Whether a route's own matchers take these alerts."""
    whole = Answer.YES
    for each in route.matchers:
        said = answer(each.matcher, labels)
        if said is Answer.NO:
            return Answer.NO
        if said is Answer.MAYBE:
            whole = Answer.MAYBE
    return whole


def obstacle(root: Route, target: Route, labels: LabelSet) -> Obstacle | None:
    """The first thing on the way to a route that keeps alerts from it; None if nothing does."""
    for parent, child in _steps(root, target):
        for sibling in parent.routes:
            if sibling is child:
                break
            if not sibling.goes_on and matches(sibling, labels) is Answer.YES:
                return Obstacle(earlier=sibling)
        for each in child.matchers:
            if answer(each.matcher, labels) is Answer.NO:
                return Obstacle(matcher=each)
    return None


def doubts(root: Route, target: Route, labels: LabelSet) -> Iterator[Obstacle]:
    """What may keep alerts from a route, on the way to it."""
    for parent, child in _steps(root, target):
        for sibling in parent.routes:
            if sibling is child:
                break
            if not sibling.goes_on and matches(sibling, labels) is Answer.MAYBE:
                yield Obstacle(earlier=sibling)
        for each in child.matchers:
            if answer(each.matcher, labels) is Answer.MAYBE:
                yield Obstacle(matcher=each)


def _steps(root: Route, target: Route) -> list[tuple[Route, Route]]:
    """Parent and child on the way from the root to a route."""
    if root is target:
        return []
    for child in root.routes:
        if target.path[: len(child.path)] == child.path:
            return [(root, child), *_steps(child, target)]
    return []


def _candidates(route: Route, labels: LabelSet) -> Iterator[Route]:
    """The children that may take these alerts: of hundreds, few name the label's very value."""
    by_label, others = route.index
    numbers = [*others]
    for label, by_value in by_label.items():
        possible = labels.possible(label)
        for value in by_value if possible is None else possible:
            numbers += by_value.get(value, ())
    for number in sorted(set(numbers)):
        yield route.routes[number]
