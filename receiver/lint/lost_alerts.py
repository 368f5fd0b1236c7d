"""Finds the alerts of our rules that go elsewhere, or may, and names what takes them."""

from collections.abc import Hashable, Iterator, Sequence

from receiver.core.matchers import Matcher, Operator
from receiver.core.policies import shown
from receiver.lint.alertmanager_files import AlertmanagerFile, LocatedMatcher, Route
from receiver.lint.chain import Chain, Taken
from receiver.lint.findings import CheckId, Finding, Severity, listed
from receiver.lint.label_sets import Answer, answer
from receiver.lint.routing import Arrival, Obstacle, arrivals, doubts, obstacle, surely_reaches

NAMESPACE = "namespace"

NO_STRATEGY = (
    "set alertmanagerConfigMatcherStrategy: {type: None} in the Alertmanager resource, which adds "
    "this matcher, or make sure that the alerts carry this namespace"
)


def lost_alerts(
    chain: Chain, file: AlertmanagerFile, targets: Sequence[Route]
) -> Iterator[Finding]:
    """Rules of ours whose alerts go elsewhere, told once for each obstacle."""
    lost: dict[tuple[object, ...], list[tuple[Taken, Obstacle | None]]] = {}
    unsure: dict[tuple[object, ...], list[tuple[Taken, Obstacle | None]]] = {}
    known: dict[Hashable, tuple[bool, Obstacle | None]] = {}
    arrived = 0
    for taken, found in chain.arrivals:
        arrived += bool(found)
        way = chain.way(taken.labels)
        if way not in known:
            known[way] = _followed(chain, file, targets, taken, found)
        surely, block = known[way]
        if not surely:
            (unsure if found else lost).setdefault(_key(block), []).append((taken, block))
    if chain.ours and not arrived:
        yield _nothing_arrives(chain, file, targets, [group[0][1] for group in lost.values()])
    for group in lost.values():
        yield _goes_elsewhere(chain, file, group)
    for group in unsure.values():
        yield _may_go_elsewhere(chain, file, group)


def _followed(
    chain: Chain,
    file: AlertmanagerFile,
    targets: Sequence[Route],
    taken: Taken,
    found: Sequence[Arrival],
) -> tuple[bool, Obstacle | None]:
    """Whether alerts surely come to us, and what keeps them from it."""
    if not found:
        return False, _nearest(file, targets, taken)
    if _surely(chain, taken, found):
        return True, None
    return False, _doubt(file, targets, taken)


def _surely(chain: Chain, taken: Taken, found: Sequence[Arrival]) -> bool:
    """Whether one of these arrivals is certain, or some one of them."""
    if any(each.certainty is Answer.YES for each in found) or chain.tree is None:
        return True
    return surely_reaches(chain.tree, taken.labels, chain.our_receivers)


def _key(block: Obstacle | None) -> tuple[object, ...]:
    if block is None:
        return ()
    if block.matcher is not None:
        return (block.matcher.path, str(block.matcher.matcher))
    return () if block.other is None else block.other.path


def _nearest(file: AlertmanagerFile, targets: Sequence[Route], taken: Taken) -> Obstacle | None:
    """What keeps a rule's alerts from the route of ours that fits them best."""

    def misfit(route: Route) -> int:
        answers = [answer(each.matcher, taken.labels) for each in route.matchers]
        return sum(each is Answer.NO for each in answers)

    return obstacle(file.route, min(targets, key=misfit), taken.labels)


def _doubt(file: AlertmanagerFile, targets: Sequence[Route], taken: Taken) -> Obstacle | None:
    for target in targets:
        if obstacle(file.route, target, taken.labels) is None:
            return next(doubts(file.route, target, taken.labels), None)
    return None


def _nothing_arrives(
    chain: Chain,
    file: AlertmanagerFile,
    targets: Sequence[Route],
    blocks: Sequence[Obstacle | None],
) -> Finding:
    names = listed(each.rule.name for each in chain.ours)
    ours = targets[0]
    which = (
        f"{names}, the only rule that retrains a model, does not come"
        if len(chain.ours) == 1
        else f"none of {len(chain.ours)} rules that retrain a model ({names}) comes"
    )
    matchers = ", ".join(str(each.matcher) for each in ours.matchers)
    said = f"no alert reaches us: {which} to this route" + (f" ({matchers})" if matchers else "")
    return Finding(
        CheckId.NO_ALERT_ARRIVES,
        Severity.ERROR,
        file.place(_place_of(ours)),
        said,
        "no model is ever retrained, and nothing says so: Alertmanager tells others",
        _way_to_us(file, [each for each in blocks if each is not None]),
    )


def _way_to_us(file: AlertmanagerFile, blocks: Sequence[Obstacle]) -> str:
    """What lets the alerts through: whoever stands in the way must be named, and nobody else."""
    takers = [each for each in blocks if each.other is not None]
    cures = [
        f"write continue: true in what takes them (line {_lines(file, some)}), {then}"
        for then, below in (
            ("or move our route before it", False),
            ("and a route behind it that leads to us", True),
        )
        if (some := [each for each in takers if each.below is below])
    ]
    if not takers or any(each.matcher is not None for each in blocks):
        cures.append(
            "match what the rules set, such as the alertname, or set these labels in the rules"
        )
    return "; ".join(cures)


def _lines(file: AlertmanagerFile, blocks: Sequence[Obstacle]) -> str:
    lines = sorted(file.place(each.other.path).line or 0 for each in blocks if each.other)
    return listed(map(str, lines))


