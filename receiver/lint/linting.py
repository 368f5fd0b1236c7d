"""Runs all checks over a chain."""

from collections.abc import Callable, Iterator, Sequence

from receiver.lint.alertmanager_checks import check_alertmanager
from receiver.lint.chain import Chain
from receiver.lint.collector import paused
from receiver.lint.config_checks import check_config
from receiver.lint.findings import Finding, in_order
from receiver.lint.pipeline_checks import check_pipelines
from receiver.lint.route_checks import check_routes
from receiver.lint.rule_checks import check_rules
from receiver.lint.workflow_checks import check_workflows

CHECKS: Sequence[Callable[[Chain], Iterator[Finding]]] = (
    check_config,
    check_routes,
    check_alertmanager,
    check_rules,
    check_workflows,
    check_pipelines,
)


@paused()
def lint(chain: Chain) -> list[Finding]:
    """Everything that will not work, in the order of the files."""
    found = [*chain.unreadable]
    for check in CHECKS:
        found += check(chain)
    return in_order(found)
