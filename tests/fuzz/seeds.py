"""Where the fuzzer begins: captured notifications, and the corpus at every place of an alert."""

import json
import sys
from pathlib import Path

from tests.hostile import ALERTS, CORPUS, body_with
from tests.posts import entry, post

LONGEST = 8192

PAYLOADS = Path(__file__).parents[1] / "payloads"


def sow(folder: Path) -> None:
    """Write every seed into a folder."""
    folder.mkdir(exist_ok=True)
    for file in PAYLOADS.rglob("*.json"):
        if ".headers." not in file.name and file.stat().st_size <= LONGEST:
            (folder / file.stem).write_bytes(file.read_bytes())
    for number, hostile in enumerate(CORPUS.values()):
        for place, alert in ALERTS.items():
            if len(hostile) < LONGEST / 8:
                body = body_with(post(alert, entry("43")), hostile)
                (folder / f"{number}-{place.replace(' ', '-')}").write_bytes(body)
    (folder / "empty").write_text(json.dumps(post()))


if __name__ == "__main__":
    sow(Path(sys.argv[1]))
