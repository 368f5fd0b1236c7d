"""Lets one tenant's live data drift, and shows what that does to its model.

    python examples/drift.py --workdir DIR --user user01 --drift-level high

`low`, `medium` and `high` can be repaired by a retraining; `none` ends a drift; after `lost`
prices depend on nothing, and no training helps.
"""

import argparse
import re
import sys
import threading
from pathlib import Path
from time import monotonic
from urllib.request import urlopen

sys.path.insert(0, str(Path(__file__).parent / "model-server"))

from live import LEVELS, LOST, present_level, set_level

LIMITS = {"model_mae_score": (0.45, "above"), "model_r2_score": (0.75, "below")}
"""The thresholds of rules/model-quality.yaml."""

SAMPLE = re.compile(r"^(model_\w+)\{([^}]*)\} (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')


def read(exporter: str, user_id: str) -> dict[str, float]:
    """What the exporter says of one model; predictions are those that were answered."""
    with urlopen(f"{exporter}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = {}
    for name, inner, value in SAMPLE.findall(text):
        labels = dict(LABEL.findall(inner))
        if labels.get("user_id") == user_id and labels.get("status", "success") == "success":
            found[name] = float(value)
    return found


def after_window(exporter: str, user_id: str, window: int, wait: float) -> dict[str, float]:
    """What the exporter says once only new predictions are in its window."""
    begun = read(exporter, user_id).get("model_prediction_total", 0.0)
    ends = monotonic() + wait
    while True:
        seen = read(exporter, user_id)
        # Twice the window: predictions that were on their way are not counted as new.
        if seen.get("model_prediction_total", 0.0) - begun >= 2 * window:
            return seen
        if monotonic() > ends:
            sys.exit(f"no traffic: {user_id} had too few predictions in {wait:.0f} s")
        threading.Event().wait(0.2)


def line(name: str, before: float, after: float) -> str:
    """One number before and after, against its threshold."""
    limit, side = LIMITS[name]
    crossed = after > limit if side == "above" else after < limit
    change = 100 * (after - before) / abs(before)
    said = f"{side} {limit}: its alert fires" if crossed else f"not {side} {limit}"
    return f"{name:<16} {before:6.3f} -> {after:6.3f}  {change:+4.0f} %  {said}"


def main() -> None:
    """Set the level, wait, compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--user", required=True, metavar="USER_ID")
    levels = [*LEVELS, LOST]
    parser.add_argument("--drift-level", "--level", dest="level", required=True, choices=levels)
    parser.add_argument("--exporter", default="http://127.0.0.1:9102", metavar="URL")
    parser.add_argument("--window", type=int, default=1000, metavar="PREDICTIONS")
    parser.add_argument("--wait", type=float, default=120, metavar="SECONDS")
    arguments = parser.parse_args()

    before = read(arguments.exporter, arguments.user)
    if not before:
        sys.exit(f"{arguments.exporter} says nothing of {arguments.user}")
    was = present_level(arguments.workdir, arguments.user)
    set_level(arguments.workdir, arguments.user, arguments.level)
    after = after_window(arguments.exporter, arguments.user, arguments.window, arguments.wait)
    print(f"{arguments.user}: drift {was} -> {arguments.level}")
    for name in LIMITS:
        print(line(name, before[name], after[name]))


if __name__ == "__main__":
    main()
