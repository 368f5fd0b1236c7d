"""What needs a human is told in groups: a storm of sixty is one row, in API and page."""

import re
from dataclasses import replace
from datetime import timedelta
from html import unescape

import pytest
from sqlalchemy import event

from receiver.core.decisions import Reason
from receiver.core.dispatches import DispatchState
from receiver.core.models import ModelState, PauseScope
from receiver.core.sources import Asking
from receiver.flows.operator import approvals, controls
from receiver.flows.operator.acts import Act, Conflict
from receiver.web.page import labels
from tests.commands import on_terminal
from tests.described import DescribedPeer
from tests.examples import alert, policy_set, resolved
from tests.fakes import refused, unavailable
from tests.posts import entry, post
from tests.restrained import approving
from tests.serving import host, refusal

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
ACT = Act("ops", "a test")
WHY = {"comment": "the sensor was broken"}

CONFIG = """\
storage: {min_free: 0}
targets:
  pipeline: {kfp: {endpoint: "http://127.0.0.1:9", pipeline: retrain}}
policies:
  - name: stormy
    match: ['alertname=~"HighModelMAE|LowModelR2"']
    model: {name: "{user_id}", labels: {user_id: "[a-z0-9-]{1,128}"}}
    target: pipeline
    storm: {models: 3, within: 10m, wait: 1m}
  - name: calm
    match: ['alertname="ModelTooOld"']
    model: {name: "{user_id}", labels: {user_id: "[a-z0-9-]{1,128}"}}
    target: pipeline
"""


@pytest.fixture
def plain(history, tmp_path):
    with host(history, tmp_path, CONFIG) as plain:
        yield plain


@pytest.fixture
def peer(plain):
    return DescribedPeer(plain.url)


def strike(history, count, prefix="m"):
    """So many models begin to fire together."""
    labels = {"cluster": "eu-1", "severity": "warning"}
    names = [f"{prefix}{number:03}" for number in range(count)]
    history.deliver(*(alert(name, starts_at=history.now(), **labels) for name in names))
    history.clock.pass_(2 * MINUTE)
    history.tick()


def pause_one(history, model):
    controls.pause(history.store, history.policy_set, ACT, PauseScope.MODEL, model, length=None)


def told(name):
    """An alert as rules write them, of some 700 bytes."""
    found = entry(name, name="ModelTooOld")
    found["annotations"] |= {
        "threshold": "0.4",
        "summary": f"the model {name} got worse",
        "description": "x" * 300,
    }
    return found


def groups(peer, **query):
    return peer.get("/models", query).json()["groups"]


