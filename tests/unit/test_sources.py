"""What sources said is joined, compared with what we have, and believed or doubted."""

from dataclasses import replace
from datetime import timedelta

import pytest

from receiver.core.cases import Case
from receiver.core.decisions import Facts, Reason
from receiver.core.explaining import explain
from receiver.core.ladder import TIMER_LADDER, decide
from receiver.core.models import FiringAlert, Model
from receiver.core.policies import WhenSilenced
from receiver.core.sightings import (
    DELIVERED,
    HUMAN_AFTER,
    Belief,
    Consensus,
    KnownEntry,
    Sighting,
    believed,
    compare,
    consensus_of,
    delivered,
    seen,
)
from receiver.core.sources import LEASE, STEADY, Asking, Hush, Listed, Quiet, SourceRecord, shows
from tests.examples import DRIFT, alert, policy_set
from tests.fakes import NOON

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
WITHIN = 5 * MINUTE
MAIN = Asking(frozenset({"main"}), WITHIN)

SILENCE = Quiet(Hush.SILENCED, "5e1f", "ana", "new sensor", NOON + HOUR)
MUTE = Quiet(Hush.MUTED, "weekend")

LISTED = Consensus(listed_by=("main",))
FRESH = Belief(WITHIN, NOON - MINUTE, "main", consensus=LISTED)
OLD = replace(FRESH, confirmed_at=NOON - WITHIN)
MISSED = Consensus(missed_by=("a", "b"), missed_since=NOON - SECOND)


def judged(belief, policy=DRIFT, now=NOON):
    return decide(Case(alert(), policy, Facts(belief=belief), now), TIMER_LADDER)


def quieted(quiet, belief=FRESH):
    return replace(belief, consensus=replace(LISTED, quiet=quiet))


ACTING = replace(DRIFT, silenced=WhenSilenced.ACT)


@pytest.mark.parametrize(
    ("belief", "reason"),
    [
        # Without sources nothing is doubted ...
        (None, "triggered"),
        (FRESH, "triggered"),
        # ... the edge of `confirm_within`, either side of it ...
        (replace(FRESH, confirmed_at=NOON - WITHIN + SECOND), "triggered"),
        (OLD, "unconfirmed"),
        (replace(FRESH, confirmed_at=NOON + WITHIN), "unconfirmed"),
        # ... what no source lists any more, unless it was heard of since ...
        (replace(FRESH, consensus=MISSED), "unconfirmed"),
        (replace(FRESH, consensus=MISSED, confirmed_at=NOON), "triggered"),
        (replace(FRESH, consensus=MISSED, confirmed_at=NOON + MINUTE), "unconfirmed"),
        # ... silences and mute times, and who wins.
        (quieted(SILENCE), "silenced"),
        (quieted(MUTE), "silenced"),
        (quieted(SILENCE, OLD), "silenced"),
        (quieted(replace(SILENCE, ends_at=NOON)), "unconfirmed"),
    ],
)
def test_what_is_doubted(belief, reason):
    """Each row of the two rungs, with their edges and their order."""
    assert judged(belief).reason.value == reason


@pytest.mark.parametrize("quiet", [SILENCE, MUTE, replace(SILENCE, ends_at=NOON)])
def test_a_policy_that_acts_sees_silences_and_passes_them(quiet):
    """The gate still tells what it saw."""
    finding = judged(quieted(quiet), ACTING)

    assert finding.reason is Reason.TRIGGERED
    gate = next(gate for gate in finding.gates if gate.rung is Reason.SILENCED)
    assert (gate.applies, gate.saw["id"]) == (False, quiet.id)


def test_a_silence_is_told_with_all_its_words():
    """Author, end, id and comment; strangers' text is quoted."""
    finding = judged(quieted(SILENCE))

    assert finding.detail == (
        "it is silenced in Alertmanager by 'ana' until 13:00 UTC (silence '5e1f'): 'new sensor'"
    )
    assert finding.next_check_at == NOON + HOUR
    bare = judged(quieted(Quiet(Hush.SILENCED, "x")))
    assert (bare.detail, bare.next_check_at) == (
        "it is silenced in Alertmanager (silence 'x')",
        None,
    )
    muted = "it is muted by the time interval 'weekend' of its route in Alertmanager"
    assert judged(quieted(MUTE)).detail == muted


