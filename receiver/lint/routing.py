"""Walks alerts down the tree of routes as Alertmanager does, with what is known of them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from receiver.lint.alertmanager_files import LocatedMatcher, Route
from receiver.lint.label_sets import Answer, LabelSet, answer


@dataclass(frozen=True, slots=True)
class Arrival:
    """A route whose receiver is told, or may be told."""

    route: Route
    certainty: Answer


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why alerts don't end at a route: a matcher, or another route that takes them.

    Attributes:
        other: A sibling before it, or before one above it.
        below: Whether that is a route below it instead.

    """

    matcher: LocatedMatcher | None = None
    other: Route | None = None
    below: bool = False


def arrivals(
    route: Route,
    labels: LabelSet,
    certainty: Answer = Answer.YES,
    ours: frozenset[str] | None = None,
) -> list[Arrival]:
    """The routes at which alerts of these labels end, once they have come to `route`.

    With `ours` only those are told that lead to one of these receivers.
    """
    found: list[Arrival] = []
    is_ours = ours is None or route.receiver in ours
    own = reached = certainty
    for child, said in _children(route, labels):
        leads = ours is None or not ours.isdisjoint(child.receivers)
        if leads:
            found += arrivals(child, labels, _both(reached, said), ours)
        if said is Answer.MAYBE:
            own = own if own is Answer.NO else Answer.MAYBE
            reached = reached if child.goes_on else Answer.MAYBE
        else:
            own = Answer.NO
            if not child.goes_on:
                break
    return [*found, Arrival(route, own)] if own is not Answer.NO and is_ours else found


def pruned(route: Route, ours: frozenset[str]) -> Route:
    """The same tree without what can't change whether an alert comes to one of our receivers.

    A route that leads nowhere near us and lets its alerts go on decides only whether its parent
    is told; what is below one that leads nowhere near us decides nothing.
    """
    if ours.isdisjoint(route.receivers):
        return replace(route, routes=())
    is_ours = route.receiver in ours
    kept = (
        child
        for child in route.routes
        if is_ours or not child.goes_on or not ours.isdisjoint(child.receivers)
    )
    return replace(route, routes=tuple(pruned(child, ours) for child in kept))


def surely_reaches(route: Route, labels: LabelSet, ours: frozenset[str]) -> bool:
    """Whether alerts that come to `route` end at a receiver of ours, whatever is not known."""
    if ours.issuperset(route.receivers):
        return True
    # From the last child to the first: whether ours is reached from there on, if an earlier child
    # took the alert and let it go on, or if none did.
    taken_before, untaken = False, route.receiver in ours
    for child, said in reversed([*_children(route, labels)]):
        leads = surely_reaches(child, labels, ours) if child.routes else child.receiver in ours
        within = leads or (child.goes_on and taken_before)
        taken_before = within and (said is Answer.YES or taken_before)
        untaken = within and (said is Answer.YES or untaken)
    return untaken


def _children(route: Route, labels: LabelSet) -> Iterator[tuple[Route, Answer]]:
    """The children that take these alerts, or may."""
    for number, said in route.index.candidates(labels):
        whole = said
        for matcher in route.index.rest[number]:
            answered = answer(matcher, labels)
            if answered is Answer.NO:
                break
            if answered is Answer.MAYBE:
                whole = Answer.MAYBE
        else:
            yield route.routes[number], whole


def _both(one: Answer, other: Answer) -> Answer:
    return Answer.MAYBE if Answer.MAYBE in (one, other) else Answer.YES


def obstacle(root: Route, target: Route, labels: LabelSet) -> Obstacle | None:
    """The first thing on the way to a route that keeps alerts from it; None if nothing does."""
    return next(_obstacles(root, target, labels, taken=Answer.YES, matched=Answer.NO), None)


def doubts(root: Route, target: Route, labels: LabelSet) -> Iterator[Obstacle]:
    """What may keep alerts from a route, on the way to it."""
    return _obstacles(root, target, labels, taken=Answer.MAYBE, matched=Answer.MAYBE)


def _obstacles(
    root: Route, target: Route, labels: LabelSet, *, taken: Answer, matched: Answer
) -> Iterator[Obstacle]:
    """What stands on the way: others that answer `taken`, its own matchers that say `matched`."""
    for parent, child in _steps(root, target):
        for sibling, said in _before(parent, child, labels):
            if said is taken:
                yield Obstacle(other=sibling)
        for each in child.matchers:
            if answer(each.matcher, labels) is matched:
                yield Obstacle(matcher=each)
    for child, said in _children(target, labels):
        if said is taken:
            yield Obstacle(other=child, below=True)


def _before(parent: Route, child: Route, labels: LabelSet) -> Iterator[tuple[Route, Answer]]:
    """The siblings before a route that keep what they take, or may."""
    for sibling, said in _children(parent, labels):
        if sibling.path[-1] >= child.path[-1]:  # type: ignore[operator]  # numbers, both
            return
        if not sibling.goes_on:
            yield sibling, said


def _steps(root: Route, target: Route) -> Iterator[tuple[Route, Route]]:
    """Parent and child on the way from the root to a route, read off its path."""
    route = root
    for number in target.path[len(root.path) + 1 :: 2]:
        child = route.routes[int(number)]
        yield route, child
        route = child