def sections(page):
    """The page without tags, and how large it is."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split())


class TestGroups:
    """`groups` of `GET /models`."""

    def test_nothing_needs_anybody(self, history, peer):
        """No group of none."""
        history.deliver(alert("1", name="ModelTooOld"))

        assert groups(peer) == []

    def test_a_storm_is_one(self, history, peer):
        """How many, by which policy, what they share, three of them, what releasing orders."""
        strike(history, 60)

        (storm,) = groups(peer)

        assert (storm["kind"], storm["policy"], storm["count"]) == ("storm", "stormy", 60)
        assert storm["labels"] == {
            "alertname": "HighModelMAE",
            "cluster": "eu-1",
            "severity": "warning",
        }
        assert storm["examples"] == ["m000", "m001", "m002"]
        assert storm["orders"] == 60
        assert "suspect the data" in storm["detail"]
        assert storm["since"] == "2026-11-22T12:00:00Z"

    def test_the_gravest_come_first(self, history, peer):
        """What may run twice, then what was refused, then what asks, then what waits."""
        strike(history, 5)
        history.target.accidents = [refused]
        history.deliver(alert("bad", name="ModelTooOld"))
        history.send()
        history.target.accidents = [unavailable]
        history.deliver(alert("late", name="ModelTooOld"))
        history.send()

        found = groups(peer)

        assert [one["kind"] for one in found] == ["refused", "storm", "waiting"]
        assert [one["orders"] for one in found] == [None, 5, None]
        assert (found[0]["examples"], found[0]["detail"]) == (
            ["bad"],
            "1 model of policy calm: refused: 422",
        )
        assert (found[2]["target"], found[2]["policy"]) == ("pipeline", None)
        assert found[2]["detail"] == "1 model waits for target pipeline: connection refused"

    def test_filters_hold_for_them(self, history, peer):
        """And only the first page has them."""
        strike(history, 5)
        history.target.accidents = [unavailable]
        history.deliver(alert("late", name="ModelTooOld"))
        history.send()

        assert [one["kind"] for one in groups(peer, state="attention")] == ["storm"]
        assert [one["kind"] for one in groups(peer, state="waiting")] == ["waiting"]
        assert groups(peer, state="quiet") == []
        assert groups(peer, policy="calm") == []
        first = peer.get("/models", {"limit": "2"}).json()
        assert groups(peer, limit="2", cursor=first["next_cursor"]) == []

    def test_a_target_has_its_own_group(self, history, peer):
        """Which waits for it, and those of its policies; a policy's models are only some of it."""
        strike(history, 5)
        history.target.accidents = [unavailable]
        history.deliver(alert("late", name="ModelTooOld"))
        history.send()

        assert [one["kind"] for one in groups(peer, target="pipeline")] == ["storm", "waiting"]
        assert groups(peer, target="other") == []
        (waiting,) = groups(peer, target="pipeline", state="waiting")
        assert waiting["target"] == "pipeline"
        assert groups(peer, target="pipeline", policy="calm") == []

    def test_a_group_is_whole_or_not_there(self, history, peer):
        """What it counts can't be narrowed to a name or labels, so nothing is said of all."""
        strike(history, 5)

        assert groups(peer, q="m003") == []
        assert groups(peer, labels="user_id=m003") == []
        assert groups(peer, q="") != []

    def test_one_that_differs_shares_less(self, history, peer):
        """What is said of all is true of all."""
        strike(history, 5)
        history.deliver(alert("m004", cluster="eu-1", severity="critical"))
        history.deliver(alert("other", cluster="us-1", starts_at=history.now()))
        history.clock.pass_(MINUTE)
        history.tick()

        (storm,) = groups(peer)

        assert storm["labels"] == {"alertname": "HighModelMAE"}

    def test_paused_models_need_nobody(self, history, peer):
        """They are in no group."""
        strike(history, 5)
        pause_one(history, "m000")
        assert groups(peer)[0]["count"] == 4
        controls.pause(
            history.store, history.policy_set, ACT, PauseScope.POLICY, "stormy", length=None
        )

        assert groups(peer) == []


