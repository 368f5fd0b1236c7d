"""What really ran at the targets: never two for one order (G3), never too soon (G2, G9)."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise

from tests.simulation.history import Lived
from tests.simulation.settings import policy_sets
from tests.simulation.sites import Post, TrueRun
from tests.simulation.violations import Violations
from tests.simulation.world import Kind, Note

SLACK = timedelta(milliseconds=1)

FINAL = {"succeeded", "failed", "cancelled", "refused", "superseded", "abandoned", "parked"}


def check_runs(lived: Lived, found: Violations) -> None:
    """Check every request and every run against what was asked and when."""
    truth = Truth(lived)
    for posts in truth.posts_of.values():
        _never_blindly(truth, posts, found)
    for runs in truth.runs_of.values():
        _never_two(truth, runs, found)
    _never_given_up(truth, found)
    _only_at_home(lived, found)
    for model in truth.models:
        _never_too_soon(truth, model, found)


class Truth:
    """Requests and runs by dispatch; what became of each dispatch, when."""

    def __init__(self, lived: Lived) -> None:
        self.lived = lived
        self.window = lived.plan.lookup_window.total_seconds()
        self.run_timeout = lived.plan.run_timeout.total_seconds()
        self.posted: dict[int, Note] = {
            id(note.data): note for note in lived.notes if note.kind is Kind.POST
        }
        self.posts_of: dict[str, list[Post]] = defaultdict(list)
        self.runs_of: dict[str, list[TrueRun]] = defaultdict(list)
        self.begun: dict[str, Note] = {}
        for site in lived.sites.values():
            for post in site.posts:
                self.posts_of[post.dispatch_id].append(post)
            for run in site.runs:
                self.runs_of[run.dispatch_id].append(run)
        self.moves: dict[str, list[Note]] = defaultdict(list)
        self.ordered_at: dict[str, list[float]] = defaultdict(list)
        self.triggers: dict[str, Note] = {}
        for note in lived.notes:
            if note.kind is Kind.DISPATCH:
                self._moved(note)
            elif note.kind is Kind.DECISION and note.data["reason"] == "triggered":
                self.triggers[note.data["dispatch_id"]] = note
                if note.data["source"] == "operator":
                    self.ordered_at[note.data["dispatch_id"]].append(note.at)
        self.backs = [n for n in lived.notes if n.kind is Kind.CLOCK and n.data < 0]
        books = policy_sets(lived.plan)
        self.policies = {
            dispatch: books[note.data["config_hash"]].policy(note.data["policy"])
            for dispatch, note in self.triggers.items()
        }
        self.models = sorted({post.model for posts in self.posts_of.values() for post in posts})

    def _moved(self, note: Note) -> None:
        moves = self.moves[note.data["dispatch_id"]]
        if moves and moves[-1].data["state"] in {"parked", "refused"}:  # an operator's retry
            self.ordered_at[note.data["dispatch_id"]].append(note.at)
        moves.append(note)

    def lowest(self, wall: datetime, since: float, until: float) -> datetime:
        """What counts of a moment after the clock was set back: it can't have been later."""
        shown = (n.wall for n in self.backs if since <= n.at <= until)
        return min([wall, *shown])

    def ordered(self, dispatch_id: str, at: float) -> bool:
        """Whether an operator had ordered it by then."""
        return any(moment <= at for moment in self.ordered_at[dispatch_id])

    def state_before(self, note: Note) -> str:
        """Where the dispatch stood before this change."""
        moves = self.moves[note.data["dispatch_id"]]
        return str(moves[moves.index(note) - 1].data["state"])

    def state_at(self, dispatch_id: str, at: float) -> tuple[str, Note]:
        """Where a dispatch stood then, and since which note."""
        moves = self.moves[dispatch_id]
        note = next((note for note in reversed(moves) if note.at <= at), moves[0])
        return str(note.data["state"]), note


def _never_blindly(truth: Truth, posts: list[Post], found: Violations) -> None:
    """Asked again only after a definite no, or a window after the doubt, or by an operator."""
    for number, post in enumerate(posts):
        note = truth.posted[id(post)]
        moves = truth.moves.get(post.dispatch_id)
        if not moves or truth.state_at(post.dispatch_id, post.at)[0] == "pending":
            found.add("G3", note, "asked for a run without writing it down before")
            continue
        for earlier in posts[:number]:
            if earlier.surely_not or _retried(truth, post, earlier):
                continue
            if post.at < earlier.ended + truth.window:
                waited = post.at - earlier.ended
                found.add("G3", note, f"asked again {waited:.0f}s after an attempt in doubt")
            if any(run.attempt == earlier.attempt for run in truth.runs_of[post.dispatch_id]):
                found.add("G3", note, f"asked again although attempt {earlier.attempt} has a run")


