"""A GitHub on which runs end soon, and which often fails: the target of the kill loop."""

from random import Random
from typing import Any

from tests.peers.github import GithubPeer, PeerRun
from tests.peers.github_wire import CUT_AFTER, CUT_BEFORE, Asked, Behaviour, answering

FIRST = "first"
"""The model whose POSTs never fail: without a run that showed its id, absence proves nothing."""


class Busy(GithubPeer):
    """Ends each run when it is first asked about, and often fails the first POST of a dispatch.

    Attributes:
        overlaps: Runs that began while another one of their model went on.
        is_well: Whether it fails no POST.

    """

    def __init__(self, random: Random) -> None:
        super().__init__()
        self.overlaps: list[PeerRun] = []
        self.is_well = False
        self._random = random
        self._met: set[str] = set()

    def behaviour(self, asked: Asked) -> Behaviour:
        """Say how this request is to be treated, and remember it."""
        usual = super().behaviour(asked)
        if asked.phase != "dispatch" or asked.body["inputs"]["user_id"] == FIRST:
            return usual
        if self.is_well:
            return usual
        dispatch_id = asked.body["inputs"]["dispatch_id"]
        with self.changed:
            met = dispatch_id in self._met
            self._met.add(dispatch_id)
            accidents = [CUT_BEFORE, CUT_AFTER, answering(502, accept=True)]
            accident = self._random.choice([*accidents, *[usual] * 7])
        return usual if met else accident

    def _start(self, title: str, ref: str, inputs: dict[str, str], **changes: Any) -> PeerRun:
        with self.changed:
            model = inputs["user_id"]
            going_on = [run for run in self.runs if run.status != "completed"]
            run = super()._start(title, ref, inputs, **changes)
            if any(other.inputs["user_id"] == model for other in going_on):
                self.overlaps.append(run)
            return run

    def _poll(self, asked: Asked) -> tuple[int, Any]:
        self.finish(asked.path.rpartition("/")[2], "success")
        return super()._poll(asked)
