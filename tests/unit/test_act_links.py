"""Signed links: what they hold, whose they are, and when they do nothing."""

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from receiver.core.act_links import (
    ASKING,
    LONGEST_TOKEN,
    SIGNED,
    ActLink,
    BadLink,
    LinkAct,
    LinkEnd,
    Question,
    end_of,
    links_in,
    seal,
    unseal,
)
from receiver.core.announcements import Announcement, Kind
from receiver.core.approvals import Approval
from receiver.core.models import Model
from tests.fakes import NOON

MINUTE, HOUR, MICROSECOND = timedelta(minutes=1), timedelta(hours=1), timedelta(microseconds=1)
KEY, OTHER = b"k" * 32, b"o" * 32
BEGAN = NOON - HOUR + 7 * MICROSECOND

LINK = ActLink(
    id="01m813adaxqm62f7v5pt39hrtr",
    subscriber="chat",
    act=LinkAct.APPROVE,
    model="acme/42@eu",
    policy="drift",
    rung="approval",
    episode_started_at=BEGAN,
    asked_at=NOON,
    expires_at=NOON + HOUR,
)
RELEASE = replace(LINK, act=LinkAct.RELEASE, rung="storm")

ASKED = Approval("acme/42@eu", BEGAN, "approval", NOON, NOON + 24 * HOUR)
STORMY = replace(ASKED, rung="storm", expires_at=None)
OPEN = Question(
    model=Model("acme/42@eu", policy="drift", episode_started_at=BEGAN), fires=True, approval=ASKED
)
STORM = replace(OPEN, approval=STORMY, stormed=True)
POLICIES = {"drift"}

TOLD = Announcement(
    id=LINK.id,
    subscriber="chat",
    kind=Kind.APPROVAL,
    model="acme/42@eu",
    policy="drift",
    at=NOON,
    data={
        "rung": "approval",
        "episode_started_at": "2026-11-22T11:00:00.000007Z",
        "asked_at": "2026-11-22T12:00:00Z",
        "expires_at": "2026-11-23T12:00:00Z",
    },
    due_at=NOON,
)


def told(**data):
    return replace(TOLD, data={**TOLD.data, **data})


@pytest.mark.parametrize("act", LinkAct)
def test_what_was_sealed_is_what_is_read(act):
    """To the microsecond, for a question is told from another by its moment."""
    link = replace(LINK, act=act)

    assert unseal(seal(KEY, link), {"chat": KEY, "other": OTHER}) == link


def test_a_token_goes_into_a_path_and_is_bounded():
    """With the longest names that a configuration allows."""
    names = {"subscriber": "s" * 128, "model": "m" * 128, "policy": "p" * 128}
    longest = replace(LINK, rung="exhausted", **names)
    token = seal(KEY, longest)

    assert len(token) < LONGEST_TOKEN
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert unseal(token, {"s" * 128: KEY}) == longest


def changed(**changes):
    """The content of another link under the signature of this one."""
    version, _, signature = seal(KEY, LINK).split(".")
    content = seal(OTHER, replace(LINK, **changes)).split(".")[1]
    return f"{version}.{content}.{signature}"


TOKEN = seal(KEY, LINK)


@pytest.mark.parametrize(
    "token",
    [
        changed(act=LinkAct.REJECT),
        changed(model="43"),
        changed(policy="other"),
        changed(subscriber="other"),
        changed(rung="storm"),
        changed(expires_at=NOON + 2 * HOUR),
        changed(asked_at=NOON + MINUTE),
        changed(episode_started_at=NOON),
        changed(id="01m813adaxqm62f7v5pt39hrts"),
        seal(OTHER, LINK),
        seal(b"x" * 32, LINK),
        "",
        ".",
        "..",
        "v1",
        "v1..",
        "v1." + TOKEN.split(".")[1],
        "v1." + TOKEN.split(".")[1] + ".",
        "v2" + TOKEN.removeprefix("v1"),
        TOKEN[:-1],
        TOKEN[:-10],
        TOKEN[1:],
        TOKEN + "A",
        TOKEN + "=",
        TOKEN + ".",
        TOKEN.replace(".", ".A", 1),
        TOKEN.lower(),
        TOKEN + "A" * LONGEST_TOKEN,
        TOKEN[:-1] + "\u0661",
        "\udc80",
    ],
)
def test_what_was_not_signed_so_is_no_link(token):
    """Whatever was changed: of whom, of what, until when; and what is wrong is not told."""
    with pytest.raises(BadLink) as caught:
        unseal(token, {"chat": KEY, "other": OTHER})

    assert str(caught.value) == ""


def test_another_subscribers_secret_signs_nothing_of_ours():
    """A key opens the links of its own subscriber only, unless both have the same."""
    with pytest.raises(BadLink):
        unseal(seal(OTHER, LINK), {"chat": KEY, "other": OTHER})
    with pytest.raises(BadLink):
        unseal(seal(KEY, LINK), {"other": KEY})
    with pytest.raises(BadLink):
        unseal(seal(KEY, LINK), {})

    assert unseal(seal(KEY, LINK), {"chat": KEY, "other": KEY}) == LINK


def signed(content, prefix=SIGNED):
    text = base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")
    digest = hmac.new(KEY, prefix + text.encode(), hashlib.sha256).digest()
    return f"v1.{text}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


CONTENT = ["id", "chat", "approve", "42", "drift", "approval", 1, 2, 3]


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        CONTENT[:-1],
        [*CONTENT, 4],
        ["id", "chat", "forget", *CONTENT[3:]],
        [*CONTENT[:-1], "3"],
        [*CONTENT[:-1], 10**30],
    ],
)
def test_a_signed_content_of_another_release_is_no_link(content):
    """It is refused as any other, and fails nothing."""
    with pytest.raises(BadLink):
        unseal(signed(content), {"chat": KEY})


