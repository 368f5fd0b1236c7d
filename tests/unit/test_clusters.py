"""Which cluster a source belongs to is learned from beginnings."""

from dataclasses import replace
from datetime import timedelta

import pytest

from receiver.core.claims import Claim
from receiver.core.clusters import MOST_URLS, learned, of_other_clusters, other_firings, urls_of
from receiver.core.sightings import Sighting
from tests.fakes import NOON

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
DEV, PROD = "http://dev", "http://prod"

IN_PROD = Sighting("prod", "f", NOON - MINUTE, heard_at=NOON)


@pytest.mark.parametrize(
    ("apart", "same"),
    [
        (timedelta(0), True),
        (timedelta(microseconds=999), True),
        (-timedelta(microseconds=999), True),
        (timedelta(milliseconds=1), False),
        (-timedelta(milliseconds=1), False),
    ],
)
def test_a_source_speaks_for_whoever_told_the_same_beginning(apart, same):
    """To the millisecond, to which the API rounds. Whoever said no URL teaches nothing."""
    said = [Claim(DEV, NOON, NOON), Claim("", NOON, NOON), Claim(PROD, NOON + MINUTE, NOON)]

    assert urls_of(said, NOON + apart) == ({DEV} if same else set())


def test_what_was_learned_is_kept_the_newest_first_and_bounded():
    """A sender that changes its URL at each start must not fill the row."""
    assert list(learned([], {PROD, DEV})) == [DEV, PROD]
    assert list(learned([DEV], {DEV})) == [DEV]
    assert list(learned([DEV], {PROD})) == [PROD, DEV]

    many = [f"http://{number}" for number in range(MOST_URLS)]
    assert learned(many, {DEV}) == [DEV, *many[:-1]]


def elsewhere(sighting, url=DEV, ended=NOON, **speak_for):
    known = {"dev": [DEV], "prod": (), **speak_for}
    return of_other_clusters(other_firings([sighting], ended), known, url)


@pytest.mark.parametrize("prod", [(), [PROD]])
def test_what_another_cluster_lists_goes_on(prod):
    """Whether that delivers, too, or is known by its listing only."""
    assert elsewhere(IN_PROD, prod=prod) == [IN_PROD]
    later = replace(IN_PROD, starts_at=NOON + MINUTE)
    assert elsewhere(later, prod=prod) == [later]


def test_a_source_of_the_same_cluster_keeps_nothing():
    """Its next answer says the same as the `resolved`, or that it fires anew."""
    assert elsewhere(IN_PROD, prod=[DEV]) == []
    assert elsewhere(IN_PROD, prod=[PROD, DEV]) == []


def test_where_nobody_is_known_to_speak_for_the_sender_nothing_is_kept():
    """Nobody can be told from it: before the first answer, and after its URL has changed."""
    assert elsewhere(IN_PROD, url="http://new", prod=[PROD]) == []
    assert elsewhere(IN_PROD, url="", prod=[PROD]) == []
    assert elsewhere(IN_PROD, dev=()) == []


def test_what_began_with_it_has_ended_with_it():
    """Members of one cluster have one beginning, whatever their URLs are."""
    assert elsewhere(replace(IN_PROD, starts_at=NOON + timedelta(microseconds=999))) == []


def test_what_was_heard_before_the_firing_began_says_nothing():
    """It may be over since; and what is listed no more, neither."""
    assert elsewhere(replace(IN_PROD, heard_at=NOON - SECOND)) == []
    assert elsewhere(replace(IN_PROD, heard_at=None)) == []
    assert elsewhere(replace(IN_PROD, missed_since=NOON)) == []
