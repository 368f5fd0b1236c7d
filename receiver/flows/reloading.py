"""A configuration that was loaded takes effect on what is held."""

from receiver.core.explaining import as_alert
from receiver.core.models import FiringAlert
from receiver.core.playbook import Playbook
from receiver.core.policies import Mode
from receiver.store.store import Store, Tx
from receiver.store.turns import Turn


def apply_configuration(store: Store, playbook: Playbook, body: str) -> bool:
    """Keep the configuration by its hash; if it is new, decide everything that fires again.

    It also ends the back-off after a refusal: what was refused may have been mended. True if the
    configuration differs from the one that was in force before, also before a restart.
    """
    with store.begin() as tx:
        tx.take_turn(Turn.CONFIGURE)  # of replicas that start together the first changes something
        now = tx.now()
        changed = tx.add_config(playbook.config_hash, body, now)
        if changed:
            tx.check_all(now)
        else:
            tx.check_models(_decided_otherwise(tx, playbook), now)
    return changed


def _decided_otherwise(tx: Tx, playbook: Playbook) -> set[str]:
    """The models with an alert that was last decided by a policy that is not this playbook's.

    Replicas load a configuration one after the other: one that still had the old one may have
    decided by it after another had loaded the new one.
    """
    return {
        entry.model
        for entry in tx.firing_sets(tx.models_with_alerts())
        if (entry.policy, entry.observing) != _ruling(playbook, entry)
    }


def _ruling(playbook: Playbook, entry: FiringAlert) -> tuple[str, bool] | None:
    """The name of the policy that rules an alert now, and whether it only observes."""
    policy = playbook.match(as_alert(entry)).policy
    return None if policy is None else (policy.name, policy.mode is Mode.OBSERVE)
