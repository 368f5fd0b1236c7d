"""The replay: Alertmanager's times, what a run changes, and that nothing else decides the runs."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from receiver.backtest.alertmanager import UNGROUPED, Alertmanager, Member, Route
from receiver.backtest.answers import Picture, Setting, Tally, peaks_of
from receiver.backtest.histories import Firing, PastRun, history_of
from receiver.backtest.ladder_rule import LadderRule
from receiver.backtest.replay import Replay
from receiver.backtest.runs import RunModel, RunModels, learned
from receiver.backtest.study import ladder
from receiver.backtest.truth import Spell, Truth, truth_of
from receiver.core.budgets import Counted, Limit, Scope
from receiver.core.policies import Policy
from receiver.core.runs import SOONEST_POLL, next_poll
from tests.examples import DRIFT, policy_set
from tests.fakes import NOON
from tests.simulation.plans import seeded

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
MAE = {"alertname": "HighModelMAE", "user_id": "42"}
R2 = {"alertname": "LowModelR2", "user_id": "42"}
CERTAIN = RunModels(RunModel(durations=(40 * MINUTE,), helps=1))
USELESS = RunModels(RunModel(durations=(40 * MINUTE,), helps=0))


@dataclass
class Wire:
    """An Alertmanager whose flushes come when they are due, and what it sent."""

    route: Route
    due: list[datetime] = field(default_factory=list)

    def __post_init__(self):
        self.manager = Alertmanager(self.route, lambda when, _key: self.due.append(when))

    def until(self, end: datetime) -> list[tuple[timedelta, list[str]]]:
        sent = []
        while self.due and min(self.due) <= end:
            now = min(self.due)
            self.due.remove(now)
            alerts = self.manager.flush(("g",), now)
            if alerts:
                sent.append((now - NOON, [f"{a.fingerprint} {a.status}" for a in alerts]))
        return sent


SHORT = Route(3 * SECOND, 3 * SECOND, 10 * SECOND)


def test_a_group_waits_then_keeps_its_interval_and_repeats_late():
    """As a real one was seen: 10s of repeat_interval with 3s of group_interval are 12s."""
    wire = Wire(SHORT)

    wire.manager.fires(("g",), Member("a", MAE, NOON), NOON)

    times = [moment.total_seconds() for moment, _ in wire.until(NOON + 40 * SECOND)]
    assert times == [3, 15, 27, 39]


def test_news_of_one_member_is_sent_with_all_others():
    """At the group's next interval; what was resolved is listed for a while."""
    wire = Wire(SHORT)
    wire.manager.fires(("g",), Member("a", MAE, NOON), NOON)
    sent = wire.until(NOON + 4 * SECOND)
    wire.manager.fires(("g",), Member("b", R2, NOON + 4 * SECOND), NOON + 4 * SECOND)
    wire.manager.ends(("g",), "a", NOON + 5 * SECOND)

    sent += wire.until(NOON + 8 * SECOND)

    assert sent[1:] == [(6 * SECOND, ["a resolved", "b firing"])]


def test_what_ends_before_it_is_told_is_never_told():
    """It was over before group_wait was."""
    wire = Wire(SHORT)
    wire.manager.fires(("g",), Member("a", MAE, NOON), NOON)
    wire.manager.ends(("g",), "a", NOON + SECOND)

    assert wire.until(NOON + HOUR) == []


def test_without_repeats_only_news_is_sent():
    """Each beginning and end once."""
    wire = Wire(replace(SHORT, repeats=False))
    wire.manager.fires(("g",), Member("a", MAE, NOON), NOON)
    sent = wire.until(NOON + 5 * SECOND)
    wire.manager.fires(("g",), Member("b", R2, NOON + 5 * SECOND), NOON + 5 * SECOND)
    sent += wire.until(NOON + HOUR)
    wire.manager.ends(("g",), "a", NOON + HOUR)
    sent += wire.until(NOON + 2 * HOUR)

    assert [alerts for _, alerts in sent] == [["a firing"], ["b firing"], ["a resolved"]]