def test_what_is_unconfirmed_needs_a_human_after_a_while():
    """Until then the timer looks again at that moment; afterwards only somebody's word helps."""
    first = judged(OLD)
    assert (first.asks, first.next_check_at) == (False, NOON + HUMAN_AFTER)
    assert first.detail.endswith("the sources are asked now")

    held = judged(replace(OLD, held_since=NOON - HUMAN_AFTER))

    assert (held.asks, held.next_check_at) == (True, None)
    assert "a human must look at the sources, or order a run with retrain" in held.detail


def test_the_doubt_says_why():
    """Who said what last, and who does not say it any more."""
    assert judged(replace(FRESH, consensus=MISSED)).detail.startswith(
        "since 11:59 UTC a, b does not list it any more; "
    )
    assert judged(OLD).detail.startswith(
        "main said last 5m ago that it fires, longer ago than 5m;"
    )
    never = judged(replace(OLD, confirmed_by=DELIVERED, consensus=Consensus()))
    assert "no source ever listed it" in never.detail


ENTRY = FiringAlert(
    fingerprint="HighModelMAE-42",
    model="42",
    policy="drift",
    alertname="HighModelMAE",
    labels=alert().labels,
    value=0.62,
    starts_at=NOON - HOUR,
    confirmed_at=NOON - WITHIN,
    expires_at=NOON + HOUR,
)


def test_an_entry_is_believed_as_its_sources_say():
    """Only configured sources count, and only `unconfirmed` counts its own length."""
    said = [
        Sighting("main", ENTRY.fingerprint, NOON, quiet=SILENCE, heard_at=NOON),
        Sighting("gone", ENTRY.fingerprint, NOON, quiet=MUTE, heard_at=NOON),
    ]
    assert believed(ENTRY, said, None, NOON) is None

    belief = believed(replace(ENTRY, held_by="silenced", held_since=NOON), said, MAIN, NOON)

    assert belief == Belief(
        WITHIN, ENTRY.confirmed_at, DELIVERED, None, replace(LISTED, quiet=SILENCE)
    )
    held = believed(replace(ENTRY, held_by="unconfirmed", held_since=NOON), said, MAIN, NOON)
    assert held.held_since == NOON


def test_a_delivery_confirms_itself_and_ends_no_silence():
    """Alertmanager repeats a notification for minutes, whatever was silenced meanwhile."""
    missed = Sighting("main", "f", NOON, NOON, 1)
    silent = Sighting("main", "f", NOON, quiet=SILENCE, heard_at=NOON)
    assert delivered([missed], None, NOON) is None

    assert judged(delivered([missed], MAIN, NOON)).reason is Reason.TRIGGERED
    assert judged(delivered([silent], MAIN, NOON)).reason is Reason.SILENCED


def test_explain_shows_the_two_rungs_where_sources_are():
    """In their place, behind the cooldown."""
    explained = explain(Model("42", "drift"), [ENTRY], [], policy_set(), NOON, belief=OLD)

    assert explained.holds is Reason.UNCONFIRMED
    assert [gate.rung.value for gate in explained.gates][2:5] == [
        "cooldown",
        "silenced",
        "unconfirmed",
    ]


def of(*names):
    return Asking(frozenset(names), WITHIN)


