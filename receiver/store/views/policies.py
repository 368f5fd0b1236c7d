"""What is read about policies: how often retraining helped, and how soon."""

from datetime import datetime, timedelta

from receiver.core.run_ends import Effect
from receiver.store.views.moment import Reads
from receiver.store.views.run_ends import effects_by_policy, ineffective_runs, recovery_times


class PolicyReads(Reads):
    """Reads of what the runs of policies brought."""

    def effects(self, since: datetime) -> dict[str, dict[Effect, int]]:
        """How many runs that ended since then brought what, by policy."""
        return effects_by_policy(self._db, since, self._moment.now)

    def recovery_times(self, since: datetime) -> dict[str, list[timedelta]]:
        """How long each recovery took from its run's end, shortest first, by policy."""
        return recovery_times(self._db, since)

    def ineffective_runs(self, limit: int) -> dict[str, int]:
        """How many runs of its present episode helped nobody, by model that fires."""
        return ineffective_runs(self._db, self._moment.now, limit)
