"""Applies a loaded configuration: every firing alert is decided again."""

from receiver.core.policy_set import PolicySet
from receiver.store.advisory_locks import AdvisoryLock
from receiver.store.store import Store


def apply_configuration(store: Store, policy_set: PolicySet, body: str) -> bool:
    """Keep the configuration by its hash; if it is new, decide everything that fires again.

    It also ends the back-off after a refusal: what was refused may have been mended. What a
    replica with the old configuration decides after that is left to `releasing`. True if the
    configuration differs from the one that was in force before, also before a restart.
    """
    with store.begin() as tx:
        tx.take_advisory_lock(
            AdvisoryLock.CONFIGURE
        )  # of replicas that start together the first changes something
        now = tx.now()
        changed = tx.add_config(policy_set.config_hash, body, now)
        if changed:
            tx.check_all(now)
    return changed