def _only_at_home(lived: Lived, found: Violations) -> None:
    """A credential is shown at no other address than the one that it is configured for."""
    for note in lived.notes:
        if note.kind is Kind.CREDENTIAL and note.data[0] != note.data[1]:
            found.add("credential", note, "a credential went to a stranger")


def _retried(truth: Truth, post: Post, earlier: Post) -> bool:
    return any(earlier.at <= at <= post.at for at in truth.ordered_at[post.dispatch_id])


def _never_two(truth: Truth, runs: list[TrueRun], found: Violations) -> None:
    for earlier, later in pairwise(runs):
        between = truth.ordered_at[later.dispatch_id]
        posted = next(
            post for post in truth.posts_of[later.dispatch_id] if post.attempt == later.attempt
        )
        if not any(earlier.began <= at <= posted.at for at in between):
            note = truth.posted[id(posted)]
            found.add("G3", note, f"{later.dispatch_id} has runs {earlier.id} and {later.id}")


def _never_given_up(truth: Truth, found: Violations) -> None:
    """A run that its target knows is in flight until it ends, whatever was said for minutes.

    A clock that jumps within such minutes may cost that, but only where a restart fell into them
    too: then nobody can tell how long they were.
    """
    if truth.lived.plan.jumps or truth.lived.plan.aheads:
        return
    for dispatch_id, moves in truth.moves.items():
        for before, note in pairwise(moves):
            if (before.data["state"], note.data["state"]) != ("running", "parked"):
                continue
            if " moved from " in note.data["detail"]:
                continue  # nobody may ask about it where it is
            # An operator may have wanted another later.
            newest = [run for run in truth.runs_of[dispatch_id] if run.began <= note.at][-1]
            age = note.at - newest.began
            goes_on = newest.ends > note.at and newest.gone_at > note.at
            if goes_on and age < truth.run_timeout - 60:
                found.add("G2", note, f"given up, but run {newest.id} goes on")


def _never_too_soon(truth: Truth, model: str, found: Violations) -> None:
    posts = sorted(
        (post for posts in truth.posts_of.values() for post in posts if post.model == model),
        key=lambda post: post.at,
    )
    for number, post in enumerate(posts):
        if truth.ordered(post.dispatch_id, post.at):
            continue
        for earlier in posts[:number]:
            if earlier.dispatch_id != post.dispatch_id and not earlier.surely_not:
                _keeps_distance(truth, earlier, post, found)


def _keeps_distance(truth: Truth, earlier: Post, post: Post, found: Violations) -> None:
    """When it was decided, the deciding clock showed the cooldown's end, and the settling's."""
    note, decided = truth.posted[id(post)], truth.triggers[post.dispatch_id]
    policy = truth.policies[earlier.dispatch_id]
    state, since = truth.state_at(earlier.dispatch_id, decided.at)
    if state not in FINAL:
        found.add("G2", note, f"{earlier.dispatch_id} was {state} when this one was decided")
        return
    runs = [run for run in truth.runs_of[earlier.dispatch_id] if run.attempt == earlier.attempt]
    if policy is None or (not runs and state in {"superseded", "refused"}):
        return  # nothing ran, and nobody doubts it
    sent = truth.lowest(since_sent(truth, earlier), earlier.at, decided.at)
    if decided.wall + SLACK < sent + policy.cooldown:
        found.add("G2", note, f"decided within the cooldown of {earlier.dispatch_id}")
    for run in runs:
        _settled(truth, run, since, (decided, post), found)


def since_sent(truth: Truth, earlier: Post) -> datetime:
    """When the attempt was written down, by the deciding clock."""
    notes: Iterable[Note] = truth.moves[earlier.dispatch_id]
    sendings = [one for one in notes if one.data["state"] == "sending" and one.at <= earlier.at]
    return sendings[-1].wall if sendings else truth.posted[id(earlier)].wall


def _settled(
    truth: Truth, run: TrueRun, since: Note, after: tuple[Note, Post], found: Violations
) -> None:
    decided, post = after
    note, policy = truth.posted[id(post)], truth.policies[run.dispatch_id]
    state, before = since.data["state"], truth.state_before(since)
    if state in {"succeeded", "failed", "cancelled"}:
        newest = truth.runs_of[run.dispatch_id][-1]  # an operator may have wanted another
        if run is newest and run.ends > since.at:
            found.add("G2", since, f"said to be over, but run {run.id} goes on")
        ended = truth.lowest(since.wall, since.at, decided.at)
        if policy is not None and decided.wall + SLACK < ended + policy.settle:
            found.add("G2", note, f"decided although run {run.id} has not settled")
    if " moved from " in since.data["detail"]:
        return  # nobody may ask about it where it is
    goes_on = run.ends > post.at and run.gone_at > since.at
    age = since.at - run.began
    if state == "parked" and before == "running" and goes_on and age < truth.run_timeout - 60:
        found.add("G9", note, f"run {run.id} goes on; it was parked {age / 60:.0f} minutes old")
