"""Trains each tenant's first model on what was sold before; needs scikit-learn.

python first_models.py --workdir DIR [USER_ID ...]
"""

import argparse
from pathlib import Path

import joblib
from live import TENANTS, City
from sklearn.linear_model import Ridge

HISTORY = 3000


def main() -> None:
    """Write `DIR/models/USER_ID/model.joblib` for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("user_ids", nargs="*", default=TENANTS, metavar="USER_ID")
    arguments = parser.parse_args()
    for user_id in arguments.user_ids:
        flats, prices = City(user_id, seed="history").draw(HISTORY)
        folder = arguments.workdir / "models" / user_id
        folder.mkdir(parents=True, exist_ok=True)
        joblib.dump(Ridge(alpha=1.0).fit(flats, prices), folder / "model.joblib")


if __name__ == "__main__":
    main()
