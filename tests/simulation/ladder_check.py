"""Each decision has a reason that the ladder allows, and nothing held is forgotten (G4)."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from receiver.core.deadlines import USUAL, Spans, spans_of
from receiver.core.policies import APPROVAL_EXPIRY, Mode, Policy, first_match
from receiver.core.policy_set import PolicySet
from tests.simulation.belief_check import RENEWED, Hearsay
from tests.simulation.model_state import EVER, Answer, Firing, ModelRecord, Order, Pauses, later
from tests.simulation.operators import Ordered
from tests.simulation.prometheus import MODELS
from tests.simulation.restraint_check import FOREVER, Restraint, hours_from, is_open
from tests.simulation.settings import policy_sets
from tests.simulation.violations import Violations
from tests.simulation.world import Kind, Note

WITHIN = 60.0
"""Seconds until a hold that ended is decided again."""

STEP = 60.0
"""Seconds that one step may take, stalls included: it goes by the configuration it began with."""

SLACK = timedelta(milliseconds=1)

BELIEF = {"silenced", "unconfirmed"}

HOUR = 3600.0

CROWD = 100

CARRIED = "carried over from policy "
"""How a pause of a policy that got another name is told."""

MENDED_WITHIN = 75.0
"""Seconds until what a clock that was ahead has stored is mended."""

RESTRAINTS = {"window", "storm", "exhausted", "budget", "approval"}

LONGEST = timedelta(days=30)
"""How far `backoff` lets a cooldown grow, by docs/policies.md."""

Row = Mapping[str, Any]


class Follower:
    """Goes through a history's notes and knows, at each, what the receiver ought to know."""

    def __init__(
        self,
        notes: list[Note],
        found: Violations,
        books: Mapping[str, PolicySet],
        poll: float,
    ) -> None:
        self._notes = notes
        self._found = found
        self._books = books
        self._models: dict[str, ModelRecord] = {}
        self._orders: dict[str, Order] = {}
        self._pauses = Pauses()
        asking = books["usual"].asking
        self._restraint = Restraint(self._models, self._orders, asks=asking is not None)
        self._acts: dict[str, Ordered] = {}
        self._passed: dict[tuple[str, datetime], datetime] = {}
        self._resolved: dict[tuple[str, datetime], tuple[datetime, bool]] = {}
        self._loaded: dict[str, set[str]] = {}
        self._loading: dict[str, float] = {}
        self._replaced: dict[str, float] = {}
        self._up: set[str] = set()
        self._hearsay = Hearsay(asking, poll)
        self._decided: dict[str, float] = {}
        self._reloaded = float("-inf")
        self._right_for = float("inf")
        self._ended: dict[str, float] = {}
        self._asked_at: dict[tuple[str, float], datetime] = {}
        self._spans = longest_spans(books.values())
        self._policies = {one.name: one for book in books.values() for one in book.policies}

    def go(self) -> None:
        """Check everything."""
        before: Note | None = None
        for note in self._notes:
            # Of a crowd, only moments that last are looked at: most notes share theirs.
            lasts = len(self._models) < CROWD or before is None or note.at > before.at
            if before is not None and lasts:
                self._wait(before, note)
            before = note
            self._take(note)

    def _take(self, note: Note) -> None:
        self._pauses.passes(note.wall)
        take = self._takes.get(note.kind)
        if take is not None:
            take(note)
        elif note.kind is Kind.FAULT and note.who in self._loaded:
            self._count_anew()
        if note.kind in {Kind.UP, Kind.DOWN, Kind.CLOCK} or note.who in self._loaded:
            self._hearsay.disturbed()

    @cached_property
    def _takes(self) -> Mapping[Kind, Callable[[Note], None]]:
        """What is learnt from each kind of note."""
        return {
            Kind.DECISION: lambda note: self._decision(note, note.data),
            Kind.DISPATCH: lambda note: self._transition(note, note.data),
            Kind.ACT: lambda note: self._acts.update({note.data.comment: note.data}),
            Kind.RELOAD: self._reload,
            Kind.CHANGED: self._renamed,
            Kind.ASKED: self._asked,
            Kind.BELIEVED: self._believed,
            Kind.MENDED: self._mended,
            Kind.UP: self._starts,
            Kind.DOWN: lambda note: self._up.discard(note.who),
            Kind.CLOCK: self._set_clock,
        }

    def _starts(self, note: Note) -> None:
        self._up.add(note.who)
        self._count_anew()

    def _set_clock(self, note: Note) -> None:
        self._count_anew()
        self._hearsay.jumped = note.at
        if note.data < 0:
            self._right_for = 0.0
            self._pauses.may_be_cut(note.wall)
            for model in self._models.values():
                model.may_be_cut(note.wall + self._longest_hold(model))

    def _asked(self, note: Note) -> None:
        self._hearsay.asked(note)
        if note.data is not None:
            self._asked_at[note.who, note.data.asked_at] = _wall_at(note, note.data.asked_at)
        for fingerprint in () if note.data is None else note.data.alerts:
            entry = self._entry(fingerprint)
            policy = self._policies.get(entry.policy) if entry else None
            if entry is not None and policy is not None:
                entry.expires_most = max(entry.expires_most, note.wall + policy.alert_expiry)

    def _believed(self, note: Note) -> None:
        # By the clock as it was when it was asked: it may have been set before this was stored.
        asked_at = min(
            self._asked_at[note.who, note.data.asked_at], _wall_at(note, note.data.asked_at)
        )
        firing = {name for model in self._models.values() for name in model.firing}
        ended = {name for name, at in self._ended.items() if at >= note.data.asked_at}
        self._hearsay.believed(note, firing, ended)
        for fingerprint in note.data.alerts:
            entry = self._entry(fingerprint)
            policy = self._policies.get(entry.policy) if entry else None
            if entry is not None and policy is not None and self._hearsay.asking is not None:
                late = self._hearsay.asking.confirm_within / RENEWED
                entry.expires = max(entry.expires, asked_at + policy.alert_expiry - late)
        self._all_decided(note, firing)

    def _all_decided(self, note: Note, firing: set[str]) -> None:
        """What a source lists twice in a row is decided."""
        first, hashes = self._hearsay.sources[note.who].before, self._hashes()
        lately = first is None or self._reloaded >= first.asked_at
        if lately or len(hashes) != 1 or self._hearsay.jumped >= note.at - HOUR:
            return
        book = self._books[next(iter(hashes))]
        for listed in self._hearsay.unheard(note.who, self._decided):
            policy = policy_for(book, listed.labels["alertname"])
            if policy is None or listed.fingerprint in firing:
                continue
            if self._ended.get(listed.fingerprint, float("-inf")) >= note.data.asked_at:
                continue  # it was told since that it is over
            window = policy.dedup_window.total_seconds()
            if note.at - self._decided.get(listed.fingerprint, float("-inf")) < window:
                continue  # it was told a moment ago
            said = f"{note.who} lists {listed.fingerprint} twice, and nothing is decided about it"
            self._found.add("G13", note, said)

    def _entry(self, fingerprint: str) -> Firing | None:
        return next(
            (
                model.firing[fingerprint]
                for model in self._models.values()
                if fingerprint in model.firing
            ),
            None,
        )

    def _longest_hold(self, model: ModelRecord) -> timedelta:
        """The longest that a cooldown of a model may last from now on."""
        taken = [
            max(one.cooldown_most, one.settle)
            for one in self._orders.values()
            if one.model == model.name
        ]
        return max([self._spans.cooldown, *taken])

    def _mended(self, note: Note) -> None:
        """Take over what was mended: no moment of it may be later than it was."""
        rows = note.data
        for row in rows["models"]:
            self._model(row["name"]).mended(row)
        changed = [
            *((self._entry(row["fingerprint"]), row) for row in rows["firing"]),
            *((self._orders.get(row["id"]), row) for row in rows["dispatches"]),
            *((self._model(row["model"]).answer, row) for row in rows["approvals"]),
        ]
        for known, row in changed:
            if known is not None:
                known.mended(row)
        for row in rows["releases"]:
            at = self._restraint.released.get(row["policy"], row["released_at"])
            self._restraint.released[row["policy"]] = min(at, row["released_at"])
        for row in rows["pauses"]:
            if not self._pauses.mended(row):
                said = f"a pause of {row['scope']} {row['name']} was cut below its own length"
                self._found.add("G9", note, said)
        self._mended_deliveries(note, rows["deliveries"])
        self._count_anew()

    def _mended_deliveries(self, note: Note, rows: list[Row]) -> None:
        for row in rows:
            key = (row["fingerprint"], row["starts_at"])
            if key in self._passed and row["decided_at"] is not None:
                self._passed[key] = min(self._passed[key], row["decided_at"])
            if key in self._resolved:
                ended, surely = self._resolved[key]
                self._resolved[key] = (min(ended, note.wall), surely)

    def _count_anew(self) -> None:
        for model in self._models.values():
            model.ready_for = 0.0

    def _reload(self, note: Note) -> None:
        config_hash, changed = note.data
        self._reloaded = note.at
        if changed is None:  # from now on it may be the one or the other
            self._loaded.setdefault(note.who, set()).add(config_hash)
            self._loading[note.who] = note.at
            for model in self._models.values():
                model.doubt_backoff()
        else:
            before = self._loaded[note.who] - {config_hash}
            self._replaced.update(dict.fromkeys(before, note.at))
            self._loaded[note.who] = {config_hash}
            if changed:
                for model in self._models.values():
                    model.reloaded(self._loading[note.who])
        self._count_anew()

    def _renamed(self, note: Note) -> None:
        """What was paused is paused under its new name, in the same transaction."""
        before, after = (self._books.get(one) for one in note.data)
        if before is None or after is None:
            return
        for old, new in renames(before, after):
            if self._pauses.is_held(old, note.wall) and not self._pauses.is_held(new, note.wall):
                self._found.add("pause", note, f"{old} was paused, and is not as {new}")

    def _model(self, name: str) -> ModelRecord:
        return self._models.setdefault(name, ModelRecord(name))

    def _decision(self, note: Note, row: Row) -> None:
        if row["source"] == "operator":
            self._operator(note, row)
        elif row["reason"] != "operator":  # which would be a note: the clock was ahead
            self._decided_alert(note, row)

    def _decided_alert(self, note: Note, row: Row) -> None:
        model = self._model(model_of(row))
        book = self._books[row["config_hash"]]
        policy = policy_for(book, row["alertname"])
        if row["reason"] == "expired":
            entry = model.leaves(row["fingerprint"], row["decided_at"])
            if entry is None or note.wall < entry.expires:
                self._found.add("ladder", note, "an alert expired that was confirmed not long ago")
            return
        allowed = self._allowed(note, row, policy, model)
        if row["reason"] not in allowed:
            said = f"{row['reason']}, but the design allows {' or '.join(sorted(allowed))}"
            self._found.add(_promise(row["reason"], allowed), note, said)
        self._opens(note, row, policy)
        self._learn(note, row, policy, model)
        if row["status"] == "resolved":
            self._ended[row["fingerprint"]] = note.at
        if row["source"] != "timer" and row["status"] == "firing":
            self._hearsay.delivers(row["fingerprint"], note.at)
            self._decided[row["fingerprint"]] = note.at
        if policy is not None and row["status"] == "firing":
            self._restraint.asks_anew(policy, model, row["reason"], row["decided_at"])
        if row["reason"] == "triggered" and policy is not None:
            self._order(note, row, policy, model, ordered=False)

    def _opens(self, note: Note, row: Row, policy: Policy | None) -> None:
        window = None if policy is None else policy.window
        if row["reason"] == "window" and window is not None:
            opens_at, _ = hours_from(window, row["decided_at"])
            if row["next_check_at"] != opens_at:
                self._found.add("window", note, "that is not when it opens")

    def _allowed(
        self, note: Note, row: Row, policy: Policy | None, model: ModelRecord
    ) -> set[str]:
        """The reasons that this decision may have."""
        if row["source"] == "poll" and row["status"] == "resolved":
            self._may_end(note, row)
        if policy is None:
            return {"unmatched"}
        if row["source"] == "timer":
            entry = model.firing.get(row["fingerprint"])
            fires = entry is not None and entry.may_count(note.wall)
            return self._held(note, row, policy, model) if fires else {"nothing: it does not fire"}
        if row["status"] == "resolved":
            return {"resolved"}
        key, now = (row["fingerprint"], row["starts_at"]), note.wall
        passed = self._passed.get(key)
        if passed is not None and abs(now - passed) < policy.dedup_window:
            return {"duplicate"}
        ended, surely = self._resolved.get(key, (EVER, False))
        if surely and now - ended < policy.alert_expiry:
            return {"stale"}
        perhaps = {"stale"} if key in self._resolved else set()
        return perhaps | self._held(note, row, policy, model)

    def _may_end(self, note: Note, row: Row) -> None:
        """Whether the sources may have said that an alert is over."""
        why = self._hearsay.ended_too_soon(row["fingerprint"])
        if why is not None and self._hearsay.jumped == float("-inf"):
            self._found.add("G12", note, why)

    def _held(self, note: Note, row: Row, policy: Policy, model: ModelRecord) -> set[str]:
        """What the rungs from `paused` on may say."""
        if self._pauses.holding(model_of(row), policy, note.wall):
            return {"paused"}
        again = self._pauses.may_hold(model_of(row), policy, note.wall)
        paused = {"paused"} if again else set[str]()
        if model.live is not None:
            return paused | {"in_flight"}
        return paused | self._after_cooldown(note, row, policy, model)

    def _after_cooldown(
        self, note: Note, row: Row, policy: Policy, model: ModelRecord
    ) -> set[str]:
        now = note.wall
        least, most = model.held_least, model.held_most
        observing = policy.mode is Mode.OBSERVE
        if observing:
            least, most = later(least, model.observed), later(most, model.observed)
        if least is not None and now + SLACK < least:
            return {"cooldown"}
        held = {"cooldown"} if most is not None and now < most + SLACK else set()
        delivered = row["source"] != "timer"
        belief, surely = self._hearsay.holding(
            note, row["fingerprint"], policy, delivered=delivered
        )
        held |= belief
        if surely:
            return held
        restraints, surely = self._restraint.holding(policy, model, row["decided_at"])
        if surely:
            return held | restraints
        return held | restraints | ({"observed"} if observing else {"triggered"})

    def _learn(self, note: Note, row: Row, policy: Policy | None, model: ModelRecord) -> None:
        """What follows from a decision for the next ones."""
        fingerprint, starts_at, reason = row["fingerprint"], row["starts_at"], row["reason"]
        key, now = (fingerprint, starts_at), note.wall
        entry = model.firing.get(fingerprint)
        if row["source"] == "timer":
            if policy is None:
                model.leaves(fingerprint, row["decided_at"])
            elif entry is not None:
                entry.policy, entry.stale_until = policy.name, None
                model.fires(policy, row["decided_at"])
                ended, _ = self._resolved.get((fingerprint, entry.starts_at), (EVER, False))
                self._resolved[(fingerprint, entry.starts_at)] = (ended, False)
        elif row["status"] == "resolved":
            if entry is not None and entry.starts_at <= starts_at:
                model.leaves(fingerprint, row["decided_at"])
            self._resolved[key] = (now, policy is not None)
        elif policy is None:
            pass
        elif reason == "duplicate":
            model.confirmed(row, policy, now, ended=self._resolved.get(key, (EVER, False))[1])
        else:
            self._passed[key] = now
            model.joins(row, policy, now)
        entry = model.firing.get(fingerprint)
        if entry is not None and row["source"] != "operator" and reason != "duplicate":
            entry.opens_at = row["next_check_at"] if reason == "window" else None
        if reason == "observed" and policy is not None:
            model.observed = now + policy.cooldown

    def _operator(self, note: Note, row: Row) -> None:
        if CARRIED in row["comment"]:
            self._pauses.carried(row["comment"], row["policy"])
            self._count_anew()
            return
        act = self._acts[row["comment"]]
        if act.what == "pause":
            self._pauses.begins(act.scope, act.subject, act.length, note.wall)
        elif act.what == "resume":
            self._pauses.ends(act.scope, act.subject)
        elif act.what == "release":
            self._release(act, row)
        elif act.what in {"approve", "reject"}:
            self._answer(act, row)
        elif act.what == "retrain" and row["reason"] == "triggered":
            model = self._model(act.subject)
            policy = self._books[row["config_hash"]].policy(row["policy"])
            if model.live is not None:
                self._found.add("G2", note, "an operator's run was ordered beside one in flight")
            if policy is not None:
                model.end_backoff()
                self._order(note, row, policy, model, ordered=True)
        self._count_anew()

    def _release(self, act: Ordered, row: Row) -> None:
        for policy in self._books[row["config_hash"]].policies:
            if policy.storm and act.subject in {"", policy.name}:
                self._restraint.released[policy.name] = row["decided_at"]

    def _answer(self, act: Ordered, row: Row) -> None:
        """A human answers what was asked about a model in its episode."""
        model = self._model(act.subject)
        policy = self._books[row["config_hash"]].policy(row["policy"] or "")
        expiry = APPROVAL_EXPIRY if policy is None else policy.approval_expiry
        approved = act.what == "approve"
        until = row["decided_at"] + expiry if approved else FOREVER
        model.answer = Answer(approved, model.onset.began_at, until)

    def _order(
        self, note: Note, row: Row, policy: Policy, model: ModelRecord, *, ordered: bool
    ) -> None:
        at = row["decided_at"]
        least, most = self._restraint.runs_of(model.name, model.began(policy, at), at)
        answer = self._restraint.answered(model, model.onset.began_at, at)
        if policy.restrained and answer is not None:
            answer.used_by = row["dispatch_id"]
        order = Order(
            row["dispatch_id"],
            row["model"],
            policy.name,
            at,
            min(policy.cooldown * policy.backoff**least, LONGEST),
            policy.settle,
            ordered,
            model.cooldown.copy(),
            policy.cost,
            min(policy.cooldown * policy.backoff**most, LONGEST),
        )
        self._orders[order.id] = order
        model.ordered(order, note.wall)

    def _transition(self, note: Note, row: Row) -> None:
        order = self._orders.get(row["dispatch_id"])
        if order is None:
            self._found.add("G1", note, "a dispatch that no decision ordered")
            return
        model = self._model(row["model"])
        if row["state"] == "sending" and not order.ordered:
            self._may_send(note, row, model)
        if row["state"] == "refused":
            model.refused_at = note.at
        model.moves(order, row["state"], note.wall)

    def _may_send(self, note: Note, row: Row, model: ModelRecord) -> None:
        if not any(entry.may_count(note.wall) for entry in model.firing.values()):
            self._found.add("ladder", note, "it is sent although none of its alerts fires")
        recent = {one for one, at in self._replaced.items() if note.at - at < STEP}
        named = [self._books[one].policy(row["policy"]) for one in self._hashes() | recent]
        acting = [one for one in named if one is not None and one.mode is not Mode.OBSERVE]
        if not acting:
            self._found.add("ladder", note, "it is sent although its policy does not act")
        elif self._pauses.holding(row["model"], acting[0], note.wall):
            self._found.add("ladder", note, "it is sent although a pause holds it")
        elif not any(one.window is None or is_open(one.window, note.wall) for one in acting):
            self._found.add("window", note, "it is sent outside of its hours")

    def _hashes(self) -> set[str]:
        return set().union(*self._loaded.values())

    def _wait(self, before: Note, after: Note) -> None:
        """Count how long each model has been ready while nothing was done."""
        hashes = self._hashes()
        if self._up:
            self._time_goes_by(before, after)
        if not self._up or len(hashes) != 1:
            return
        book = self._books[next(iter(hashes))]
        for name, model in self._models.items():
            spans = [
                span
                for entry in model.firing.values()
                if (span := self._ready(name, model, entry, book, before)) is not None
            ]
            if not spans:
                model.ready_for = 0.0
                continue
            begins, ends = min(spans)
            begun = before.at + max((begins - before.wall).total_seconds(), 0)
            ended = min(after.at, before.at + (ends - before.wall).total_seconds())
            if begun > before.at:
                model.ready_for = 0.0
            model.ready_for += max(ended - begun, 0)
            if model.ready_for > WITHIN:
                self._found.add("G4", after, f"{name} fires, nothing holds it, nothing is done")
                model.ready_for = float("-inf")

    def _time_goes_by(self, before: Note, after: Note) -> None:
        seconds = after.at - before.at
        for name in self._hearsay.waits(seconds):
            self._found.add("G13", after, f"nobody asks {name}")
        if self._right_for < MENDED_WITHIN <= self._right_for + seconds:
            # By the clock as it went on until then: it may be set at that very moment.
            wall = before.wall + timedelta(seconds=seconds)
            self._pauses.is_cut(wall)
            for model in self._models.values():
                model.is_cut(wall + self._longest_hold(model))
        self._right_for += seconds

    def _ready(
        self, name: str, model: ModelRecord, entry: Firing, book: PolicySet, note: Note
    ) -> tuple[datetime, datetime] | None:
        """From when to when an alert fires and nothing holds its model."""
        now = note.wall
        policy = policy_for(book, entry.name)
        if policy is None or policy.mode is Mode.OBSERVE or model.live is not None:
            return None
        paused = self._pauses.end(name, policy)
        if paused is None:
            return None
        begins = later(later(entry.stale_until, model.held_most), paused) or EVER
        begins = later(begins, entry.opens_at) or EVER
        believed = self._hearsay.free_until(entry.fingerprint, policy, note)
        if believed is None:
            return None
        ends = min(entry.expires, believed)
        if policy.restrained and begins < ends:
            free = self._restraint.free(policy, model, max(begins, now))
            if free is None:
                return None
            begins, ends = free[0], min(free[1], ends)
        return (begins, ends) if begins < ends else None


