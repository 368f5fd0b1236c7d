"""A case: one alert on its way down the ladder, with everything that the rungs may look at."""

from dataclasses import dataclass
from datetime import datetime

from receiver.core.alerts import Alert
from receiver.core.decisions import Facts
from receiver.core.policies import Policy


@dataclass(frozen=True, slots=True)
class Case:
    """One alert on its way down the ladder."""

    alert: Alert
    policy: Policy | None
    facts: Facts
    now: datetime

    @property
    def ruling(self) -> Policy:
        """The policy, for the rungs below `unmatched`."""
        if self.policy is None:
            raise ValueError("no policy matches; `unmatched` must be asked first")
        return self.policy