class TestRejectAll:
    """`POST /reject` of a policy."""

    def test_all_that_ask_are_answered(self, history, peer):
        """Each in its own log, and once for all."""
        strike(history, 5)

        done = peer.post("/reject", {**WHY, "policy": "stormy"})

        assert done.status == 200
        assert done.json()["policy"] == "stormy"
        assert done.json()["detail"].startswith(
            "what 5 models of policy stormy asked is rejected by anonymous: the sensor"
        )
        history.wait(HOUR, step=10 * MINUTE)
        assert groups(peer) == []
        assert history.dispatches() == []
        own = peer.get("/decisions?model=m003&reason=operator").json()["decisions"]
        assert len(own) == 1

    def test_nothing_to_reject(self, history, peer):
        """409; a policy that there is not, 404; none named, 400."""
        strike(history, 5)
        history.deliver(
            *(
                resolved(f"m{n:03}", cluster="eu-1", severity="warning", ends_at=history.now())
                for n in range(5)
            )
        )

        assert "asks anything" in refusal(peer.post("/reject", {**WHY, "policy": "stormy"}), 409)
        assert "no policy none" in refusal(peer.post("/reject", {**WHY, "policy": "none"}), 404)
        assert "policy" in refusal(peer.post("/reject", WHY), 400)

    def test_an_expired_question_is_none(self, history):
        """Its alert still says that it asks until the timer comes."""
        history.policy_set = policy_set(approving())
        history.deliver(alert())
        history.clock.pass_(25 * HOUR)

        with pytest.raises(Conflict):
            approvals.reject_many(history.store, history.policy_set, ACT, "drift")

    def test_those_who_can_answer_nothing_hide_no_question(self, history, monkeypatch):
        """A word that is missing asks for a human too, but not for a yes or a no."""
        monkeypatch.setattr(approvals, "MOST", 10)
        asking = Asking(frozenset({"main"}))
        history.policy_set = replace(policy_set(approving()), asking=asking)
        everything = (history.store, history.policy_set, ACT, PauseScope.EVERYTHING, "")
        controls.pause(*everything, length=None)
        history.deliver(*(alert(f"a{number:02}") for number in range(12)))
        history.clock.pass_(10 * MINUTE)
        controls.resume(*everything)
        history.wait(HOUR, 5 * MINUTE)
        history.deliver(alert("z1"))
        assert {(one.held_by, one.asks) for one in history.firing("a00")} == {
            (Reason.UNCONFIRMED, True)
        }

        approvals.reject_many(history.store, history.policy_set, ACT, "drift")

        [said] = history.log(model="z1", source="operator")
        assert "is rejected by ops" in said.detail

    def test_what_was_answered_is_left_alone(self, history, peer):
        """An approval stands."""
        strike(history, 5)
        peer.post("/models/m000/approve", WHY)

        done = peer.post("/reject", {**WHY, "policy": "stormy"})

        assert done.json()["detail"].startswith("what 4 models")


class TestCommandLine:
    """The same on a terminal."""

    def test_a_storm_is_one_line(self, history, peer):
        """Above the table; a pipe gets the table alone."""
        strike(history, 5)

        shown = on_terminal(peer.url, "models")
        assert "! 5 models of policy stormy began to fire together" in shown
        assert shown.index("5 models") < shown.index("m000")

    def test_a_release_asks_with_the_number_of_runs(self, history, peer):
        """A no changes nothing; a yes, or --yes, lets them go."""
        strike(history, 5)
        release = ("release", "--policy", "stormy", "--comment", "the data is right")

        asked = on_terminal(peer.url, *release, says=b"n\n", code=1)
        assert "Release 5 models that storms hold? That orders up to 5 runs." in asked
        assert history.log(source="operator") == []
        on_terminal(peer.url, *release, says=b"y\n")
        assert "5 models, 5 runs at most" in history.log(source="operator")[0].detail
        assert "Release" not in on_terminal(peer.url, *release, "--yes")

    def test_all_that_a_policy_asks_is_rejected(self, history, peer, cli):
        """As the page's button does; one of both must be named."""
        strike(history, 5)
        why = ("--comment", "the sensor was broken")

        done = cli("reject", "--policy", "stormy", *why, url=peer.url)
        assert "what 5 models of policy stormy asked is rejected" in done.out
        for wrong in ((), ("m000", "--policy", "stormy")):
            assert cli("reject", *wrong, *why, url=peer.url).code == 2


