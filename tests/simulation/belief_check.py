"""What sources were heard to say, and what may be believed of it (G12, G13).

An answer that was given may be stored, or its process died before that: until a later one surely
is, both what was stored before and what was given since may be what the receiver goes by.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from receiver.core.fingerprints import fingerprint_of
from receiver.core.policies import Policy, WhenSilenced
from receiver.core.sightings import ENOUGH
from receiver.core.sources import STEADY, Asking, Listed
from tests.simulation.upstreams import Answer
from tests.simulation.world import Note

SLACK = timedelta(seconds=1)

LONGEST_ASKING = 180.0
"""A process that died while it asked holds its source for two minutes; and a minute to look."""

RENEWED = 4
"""How often within `confirm_within` a confirmation is written down anew, by docs/belief.md."""


@dataclass(slots=True)
class Heard:
    """What one source said.

    Attributes:
        stored: The newest of its answers that is surely stored, and the one before that.
        given: Those that were given since, and may be stored.
        lives_since: When each of its lives was first heard of.
        idle: For how long nobody has asked it although somebody could.

    """

    stored: Answer | None = None
    before: Answer | None = None
    given: list[Answer] = field(default_factory=list)
    lives_since: dict[str, float] = field(default_factory=dict)
    idle: float = 0.0

    @property
    def possible(self) -> list[Answer]:
        """What the receiver may go by."""
        return self.given if self.stored is None else [self.stored, *self.given]


@dataclass(slots=True)
class Hearsay:
    """What was heard of each alert.

    Attributes:
        asking: Whom the configuration asks; None if nobody.
        told: When somebody said last that an alert fires: true seconds.
        delivered: The same of deliveries only.
        knew: Which sources may have listed an alert that is in a set since.
        surely_knew: Those whose word that they do is surely stored.
        misses: How often in a row a source that counts did not list it.
        before_listed: The same as if it had not listed it when it was asked then: that answer may
            not be stored yet, or never.
        jumped: When the deciding clock was set last.

    """

    asking: Asking | None
    poll: float
    sources: dict[str, Heard] = field(default_factory=dict)
    told: dict[str, float] = field(default_factory=dict)
    delivered: dict[str, float] = field(default_factory=dict)
    knew: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    surely_knew: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    misses: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    before_listed: dict[tuple[str, str], tuple[float, int]] = field(default_factory=dict)
    shown: frozenset[str] = frozenset()
    jumped: float = float("-inf")

    def __post_init__(self) -> None:
        names = self.asking.sources if self.asking else frozenset()
        self.sources = {name: Heard() for name in sorted(names)}

    def asked(self, note: Note) -> None:
        """A source was asked; it answered, or it did not."""
        answer: Answer | None = note.data
        if note.who == "prometheus":
            if answer is not None:
                self.shown = frozenset(map(name_of, answer.listing))
            return
        heard = self.sources[note.who]
        heard.idle = 0.0
        if answer is None:
            return
        heard.given.append(answer)
        since = heard.lives_since.setdefault(answer.up_since, answer.asked_at)
        counts = answer.asked_at - since >= STEADY.total_seconds()
        for fingerprint in answer.alerts:
            self.told[fingerprint] = note.at
            self.knew[fingerprint].add(note.who)
            key = note.who, fingerprint
            _, missed = self.before_listed.get(key, (0, 0))
            if misses := max(missed, self.misses[key]):
                self.before_listed[key] = answer.asked_at, misses
            self.misses[key] = 0
        for fingerprint, names in self.knew.items():
            if note.who in names and fingerprint not in answer.alerts:
                again = self.misses[note.who, fingerprint] + 1
                self.misses[note.who, fingerprint] = again if counts else 0
                at, missed = self.before_listed.get((note.who, fingerprint), (0, 0))
                if missed and counts:
                    self.before_listed[note.who, fingerprint] = at, missed + 1

    def believed(self, note: Note, firing: Collection[str], ended: Collection[str]) -> None:
        """An answer is stored; of what is in no set and not listed nothing is remembered.

        Of what has `ended` since it was asked, by this answer perhaps, it may be until the next.
        """
        answer: Answer = note.data
        heard = self.sources[note.who]
        heard.before, heard.stored = heard.stored, answer
        heard.given = [one for one in heard.given if one.asked_at > answer.asked_at]
        for key, (listed_at, _) in list(self.before_listed.items()):
            # One that does not list it says nothing of the earlier answer, which may be lost.
            if key[0] == note.who and listed_at <= answer.asked_at and key[1] in answer.alerts:
                del self.before_listed[key]
        for fingerprint, names in self.knew.items():
            if fingerprint in answer.alerts:
                self.surely_knew[fingerprint].add(note.who)
            elif fingerprint not in firing:
                self.surely_knew[fingerprint].discard(note.who)
                if fingerprint not in ended:
                    names.discard(note.who)

    def delivers(self, fingerprint: str, at: float) -> None:
        """It was delivered that an alert fires."""
        self.told[fingerprint] = self.delivered[fingerprint] = at

    def waits(self, seconds: float) -> Iterator[str]:
        """Time goes by while somebody could ask: the sources that nobody asks for too long."""
        for name, heard in self.sources.items():
            heard.idle += seconds
            if heard.idle > self.poll + LONGEST_ASKING:
                heard.idle = float("-inf")
                yield name

    def disturbed(self) -> None:
        """Something went wrong: nobody may have been able to ask."""
        for heard in self.sources.values():
            heard.idle = min(heard.idle, 0.0) if heard.idle > float("-inf") else 0.0

    def ended_too_soon(self, fingerprint: str) -> str | None:
        """Why no source may end an alert yet."""
        for name in sorted(self.surely_knew[fingerprint]):
            _, before = self.before_listed.get((name, fingerprint), (0, 0))
            if max(before, self.misses[name, fingerprint]) < ENOUGH:
                return f"ended, but {name} has not yet listed it no more {ENOUGH} times in a row"
        if self.asking is not None and self.asking.prometheus and fingerprint in self.shown:
            return "ended, but Prometheus shows that it fires"
        return None

    def holding(
        self, note: Note, fingerprint: str, policy: Policy, *, delivered: bool
    ) -> tuple[set[str], bool]:
        """Which of `silenced` and `unconfirmed` may hold an alert; whether one surely does."""
        if self.asking is None:
            return set(), False
        quiet, surely_quiet = self._quiet(fingerprint, policy, note)
        if surely_quiet:
            return {"silenced"}, True
        allowed = {"silenced"} if quiet else set()
        if self._quiet_may_have_ended(fingerprint, policy, note.wall):
            allowed.add("unconfirmed")
        if delivered:
            return allowed, False
        if self._surely_doubted(fingerprint, note.at):
            return allowed | {"unconfirmed"}, True
        if self._may_be_doubted(fingerprint, note.at):
            allowed.add("unconfirmed")
        return allowed, False

    def free_until(self, fingerprint: str, policy: Policy, note: Note) -> datetime | None:
        """Until when neither can hold it, if nothing else is heard; None if one may."""
        if self.asking is None:
            return FOREVER
        within = self.asking.confirm_within
        told = self._surely_told(fingerprint)
        doubted = self.jumped >= told or self._missed(fingerprint, told)
        if doubted or self._quiet(fingerprint, policy, note)[0]:
            return None
        if self._quiet_may_have_ended(fingerprint, policy, note.wall):
            return None
        return note.wall + timedelta(seconds=told - note.at) + within - SLACK

    def unheard(self, name: str, decided: Mapping[str, float]) -> Iterator[Listed]:
        """What a source has listed twice in a row, and nothing was decided about.

        Only what it listed alike; and what was decided while it was asked is left to others.
        """
        heard = self.sources[name]
        first, second = heard.before, heard.stored
        if first is None or second is None:
            return
        for fingerprint, listed in second.alerts.items():
            decided_at = decided.get(fingerprint, float("-inf"))
            alike = first.alerts.get(fingerprint) == listed
            if alike and listed.settled and decided_at < first.asked_at:
                yield listed

    def _words(self, fingerprint: str) -> Iterator[list[Listed | None]]:
        """What each source may have said last of an alert; None where it did not list it."""
        for heard in self._those_that_knew(fingerprint):
            yield [answer.alerts.get(fingerprint) for answer in heard.possible]

    def _those_that_knew(self, fingerprint: str) -> list[Heard]:
        knew = self.knew[fingerprint]
        return [heard for name, heard in self.sources.items() if name in knew]

    def _quiet(self, fingerprint: str, policy: Policy, note: Note) -> tuple[bool, bool]:
        """Whether somebody may say "don't act" now, and whether surely.

        Only a source that was heard within `confirm_within` says anything of now.
        """
        perhaps = surely = False
        if policy.silenced is WhenSilenced.ACT:
            return perhaps, surely
        for heard in self._those_that_knew(fingerprint):
            words = [answer.alerts.get(fingerprint) for answer in heard.possible]
            quiets = [one.quiet if one is not None else None for one in words]
            if any(quiet is not None and quiet.holds(note.wall - SLACK) for quiet in quiets):
                perhaps |= self._may_be_heard(heard, note.at)
            if all(quiet is not None and quiet.holds(note.wall + SLACK) for quiet in quiets):
                surely |= self._is_surely_heard(heard, note.at)
        return perhaps, surely

    def _may_be_heard(self, heard: Heard, now: float) -> bool:
        """Whether a source may have answered within `confirm_within`, as the receiver has it."""
        last = max((answer.asked_at for answer in heard.possible), default=float("-inf"))
        return self.jumped >= last or now - last < self._within + 1

    def _is_surely_heard(self, heard: Heard, now: float) -> bool:
        """Whether one surely has: the receiver counts from when it took the source to ask it."""
        stored = heard.stored.taken_at if heard.stored is not None else float("-inf")
        return self.jumped < stored and now - stored < self._within - 1

    @property
    def _within(self) -> float:
        assert self.asking is not None
        return self.asking.confirm_within.total_seconds()

    def _quiet_may_have_ended(self, fingerprint: str, policy: Policy, now: datetime) -> bool:
        if policy.silenced is WhenSilenced.ACT:
            return False
        return any(
            one is not None and one.quiet is not None and not one.quiet.holds(now + SLACK)
            for words in self._words(fingerprint)
            for one in words
        )

    def _surely_doubted(self, fingerprint: str, now: float) -> bool:
        told = self.told.get(fingerprint, float("-inf"))
        if self.asking is None or self.jumped >= told:
            return False
        if now - told > self.asking.confirm_within.total_seconds() + 1:
            return True
        knew = self.knew[fingerprint]
        words = list(self._words(fingerprint))
        if not self.surely_knew[fingerprint] or any(any(said) for said in words):
            return False
        answers = [self.sources[name].stored for name in knew]
        return all(one is not None and one.asked_at > told for one in answers)

    def _may_be_doubted(self, fingerprint: str, now: float) -> bool:
        told = self._surely_told(fingerprint)
        assert self.asking is not None
        if self.jumped >= told or now - told >= self.asking.confirm_within.total_seconds() - 1:
            return True
        return self._missed(fingerprint, told)

    def _missed(self, fingerprint: str, told: float) -> bool:
        """Whether the sources may be thought to list it no more."""
        words = list(self._words(fingerprint))
        if any(said and all(said) for said in words):
            return False
        return any(
            fingerprint not in answer.alerts and answer.asked_at >= told - 1
            for name in self.knew[fingerprint]
            for answer in self.sources[name].possible
        )

    def _surely_told(self, fingerprint: str) -> float:
        """When it was surely written down last that an alert fires."""
        assert self.asking is not None
        late = self.asking.confirm_within.total_seconds() / RENEWED
        stored = [
            heard.stored.asked_at - late
            for heard in self.sources.values()
            if heard.stored is not None and fingerprint in heard.stored.alerts
        ]
        return max([self.delivered.get(fingerprint, float("-inf")), *stored])


def name_of(listed: Listed) -> str:
    """Prometheus does not name its alerts."""
    return listed.fingerprint or fingerprint_of(listed.labels)


FOREVER = datetime.fromisoformat("9000-01-01T00:00:00+00:00")
