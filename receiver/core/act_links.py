"""Act links: signed addresses that let whoever has one give one answer to one question, once."""

import base64
import hashlib
import hmac
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from receiver.core.announcements import Announcement, Kind
from receiver.core.approvals import Approval
from receiver.core.decisions import Reason
from receiver.core.ids import EPOCH
from receiver.core.models import Model
from receiver.core.times import parse_time

VERSION = "v1"
LONGEST_TOKEN = 1024
"""Characters: three names of 128 and some numbers have fewer. What is longer is not looked at."""

LONGEST_LIFE = timedelta(hours=24)
"""That a link was used is remembered no longer."""

SIGNED = b"retrain-receiver act link v1\n"
"""Before what is signed: no signature that the same secret makes for anything else fits."""

ASKING = frozenset({Kind.APPROVAL, Kind.EXHAUSTED})
"""Kinds of announcements that ask a human something."""

MICROSECOND = timedelta(microseconds=1)


class LinkAct(StrEnum):
    """What a link does. Signed and sent: never rename one."""

    APPROVE = "approve"
    REJECT = "reject"
    RELEASE = "release"


class BadLink(ValueError):
    """It was not made with a secret that is in use now; nothing says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class ActLink:
    """One answer to one question, which one subscriber was told of.

    Attributes:
        id: The announcement's: of all its links one is used, once.
        model: Whom the question is about; of a storm, the model that was told of.
        episode_started_at: With `rung` and `asked_at`, which question it is.
        expires_at: From then on it does nothing.

    """

    id: str
    subscriber: str
    act: LinkAct
    model: str
    policy: str
    rung: str
    episode_started_at: datetime
    asked_at: datetime
    expires_at: datetime


def links_in(announcement: Announcement, life: timedelta) -> tuple[ActLink, ...]:
    """The links of a message that asks something; none of any other.

    A message that is sent again has the same: its links live from when it happened, and never
    longer than the question.
    """
    data, policy = announcement.data, announcement.policy
    rung, began, asked = data.get("rung"), data.get("episode_started_at"), data.get("asked_at")
    known = isinstance(rung, str) and isinstance(began, str) and isinstance(asked, str)
    if announcement.kind not in ASKING or policy is None or not known:
        return ()
    ends = announcement.at + life
    if isinstance(data.get("expires_at"), str):
        ends = min(ends, parse_time(str(data["expires_at"])))
    stormed = rung == Reason.STORM.value
    acts = (LinkAct.RELEASE,) if stormed else (LinkAct.APPROVE, LinkAct.REJECT)
    return tuple(
        ActLink(
            id=announcement.id,
            subscriber=announcement.subscriber,
            act=act,
            model=announcement.model,
            policy=policy,
            rung=str(rung),
            episode_started_at=parse_time(str(began)),
            asked_at=parse_time(str(asked)),
            expires_at=ends,
        )
        for act in acts
    )


def seal(key: bytes, link: ActLink) -> str:
    """The link as a token: `v1.CONTENT.SIGNATURE`, which goes into a path as it is."""
    content = [
        link.id,
        link.subscriber,
        link.act.value,
        link.model,
        link.policy,
        link.rung,
        _micros(link.episode_started_at),
        _micros(link.asked_at),
        _micros(link.expires_at),
    ]
    text = _written(json.dumps(content, separators=(",", ":")).encode())
    return f"{VERSION}.{text}.{_signature(key, text)}"


def unseal(token: str, keys: Mapping[str, bytes]) -> ActLink:
    """The link of a token that one of these subscribers' keys signed. Raises `BadLink`.

    Nothing of it is read before a signature fits, and then it must be its subscriber's own.
    """
    if len(token) > LONGEST_TOKEN or not token.isascii():
        raise BadLink
    version, _, rest = token.partition(".")
    text, _, signature = rest.partition(".")
    # Every key is tried, in constant time each.
    fits = [
        name for name, key in keys.items() if hmac.compare_digest(_signature(key, text), signature)
    ]
    if version != VERSION or not fits:
        raise BadLink
    try:
        link = _link(json.loads(_read(text)))
    except (ValueError, TypeError, OverflowError):  # signed, but not by a release like this
        raise BadLink from None
    if link.subscriber not in fits:
        raise BadLink
    return link


def _link(content: Any) -> ActLink:
    """What we wrote and signed ourselves."""
    link_id, subscriber, act, model, policy, rung, *moments = content
    began, asked, ends = (EPOCH + number * MICROSECOND for number in moments)
    act = LinkAct(act)
    return ActLink(link_id, subscriber, act, model, policy, rung, began, asked, ends)


def _signature(key: bytes, text: str) -> str:
    return _written(hmac.new(key, SIGNED + text.encode(), hashlib.sha256).digest())


def _written(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _read(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _micros(moment: datetime) -> int:
    return (moment - EPOCH) // MICROSECOND


class LinkEnd(StrEnum):
    """Why a link does nothing any more, in words."""

    EXPIRED = "its time has passed"
    USED = "it was used: a link works once, and those of the same message end with it"
    POLICY_GONE = "the policy that asked is gone, or nobody of this channel is told of it any more"
    FORGOTTEN = "the model was forgotten"
    CLOCK_SET_BACK = (
        "the clock of the receiver was set back since it was sent: answer on the page, or from "
        "the command line"
    )
    OVER = "what it was about is over: the episode ended, or nothing asks any more"
    ASKED_ANEW = "another question was asked since: its message has links of its own"
    ANSWERED = "it was answered otherwise, or a run was ordered since"


@dataclass(frozen=True, slots=True)
class Question:
    """What is true now of the question that a link answers.

    Attributes:
        used: Whether a link of the same message was used.
        model: None if nothing is remembered of it.
        fires: Whether an alert of the model does that the link's policy decides.
        approval: What was asked last about the model.
        released_at: When the policy's models were last released from a storm.
        stormed: Whether a storm holds any of them.

    """

    used: bool = False
    model: Model | None = None
    fires: bool = False
    approval: Approval | None = None
    released_at: datetime | None = None
    stormed: bool = False


def end_of(
    link: ActLink, question: Question, policies: Collection[str], now: datetime
) -> LinkEnd | None:
    """Why the link does nothing; None if it may be used. The first that applies wins.

    `policies` are those of the configuration that its subscriber is told of.
    """
    model, asked, released = question.model, question.approval, question.released_at
    began = None if model is None else model.episode_started_at
    rung, asked_at = (None, None) if asked is None else (asked.rung, asked.asked_at)
    answered = asked is not None and (asked.approved, asked.dispatch_id) != (None, None)
    of_a_storm = link.act is LinkAct.RELEASE
    # What asks anew, or begins again, does so later: only a clock that was ahead dates it back.
    set_back = (began is not None and began < link.episode_started_at) or (
        asked_at is not None and asked_at < link.asked_at
    )
    ladder = (
        (LinkEnd.EXPIRED, link.expires_at <= now),
        (LinkEnd.USED, question.used),
        (LinkEnd.POLICY_GONE, link.policy not in policies),
        (LinkEnd.FORGOTTEN, model is None),
        (LinkEnd.CLOCK_SET_BACK, set_back),
        (LinkEnd.OVER, began != link.episode_started_at or not question.fires or asked is None),
        (LinkEnd.ASKED_ANEW, (rung, asked_at) != (link.rung, link.asked_at)),
        (LinkEnd.ANSWERED, answered),
        (LinkEnd.ANSWERED, of_a_storm and released is not None and released >= link.asked_at),
        (LinkEnd.OVER, of_a_storm and not question.stormed),
    )
    return next((end for end, applies in ladder if applies), None)