class TestPage:
    """The first page in a storm."""

    def test_fifty_cards_are_light(self, history, plain):
        """Each model fires and has its run: under 100 KB all the same."""
        history.deliver(*(alert(f"m{number:03}", name="ModelTooOld") for number in range(60)))
        history.clock.pass_(MINUTE)

        page = plain.get("/").text

        assert page.count('class="card ') == 50
        assert len(page.encode()) < 100_000

    def test_the_pager_says_where_one_is(self, history, plain):
        """Which of how many are shown; a search does not count what it did not look for."""
        history.deliver(*(alert(f"m{number:03}", name="ModelTooOld") for number in range(60)))

        assert "1\N{EN DASH}50 of 60" in sections(plain.get("/").text)
        assert "51\N{EN DASH}60 of 60" in sections(plain.get("/?skip=50").text)
        assert "51\N{EN DASH}60 of 60" in sections(plain.get("/?state=running&skip=50").text)
        searched = sections(plain.get("/?q=m0&skip=50").text)
        assert "51\N{EN DASH}60" in searched
        assert "60 of" not in searched

    def test_models_of_a_storm_are_not_counted_twice(self, history, plain):
        """The storm's row tells of them: the pages are of the others."""
        strike(history, 10)
        history.deliver(*(alert(f"o{number:03}", name="ModelTooOld") for number in range(60)))

        assert "1\N{EN DASH}50 of 60" in sections(plain.get("/").text)

    def test_words_are_explained(self, history, plain):
        """A chip has its sentence, which the page of the words has too, for every state."""
        history.deliver(alert("1", name="ModelTooOld"))

        page, words = plain.get("/").text, sections(plain.get("/ui/words").text)

        meaning = labels.STATES["running"].meaning
        assert f'title="{meaning}"' in page
        assert 'href="/ui/words"' in page
        signs = [*labels.STATES.items(), *labels.DISPATCH_STATES.items()]
        assert {name for name, _ in signs} == {*ModelState, *DispatchState}
        assert all(f"{name} " in words and sign.meaning in words for name, sign in signs)
        assert all(sign.meaning for _, sign in signs)

    def test_cards_of_a_large_notification_tell_all(self, plain):
        """450 alerts in one POST: threshold, summary and link to Prometheus are found."""
        names = [f"m{number:03}" for number in range(450)]
        plain.post("/webhook", post(*map(told, names)))

        page = plain.get("/").text

        assert page.count('class="card ') == 50
        assert page.count("against 0.4") == 50
        for name in ("m000", "m449"):
            close = plain.get(f"/ui/models/{name}").text
            assert f"the model {name} got worse" in close
            assert 'href="http://prometheus:9090/graph"' in close

    def test_sixty_equal_rows_are_one(self, history, plain):
        """Under 100 KB; the row has all that is needed to act."""
        strike(history, 60)

        page = plain.get("/").text
        words = sections(page)

        assert len(page.encode()) < 100_000
        assert page.count('<li class="group"') == 1
        assert page.count('class="card ') == 0
        assert "60 models" in words
        assert "Releasing them orders up to 60 runs" in words
        assert "cluster=eu-1" in words
        assert "and 57 more" in words
        for act in ("release", "reject", "pause"):
            assert f'href="/ui/acts/{act}?policy=stormy"' in page
        assert words.count("suspect the data") <= 1 + 3, "the latest decisions name three"
        listed = plain.get("/?state=attention&policy=stormy")
        assert listed.text.count('class="card ') == 50

    def test_a_paused_model_of_a_storm_has_its_card(self, history, plain):
        """The storm no longer counts it, so the list shows it."""
        strike(history, 10)
        pause_one(history, "m003")

        page = plain.get("/").text

        assert "9 models" in sections(page)
        assert page.count('class="card ') == 1
        assert 'href="/ui/models/m003"' in page

    def test_few_are_shown_one_by_one(self, history, plain):
        """With what each asks."""
        strike(history, 4)
        history.deliver(
            resolved("m000", cluster="eu-1", severity="warning", ends_at=history.now())
        )

        page = plain.get("/").text

        assert page.count('<li class="group"') == 0
        assert page.count("asks you") == 3

    def test_what_is_left_out_is_said(self, history, plain):
        """The parked and refused come before what asks; the rest has a link."""
        strike(history, 60)
        history.target.accidents = [refused] * 30
        history.deliver(*(alert(f"r{n:02}", name="ModelTooOld") for n in range(30)))
        while history.send():
            pass

        page = plain.get("/").text

        assert page.count('<li class="group"') == 2
        assert page.index("was refused") < page.index("Releasing them orders")
        assert "and 27 more" in sections(page)

    def test_waiting_models_are_told_by_the_banner(self, history, plain):
        """Not by hundreds of equal cards."""
        history.deliver(*(alert(f"w{n:02}", name="ModelTooOld") for n in range(30)))
        history.target.accidents = [unavailable] * 30
        while history.send():
            pass

        page = plain.get("/").text

        assert "30 models wait" in page
        assert "Nothing needs you" not in page
        assert page.count('class="card ') == 0
        assert plain.get("/?state=waiting").text.count('class="card ') == 30

    def test_all_are_rejected_from_the_page(self, history, plain):
        """The form says how many."""
        strike(history, 5)
        form = sections(plain.get("/ui/acts/reject?policy=stormy").text)
        assert "5 models ask now; all of them are answered no." in form

        sent = plain.ask(
            "POST",
            "/ui/acts/reject?policy=stormy",
            body=b"comment=broken&key=1",
            headers={
                "Content-Type": "application/x-www-form-urlencoded",
                "Sec-Fetch-Site": "same-origin",
            },
        )

        assert sent.status == 303
        assert "Not now: nothing is asked" in sections(
            plain.get("/ui/acts/reject?policy=stormy").text
        )

    def test_filters_stay_in_the_form(self, history, plain):
        """By policy, target, name and labels; what is wrong is said above the list."""
        strike(history, 2)
        history.deliver(alert("old", name="ModelTooOld"))

        page = plain.get("/?policy=calm&q=o&labels=user_id=old").text
        assert page.count('class="card ') == 1
        assert "<option selected>calm</option>" in page
        assert 'value="user_id=old"' in page
        assert plain.get("/?target=pipeline&state=").text.count('class="card ') == 3

        wrong = plain.get("/?state=sleepy&labels=x&q=o")
        assert wrong.status == 400
        assert "state can be attention" in wrong.text
        assert "labels are written as" in wrong.text
        assert 'name="q" type="search" value="o"' in wrong.text

    @pytest.mark.parametrize(
        ("query", "said"),
        [
            ("nonsense=1", ["'nonsense' is not a filter here; known: state"]),
            ("stat=held", ["did you mean state?"]),
            ("skip=abc&state=nope", ["skip 'abc' is not one of ours", "state can be attention"]),
            ("q=a&q=b&done=x", ["'q' is given more than once", "done 'x' is not one of ours"]),
        ],
    )
    def test_all_that_is_wrong_is_said_above_the_form(self, history, plain, query, said):
        """Not the first alone, and not in place of the page."""
        history.deliver(alert("1", name="ModelTooOld"))

        page = plain.get(f"/?{query}")

        assert page.status == 400
        for sentence in said:
            assert sentence in unescape(page.text)
        assert 'name="q" type="search"' in page.text

    def test_a_wrong_filter_of_the_log_keeps_its_form(self, plain):
        """All that is wrong at once."""
        page = plain.get("/ui/decisions?since=foo&reason=bla&model=42&cursor=x&no=1")
        words = sections(page.text)

        assert page.status == 400
        assert "since is a time such as" in words
        assert "reason can be" in words
        assert "cursor" in words
        assert "is not a filter here" in words
        assert 'name="model" value="42"' in page.text
        assert "Nothing was looked for" in words

    @pytest.mark.parametrize("path", ["/ui", "/ui/xyz", "/ui/dispatches", "/ui/models", "/ui/"])
    def test_a_mistyped_address_is_a_page(self, plain, path):
        """People get something to read, and a way out."""
        page = plain.get(path)

        assert page.status == 404
        assert page.headers.get_content_type() == "text/html"
        assert "there is no page at" in sections(page.text)


def statements(history, peer, path):
    """How many statements an answer takes."""
    seen = []
    engine = history.store._engine

    def note(*_of_it):
        seen.append(1)

    event.listen(engine, "before_cursor_execute", note)
    try:
        assert peer.get(path).status == 200
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return len(seen)


def test_a_storm_is_looked_at_once_for_all_its_cards(history, plain):
    """Who began to fire together, and what was asked, is the same question for each model."""
    strike(history, 5)
    few = statements(history, plain, "/?state=attention")
    strike(history, 45, prefix="n")

    assert statements(history, plain, "/?state=attention") <= few
