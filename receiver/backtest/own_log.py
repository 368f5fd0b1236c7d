"""Backtests our own log in a child process of the receiver, for the page of the policies.

It is called as `python -m receiver.backtest.own_log`. What is asked comes pickled on standard
input, which stays open as long as the receiver lives. The report goes to standard output. Standard
error gets one JSON object a line: what it does, and at last what it found or why it can't.
"""

import base64
import gc
import hashlib
import json
import os
import pickle
import resource
import sys
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

from receiver.backtest.alertmanager import Route
from receiver.backtest.answers import Setting
from receiver.backtest.histories import BadHistory
from receiver.backtest.log_history import history_in_store
from receiver.backtest.report import STYLE, report
from receiver.backtest.runs import PATIENCE, RunModel, learned
from receiver.backtest.study import Study, study, swept
from receiver.backtest.truth import truth_of
from receiver.core.policy_set import PolicySet
from receiver.store.errors import StoreUnavailable
from receiver.store.store import Store

MIB = 1024 * 1024

MEMORY = 128 * MIB
"""Of its data: with the receiver it must fit into the chart's 256 MiB."""

LONGEST_REPORT = 16 * MIB

PROCESSOR_SECONDS = 600

LOOK_BACK = timedelta(days=90)

NEWEST = 20_000
"""Decisions of the log that are read."""

MOST_DECISIONS = 50_000
"""Of all draws of one rule together: some 20 seconds."""

DRAWS, FEWEST_DRAWS = 20, 5

SWEEP = "cooldown=1h,6h,24h"


@dataclass(frozen=True, slots=True)
class Standing:
    """The receiver's time when it was asked: all is as of then."""

    at: datetime

    def now(self) -> datetime:
        """That moment."""
        return self.at

    def elapsed(self) -> timedelta:
        """Nothing passes."""
        return timedelta(0)


def found_in(url: str, policy_set: PolicySet, now: datetime) -> Study:
    """What these policies would have done with the log. Raises `BadHistory`."""
    tell(doing="reading the log")
    with closing(Store.beside(url, Standing(now))) as store:
        history = history_in_store(store, now - LOOK_BACK, NEWEST)
    truth, notes = truth_of(history, policy_set)
    usual = RunModel()
    setting = Setting(
        truth,
        Route(),
        learned(usual, history.runs),
        draws=DRAWS,
        most_decisions=MOST_DECISIONS,
        fewest_draws=FEWEST_DRAWS,
    )
    return study(
        {"the policies in force": policy_set},
        setting,
        bad_hour=usual.cost / PATIENCE,
        notes=(*history.notes, *notes),
        changed=swept(policy_set, SWEEP),
        progress=lambda what: tell(doing=f"replaying {what}"),
    )


def said_of(found: Study) -> dict[str, Any]:
    """What the page says beside the report's link, and which style the report has."""
    told = found.as_json()
    first = told["results"][0]
    return {
        "since": told["since"],
        "until": told["until"],
        "models": told["models"],
        "spells": told["spells"],
        "runs": first["runs"]["mean"],
        "in_vain": first["in_vain"]["mean"],
        "bad_hours": first["bad_hours"]["mean"],
        "cost_to_oracle": first["cost_to_oracle"],
        "style": "sha256-" + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode(),
    }


def tell(**said: Any) -> None:
    """One line for the receiver."""
    sys.stderr.write(json.dumps(said) + "\n")
    sys.stderr.flush()


def limit() -> None:
    """Take little: the receiver decides meanwhile, and comes first."""
    os.nice(19)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LONGEST_REPORT, LONGEST_REPORT))
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS))
    with suppress(OSError):  # is memory short all the same, this process is the one to end
        Path("/proc/self/oom_score_adj").write_text("1000")


def end_with_the_receiver() -> None:
    """Standard input ends when the receiver does, however it dies."""
    os.read(sys.stdin.fileno(), 1)  # not its buffer, which the interpreter wants when it ends
    os._exit(1)


def main() -> int:
    """Answer what is asked on standard input."""
    asked = pickle.load(sys.stdin.buffer)  # noqa: S301  from the receiver, which started us
    Thread(target=end_with_the_receiver, daemon=True).start()
    limit()
    try:
        found = found_in(asked["url"], asked["policy_set"], asked["now"])
        # All of it or an error: standard output may be unbuffered, and then take a part.
        with open(sys.stdout.fileno(), "w", encoding="utf-8", closefd=False) as out:
            out.write(report(found, asked["now"]))
    except (BadHistory, StoreUnavailable) as error:
        tell(problem=str(error))
        return 1
    except MemoryError:
        gc.collect()
        tell(problem=f"it needs more than {MEMORY // MIB} MiB: {ELSEWHERE}")
        return 1
    except OSError as error:
        tell(problem=f"the report can't be written ({error.strerror}): {ELSEWHERE}")
        return 1
    tell(found=said_of(found))
    return 0


ELSEWHERE = "export the log, and use `retrain-receiver backtest --alerts` where there is room"


if __name__ == "__main__":
    sys.exit(main())