class TestStanding:
    """Joined answers."""

    def test_one_that_lists_it_is_enough_for_it_to_fire(self):
        """The others may just have been started."""
        said = [Sighting("b", "f", NOON), Sighting("a", "f", NOON, NOON, 5)]

        consensus = consensus_of(said, of("a", "b"), NOON)

        assert (consensus.listed_by, consensus.missed_by) == (("b",), ("a",))
        assert (consensus.missed_since, consensus.over) == (None, False)

    def test_it_is_over_when_all_that_knew_it_said_so_twice(self):
        """One answer is an accident; a source that never knew it has no say."""
        a, b = Sighting("a", "f", NOON, NOON, 2), Sighting("b", "f", NOON, NOON + MINUTE, 1)

        assert not consensus_of([a, b], of("a", "b"), NOON).over
        assert consensus_of([a, b], of("a", "b"), NOON).missed_since == NOON + MINUTE
        assert consensus_of([a, replace(b, misses=2)], of("a", "b"), NOON).over
        assert consensus_of([a], of("a", "b"), NOON).over
        assert not consensus_of([], of("a", "b"), NOON).over

    def test_the_quiet_that_holds_longest_counts(self):
        """One without a known end holds longest."""
        longer = replace(SILENCE, ends_at=NOON + 2 * HOUR)
        said = [
            Sighting("a", "f", NOON, quiet=SILENCE, heard_at=NOON),
            Sighting("b", "f", NOON, quiet=longer, heard_at=NOON),
            Sighting("c", "f", NOON),
        ]

        assert consensus_of(said, of("a", "b", "c"), NOON).quiet == longer
        muted = [*said, Sighting("d", "f", NOON, quiet=MUTE, heard_at=NOON)]
        assert consensus_of(muted, of("a", "b", "c", "d"), NOON).quiet == MUTE

    @pytest.mark.parametrize(
        ("ago", "counts"),
        [(WITHIN - SECOND, True), (WITHIN, False), (SECOND - WITHIN, True), (-WITHIN, False)],
    )
    @pytest.mark.parametrize("quiet", [SILENCE, MUTE])
    def test_a_quiet_counts_while_its_source_is_heard(self, quiet, ago, counts):
        """Whoever was not heard lately says nothing about now, on either side of it."""
        said = [
            Sighting("a", "f", NOON, quiet=quiet, heard_at=NOON - ago),
            Sighting("b", "f", NOON),
        ]

        assert (consensus_of(said, of("a", "b"), NOON).quiet == quiet) is counts


class TestMissing:
    """Answers without an alert."""

    KNOWN = Sighting("main", "f", NOON, quiet=SILENCE)

    def test_answers_in_a_row_are_counted(self):
        """The first says since when; a silence that is not listed holds nothing."""
        once = self.KNOWN.missed(NOON + MINUTE, NOON, counts=True)
        twice = once.missed(NOON + 2 * MINUTE, NOON, counts=True)

        assert (once.missed_since, once.misses, once.quiet) == (NOON + MINUTE, 1, None)
        assert (twice.missed_since, twice.misses) == (NOON + MINUTE, 2)

    def test_an_answer_that_does_not_count_begins_the_row_anew(self):
        """A restart lies between, or Prometheus objects."""
        once = self.KNOWN.missed(NOON + MINUTE, NOON, counts=True)

        assert once.missed(NOON + 2 * MINUTE, NOON, counts=False).misses == 0

    def test_a_confirmation_from_a_future_that_never_came_is_none(self):
        """The clock was set back since."""
        once = self.KNOWN.missed(NOON + MINUTE, NOON + HOUR, counts=True)

        assert once.missed(NOON + 2 * MINUTE, NOON + HOUR, counts=True).misses == 2

    def test_so_does_a_confirmation(self):
        """A delivery between two answers."""
        once = self.KNOWN.missed(NOON + MINUTE, NOON, counts=True)
        again = once.missed(NOON + 3 * MINUTE, NOON + 2 * MINUTE, counts=True)

        assert (again.missed_since, again.misses) == (NOON + 3 * MINUTE, 1)


class TestComparing:
    """What an answer changes."""

    FIRES = Listed("f", {"user_id": "42"}, NOON)
    SEEN = seen("main", FIRES)

    def compared(self, listed, entry=None, known=None):
        return compare(
            listed,
            {"f": entry} if entry else {},
            {"f": known} if known else {},
            NOON,
            MINUTE,
        )

    @pytest.mark.parametrize(
        ("entry", "known", "confirmed"),
        [
            (KnownEntry("42", NOON, None), SEEN, False),
            (KnownEntry("42", NOON - MINUTE, None), SEEN, True),
            (KnownEntry("42", NOON + MINUTE, None), SEEN, True),
            (KnownEntry("42", NOON, "unconfirmed"), SEEN, True),
            (KnownEntry("42", NOON, "silenced"), SEEN, False),
            (KnownEntry("42", NOON, None), None, True),
            (KnownEntry("42", NOON, None), replace(SEEN, quiet=MUTE), True),
            (KnownEntry("42", NOON, None), replace(SEEN, missed_since=NOON), True),
        ],
    )
    def test_entries_are_confirmed_when_that_says_something(self, entry, known, confirmed):
        """Not at each answer: twenty thousand would be written every minute."""
        found = self.compared([self.FIRES], entry, known)

        assert bool(found.confirmed) is confirmed
        assert not (found.missed)
        assert not (found.untold)
        assert not (found.noticed)
        assert not (found.gone)

    def test_what_is_in_no_set_is_noticed_and_then_untold(self):
        """Unless it is not settled."""
        assert self.compared([self.FIRES]).noticed == [self.FIRES]
        assert self.compared([self.FIRES], known=self.SEEN).untold == [self.FIRES]
        unsettled = replace(self.FIRES, settled=False)
        found = self.compared([unsettled], known=self.SEEN)
        assert not (found.untold)
        assert not (found.noticed)

    def test_what_is_not_listed_is_missed_or_gone(self):
        """Only what this source knew."""
        entry = KnownEntry("42", NOON, None)
        assert self.compared([], entry, self.SEEN).missed == ["f"]
        assert self.compared([], None, self.SEEN).gone == ["f"]
        assert not self.compared([], entry).missed