def _wall_at(note: Note, moment: float) -> datetime:
    """What the deciding clock showed at an earlier moment, if nobody has set it since."""
    return note.wall - timedelta(seconds=note.at - moment)


def model_of(row: Row) -> str:
    """The model of an alert, also where no policy named it; empty if that was lost."""
    return str(row["model"] or MODELS.get(row["fingerprint"], ""))


def policy_for(book: PolicySet, alertname: str) -> Policy | None:
    """The first policy that matches."""
    return first_match(book.policies, {"alertname": alertname})


def renames(before: PolicySet, after: PolicySet) -> Iterable[tuple[str, str]]:
    """The names of each policy that went, and of one that came with the same matchers."""
    return (
        (old.name, new.name)
        for old in before.policies
        for new in after.policies
        if old.matchers == new.matchers
        and after.policy(old.name) is None
        and before.policy(new.name) is None
    )


def longest_spans(books: Iterable[PolicySet]) -> Spans:
    """The longest that any deadline of these configurations lies ahead."""
    return spans_of((USUAL, *(policy for book in books for policy in book.policies)))


def _promise(reason: str, allowed: set[str]) -> str:
    if reason == "triggered" and allowed <= {"cooldown", *BELIEF} and allowed & BELIEF:
        return "G12"
    if reason == "triggered" and (restraints := allowed & RESTRAINTS):
        return min(restraints)
    return "G2" if reason == "triggered" and allowed & {"cooldown", "in_flight"} else "ladder"


def check_ladder(notes: list[Note], found: Violations, plan: Any) -> None:
    """Check every decision against the ladder, and that nothing held is forgotten."""
    Follower(notes, found, policy_sets(plan), plan.poll.total_seconds()).go()
