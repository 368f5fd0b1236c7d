"""Checks of the routes: whether the alerts that retrain something come to our receiver."""

from collections.abc import Iterable, Iterator, Sequence

from receiver.core.containment import all_implied
from receiver.lint.alertmanager_files import AlertmanagerFile, Route, all_routes
from receiver.lint.chain import Chain
from receiver.lint.findings import CheckId, Finding, Severity, listed
from receiver.lint.label_sets import Answer
from receiver.lint.lost_alerts import NAMESPACE, lost_alerts


def check_routes(chain: Chain) -> Iterator[Finding]:
    """Follow every rule of ours to the receivers that it reaches."""
    file = chain.alertmanager
    if chain.rules or (chain.rules is not None and not chain.unreadable):
        yield from _without_rule(chain)
    if file is None:
        return
    yield from _unreadable(file)
    if not chain.our_receivers:
        yield _no_receiver(chain, file)
        return
    targets = [each for each in all_routes(file.route) if each.receiver in chain.our_receivers]
    if not targets:
        yield _no_route(chain, file)
        return
    yield from _shadowed(file, targets)
    yield from lost_alerts(chain, file, targets)
    yield from _uncalled(chain, file)
    yield from _own_namespace(chain, file)


def _unreadable(file: AlertmanagerFile) -> Iterator[Finding]:
    for path, said in file.problems:
        yield Finding(
            CheckId.ALERTMANAGER_UNREADABLE,
            Severity.ERROR,
            file.place(path),
            said,
            "Alertmanager refuses the whole file and keeps the old one",
            "mend it; `amtool check-config FILE` says the same",
        )


def _no_receiver(chain: Chain, file: AlertmanagerFile) -> Finding:
    hidden = any("secret" in str(each.get("url")) for each in file.webhooks)
    names = listed(dict.fromkeys(each.receiver for each in file.webhooks))
    if chain.receiver_names:
        said = f"there is no receiver {listed(sorted(chain.receiver_names))}"
        cure = f"write one of its receivers: {listed(file.receivers)}"
    elif hidden:
        said = "Alertmanager hides the addresses of its webhooks"
        cure = f"say which receiver posts to us: --receiver NAME, one of {names}"
    else:
        said = "no webhook_config posts to an address that ends in /webhook"
        cure = (
            "add a receiver with webhook_configs: [{url: http://HOST:8080/webhook}], or say "
            "which one posts to us with --receiver NAME"
        )
        if names:
            cure += f" (there are webhooks of {names})"
    undecided = hidden and not chain.receiver_names
    return Finding(
        CheckId.RECEIVER_MISSING,
        Severity.WARNING if undecided else Severity.ERROR,
        file.place((*file.route.path[:-1], "receivers")),
        said,
        "the routes were not examined" if undecided else "no alert can reach us",
        cure,
    )


def _no_route(chain: Chain, file: AlertmanagerFile) -> Finding:
    name = min(chain.our_receivers)
    partial = not file.route.receiver  # values of a chart, which are laid over others
    return Finding(
        CheckId.NO_ALERT_ARRIVES,
        Severity.WARNING if partial else Severity.ERROR,
        file.place((*file.receivers[name], "name")),
        f"no route names the receiver {name}",
        "no alert can reach us" + (", unless other values have routes" if partial else ""),
        f"add a route with receiver: {name} under route.routes",
    )


def _without_rule(chain: Chain) -> Iterator[Finding]:
    """Policies that none of the rules belongs to."""
    used = {policy.name for each in chain.ours for policy, _ in each.policies}
    for number, policy in enumerate(chain.config.policies):
        if policy.name in used:
            continue
        wanted = ", ".join(map(str, policy.matchers))
        yield Finding(
            CheckId.POLICY_WITHOUT_RULE,
            Severity.ERROR if not chain.ours else Severity.WARNING,
            chain.document.place(("policies", number, "match")),
            f"none of {len(chain.rules or ())} alerting rules makes an alert that "
            f"{policy.name} takes first ({wanted})",
            f"{policy.name} never retrains anything",
            "load the rule that it is about, or write what the rules' labels really are",
        )


def _shadowed(file: AlertmanagerFile, targets: Sequence[Route]) -> Iterator[Finding]:
    """Routes of ours whose every alert an earlier sibling takes."""
    for route in all_routes(file.route):
        for number, child in enumerate(route.routes):
            ours = [each for each in all_routes(child) if each in targets]
            if not ours:
                continue
            earlier = next(
                (
                    each
                    for each in route.routes[:number]
                    if not each.goes_on and _takes_all_of(each, child)
                ),
                None,
            )
            if earlier is None or _all_ours(earlier, targets):
                continue
            where = file.place(earlier.path)
            yield Finding(
                CheckId.ROUTE_SHADOWED,
                Severity.ERROR,
                file.place(child.path),
                f"this route is never reached: the earlier one in line {where.line} "
                f"({earlier.receiver}) takes all of its alerts",
                "they never come to us",
                "move this route before it, or write continue: true there",
            )


def _all_ours(route: Route, targets: Sequence[Route]) -> bool:
    return all(each in targets for each in all_routes(route))


def _takes_all_of(earlier: Route, later: Route) -> bool:
    return all_implied(
        [each.matcher for each in later.matchers], [each.matcher for each in earlier.matchers]
    )


def _uncalled(chain: Chain, file: AlertmanagerFile) -> Iterator[Finding]:
    """Alerts that come to us though no policy takes them."""
    by_route: dict[tuple[str | int, ...], list[str]] = {}
    for taken in chain.taken:
        if taken.policies:
            continue
        for each in chain.arrivals_of(taken.labels):
            if each.certainty is Answer.YES:
                by_route.setdefault(each.route.path, []).append(taken.rule.name)
                break
    for path, names in by_route.items():
        yield Finding(
            CheckId.ALERT_WITHOUT_POLICY,
            Severity.NOTE,
            file.place(path),
            f"{_count(names)} no policy takes: {listed(names)}",
            "each delivery of them is logged as `unmatched`",
            "narrow the route's matchers, or add a policy",
        )


def _count(names: Iterable[str]) -> str:
    number = len(set(names))
    return "one alert comes to us that" if number == 1 else f"{number} alerts come to us that"


def _own_namespace(chain: Chain, file: AlertmanagerFile) -> Iterator[Finding]:
    """The matcher that Prometheus' operator adds to the routes of an AlertmanagerConfig."""
    if file.namespace is None or not chain.ours:
        return
    own = file.namespace
    possible = [(each.rule.name, each.labels.possible(NAMESPACE)) for each in chain.ours]
    others = [
        name
        for name, values in possible
        if values is not None and (own not in values if own else values == {""})
    ]
    if others or any(values is None for _, values in possible):
        what = f'namespace="{own}"' if own else "its own namespace"
        names = listed(others or [name for name, _ in possible])
        lack = "have not" if others else "may not have"
        yield Finding(
            CheckId.OPERATOR_NAMESPACE,
            Severity.WARNING if others else Severity.NOTE,
            file.place(("metadata", "namespace")),
            f"Prometheus' operator adds {what} to this route, which alerts of {names} {lack}",
            "they go elsewhere, unless the Alertmanager resource says otherwise",
            "set alertmanagerConfigMatcherStrategy: {type: None} there",
        )
