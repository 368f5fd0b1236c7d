"""Serves the model before the present one again: the last deploy is undone, once more redone.

    MODELS_DIR=/mnt/models USER_ID=user01 python pipelines/roll_back.py

The server picks the file up at the next request. A model that was put back is still bad if its
data has drifted: pause it in the receiver, or the next alert retrains it.
"""

import os
import re
import sys
from pathlib import Path


def main() -> None:
    """Swap the two files."""
    user_id = os.environ["USER_ID"]
    if re.fullmatch(r"[a-z0-9-]{1,40}", user_id) is None:
        sys.exit(f"{user_id!r} is no name of a model")
    folder = Path(os.environ.get("MODELS_DIR", "/mnt/models")) / "models" / user_id
    served, previous = folder / "model.joblib", folder / "model.previous.joblib"
    if not previous.exists():
        sys.exit(f"there is no model of {user_id} before the present one")
    kept = folder / "model.rolled-back"
    kept.unlink(missing_ok=True)
    # A second name for the present model first: `model.joblib` is there at every moment.
    os.link(served, kept)
    previous.replace(served)
    kept.replace(previous)
    print(f"{user_id} is served by the model before; the other one is kept as {previous.name}")


if __name__ == "__main__":
    main()