class TestRecord:
    """What is remembered of a source."""

    FRESH = SourceRecord("main", NOON)

    def test_it_is_due_in_its_time_and_nobody_else_asks_meanwhile(self):
        """A lease that is too long to be ours is no lease; so is a deadline."""
        assert self.FRESH.is_due(NOON, MINUTE)
        taken = self.FRESH.taken(NOON, MINUTE)
        assert not taken.is_due(NOON + MINUTE, MINUTE)
        assert taken.is_due(NOON + LEASE, MINUTE)
        free = replace(taken, leased_until=None)
        assert not free.is_due(NOON + MINUTE - SECOND, MINUTE)
        assert free.is_due(NOON + MINUTE, MINUTE)
        assert replace(free, due_at=NOON + HOUR).is_due(NOON, MINUTE)
        assert replace(taken, leased_until=NOON + HOUR).is_due(NOON + MINUTE, MINUTE)

    def test_a_hint_makes_it_due_but_not_at_once_again(self):
        """It was asked a moment ago: five seconds later is soon enough."""
        asked = self.FRESH.taken(NOON, MINUTE)

        assert asked.wanted(NOON + SECOND).due_at == NOON + 5 * SECOND
        assert asked.wanted(NOON + 10 * SECOND).due_at == NOON + 10 * SECOND
        assert asked.wanted(NOON + HOUR).due_at == NOON + MINUTE
        assert self.FRESH.wanted(NOON).due_at == NOON

    def test_it_is_steady_by_our_clock(self):
        """A restart begins anew, and so does nothing else."""
        up = self.FRESH.answered(NOON, "life 1")
        assert (up.steady_since, up.is_steady(NOON + STEADY)) == (NOON, True)
        assert not up.is_steady(NOON + STEADY - SECOND)
        assert up.answered(NOON + HOUR, "life 1").steady_since == NOON
        assert up.answered(NOON + HOUR, "life 2").steady_since == NOON + HOUR
        assert up.answered(NOON - HOUR, "life 1").steady_since == NOON - HOUR
        assert not self.FRESH.is_steady(NOON)

    def test_failures_keep_their_beginning(self):
        """An answer ends them."""
        down = self.FRESH.failed(NOON, "away").failed(NOON + HOUR, "HTML")
        assert (down.error, down.error_since) == ("HTML", NOON)
        assert down.answered(NOON + HOUR, "x").error_since is None


def test_prometheus_alert_and_ours_are_compared_by_the_labels_that_both_have():
    """External labels are added on the way, others are dropped; in doubt it fires."""
    ours = {"alertname": "A", "user_id": "42", "cluster": "eu"}

    def shown(**labels):
        return shows([Listed("", labels, NOON)], ours)

    assert shown(alertname="A", user_id="42", replica="1")
    assert shown(alertname="A")
    assert not shown(alertname="A", user_id="7")
    assert not shown(alertname="B", user_id="42")
    assert not shows([], ours)


def test_everybody_that_is_asked_has_a_name():
    """Prometheus too, where it may object."""
    assert MAIN.everybody == {"main"}
    assert replace(MAIN, prometheus=True).everybody == {"main", "prometheus"}
