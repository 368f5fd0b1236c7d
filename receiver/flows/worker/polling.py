"""A source is asked which alerts fire; what we have is confirmed, ended and completed by that."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import TypeVar

from receiver.alertmanager import parse_notification
from receiver.alertmanager.composing import composed_alert, composed_notification
from receiver.core.alerts import AlertStatus, Source
from receiver.core.clusters import learned, urls_of
from receiver.core.decisions import Decision
from receiver.core.explaining import as_alert
from receiver.core.ids import MILLISECOND
from receiver.core.models import FiringAlert
from receiver.core.policies import Identity
from receiver.core.policy_set import Matched, PolicySet
from receiver.core.ports import AlertSource
from receiver.core.sightings import (
    ENOUGH,
    SILENCED,
    UNCONFIRMED,
    Consensus,
    Differences,
    Sighting,
    compare,
    consensus_of,
    is_between,
    seen,
)
from receiver.core.sources import (
    PROMETHEUS,
    Listed,
    Listing,
    Quiet,
    SourceDown,
    SourceRecord,
    shows,
)
from receiver.core.times import clock_time
from receiver.flows.deciding import Origin, decide_alert
from receiver.flows.intake.arrivals import Receipt
from receiver.flows.intake.taking_in import arrive, take_in
from receiver.flows.unit_of_work import UnitOfWork
from receiver.flows.worker.refusals import refusals, taken_up
from receiver.store.model_rows import Delivery
from receiver.store.store import Store, Tx
from receiver.telemetry import decisions, log, recoveries, source_answers

AT_ONCE = 100
"""Alerts in one transaction: intake waits for none longer than a few tens of milliseconds."""

RENEWED = 4
"""How often within `confirm_within` a confirmation is written down anew."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A source that is asked.

    Attributes:
        poll: How often.
        prometheus: Who may object to the end of an alert; None if nobody is asked.

    """

    name: str
    source: AlertSource
    poll: timedelta
    prometheus: AlertSource | None = None


@dataclass(slots=True)
class _Answer:
    """One answer on its way into the store, and what came of it so far.

    Attributes:
        shown: What Prometheus shows firing; None if it can't be told, and then nothing is over.
        urls: Whom it turned out to speak for.

    """

    by: Asked
    listing: Listing
    asked_at: datetime
    steady: bool
    rest: Callable[[], object]
    shown: Sequence[Listed] | None = ()
    decided: list[Decision] = field(default_factory=list)
    recovered: list[str] = field(default_factory=list)
    urls: set[str] = field(default_factory=set)


def poll_next(
    store: Store, asked: Asked, policy_set: PolicySet, rest: Callable[[], object] = lambda: None
) -> bool:
    """Ask a source if it is due. Whether that ordered a run.

    It is asked between transactions; whoever asks has it for himself meanwhile. `rest` is called
    between transactions: whoever waits to write then gets his turn.
    """
    asked_at = _claim(store, asked)
    if asked_at is None:
        return False
    try:
        listing = asked.source.ask()
    except SourceDown as problem:
        record = _failed(store, asked.name, asked_at, str(problem))
        _doubt_quiet(store, record, policy_set, asked_at)
        return False
    record = _answered(store, asked.name, asked_at, listing.up_since)
    answer = _Answer(asked, listing, asked_at, record.is_steady(asked_at), rest)
    try:
        triggered = _believe(store, answer, policy_set)
    finally:
        _release(store, asked.name, answer.urls)
    return triggered


def _claim(store: Store, asked: Asked) -> datetime | None:
    """Have the source for us if it is due. When that was."""
    with store.view() as view:
        known = view.sources.find(asked.name)
        if known is not None and not known.is_due(view.now, asked.poll):
            return None
    with store.begin() as tx:
        now = tx.now()
        due = False

        def take(record: SourceRecord) -> SourceRecord:
            nonlocal due
            due = record.is_due(now, asked.poll)
            return record.taken(now, asked.poll) if due else record

        tx.change_source(asked.name, now, take)
    return now if due else None


def _failed(store: Store, name: str, asked_at: datetime, why: str) -> SourceRecord:
    """Write down that a source is down; told once for each reason, not at each try."""
    before: list[str | None] = []

    def fail(record: SourceRecord) -> SourceRecord:
        before.append(record.error)
        return record.failed(asked_at, why)

    with store.begin() as tx:
        changed = tx.change_source(name, asked_at, fail)
    source_answers.labels(name, "failed").inc()
    if before[-1] != why:
        log().warning("source_down", source=name, detail=why)
    return changed


def _doubt_quiet(
    store: Store, record: SourceRecord, policy_set: PolicySet, asked_at: datetime
) -> None:
    """Let be decided anew what a source keeps quiet that was not heard lately.

    Its word is not about now any more, and there may never be another.
    """
    asking, heard_at = policy_set.asking, record.last_answer_at
    if asking is None or heard_at is None or abs(asked_at - heard_at) < asking.confirm_within:
        return
    with store.view() as view:
        held = view.sources.held_quiet_by(record.name)
    for names in _some(held):
        store.run(partial(_free_unheard, policy_set, names))


def _free_unheard(policy_set: PolicySet, names: Collection[str], tx: Tx) -> None:
    """Free those of these entries that no source keeps quiet now."""
    unit = UnitOfWork(tx, policy_set, models=(), fingerprints=names)
    for name in names:
        entry = unit.entry(name)
        held = entry is not None and entry.held_by == SILENCED
        if entry is not None and held and _consensus(unit, name).quiet is None:
            unit.keep(entry.freed())
    unit.save()


def _answered(store: Store, name: str, asked_at: datetime, up_since: str) -> SourceRecord:
    """Write down that a source answered, still holding it."""
    before: list[SourceRecord] = []

    def answer(record: SourceRecord) -> SourceRecord:
        before.append(record)
        return replace(record.answered(asked_at, up_since), leased_until=record.leased_until)

    with store.begin() as tx:
        changed = tx.change_source(name, asked_at, answer)
    source_answers.labels(name, "answered").inc()
    if before[-1].error is not None:
        log().info("source_up", source=name)
    return changed


def _release(store: Store, name: str, heard: Collection[str] = ()) -> None:
    """Let others ask it; and remember whom it turned out to speak for."""

    def release(record: SourceRecord) -> SourceRecord:
        urls = learned(record.urls or (), heard) or None
        return replace(record, leased_until=None, urls=urls)

    with store.begin() as tx:
        tx.change_source(name, tx.now(), release)


def _believe(store: Store, answer: _Answer, policy_set: PolicySet) -> bool:
    """Carry an answer into the store, some alerts at a time. Whether that ordered a run."""
    differences = _compare(store, answer, policy_set)
    missed = sorted(differences.missed)
    if missed:
        answer.shown = _prometheus_alerts(store, answer)
    for names in _some([*sorted(differences.confirmed), *missed]):
        store.run(partial(_carry, answer, policy_set, differences.confirmed, names))
        _tell(answer)
        answer.rest()
    _note(store, answer, differences)
    triggered = False
    untold = [*differences.untold, *taken_up(store, policy_set, differences.refused)]
    for some in _some(untold):
        receipts = _take_untold(store, answer, policy_set, some)
        triggered |= any(one.dispatch_id for receipt in receipts for one in receipt.decisions)
        answer.rest()
    return triggered


def _compare(store: Store, answer: _Answer, policy_set: PolicySet) -> Differences:
    asking = policy_set.asking
    renew_after = (asking.confirm_within if asking else answer.by.poll) / RENEWED
    with store.view() as view:
        entries = view.sources.every_entry()
        known = view.sources.seen_by(answer.by.name)
    ours = (
        one
        for one in answer.listing.alerts
        if one.fingerprint in entries or _names_a_model(policy_set, one)
    )
    return compare(ours, entries, known, answer.asked_at, renew_after)


def _names_a_model(policy_set: PolicySet, listed: Listed) -> bool:
    """Whether it would ever be in a firing set: of the rest, Alertmanager's word is enough."""
    alert = listed.alert
    return not alert.is_test and policy_set.match(alert).identity is not None


