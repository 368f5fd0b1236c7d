"""What `doctor` learns from `lint`: the chain as Prometheus and Alertmanager really run it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from receiver.cli.client import AskError
from receiver.cli.upstream import Alertmanager, Prometheus

if TYPE_CHECKING:  # pydantic and YAML are slow to load
    from receiver.lint.chain import Chain
    from receiver.lint.findings import Finding


@dataclass(frozen=True)
class LiveChain:
    """The chain of running programs and our own file.

    Attributes:
        receivers: Names of Alertmanager's receivers that post to us, where it hides addresses.

    """

    prometheus: Prometheus
    alertmanager: Alertmanager
    config: Path | None
    receivers: frozenset[str]

    @cached_property
    def _chain(self) -> "Chain | None":
        """None if our own file can't be read, or nobody answers: other checks say so."""
        from receiver.cli.linting import configured, loaded  # noqa: PLC0415
        from receiver.lint.gathering import Answered, Sources, gather  # noqa: PLC0415

        if self.config is None:
            return None

        def asked(which: Prometheus | Alertmanager) -> Answered | None:
            try:
                return loaded(which) if isinstance(which, Prometheus) else configured(which)
            except AskError:
                return None

        chain = gather(
            Sources(
                config=self.config,
                alertmanager=asked(self.alertmanager),
                prometheus=asked(self.prometheus),
                receivers=self.receivers,
            )
        )
        return None if isinstance(chain, list) else chain

    def findings(self) -> "Iterator[Finding]":
        """What will not work, but for what doctor says anyway."""
        from receiver.lint.findings import CheckId, Severity  # noqa: PLC0415
        from receiver.lint.linting import lint  # noqa: PLC0415

        known = {CheckId.CONFIGURATION, CheckId.POLICY_WITHOUT_RULE}
        for finding in lint(self._chain) if self._chain is not None else ():
            if finding.check not in known and finding.severity is not Severity.NOTE:
                yield finding

    @property
    def summary(self) -> str | None:
        """How much was compared; None if there was nothing to compare."""
        chain = self._chain
        if chain is None or chain.alertmanager is None or not chain.ours:
            return None
        if not chain.our_receivers:
            return None
        return f"{len(chain.ours)} rules that retrain a model are routed to us"

    def sample(self, given: Mapping[str, str]) -> tuple[str, dict[str, str]] | None:
        """The labels of a real rule's alerts, and its name."""
        from receiver.lint.sampling import sample  # noqa: PLC0415

        return None if self._chain is None else sample(self._chain, given)
