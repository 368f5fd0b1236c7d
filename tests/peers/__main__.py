"""A GitHub on this machine for the tutorial: each run that it is asked for soon ends well.

`python -m tests.peers 8090` listens on that port and accepts the token `peer-token`.
"""

import signal
import sys
from threading import Event

from tests.peers.github import GithubPeer, PeerRun

RUN_SECONDS = 3


def serve(port: int) -> None:
    """Serve until somebody ends it."""
    ended = Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: ended.set())
    with GithubPeer(port=port) as peer:
        print(f"a stand-in of GitHub listens at {peer.base_url}", flush=True)  # noqa: T201
        while not ended.wait(0.2):
            for run in list(peer.runs):
                _go_on(peer, run)


def _go_on(peer: GithubPeer, run: PeerRun) -> None:
    """End a run that has taken its time, with a report as a workflow's step tells it."""
    if run.conclusion is None and (peer.now() - run.created_at).total_seconds() > RUN_SECONDS:
        peer.report(run.id, "retrain-verdict: promoted mae=0.41 r2=0.83")
        peer.finish(run.id, "success")


if __name__ == "__main__":
    serve(int(sys.argv[1]))