def _prometheus_alerts(store: Store, answer: _Answer) -> Sequence[Listed] | None:
    """What Prometheus shows firing; None if it can't be told, and then nothing is over."""
    if answer.by.prometheus is None:
        return ()
    try:
        listing = answer.by.prometheus.ask()
    except SourceDown as problem:
        _failed(store, PROMETHEUS, answer.asked_at, str(problem))
        return None
    _answered(store, PROMETHEUS, answer.asked_at, listing.up_since)
    _release(store, PROMETHEUS)
    return listing.alerts


def _carry(
    answer: _Answer,
    policy_set: PolicySet,
    confirmed: Mapping[str, Listed],
    names: Collection[str],
    tx: Tx,
) -> None:
    """Confirm or miss these entries, in one transaction that may be begun again."""
    answer.decided, answer.recovered = [], []
    unit = UnitOfWork(tx, policy_set, models=(), fingerprints=names)
    changed: list[Sighting] = []
    gone: list[str] = []
    for name in names:
        entry, listed = unit.entry(name), confirmed.get(name)
        if entry is None:  # it ended while we asked
            gone.append(name)
        elif listed is not None:
            changed.append(_confirm(unit, answer, entry, listed))
        elif not is_between(answer.asked_at, entry.confirmed_at, unit.now):
            changed += _miss(unit, answer, entry)  # else it was delivered since
    tx.save_sightings(changed)
    tx.remove_sightings(answer.by.name, gone)
    answer.decided, answer.recovered = list(unit.decisions), list(unit.recovered)
    unit.save()


