"""Policies: which alerts retrain which target, and what the model is called."""

import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache

from receiver.core.alerts import VALUE
from receiver.core.budgets import Cost, Limit
from receiver.core.matchers import Matcher
from receiver.core.regexes import Regex
from receiver.core.storms import Storm
from receiver.core.windows import Window

APPROVAL_EXPIRY = timedelta(hours=24)

MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@/-]{0,127}")

UNSAFE_SEGMENT = re.compile(r"(?:^|/)\.{0,2}(?:/|$)")
"""`//`, `/./`, `/../`, and a `/` at the end: what a path would not keep as it is."""


class Mode(StrEnum):
    """How far a policy goes."""

    OBSERVE = "observe"  # decide and record, start nothing
    APPROVE = "approve"  # ask a human before each run
    AUTO = "auto"


class WhenSilenced(StrEnum):
    """What a silence in Alertmanager means for a policy's models."""

    HOLD = "hold"  # somebody said "don't act"
    ACT = "act"  # it only keeps people from being told


@dataclass(frozen=True, slots=True)
class Policy:
    """Which alerts retrain which target.

    Attributes:
        name: Unique in the file; shown in decisions.
        matchers: All must match.
        model_name: Format string over `identity`, for example `{namespace}-{user_id}`.
        identity: Label name to the pattern its value must match in full.
        target: Name of the target in the file.
        cooldown: Least time between two sends.
        settle: Time after a run's end in which a better model can't be seen in the metric yet.
        dedup_window: Length of the window in which the same delivery is a duplicate.
        alert_expiry: An alert that was not delivered again for this long counts as ended.
        attempts: Runs of one episode after which a human must look; None for any number.
        backoff: What each run of an episode multiplies the next one's cooldown by.
        window: The hours in which runs may start; None for all.
        storm: How many models at once are suspicious; None for any number.
        limits: Its budget, and what all policies share.
        cost: What one of its runs costs, if that is known.
        approval_expiry: How long a question waits for its answer, and an approval for its run.
        silenced: What a silence of its alerts means.
        value_annotation: Which annotation holds its alerts' number.

    """

    name: str
    matchers: tuple[Matcher, ...]
    model_name: str
    identity: Mapping[str, Regex]
    target: str
    mode: Mode = Mode.AUTO
    cooldown: timedelta = timedelta(hours=6)
    settle: timedelta = timedelta(hours=1)
    dedup_window: timedelta = timedelta(minutes=10)
    alert_expiry: timedelta = timedelta(hours=13)
    attempts: int | None = None
    backoff: float = 1
    window: Window | None = None
    storm: Storm | None = None
    limits: tuple[Limit, ...] = ()
    cost: Cost | None = None
    approval_expiry: timedelta = APPROVAL_EXPIRY
    silenced: WhenSilenced = WhenSilenced.HOLD
    value_annotation: str = VALUE

    @property
    def restrained(self) -> bool:
        """Whether a rung between `cooldown` and `observed` is there for it."""
        return self.window is not None or bool(self.limits) or self.asks

    @property
    def asks(self) -> bool:
        """Whether one of these rungs may ask a human."""
        may_exceed = any(limit.asks for limit in self.limits)
        settings = (self.storm, self.attempts)
        return self.mode is Mode.APPROVE or may_exceed or settings != (None, None)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether every matcher accepts these labels."""
        return all(matcher.matches(labels) for matcher in self.matchers)


class NoIdentity(ValueError):
    """The labels don't name a model; the message says which label and why."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Which model, and the validated labels that say so."""

    model: str
    labels: Mapping[str, str]


def first_match(policies: Sequence[Policy], labels: Mapping[str, str]) -> Policy | None:
    """The first policy of the file whose matchers all match."""
    return next((policy for policy in policies if policy.matches(labels)), None)


def identify(policy: Policy, labels: Mapping[str, str]) -> Identity:
    """Name the model from the policy's labels. Raises `NoIdentity`."""
    found: dict[str, str] = {}
    for name, pattern in policy.identity.items():
        value = labels.get(name, "")
        if not value:
            raise NoIdentity(f"the label {name} that names the model is missing")
        if not pattern.accepts(value):
            raise NoIdentity(
                f"the label {name} is {shown(value)}, which does not match {pattern.pattern}"
            )
        found[name] = value
    model = fill(policy.model_name, found)
    if not is_model_name(model):
        raise NoIdentity(f"the model's name would be {shown(model)}, which is not a valid name")
    return Identity(model, found)


def is_model_name(text: str) -> bool:
    """Whether a model may be called so: org/model too, but nothing that leads a path away.

    A name becomes part of addresses, of files and of what a run is told.
    """
    return MODEL_NAME.fullmatch(text) is not None and (
        "/" not in text or UNSAFE_SEGMENT.search(text) is None
    )


def fill(template: str, fields: Mapping[str, str]) -> str:
    """Replace each `{name}` of the template; names may be any text (`model.name`)."""
    return "".join(
        text + ("" if name is None else fields[name]) for text, name in template_parts(template)
    )


@lru_cache(maxsize=256)
def template_parts(template: str) -> tuple[tuple[str, str | None], ...]:
    """Split into literal text and field names. Raises `ValueError` for anything fancier.

    `str.format` itself would follow attributes and indexes (`{a.b}`), so it is not used.
    """
    parts: list[tuple[str, str | None]] = []
    for text, name, spec, conversion in string.Formatter().parse(template):
        if spec or conversion:
            raise ValueError(f"{template!r} may only hold plain fields such as {{user_id}}")
        parts.append((text, name))
    return tuple(parts)


def shown(text: str, limit: int = 60) -> str:
    """A stranger's text, quoted, escaped and short enough for a sentence."""
    return ascii(text if len(text) <= limit else text[: limit - 1] + "…")