def test_a_signature_for_something_else_fits_no_link():
    """The secret may sign webhooks too."""
    assert unseal(signed(CONTENT), {"chat": KEY}).model == "42"
    with pytest.raises(BadLink):
        unseal(signed(CONTENT, b""), {"chat": KEY})


def test_a_question_has_two_answers_and_a_storm_one():
    """Each is bound to question, episode and subscriber."""
    approve, reject = links_in(TOLD, HOUR)
    (release,) = links_in(told(rung="storm", expires_at=None), HOUR)

    assert (approve, reject) == (LINK, replace(LINK, act=LinkAct.REJECT))
    assert release == RELEASE


@pytest.mark.parametrize("kind", [Kind.APPROVAL, Kind.EXHAUSTED])
def test_links_live_no_longer_than_the_question(kind):
    """They begin when it was asked, however late the message is sent."""
    short = replace(told(expires_at="2026-11-22T12:10:00Z"), kind=kind)

    assert [link.expires_at for link in links_in(short, HOUR)] == [NOON + 10 * MINUTE] * 2
    assert [link.expires_at for link in links_in(short, MINUTE)] == [NOON + MINUTE] * 2


@pytest.mark.parametrize(
    "message",
    [
        *(replace(TOLD, kind=kind) for kind in sorted(set(Kind) - ASKING)),
        replace(TOLD, policy=None),
        told(rung=None),
        told(asked_at=None),
        told(episode_started_at=None),
        replace(TOLD, data={}),
    ],
)
def test_a_message_that_asks_nothing_has_no_links(message):
    """Nor has one that an earlier release wrote, which does not say which question it is."""
    assert links_in(message, HOUR) == ()


def rows():
    """Each end by itself, its edges, and who wins as the causes are peeled off."""
    answered, ended = LinkEnd.ANSWERED, LinkEnd.OVER
    yield LINK, OPEN, NOON, None
    yield LINK, OPEN, LINK.expires_at - MICROSECOND, None
    yield LINK, OPEN, LINK.expires_at, LinkEnd.EXPIRED
    yield LINK, replace(OPEN, used=True), NOON, LinkEnd.USED
    yield replace(LINK, policy="gone"), OPEN, NOON, LinkEnd.POLICY_GONE
    yield LINK, Question(), NOON, LinkEnd.FORGOTTEN
    yield LINK, replace(OPEN, fires=False), NOON, ended
    yield LINK, replace(OPEN, approval=None), NOON, ended
    yield LINK, replace(OPEN, model=Model("acme/42@eu")), NOON, ended
    later = replace(OPEN.model, episode_started_at=BEGAN + MICROSECOND)
    yield LINK, replace(OPEN, model=later), NOON, ended
    anew = replace(ASKED, asked_at=NOON + MICROSECOND)
    yield LINK, replace(OPEN, approval=anew), NOON, LinkEnd.ASKED_ANEW
    yield LINK, replace(OPEN, approval=replace(ASKED, rung="exhausted")), NOON, LinkEnd.ASKED_ANEW
    dated = replace(ASKED, asked_at=ASKED.asked_at - MICROSECOND)
    yield LINK, replace(OPEN, approval=dated), NOON, LinkEnd.CLOCK_SET_BACK
    before = replace(OPEN.model, episode_started_at=BEGAN - MICROSECOND)
    yield LINK, replace(OPEN, model=before), NOON, LinkEnd.CLOCK_SET_BACK
    for said in (replace(ASKED, approved=True), replace(ASKED, approved=False)):
        yield LINK, replace(OPEN, approval=said), NOON, answered
    yield LINK, replace(OPEN, approval=ASKED.used_by("01")), NOON, answered
    yield RELEASE, STORM, NOON, None
    yield RELEASE, replace(STORM, released_at=NOON - MICROSECOND), NOON, None
    yield RELEASE, replace(STORM, released_at=NOON), NOON, answered
    yield RELEASE, replace(STORM, stormed=False), NOON, ended
    yield RELEASE, OPEN, NOON, LinkEnd.ASKED_ANEW
    yield LINK, replace(OPEN, released_at=NOON), NOON, None


@pytest.mark.parametrize(("link", "question", "now", "end"), list(rows()))
def test_a_link_ends(link, question, now, end):
    """With its time, its use, its policy, its model, its episode, its question or an answer."""
    assert end_of(link, question, POLICIES, now) is end


def test_the_first_end_wins():
    """With every cause true, as they are peeled off."""
    said = replace(STORMY, asked_at=NOON + MINUTE, approved=True)
    worst = Question(used=True, fires=False, approval=said, released_at=NOON)
    told_of = replace(RELEASE, policy="gone")

    assert end_of(told_of, worst, POLICIES, LINK.expires_at) is LinkEnd.EXPIRED
    assert end_of(told_of, worst, POLICIES, NOON) is LinkEnd.USED
    worst = replace(worst, used=False)
    assert end_of(told_of, worst, POLICIES, NOON) is LinkEnd.POLICY_GONE
    assert end_of(RELEASE, worst, POLICIES, NOON) is LinkEnd.FORGOTTEN
    worst = replace(worst, model=OPEN.model)
    assert end_of(RELEASE, worst, POLICIES, NOON) is LinkEnd.OVER
    worst = replace(worst, fires=True)
    assert end_of(RELEASE, worst, POLICIES, NOON) is LinkEnd.ASKED_ANEW
    worst = replace(worst, approval=replace(said, asked_at=NOON))
    assert end_of(RELEASE, worst, POLICIES, NOON) is LinkEnd.ANSWERED
