"""The ledger: the locked models of one transaction, read once, carried forward, written once."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from receiver.core import cooldowns
from receiver.core.alerts import Alert, AlertStatus, Source
from receiver.core.decisions import (
    LADDER,
    Case,
    Decision,
    Facts,
    Finding,
    Reason,
    Rung,
    decide,
    facts_of,
)
from receiver.core.dispatches import Dispatch
from receiver.core.inputs import fill_inputs, fill_place
from receiver.core.models import (
    FiringAlert,
    LatestDispatch,
    Model,
    Pause,
    next_check,
    pause_in_force,
    with_set,
)
from receiver.core.playbook import Matched, Playbook
from receiver.core.policies import Identity, Mode, Policy
from receiver.store.model_rows import Delivery
from receiver.store.store import Tx


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an alert came from: its notification and its place there."""

    source: Source
    notification_id: str | None = None
    seen_in: str | None = None


class Ledger:
    """The locked models of one transaction.

    Facts are carried forward from decision to decision, so that the second alert of a model sees
    the dispatch that the first one made. Nothing is written before `save`.
    """

    def __init__(
        self,
        tx: Tx,
        playbook: Playbook,
        *,
        models: Collection[str],
        fingerprints: Collection[str] = (),
    ) -> None:
        self.tx = tx
        self.playbook = playbook
        homes = tx.homes_of(fingerprints)
        self.models: dict[str, Model] = tx.lock_models({*models, *homes.values()})
        self.now: datetime = tx.now()
        self.pauses: list[Pause] = tx.pauses()
        self.decisions: list[Decision] = []
        self.dispatches: list[Dispatch] = []
        self._sets: dict[str, dict[str, FiringAlert]] = {name: {} for name in self.models}
        self._homes: dict[str, str] = {}
        for alert in tx.firing_sets(self.models):
            self._place(alert)
        self._deliveries = tx.deliveries(fingerprints, self.now)
        self._touched: set[str] = set()
        self._saved_alerts: set[str] = set()
        self._removed_alerts: set[str] = set()
        self._saved_deliveries: set[tuple[str, datetime]] = set()

    def alerts_of(self, model: str) -> list[FiringAlert]:
        """A model's firing set as it stands now, oldest first."""
        return list(self._sets[model].values())

    def entry(self, fingerprint: str) -> FiringAlert | None:
        """The entry of an alert, in whichever set of the locked models it is."""
        home = self._homes.get(fingerprint)
        return None if home is None else self._sets[home][fingerprint]

    def pause_of(self, model: str, policy: str | None) -> Pause | None:
        """The pause that holds a model now."""
        return pause_in_force(self.pauses, model=model, policy=policy, now=self.now)

    def update(self, model: Model) -> None:
        """Carry a model's new state forward."""
        self.models[model.name] = model
        self._touched.add(model.name)

    def decide(
        self, matched: Matched, origin: Origin, ladder: Sequence[Rung] = LADDER
    ) -> Decision:
        """Decide one alert and carry forward what follows from it."""
        case = Case(matched.alert, matched.policy, self._facts(matched), self.now)
        finding = decide(case, ladder)
        decision = self._note(matched, finding, origin)
        if matched.policy is not None and matched.identity is not None:
            self._follow(matched, matched.policy, matched.identity, finding, origin)
            if finding.reason is Reason.TRIGGERED:
                decision = self._trigger(matched, matched.policy, matched.identity, decision)
        self._settle_set(matched, finding, origin)
        self.decisions.append(decision)
        return decision

    def order(
        self,
        policy: Policy,
        identity: Identity,
        *,
        decision_id: int,
        value: float | None,
        alertname: str,
        ordered: bool = False,
    ) -> Dispatch:
        """Order one run of a model and take its cooldown."""
        model = self.models[identity.model]
        target = self.playbook.targets[policy.target]
        dispatch = Dispatch(
            id=self.tx.new_id(self.now),
            model=model.name,
            policy=policy.name,
            target=target.name,
            kind=target.kind,
            place=fill_place(target, identity.labels),
            inputs=fill_inputs(target, identity.labels, value=value, alertname=alertname),
            created_at=self.now,
            due_at=self.now,
            cooldown=policy.cooldown,
            settle=policy.settle,
            decision_id=decision_id,
            alertname=alertname,
            ordered=ordered,
            cooldown_before=model.cooldown_until,
            detail=f"ordered by policy {policy.name}",
        )
        self.dispatches.append(dispatch)
        taken = cooldowns.take(model, policy.cooldown, self.now)
        self.update(replace(taken, latest=latest(dispatch)))
        return dispatch

    def drop(self, fingerprint: str) -> None:
        """Take an alert out of its set."""
        home = self._homes.pop(fingerprint, None)
        if home is None:
            return
        del self._sets[home][fingerprint]
        self._removed_alerts.add(fingerprint)
        self._saved_alerts.discard(fingerprint)
        model = self.models[home]
        self.update(model if self._sets[home] else replace(model, emptied_at=self.now))

    def save(self) -> None:
        """Write everything that changed, in few statements."""
        self.tx.add_decisions(self.decisions)
        self.tx.add_dispatches(self.dispatches)
        self.tx.remove_firing(self._removed_alerts)
        self.tx.save_firing(
            self._sets[self._homes[fingerprint]][fingerprint] for fingerprint in self._saved_alerts
        )
        self.tx.save_deliveries(self._deliveries[key] for key in self._saved_deliveries)
        self.tx.save_models(self._checked(name) for name in sorted(self._touched))

    def _checked(self, name: str) -> Model:
        model = self.models[name]
        due = next_check(model, self.alerts_of(name), self.pauses, self.now)
        self.models[name] = replace(model, next_check_at=due)
        return self.models[name]

    def _facts(self, matched: Matched) -> Facts:
        if matched.identity is None:
            return Facts(problem=matched.problem)
        name = matched.identity.model
        policy = matched.policy.name if matched.policy else None
        facts = replace(
            facts_of(self.models[name], self.pause_of(name, policy)), problem=matched.problem
        )
        delivery = self._delivery(matched.alert)
        if delivery is None:
            return facts
        entry = self.entry(matched.alert.fingerprint)
        return replace(
            facts,
            decided_at=delivery.decided_at,
            resolved_at=delivery.resolved_at,
            stale_until=entry.stale_until if entry else None,
        )

    def _note(self, matched: Matched, finding: Finding, origin: Origin) -> Decision:
        alert = matched.alert
        in_flight = finding.reason is Reason.IN_FLIGHT
        model = matched.identity.model if matched.identity else None
        live = self.models[model].latest if model and in_flight else None
        return Decision(
            id=self.tx.decision_id(self.now),
            decided_at=self.now,
            source=origin.source,
            reason=finding.reason,
            detail=finding.detail,
            gates=finding.gates,
            policy=matched.policy.name if matched.policy else None,
            model=model,
            alertname=alert.alertname,
            fingerprint=alert.fingerprint,
            status=alert.status,
            starts_at=alert.starts_at,
            labels=alert.labels,
            value=finite(alert.value),
            next_check_at=finding.next_check_at,
            dispatch_id=live.id if live else None,
            notification_id=origin.notification_id,
            seen_in=origin.seen_in,
            position=alert.position,
            config_hash=self.playbook.config_hash,
        )

    def _trigger(
        self, matched: Matched, policy: Policy, identity: Identity, decision: Decision
    ) -> Decision:
        dispatch = self.order(
            policy,
            identity,
            decision_id=decision.id,
            value=matched.alert.value,
            alertname=matched.alert.alertname,
        )
        return replace(decision, dispatch_id=dispatch.id)

    def _follow(
        self,
        matched: Matched,
        policy: Policy,
        identity: Identity,
        finding: Finding,
        origin: Origin,
    ) -> None:
        """Carry forward what the decision means for the model and its firing set."""
        if finding.reason in OUTSIDE:
            return
        # A timer's decision accepts a stale alert as firing: what resolved it is forgotten.
        self._remember(matched.alert, policy, origin, resolved=False)
        if finding.reason is Reason.OBSERVED and finding.next_check_at is not None:
            model = self.models[identity.model]
            self.update(replace(model, observed_until=finding.next_check_at))
        if not matched.alert.is_test:
            self._join(matched.alert, policy, identity, finding, origin)

    def _join(
        self,
        alert: Alert,
        policy: Policy,
        identity: Identity,
        finding: Finding,
        origin: Origin,
    ) -> None:
        entry = self.entry(alert.fingerprint)
        if alert.starts_at is None or (entry and entry.starts_at > alert.starts_at):
            return  # a late copy of an earlier firing says nothing about the present one
        from_timer = entry is not None and origin.source is Source.TIMER
        if entry is not None and entry.model != identity.model:
            self.drop(alert.fingerprint)
        was_empty = not self._sets[identity.model]
        fresh = FiringAlert(
            fingerprint=alert.fingerprint,
            model=identity.model,
            policy=policy.name,
            alertname=alert.alertname,
            labels=alert.labels,
            value=finite(alert.value),
            starts_at=alert.starts_at,
            confirmed_at=entry.confirmed_at if entry and from_timer else self.now,
            expires_at=entry.expires_at
            if entry and from_timer
            else self.now + policy.alert_expiry,
            stale_until=finding.next_check_at if finding.reason is Reason.STALE else None,
            observing=policy.mode is Mode.OBSERVE,
            seen_in=origin.seen_in,
            position=alert.position,
        )
        self._keep(fresh)
        model = replace(self.models[identity.model], policy=policy.name, labels=identity.labels)
        self.update(
            with_set(
                model, was_empty=was_empty, is_empty=False, cooldown=policy.cooldown, now=self.now
            )
        )

    def _settle_set(self, matched: Matched, finding: Finding, origin: Origin) -> None:
        """Confirm, resolve or forget the alert's entry, whatever policy matches now."""
        alert = matched.alert
        entry = self.entry(alert.fingerprint)
        if alert.status is AlertStatus.RESOLVED:
            if matched.policy is not None:
                self._remember(alert, matched.policy, origin, resolved=True)
            if entry is not None and entry.starts_at <= (alert.ends_at or self.now):
                self.drop(alert.fingerprint)
        elif finding.reason is Reason.DUPLICATE and matched.policy is not None:
            if entry is None or entry.starts_at != alert.starts_at:
                return
            expires_at = self.now + matched.policy.alert_expiry
            self._keep(replace(entry, confirmed_at=self.now, expires_at=expires_at))
        elif origin.source is Source.TIMER and finding.reason in LEAVES:
            self.drop(alert.fingerprint)

    def _keep(self, entry: FiringAlert) -> None:
        self._place(entry)
        self._saved_alerts.add(entry.fingerprint)
        self._removed_alerts.discard(entry.fingerprint)

    def _place(self, entry: FiringAlert) -> None:
        self._sets[entry.model][entry.fingerprint] = entry
        self._homes[entry.fingerprint] = entry.model

    def _delivery(self, alert: Alert) -> Delivery | None:
        if alert.starts_at is None:
            return None
        return self._deliveries.get((alert.fingerprint, alert.starts_at))

    def _remember(self, alert: Alert, policy: Policy, origin: Origin, *, resolved: bool) -> None:
        if alert.starts_at is None:
            return
        key = (alert.fingerprint, alert.starts_at)
        known = self._deliveries.get(key)
        forget_at = self.now + max(policy.alert_expiry, 2 * policy.dedup_window)
        delivery = known or Delivery(alert.fingerprint, alert.starts_at, forget_at)
        if resolved:
            delivery = replace(delivery, resolved_at=self.now, forget_at=forget_at)
        elif origin.source is Source.TIMER:
            delivery = replace(delivery, resolved_at=None)
        else:
            delivery = replace(delivery, decided_at=self.now, forget_at=forget_at)
        if delivery != known:
            self._deliveries[key] = delivery
            self._saved_deliveries.add(key)


OUTSIDE = frozenset({Reason.UNMATCHED, Reason.INVALID, Reason.RESOLVED, Reason.DUPLICATE})
"""Reasons that say nothing about the firing set, or have their own way with it."""

LEAVES = frozenset({Reason.UNMATCHED, Reason.INVALID})
"""Reasons for which the timer takes an alert out of its set: no policy names its model now."""


def latest(dispatch: Dispatch) -> LatestDispatch:
    """What a model remembers of its dispatch."""
    return LatestDispatch(
        id=dispatch.id,
        state=dispatch.state,
        run_id=dispatch.run_id,
        sent_at=dispatch.sent_at,
        ended_at=dispatch.ended_at,
        detail=dispatch.detail,
    )


def finite(value: float | None) -> float | None:
    """A number that JSON can show, or None."""
    return value if value is not None and math.isfinite(value) else None