def _place_of(route: Route) -> tuple[str | int, ...]:
    return route.matchers[0].path if route.matchers else route.path


def _goes_elsewhere(
    chain: Chain, file: AlertmanagerFile, group: Sequence[tuple[Taken, Obstacle | None]]
) -> Finding:
    first, block = group[0]
    names = listed(each.rule.name for each, _ in group)
    ways = {chain.way(each.labels): each.labels for each, _ in group}
    others = dict.fromkeys(
        arrival.route.receiver
        for labels in ways.values()
        for arrival in arrivals(file.route, labels)
    )
    goes = "go" if len(group) > 1 else "goes"
    said, path, cure = f"{names} {goes} to {listed(others)}, not to us", file.route.path, ""
    if block is not None and block.matcher is not None:
        path, cure = block.matcher.path, _cure(chain, block.matcher, [each for each, _ in group])
        said += f": {_why(block.matcher, first)}"
    elif block is not None and block.other is not None:
        path = _place_of(block.other)
        said += f": {_which(block)} takes all of them"
        cure = _let_through(block)
    policies = listed(policy.name for each, _ in group for policy, _ in each.policies)
    sure = any(each.sure for each, _ in group)
    return Finding(
        CheckId.ALERT_GOES_ELSEWHERE,
        Severity.ERROR if sure else Severity.WARNING,
        file.place(path),
        said,
        f"the policy {policies} never hears of them",
        cure or "add a route that leads to us",
    )


def _which(block: Obstacle) -> str:
    return "this route below ours" if block.below else "this earlier route, without continue,"


def _let_through(block: Obstacle) -> str:
    if block.below:
        return "write continue: true here, and a route behind it that leads to us"
    return "write continue: true here, or move our route before it"


def _why(located: LocatedMatcher, taken: Taken) -> str:
    matcher, labels = located.matcher, taken.labels
    possible = labels.possible(matcher.name)
    if labels.assumes(matcher.name):
        return (
            f"{matcher} asks for a label that the rule does not set (unless its series themselves "
            f"carry {matcher.name})"
        )
    if possible is None or possible == {""}:
        return f"{matcher} asks for a label that its alerts do not have"
    values = listed(shown(each) for each in sorted(possible))
    return f"{matcher} does not match {matcher.name}={values}"


def _cure(chain: Chain, located: LocatedMatcher, lost: Sequence[Taken]) -> str:
    matcher = located.matcher
    if matcher.name == NAMESPACE and by_operator(chain):
        return NO_STRATEGY
    names = [*dict.fromkeys(each.rule.name for each in lost)]
    sign = "=" if len(names) == 1 else "=~"
    instead = f'write alertname{sign}"{"|".join(names)}" here'
    if matcher.operator is Operator.EQUAL and matcher.name != "alertname":
        rule = lost[0].rule
        if matcher.name in rule.labels:
            return f"{instead}, or let the rule set it ({rule.place('labels', matcher.name)})"
        return (
            f"{instead}, or add {matcher.name}: {matcher.value} to the rule's labels "
            f"({rule.place()})"
        )
    return f"{instead}, or set the label in the rule"


def by_operator(chain: Chain) -> bool:
    """Whether our receiver comes from an AlertmanagerConfig: NAMESPACE/NAME/RECEIVER."""
    return any(name.count("/") == 2 for name in chain.our_receivers)  # noqa: PLR2004


def _may_go_elsewhere(
    chain: Chain, file: AlertmanagerFile, group: Sequence[tuple[Taken, Obstacle | None]]
) -> Finding:
    _, block = group[0]
    names = listed(each.rule.name for each, _ in group)
    said, path, cure = f"{names} may go elsewhere", file.route.path, "match only what rules set"
    if block is not None and block.matcher is not None:
        matcher, path = block.matcher.matcher, block.matcher.path
        said += f": whether {matcher} holds depends on the series, not on the rule"
        cure = f"make sure that the series carry {matcher.name}, or match the alertname only"
        if matcher.name == NAMESPACE and by_operator(chain):
            cure = NO_STRATEGY
    severity = Severity.WARNING
    if block is not None and block.other is not None:
        path, cure = _place_of(block.other), _let_through(block)
        unsure = _unsure(block.other, group[0][0])
        said += f": {_which(block)} takes some of them, if {listed(map(str, unsure))}"
        known = {name for each, _ in group for name in _spoken_of(each)}
        if not block.below and all(each.name not in known for each in unsure):
            severity = Severity.NOTE  # nobody says that their series have such a label
    return Finding(
        CheckId.ALERT_MAY_GO_ELSEWHERE,
        severity,
        file.place(path),
        said,
        "those alerts are never heard of",
        cure,
    )


def _unsure(route: Route, taken: Taken) -> list[Matcher]:
    """The matchers of a route on which it depends whether it takes a rule's alerts."""
    matchers = [each.matcher for each in route.matchers]
    return [each for each in matchers if answer(each, taken.labels) is Answer.MAYBE]


def _spoken_of(taken: Taken) -> frozenset[str]:
    """The labels that a rule names, its expression or the policy's name of the model."""
    series = taken.rule.result.series
    identity = frozenset(name for policy, _ in taken.policies for name in policy.identity)
    mentioned = series.mentioned if series is not None else frozenset()
    return mentioned | identity | taken.rule.named | taken.rule.labels.keys()
