"""Runs all checks over a chain."""

from collections.abc import Callable, Iterator, Sequence

from receiver.lint.alertmanager_checks import check_alertmanager
from receiver.lint.chain import Chain
from receiver.lint.config_checks import check_config
from receiver.lint.findings import Finding, in_order
from receiver.lint.route_checks import check_routes
from receiver.lint.rule_checks import check_rules

CHECKS: Sequence[Callable[[Chain], Iterator[Finding]]] = (
    check_config,
    check_routes,
    check_alertmanager,
    check_rules,
)


def lint(chain: Chain) -> list[Finding]:
    """Everything that will not work, in the order of the files."""
    found = [*chain.unreadable]
    for check in CHECKS:
        found += check(chain)
    return in_order(found)
