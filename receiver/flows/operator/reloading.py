"""Applies a loaded configuration: every firing alert is decided again."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from receiver.core.actors import CONFIGURATION
from receiver.core.decisions import Reason
from receiver.core.models import PauseScope
from receiver.core.policy_set import PolicySet
from receiver.core.renames import renamed
from receiver.core.sweeps import Sweep
from receiver.flows.operator.acts import Act, acted
from receiver.flows.sweeping import begin_sweep
from receiver.flows.unit_of_work import UnitOfWork
from receiver.store.advisory_locks import AdvisoryLock
from receiver.store.store import Store, Tx

COUNTED = {"budget", "storm"}
"""Settings whose past is stored under the policy's name."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What a configuration has changed.

    Attributes:
        changed: Whether it differs from the one that was in force before, also before a restart.
        told: What renames brought along, a sentence each.

    """

    changed: bool
    told: tuple[str, ...] = ()


def apply_configuration(store: Store, policy_set: PolicySet, body: str) -> Applied:
    """Keep the configuration by its hash; if it is new, decide everything that fires again.

    It also ends the back-off after a refusal: what was refused may have been mended. What a
    replica with the old configuration decides after that is left to `releasing`.
    """
    with store.begin() as tx:
        tx.take_advisory_lock(
            AdvisoryLock.CONFIGURE
        )  # of replicas that start together the first changes something
        before = tx.config_in_force()
        now = tx.now()
        changed = tx.add_config(policy_set.config_hash, body, now)
        told: tuple[str, ...] = ()
        if changed:
            pairs = renamed(_policies(before or "{}"), _policies(body))
            told = tuple(_carry_pauses(tx, policy_set, pairs)) if pairs else ()
            told += tuple(_forgotten(*pair) for pair in pairs if pair[0].keys() & COUNTED)
            begin_sweep(tx, policy_set, Sweep.DECIDE)
    return Applied(changed, told)


def _policies(body: str) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = json.loads(body).get("policies", [])
    return found


def _carry_pauses(
    tx: Tx, policy_set: PolicySet, pairs: list[tuple[Mapping[str, Any], Mapping[str, Any]]]
) -> Iterator[str]:
    """Pause what looks like a paused policy under a new name: hold rather than run.

    The old name's pause stays: replicas that have not reloaded yet must hold as well.
    """
    tx.take_advisory_lock(AdvisoryLock.PAUSE)
    unit = UnitOfWork(tx, policy_set, models=[])
    held = {p.name: p for p in unit.pauses if p.scope is PauseScope.POLICY and p.holds(unit.now)}
    for name, heir in ((str(old["name"]), str(new["name"])) for old, new in pairs):
        if name not in held or heir in held:
            continue
        comment = f"carried over from policy {name}, whose matchers it has: {held[name].comment}"
        tx.save_pause(replace(held[name], name=heir, comment=comment))
        told = f"policy {heir} is paused by {held[name].actor}: {comment}"
        decision = acted(unit, Act(CONFIGURATION, comment), Reason.OPERATOR, told)
        unit.decisions.append(replace(decision, policy=heir))
        yield told
    unit.save()


def _forgotten(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    return (
        f"policy {new['name']} seems to be {old['name']} renamed: runs under the old name do not "
        "count toward its budget, nor does a storm's release count for it"
    )
