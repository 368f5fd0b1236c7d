"""What the operators' page reads, on both engines."""

import re
from datetime import timedelta

from receiver.core.models import ModelState, Pause, PauseScope, state_of
from receiver.core.runs import RunState
from receiver.store.views.page import WORST_FIRST, Wanted
from receiver.web.events import STANDING, Seen
from tests.examples import alert, resolved
from tests.fakes import refused
from tests.posts import entry, post
from tests.serving import host

HOUR = timedelta(hours=1)
EVERYONE = Wanted()


def fill(history):
    """Models in every state, and some more of the same."""
    for name in ("quiet-1", "quiet-2", "quiet-3"):
        history.deliver(alert(name))
        history.run_to_its_end()
        history.deliver(resolved(name, ends_at=history.now()))
    history.clock.pass_(10 * HOUR)
    history.deliver(alert("held-1"), alert("held-1", name="LowModelR2"))
    history.run_to_its_end(RunState.FAILED)
    history.deliver(alert("held-2"))
    history.run_to_its_end()
    with history.store.begin() as tx:
        tx.save_pause(Pause(PauseScope.MODEL, "paused", history.now(), None, "ana", "x"))
    history.deliver(alert("paused"))
    history.target.accidents = [refused]
    history.deliver(alert("refused"))
    history.send()
    history.deliver(alert("running"))
    history.send()


def names(history, wanted=EVERYONE, skip=0, limit=50):
    with history.store.view() as view:
        found, more = view.page.worst_models(wanted, skip=skip, limit=limit)
    return [model.name for model in found], more


def test_models_are_listed_worst_first(history):
    """By their state, as `state_of` tells it; the longest episode first, then by name."""
    fill(history)
    listed, more = names(history)

    with history.store.view() as view:
        now = view.now
        found = view.models.page(limit=500).rows
        sets = view.models.firing([model.name for model in found])
        pauses = view.models.pauses()
    states = {model.name: state_of(model, sets[model.name], pauses, now) for model in found}
    ranks = [WORST_FIRST.index(states[name]) for name in listed]
    assert sorted(listed) == sorted(states)
    assert ranks == sorted(ranks)
    assert listed[:5] == ["refused", "held-1", "held-2", "paused", "running"]
    assert not more


def test_pages_of_models_neither_repeat_nor_miss_one(history):
    """However short they are, and across the border between the busy and the quiet."""
    fill(history)
    whole, _ = names(history)

    for limit in (1, 2, 3, 7):
        paged = []
        more = True
        while more:
            some, more = names(history, skip=len(paged), limit=limit)
            paged += some
        assert paged == whole


def test_models_are_found_by_state_and_by_a_part_of_the_name(history):
    """Whatever the case; what means something to SQL means nothing here."""
    fill(history)

    assert names(history, Wanted(ModelState.HELD))[0] == ["held-1", "held-2"]
    assert names(history, Wanted(ModelState.QUIET))[0] == ["quiet-1", "quiet-2", "quiet-3"]
    assert names(history, Wanted(text="QUIET"))[0] == ["quiet-1", "quiet-2", "quiet-3"]
    assert names(history, Wanted(ModelState.HELD, "2"))[0] == ["held-2"]
    for text in ("%", "_", "\\", "\0", "\ud800", "'"):
        assert names(history, Wanted(text=text))[0] == []


def test_everything_paused_is_everything_busy(history):
    """Under a pause of all every model is held, and none is listed twice."""
    fill(history)
    with history.store.begin() as tx:
        tx.save_pause(Pause(PauseScope.EVERYTHING, "", history.now(), None, "ana", "x"))

    listed, _ = names(history)

    assert len(listed) == len(set(listed)) == 8


def test_each_model_has_its_own_last_rows(history):
    """The newest first, so many and no more, of exactly the models asked for."""
    fill(history)
    for _ in range(5):
        history.clock.pass_(HOUR)
        history.deliver(alert("held-1"))

    with history.store.view() as view:
        runs = view.page.last_runs(["held-1", "quiet-1", "none"], 10)
        values = view.page.last_values(["held-1", "quiet-1"], 3)
        nothing = view.page.last_values([], 3)

    assert [run.state for run in runs["held-1"]] == ["failed"]
    assert [run.state for run in runs["quiet-1"]] == ["succeeded"]
    assert runs["none"] == []
    assert nothing == {}
    held = [row.id for row in history.log(model="held-1")][:-4:-1]
    assert [row.id for row in values["held-1"]] == held


def test_each_look_finds_what_is_new(history):
    """Once each: decisions, and dispatches that moved; nothing if nothing happened."""
    watch = Seen(history.store)
    assert watch.look() == STANDING

    [one] = history.deliver(alert("42"))
    told = watch.look()
    assert f"id: {one.id}\nevent: decision" in told
    assert told.endswith(STANDING)
    assert watch.look() == ""

    history.send()
    assert watch.look() == STANDING
    history.clock.pass_(HOUR)
    [two] = history.deliver(alert("43", name="Other"))
    assert watch.look().startswith(f"id: {two.id}\nevent: decision")
    assert watch.look() == ""


def test_every_page_answers(history, tmp_path):
    """All pages, their filters and what they lead to, on this engine."""
    with host(history, tmp_path) as peer:
        fill(history)
        seen, waiting = set(), ["/", "/?q=held&state=held", "/ui/decisions?model=held-1&since=9d"]
        while waiting:
            path = waiting.pop()
            seen.add(path)
            page = peer.get(path)
            assert page.status == 200, (path, page.text)
            found = re.findall(r'href="((?:/|/ui/|/\?)[^"]*)"', page.text)
            ours = {one.replace("&amp;", "&") for one in found if "static" not in one}
            waiting += [
                one
                for one in ours - seen - set(waiting)
                if one == "/" or one[:4] in {"/ui/", "/?st"}
            ]

    assert len(seen) > 50
    assert any("/retrain" in one for one in seen)
    assert any("/dispatches/" in one for one in seen)


def test_a_models_page_asks_what_is_true_of_it(history, tmp_path):
    """Of one that is being retrained it asks why no other run comes."""

    def heading(name):
        page = peer.get(f"/ui/models/{name}").text
        return re.search(r'<h2 id="why-title">(.*?)</h2>', page)[1]

    with host(history, tmp_path) as peer:
        history.deliver(alert("1"))
        history.send()

        assert heading("1") == "Why no other run now?"
        history.run_to_its_end()
        assert heading("1") == "Why not retrained now?"
        history.deliver(resolved("1", ends_at=history.now()))
        history.clock.pass_(10 * HOUR)
        assert heading("1") == "What decides its next alert"


def test_notifications_are_read_within_a_bound(history, tmp_path):
    """The smallest first, as long as all of them together are so many bytes."""
    with host(history, tmp_path) as peer:
        sent = {}
        for count in (30, 1, 10):
            body = post(*(entry(f"{count}-{number}") for number in range(count)))
            sent[count] = peer.post("/webhook", body).json()["notification_id"]
    with history.store.view() as view:
        whole = view.decisions.small_bodies([*sent.values(), "none"], 10**6)
        sizes = {count: len(whole[one]) for count, one in sent.items()}
        found = view.decisions.small_bodies(list(sent.values()), sizes[1] + sizes[10])
        largest = view.decisions.small_bodies([sent[30]], sizes[30] - 1)

    assert sorted(whole) == sorted(sent.values())
    assert found == {sent[count]: whole[sent[count]] for count in (1, 10)}
    assert largest == {}
