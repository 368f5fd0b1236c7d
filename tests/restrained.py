"""Policies with rungs below `cooldown`, and what these rungs may know."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from receiver.config.restraint_fields import parse_hours
from receiver.core.approvals import Approval
from receiver.core.budgets import Counted, Limit, Scope, Usage
from receiver.core.decisions import Facts
from receiver.core.policies import Mode, Policy
from receiver.core.restraints import Restraints, Runs
from receiver.core.storms import Gathering, Storm
from receiver.core.windows import Window
from tests.examples import DRIFT
from tests.fakes import NOON

EPISODE = NOON - timedelta(hours=9)

ASKED = Approval("42", EPISODE, "approval", NOON - timedelta(hours=1), NOON + timedelta(hours=1))
YES = replace(ASKED, approved=True, answered_at=NOON, actor="ana", comment="clean data")
NO = replace(YES, approved=False, expires_at=None, comment="broken sensor")


def approving(policy: Policy = DRIFT, **more: Any) -> Policy:
    return replace(policy, mode=Mode.APPROVE, **more)


def window(*texts: str, zone: str = "UTC") -> Window:
    return Window(zone, ZoneInfo(zone), tuple(parse_hours(text) for text in texts))


ALWAYS, NEVER_NOW = window("daily"), window("20:00-06:00")

THREE_A_DAY = Limit(Scope.TOTAL, Counted.RUNS, 3, timedelta(days=1))
ONE_AT_ONCE = Limit(Scope.POLICY, Counted.IN_FLIGHT, 1)
SPENT = Usage(THREE_A_DAY, used=3, frees_at=NOON + timedelta(hours=2))
BUSY = Usage(ONE_AT_ONCE, used=1)

STORM = Storm(5, timedelta(minutes=10), timedelta(minutes=2), timedelta(minutes=10))
MANY = Gathering(6)

RESTRAINED = approving(attempts=3, storm=STORM, window=NEVER_NOW, limits=(THREE_A_DAY,))
"""Has every rung that a policy can have."""


def known(*, runs: int = 0, without_effect: int = 0, **more: Any) -> Facts:
    return Facts(
        restraints=Restraints(episode_started_at=EPISODE, runs=Runs(runs, without_effect), **more)
    )
