"""A case: what every rung of the ladder is given: alert, policy, facts and time."""

from dataclasses import dataclass
from datetime import datetime

from receiver.core.alerts import Alert
from receiver.core.decisions import Facts
from receiver.core.policies import Policy


@dataclass(frozen=True, slots=True)
class Case:
    """One alert with everything that a rung may look at."""

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