def lived(
    *firings: tuple[dict[str, str], list[Firing]],
    runs: RunModels = CERTAIN,
    policy: Policy = DRIFT,
    route: Route = UNGROUPED,
    hours: float = 72,
) -> Picture:
    """Replay these firings under one policy."""
    book = policy_set(policy)
    truth, _ = truth_of(history_of(NOON, NOON + hours * HOUR, firings), book)
    setting, picture = Setting(truth, route, runs), Picture(runs, keeps_log=True)
    setting.replay(ladder(book, setting), 0, picture)
    return picture


def test_a_run_that_helps_ends_the_spell():
    """Its later firings don't come; what fires ends with the run."""
    firings = [Firing(NOON, NOON + 5 * HOUR), Firing(NOON + 6 * HOUR, NOON + 9 * HOUR)]

    picture = lived((MAE, firings))

    assert picture.total().bad_hours == pytest.approx(40 / 60)
    assert [(run.began, run.helped) for run in picture.drawn_runs] == [(NOON, True)]
    assert [one.reason.value for one in picture.log] == ["triggered", "resolved"]


def test_a_run_that_does_not_help_is_followed_by_the_next():
    """At the cooldown's end, by the timer; hours are told by what held them."""
    picture = lived((MAE, [Firing(NOON, NOON + 10 * HOUR)]), runs=USELESS)

    assert [run.began - NOON for run in picture.drawn_runs] == [0 * HOUR, 6 * HOUR]
    assert picture.total().in_vain == 2
    (tally,) = picture.models.values()
    assert tally.held["in_flight"] == pytest.approx(80 / 60, abs=0.05)
    assert tally.held["cooldown"] == pytest.approx(10 - 80 / 60, abs=0.05)
    assert sum(tally.held.values()) == pytest.approx(10)


def test_a_run_after_the_end_of_its_spell_is_in_vain():
    """It would have helped, but the model was good by then."""
    picture = lived((MAE, [Firing(NOON, NOON + 10 * MINUTE)]))

    assert [run.helped for run in picture.drawn_runs] == [False]


def test_two_alerts_of_one_model_are_one_run():
    """The model is bad while any of them fires, and the hours count once."""
    both = ((MAE, [Firing(NOON, None)]), (R2, [Firing(NOON + MINUTE, None)]))

    picture = lived(*both)

    assert len(picture.drawn_runs) == 1
    assert picture.total().bad_hours == pytest.approx(40 / 60)


def test_alerts_show_a_better_model_late():
    """They fire on for `shows_after`, and the hours count."""
    late = RunModels(replace(CERTAIN.usual, shows_after=HOUR))

    picture = lived((MAE, [Firing(NOON, None)]), runs=late)

    assert picture.total().bad_hours == pytest.approx(100 / 60)


def test_before_its_labels_are_there_no_run_helps():
    """A run that begins before is in vain, and uses up none of the luck."""
    spells = truth_of(history_of(NOON, NOON + HOUR, [(MAE, [Firing(NOON, None)])]), policy_set())
    (spell,) = spells[0].spells["42"]
    late = replace(spell, curable_from=NOON + 3 * HOUR)
    truth = Truth(NOON, NOON + 72 * HOUR, {"42": (late,)}, {"42": "drift"})
    picture = Picture(CERTAIN)
    rule = LadderRule(policy_set(), ["42"], NOON)

    Replay(truth, rule, UNGROUPED, runs=CERTAIN, seed=1, witness=picture).run()

    assert [run.helped for run in picture.drawn_runs] == [False, True]


def drawn(seed: int, models: int):
    """Alerts of some models over sixty days."""
    chance = seeded(f"replay/{seed}")
    for number in range(models):
        at, firings = NOON, []
        while at < NOON + 1400 * HOUR:
            at += chance.expovariate(1 / 20) * HOUR
            ended = at + chance.expovariate(1 / 12) * HOUR
            firings.append(Firing(at, ended))
            at = ended + MINUTE
        yield {**MAE, "user_id": f"m{number}"}, firings


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("group_by", [None, (), ("user_id",)])
def test_repeats_change_no_run(seed, group_by):
    """So draws may leave them out: runs, and hours by what held them, are the same."""
    book = policy_set(replace(DRIFT, attempts=4, backoff=1.5))
    runs = RunModels(RunModel(helps=0.5))
    history = history_of(NOON, NOON + 1440 * HOUR, drawn(seed, 3))
    truth, _ = truth_of(history, book)
    tallies = []
    for repeats in (True, False):
        setting = Setting(truth, Route(group_by=group_by, repeats=repeats), runs)
        tallies.append(setting.replay(ladder(book, setting), seed, Tally(runs)))

    whole, sparing = tallies
    assert sparing.decisions < whole.decisions
    assert sparing.models == whole.models


