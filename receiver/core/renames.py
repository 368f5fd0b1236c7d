"""Renames: what a configuration calls by another name than the one before it."""

from collections.abc import Mapping, Sequence
from typing import Any

Section = Mapping[str, Any]


def renamed(before: Sequence[Section], after: Sequence[Section]) -> list[tuple[Section, Section]]:
    """Policies that went, each with one that came with the same matchers.

    They are sections of the files: a policy is known by its name only, so nobody can say for sure.
    """
    stayed = {one["name"] for one in before} & {one["name"] for one in after}
    went = [one for one in before if one["name"] not in stayed]
    came = [one for one in after if one["name"] not in stayed]
    return [
        (old, new) for old in went for new in came if sorted(old["match"]) == sorted(new["match"])
    ]
