"""The unit of work: the locked models of one transaction, read and written once."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from receiver.core import cooldowns
from receiver.core.alerts import Alert
from receiver.core.announcements import Announcement, Kind
from receiver.core.approvals import Approval, in_force
from receiver.core.decisions import Decision, Reason
from receiver.core.dispatches import Dispatch
from receiver.core.inputs import fill_inputs, fill_place
from receiver.core.messages import Message, model_recovered, run_ordered
from receiver.core.models import (
    FiringAlert,
    LatestDispatch,
    Model,
    Pause,
    next_check,
    pause_in_force,
    with_firing,
)
from receiver.core.policies import Identity, Policy
from receiver.core.policy_set import PolicySet
from receiver.core.restraints import Restraints
from receiver.core.sightings import Sighting
from receiver.store.advisory_locks import AdvisoryLock
from receiver.store.model_rows import Delivery
from receiver.store.store import Tx


class UnitOfWork:
    """The locked models of one transaction.

    Facts are carried forward from decision to decision, so that the second alert of a model sees
    the dispatch that the first one made. Nothing is written before `save`.

    Attributes:
        policy_set: The policies that decide; an intake may change it between notifications.
        models: As they stand now, by name.
        now: The time of every decision of this transaction, read after the locks were taken.
        decisions: To be appended to the log.
        recovered: Models that a run has helped: their last alert was resolved.
        announcements: To be told to subscribers.

    """

    def __init__(
        self,
        tx: Tx,
        policy_set: PolicySet,
        *,
        models: Collection[str],
        fingerprints: Collection[str] = (),
    ) -> None:
        self.tx = tx
        self.policy_set = policy_set
        tx.take_advisory_lock(AdvisoryLock.PAUSE, shared=True)
        self.models: dict[str, Model]
        self.models, entries = tx.lock_with_sets(models, fingerprints)
        self._stored = dict(self.models)
        self.now: datetime = tx.now()
        self._usages = tx.usages(self.now)
        self._pasts = tx.pasts(self.models, self.now)
        self.pauses: list[Pause] = tx.pauses()
        self.decisions: list[Decision] = []
        self.recovered: list[str] = []
        self._recoveries: dict[str, datetime] = {}
        self._relapses: dict[str, datetime] = {}
        self.announcements: list[Announcement] = []
        self._dispatches: list[Dispatch] = []
        self._sets: dict[str, dict[str, FiringAlert]] = {name: {} for name in self.models}
        self._homes: dict[str, str] = {}
        for entry in entries:
            self._place(entry)
        self._deliveries = tx.deliveries(fingerprints, self.now)
        asked = policy_set.asking is not None
        self._sightings = tx.sightings(fingerprints) if asked else {}
        self._urls_of_sources: Mapping[str, Sequence[str]] | None = None
        self._wants_answers = False
        self._tried: set[str] = set()
        self._confirmed: set[str] = set()
        self._touched: set[str] = set()
        self._kept: set[str] = set()
        self._renewed: set[str] = set()
        self._dropped: set[str] = set()
        self._remembered: set[tuple[str, datetime]] = set()
        # A reload makes a check due; until it is made, the entries still say what the old
        # configuration said. So only the timer, which makes it, may put it off.
        self._overdue = {
            model.name: model.next_check_at
            for model in self.models.values()
            if model.next_check_at is not None and model.next_check_at <= self.now
        }

    def alerts_of(self, model: str) -> list[FiringAlert]:
        """A model's firing set as it stands now, oldest first."""
        return list(self._sets[model].values())

    def entry(self, fingerprint: str) -> FiringAlert | None:
        """The entry of an alert, in whichever set of the locked models it is."""
        home = self._homes.get(fingerprint)
        return None if home is None else self._sets[home][fingerprint]

    def delivery(self, alert: Alert) -> Delivery | None:
        """What is remembered of this (fingerprint, startsAt)."""
        if alert.starts_at is None:
            return None
        return self._deliveries.get((alert.fingerprint, alert.starts_at))

    def sightings_of(self, fingerprint: str) -> list[Sighting]:
        """What each source said last of an alert."""
        return self._sightings.get(fingerprint, [])

    def read_sightings(self, fingerprint: str) -> None:
        """Read what the sources say of an alert beside those that are decided."""
        if fingerprint not in self._sightings:
            self._sightings |= self.tx.sightings([fingerprint])

    def urls_of_sources(self) -> Mapping[str, Sequence[str]]:
        """Which `externalURL`s each source is known to speak for; read once."""
        if self._urls_of_sources is None:
            self._urls_of_sources = self.tx.urls_of_sources()
        return self._urls_of_sources

    def saw(self, sighting: Sighting) -> list[Sighting]:
        """Carry forward what a source says now. What all of them said."""
        others = [
            s for s in self.sightings_of(sighting.fingerprint) if s.source != sighting.source
        ]
        self._sightings[sighting.fingerprint] = [*others, sighting]
        return self._sightings[sighting.fingerprint]

    def want_answers(self) -> None:
        """Let the sources be asked at once: an alert is not believed."""
        self._wants_answers = True

    def tries(self, name: str) -> None:
        """A test alert named this model: it leaves nothing of one that nobody else named."""
        self._tried.add(name)

    def confirms(self, name: str) -> None:
        """Somebody said that an alert of this model fires: its runs may not have helped."""
        if self.models[name].latest is not None:
            self._confirmed.add(name)

    def pause_of(self, model: str, policy: str | None) -> Pause | None:
        """The pause that holds a model now."""
        return pause_in_force(self.pauses, model=model, policy=policy, now=self.now)

    def update(self, model: Model) -> None:
        """Carry a model's new state forward; its next check is found anew."""
        before = self.models[model.name]
        if model.episode_started_at != before.episode_started_at:
            self._pasts.changed(model.name)
        if _storm_facts(model) != _storm_facts(before):
            self._pasts.storms.changed()
        self.models[model.name] = model
        self._touched.add(model.name)

    def rechecked(self, name: str) -> None:
        """The timer has decided the model's alerts: the check that was due is made."""
        self._overdue.pop(name, None)
        self.update(self.models[name])

    def keep(self, entry: FiringAlert) -> None:
        """Put an entry into its model's set, in place of an earlier one of the same alert."""
        before = self.entry(entry.fingerprint)
        if before is None or before.policy != entry.policy:
            self._pasts.storms.changed()
        self._place(entry)
        self._kept.add(entry.fingerprint)
        self._dropped.discard(entry.fingerprint)
        self._touched.add(entry.model)

    def renew(self, entry: FiringAlert) -> None:
        """The same for one that was confirmed, of which nothing else has changed: most have not.

        To write only that takes half as long as to write it whole.
        """
        self._place(entry)
        self._renewed.add(entry.fingerprint)
        self._touched.add(entry.model)

    def drop(self, fingerprint: str) -> None:
        """Take an alert out of its set."""
        home = self._homes.pop(fingerprint)
        del self._sets[home][fingerprint]
        self._pasts.storms.changed()
        self._dropped.add(fingerprint)
        self._kept.discard(fingerprint)
        self._renewed.discard(fingerprint)
        model = self.models[home]
        self.update(model if self._sets[home] else replace(model, emptied_at=self.now))

    def recovers(self, name: str, run: LatestDispatch) -> None:
        """The last alert of a model was resolved, and this run has helped."""
        self.recovered.append(name)
        self._recoveries[run.id] = self.now
        self._relapses.pop(run.id, None)
        self.announce(model_recovered(name, self.models[name].policy, run))

    def relapses(self, name: str) -> None:
        """An alert fires anew in the same episode: a run of it has not helped after all."""
        model = self.models[name]
        if model.latest is not None and model.episode_started_at is not None:
            self._relapses[model.latest.id] = model.episode_started_at
            self.announcements = [
                told
                for told in self.announcements
                if (told.kind, told.model) != (Kind.RECOVERED, name)
            ]

    def announce(self, message: Message | None) -> None:
        """Tell whoever wants to know, once this transaction is committed."""
        if message is None:
            return
        self.announcements += [
            Announcement(
                id=self.tx.outbox_id(self.now),
                subscriber=subscriber.name,
                kind=message.kind,
                model=message.model,
                policy=message.policy,
                at=self.now,
                data=message.data,
                due_at=self.now,
            )
            for subscriber in self.policy_set.subscribers
            if subscriber.wants(message.kind, message.policy)
        ]

    def remember(self, delivery: Delivery) -> None:
        """Carry forward what the `duplicate` and `stale` rungs must know."""
        key = (delivery.fingerprint, delivery.starts_at)
        self._deliveries[key] = delivery
        self._remembered.add(key)

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
        target = self.policy_set.targets[policy.target]
        cooldown = self._grown_cooldown(policy, model)
        dispatch = Dispatch(
            id=self.tx.outbox_id(self.now),
            model=model.name,
            policy=policy.name,
            target=target.name,
            kind=target.kind,
            place=fill_place(target, identity.labels),
            inputs=fill_inputs(target, identity.labels, value=value, alertname=alertname),
            created_at=self.now,
            due_at=self.now,
            cooldown=cooldown,
            settle=policy.settle,
            decision_id=decision_id,
            alertname=alertname,
            ordered=ordered,
            cooldown_before=model.cooldown_until,
            detail=f"ordered by policy {policy.name}",
        )
        if policy.limits:
            self.tx.add_dispatches([dispatch])  # for the next alert's budget to see
        else:
            self._dispatches.append(dispatch)
        self.tx.add_cost(policy, dispatch)
        self._usages = self.tx.usages(self.now)
        self._pasts.changed(model.name)
        taken = cooldowns.take(model, cooldown, self.now)
        self.update(replace(taken, latest=latest(dispatch)))
        self.free(model.name)
        if policy.restrained:
            self._use_approval(model, dispatch)
        self.announce(run_ordered(dispatch, value))
        return dispatch

    def free(self, name: str, *rungs: Reason) -> None:
        """Let a model's alerts be decided anew: what held them below `cooldown` changed.

        All of them, or those that one of these rungs holds.
        """
        for entry in self.alerts_of(name):
            if entry.held_by is not None and (not rungs or entry.held_by in rungs):
                self.keep(entry.freed())

    def restraints(self, policy: Policy, name: str) -> Restraints:
        """What the policy's rungs below `cooldown` look at."""
        if policy.storm is not None:
            self._write_models()  # those decided so far count as well
        return self.tx.restraints(
            policy, self.models[name], self.now, usages=self._usages, pasts=self._pasts
        )

    def save_approval(self, asked: Approval) -> None:
        """Write a question or an answer."""
        self.tx.save_approval(asked)
        self._pasts.changed(asked.model)

    def _grown_cooldown(self, policy: Policy, model: Model) -> timedelta:
        if policy.backoff == 1:
            return policy.cooldown
        episode = with_firing(model, cooldown=policy.cooldown, now=self.now).episode_started_at
        runs = self.tx.runs_since(model.name, episode or self.now, self.now)
        return cooldowns.grown(policy.cooldown, policy.backoff, runs.count)

    def _use_approval(self, model: Model, dispatch: Dispatch) -> None:
        """One approval is one run, also if an operator ordered it."""
        asked = self.tx.approval(model.name)
        asked = in_force(asked, model.episode_started_at, model.latest, self.now)
        if asked is not None:
            self.save_approval(asked.used_by(dispatch.id))

    def write_log(self) -> None:
        """Store what was decided and ordered so far; neither changes any more."""
        self.tx.add_decisions(self.decisions)
        self.tx.add_dispatches(self._dispatches)
        self.decisions, self._dispatches = [], []

    def save(self) -> None:
        """Write everything that changed, in few statements."""
        self.write_log()
        self.tx.add_announcements(self.announcements)
        self.tx.save_recoveries(self._recoveries, self._relapses)
        self.tx.save_deliveries(self._deliveries[key] for key in self._remembered)
        self._write_models()
        blank = {name for name in self._tried if self.models[name] == Model(name)}
        self.tx.remove_models(blank)
        if self.policy_set.asking is not None:
            began = {name: self.models[name].episode_started_at for name in self._confirmed}
            self.tx.confirm_effects(began, self.now)
            if self._wants_answers:
                self.tx.want_sources(self.policy_set.asking.sources, self.now)

    def _write_models(self) -> None:
        """Write the models and their firing sets as they stand now."""
        self.tx.remove_firing(self._dropped)
        self.tx.save_firing(self._placed(self._kept))
        self.tx.renew_firing(self._placed(self._renewed - self._kept))
        checked = [self._checked(name) for name in sorted(self._touched)]
        changed = [model for model in checked if model != self._stored[model.name]]
        self.tx.save_models(changed)
        self._stored.update((model.name, model) for model in changed)
        self._dropped, self._kept, self._renewed, self._touched = set(), set(), set(), set()

    def _checked(self, name: str) -> Model:
        model = self.models[name]
        alerts = self.alerts_of(name)
        due = next_check(model, alerts, self.pauses, self.now)
        if alerts:
            due = self._overdue.get(name, due)
        if due != model.next_check_at:
            self.models[name] = replace(model, next_check_at=due)
        return self.models[name]

    def _placed(self, fingerprints: Collection[str]) -> list[FiringAlert]:
        return [self._sets[self._homes[name]][name] for name in fingerprints]

    def _place(self, entry: FiringAlert) -> None:
        self._sets[entry.model][entry.fingerprint] = entry
        self._homes[entry.fingerprint] = entry.model


def _storm_facts(model: Model) -> tuple[object, ...]:
    """What storms are told from."""
    return model.episode_started_at, model.emptied_at, model.policy


def latest(dispatch: Dispatch) -> LatestDispatch:
    """What a model remembers of its dispatch."""
    return LatestDispatch(
        id=dispatch.id,
        state=dispatch.state,
        run_id=dispatch.run_id,
        sent_at=dispatch.sent_at,
        ended_at=dispatch.ended_at,
        detail=dispatch.detail,
        created_at=dispatch.created_at,
        due_at=dispatch.due_at,
        attempt=dispatch.attempt,
        failing_since=dispatch.failing_since,
    )


def finite(value: float | None) -> float | None:
    """A number that JSON can show, or None."""
    return value if value is not None and math.isfinite(value) else None