def test_spells_are_apart():
    """Firings within six hours of each other are one, of whichever alert."""
    firings = [Firing(NOON, NOON + HOUR), Firing(NOON + 8 * HOUR, NOON + 9 * HOUR)]
    other = [Firing(NOON + 3 * HOUR, NOON + 4 * HOUR)]
    history = history_of(NOON, NOON + 72 * HOUR, [(MAE, firings), (R2, other)])

    truth, _ = truth_of(history, policy_set())

    assert [spell.number for spell in truth.spells["42"]] == [0]
    assert truth.bad_hours == pytest.approx(3)
    apart, _ = truth_of(history, policy_set(), apart=2 * HOUR)
    assert [len(spell.alerts) for spell in apart.spells["42"]] == [1, 1, 1]


@pytest.mark.parametrize("took", [SECOND, 40 * MINUTE, 5 * HOUR])
def test_an_end_is_seen_at_the_follower_s_next_poll(took):
    """The same times as `next_poll` gives."""
    polls = [NOON + SOONEST_POLL]
    while polls[-1] < NOON + took:
        polls.append(next_poll(NOON, polls[-1]))

    rule = LadderRule(policy_set(), ["42"], NOON)

    assert rule.end(None, NOON, NOON + took) == polls[-1]


def test_the_same_luck_for_every_policy():
    """A model's n-th run of a spell is drawn by seed, model, spell and n alone."""
    model = RunModel(durations=(MINUTE, HOUR), helps=0.5)

    assert model.draw(1, "m", 0, 0) == model.draw(1, "m", 0, 0)
    assert len({model.draw(1, "m", 0, number) for number in range(40)}) == 4


def test_what_was_learned_is_told():
    """How many runs it rests on."""
    past = [
        PastRun("drift", "42", NOON, timedelta(minutes=30 + n), helped=n < 3) for n in range(6)
    ]

    models = learned(RunModel(), past)

    assert str(models.of("drift")) == (
        "a run takes 32m30s (middle of 6), helps with chance 0.50 and costs 1 runs "
        "(learned from 6 runs)"
    )


def test_a_spell_that_is_left_open():
    """It lasts until the history ends."""
    truth, _ = truth_of(history_of(NOON, NOON + HOUR, [(MAE, [Firing(NOON, None)])]), policy_set())

    assert truth.bad_hours == 1
    assert isinstance(truth.spells["42"][0], Spell)


@pytest.mark.parametrize("less", [0, 1])
@pytest.mark.parametrize(
    ("counted", "days"), [(Counted.RUNS, 1), (Counted.RUNS, 7), (Counted.IN_FLIGHT, None)]
)
def test_a_limit_as_high_as_the_most_runs_holds_none(counted, days, less):
    """And one that is lower by one holds some."""
    chance = seeded("peaks")
    firings = [
        ({**MAE, "user_id": f"m{n}"}, [Firing(NOON + at * HOUR, NOON + (at + 20) * HOUR)])
        for n in range(12)
        for at in [24 * chance.randrange(12) + chance.uniform(0, 0.3)]
    ]
    free = lived(*firings, hours=400)
    peaks = peaks_of(free.drawn_runs)
    most = peaks.at_once if days is None else peaks.in_span[days]
    span = None if days is None else days * 24 * HOUR
    limit = Limit(Scope.POLICY, counted, most - less, span)

    bound = lived(*firings, hours=400, policy=replace(DRIFT, limits=(limit,)))

    assert most > 1
    assert (bound.drawn_runs == free.drawn_runs) is (less == 0)
    assert ("budget" in bound.reasons) is (less == 1)