def _confirm(unit: UnitOfWork, answer: _Answer, entry: FiringAlert, listed: Listed) -> Sighting:
    """The source lists the entry: it fires, also if nobody is told of it."""
    before = _consensus(unit, entry.fingerprint)
    now = seen(answer.by.name, listed, answer.asked_at)
    answer.urls |= urls_of(entry.said, listed.starts_at)
    after = _consensus(unit, entry.fingerprint, now)
    newer = is_between(answer.asked_at, entry.confirmed_at, unit.now)
    confirmed_at = entry.confirmed_at if newer else answer.asked_at
    confirmed = replace(
        entry,
        confirmed_at=confirmed_at,
        confirmed_by=answer.by.name,
        expires_at=confirmed_at + _expiry(unit, entry),
    )
    if _is_freed(entry, before.quiet, after.quiet):
        unit.keep(confirmed.freed())
    else:
        unit.renew(confirmed)
    unit.confirms(entry.model)
    return now


def _expiry(unit: UnitOfWork, entry: FiringAlert) -> timedelta:
    """For how long a confirmed entry is believed.

    Another replica may have decided it by a policy that this one does not know, or knows no more:
    then for as long as after it was confirmed before.
    """
    policy = unit.policy_set.policy(entry.policy)
    return policy.alert_expiry if policy else entry.expires_at - entry.confirmed_at


def _is_freed(entry: FiringAlert, before: Quiet | None, after: Quiet | None) -> bool:
    """Whether what held an entry may have changed with this answer."""
    return entry.held_by == UNCONFIRMED or (entry.held_by == SILENCED and before != after)


def _miss(unit: UnitOfWork, answer: _Answer, entry: FiringAlert) -> list[Sighting]:
    """The source lists the entry no more. Often enough said by all that knew it, it is over."""
    name = answer.by.name
    known = next((s for s in unit.sightings_of(entry.fingerprint) if s.source == name), None)
    if known is None:
        return []
    shown = answer.shown
    counts = answer.steady and shown is not None and not shows(shown, entry.labels)
    now = known.missed(answer.asked_at, entry.confirmed_at, counts=counts)
    consensus = _consensus(unit, entry.fingerprint, now)
    if not consensus.over:
        if entry.held_by == SILENCED:  # it is no more: another rung may hold it now
            unit.keep(entry.freed())
        return [now]
    _end(unit, answer, entry, consensus)
    return [now]


