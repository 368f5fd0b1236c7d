"""Claims: who says that an alert fires, and which of them a `resolved` ends.

Two Alertmanager clusters whose rules carry no label of the cluster send one fingerprint, for the
fingerprint is a hash of the labels. When the alert ends in one, it still fires in the other. So an
entry of a firing set remembers what each `externalURL` said, and ends when nobody's word is left.

A `resolved` ends a claim

1. of the same `startsAt`, whoever made it and whatever `endsAt` says: the members of one cluster
   share `startsAt` (and often not the `externalURL`), two clusters never by chance; and an
   `endsAt` before the beginning (1970, clocks apart) says only that somebody counts wrong;
2. of the same `externalURL` that began before `endsAt`: one Alertmanager knows one firing of an
   alert at a time, so a newer `resolved` ends what it said before, and an older one does not;
3. where one of the two `externalURL`s is unknown, by the rule of the second case.

It never ends another `externalURL`'s claim of another beginning: that one still lists it. Two that
ever named the same beginning are members of one cluster, so the newer firing of the one takes the
other's claim along. What nobody repeats ends after `alert_expiry`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

MOST_CLAIMS = 8
"""Of one alert; clusters are few, and a sender that changes its URL must not fill the row."""

LONGEST_URL = 200


@dataclass(frozen=True, slots=True)
class Claim:
    """One Alertmanager's word that an alert fires.

    Attributes:
        url: Its `externalURL`; empty if it said none.
        starts_at: Since when.
        said_at: When it said so last.

    """

    url: str
    starts_at: datetime
    said_at: datetime

    def ends_with(self, starts_at: datetime | None, ends_at: datetime, url: str) -> bool:
        """Whether a `resolved` ends it."""
        if self.starts_at == starts_at:
            return True
        same = self.url == url or not self.url or not url
        return same and self.starts_at <= ends_at


def claimed(
    claims: Sequence[Claim], url: str, starts_at: datetime, now: datetime
) -> tuple[Claim, ...]:
    """The claims after this Alertmanager's newest word, the newest first."""
    made = Claim(url, starts_at, now)
    if len(claims) == 1 and claims[0].url == url:  # nearly always
        return (made,)
    before = {claim.starts_at for claim in claims if claim.url == url}
    others = [c for c in claims if c.url != url and c.starts_at not in before - {starts_at}]
    others.sort(key=lambda claim: claim.said_at, reverse=True)
    return (made, *others[: MOST_CLAIMS - 1])