def _consensus(unit: UnitOfWork, fingerprint: str, now: Sighting | None = None) -> Consensus:
    """What all sources say of an alert; with `now`, what they say with it."""
    asking = unit.policy_set.asking
    sightings = unit.sightings_of(fingerprint) if now is None else unit.saw(now)
    return consensus_of(sightings, asking, unit.now) if asking else Consensus()


def _end(unit: UnitOfWork, answer: _Answer, entry: FiringAlert, consensus: Consensus) -> None:
    """Decide an entry as resolved, with the sentence that says who does not list it."""
    since = clock_time(consensus.missed_since, unit.now)
    who = " and ".join(consensus.missed_by)
    said = (
        f"nobody told us: {who} {'do' if len(consensus.missed_by) > 1 else 'does'} not list it "
        f"any more since {since}, in {ENOUGH} answers in a row"
    )
    ends_at = max(unit.now, entry.starts_at)  # the clocks of other machines may be ahead
    ended = replace(as_alert(entry), status=AlertStatus.RESOLVED, ends_at=ends_at)
    origin = Origin(Source.POLL, seen_in=entry.seen_in, told_by=answer.by.name, adds=said)
    policy = unit.policy_set.policy(entry.policy)
    identity = Identity(entry.model, unit.models[entry.model].labels) if policy else None
    decide_alert(unit, Matched(ended, policy, identity, None), origin)


def _tell(answer: _Answer) -> None:
    """Count and log what an answer decided."""
    for decision in answer.decided:
        decisions.labels(decision.reason.value).inc()
    recoveries.inc(len(answer.recovered))
    for model in answer.recovered:
        log().info("model_recovered", model=model)
    if answer.decided:
        log().info("source_ended_alerts", source=answer.by.name, alerts=len(answer.decided))


def _note(store: Store, answer: _Answer, differences: Differences) -> None:
    """Remember what is listed and in no set, so that the next answer can say so again."""
    name = answer.by.name
    for some in _some(differences.noticed):
        with store.begin() as tx:
            tx.save_sightings(seen(name, one) for one in some)
        answer.rest()
    for gone in _some(sorted(differences.gone)):
        with store.begin() as tx:
            tx.remove_sightings(name, gone)


def _take_untold(
    store: Store, answer: _Answer, policy_set: PolicySet, untold: Sequence[Listed]
) -> list[Receipt]:
    """Decide what fires there and nobody told us of; what was told a moment ago is no such."""
    with store.view() as view:
        told = view.sources.deliveries([one.fingerprint for one in untold])
        now = view.now
    news = [one for one in untold if not _is_told(policy_set, one, told, answer, now)]
    if not news:
        return []
    name = answer.by.name
    alerts = [composed_alert(one.labels, one.annotations, one.starts_at) for one in news]
    notification = parse_notification(composed_notification(name, alerts))
    arrival = arrive(notification, policy_set, source=Source.POLL, sender=name, told_by=name)
    receipts = take_in(store, [arrival])
    taken = [decision for receipt in receipts for decision in receipt.decisions]
    refused = refusals(name, news, arrival.matched, taken)
    if refused:
        with store.begin() as tx:
            tx.save_sightings(refused)
    return receipts


def _is_told(
    policy_set: PolicySet,
    listed: Listed,
    told: Mapping[str, Sequence[Delivery]],
    answer: _Answer,
    now: datetime,
) -> bool:
    """Whether a delivery of this firing was decided, or ended it, while the source was asked.

    Alertmanager's API rounds times to milliseconds, a notification does not.
    """
    policy = policy_set.match(listed.alert).policy
    window = policy.dedup_window if policy else timedelta(0)
    return any(
        abs(one.starts_at - listed.starts_at) < MILLISECOND
        and (
            (one.decided_at is not None and now - one.decided_at < window)
            or (one.resolved_at is not None and one.resolved_at >= answer.asked_at)
        )
        for one in told.get(listed.fingerprint, ())
    )


T = TypeVar("T")


def _some(things: Sequence[T]) -> Iterator[Sequence[T]]:
    rest = iter(things)
    while some := list(islice(rest, AT_ONCE)):
        yield some
