"""Questions to programs that turn an alert into a run: python -m bench.peers (`make peers`)."""

import argparse
import signal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import cast

from rich.console import Console
from rich.table import Table

from bench.contenders import CONTENDERS, Contender
from bench.load import notification, requests_per_second, write_bodies

REPEATS = 500
BURST = 30


def repeats(peer: Contender) -> str:
    """Post the same alert 500 times; the runs."""
    for _ in range(REPEATS):
        peer.post(notification(range(1)))
    return str(peer.runs().total())


def group(peer: Contender) -> str:
    """Post three models' alerts in one group; how many models got a run."""
    peer.post(notification(range(3)))
    return str(len(peer.runs()))


def resolved(peer: Contender) -> str:
    """Post one alert that fires, and two that are resolved; the runs."""
    firing, over = notification(range(1)), ended(range(1, 2))
    peer.post({**firing, "alerts": [*alerts_of(firing), *alerts_of(over)]})
    peer.post(ended(range(2, 3)))
    return str(peer.runs().total())


def restart(peer: Contender) -> str:
    """Post an alert, stop it, start it, and post the alert again within the cooldown; the runs."""
    peer.post(notification(range(1)))
    peer.runs()
    peer.stop()
    peer.start()
    peer.post(notification(range(1)))
    return str(peer.runs().total())


def killed(peer: Contender) -> str:
    """Kill it right after its last yes to thirty models; how many of them have no run, or two."""
    acknowledged = [
        number for number in range(BURST) if peer.post(notification(range(number, number + 1)))
    ]
    peer.stop(signal.SIGKILL)
    peer.start()
    runs = peer.runs()
    lost = sum(runs[f"u{number}"] == 0 for number in acknowledged)
    doubled = sum(count > 1 for count in runs.values())
    return f"{lost}, {doubled}"


def ended(numbers: range) -> dict[str, object]:
    """A notification in which these models' alerts are resolved."""
    body = notification(numbers)
    alerts = [{**alert, "status": "resolved"} for alert in alerts_of(body)]
    return {**body, "status": "resolved", "alerts": alerts}


def alerts_of(body: Mapping[str, object]) -> list[dict[str, object]]:
    """The alerts of a notification."""
    return cast("list[dict[str, object]]", body["alerts"])


QUESTIONS = {
    f"runs after {REPEATS} repeats of one alert": (repeats, "1"),
    "models that got a run, of three in a group": (group, "3"),
    "runs when one fires and two are resolved": (resolved, "1"),
    "runs after a restart within the cooldown": (restart, "1"),
    f"SIGKILL after {BURST} were acknowledged: lost, doubled": (killed, "0, 0"),
}


@dataclass(frozen=True)
class Line:
    """What all of them answered to one question."""

    what: str
    right: str
    answers: Sequence[str]


def ask(folder: Path, names: Iterable[str]) -> list[Line]:
    """Put every question to a fresh one of each."""
    lines = []
    for number, (what, (question, right)) in enumerate(QUESTIONS.items()):
        answers = []
        for name in names:
            peer = Contender(name, folder / f"{number}-{name}", CONTENDERS[name])
            try:
                peer.start()
                answers.append(question(peer))
            finally:
                peer.close()
        lines.append(Line(what, right, answers))
    return lines


def throughput(folder: Path, names: Sequence[str], rounds: int, seconds: int) -> Line:
    """Notifications of one alert per second, 16 connections, in turns."""
    script = write_bodies(folder, 1)
    found: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names:
            peer = Contender(name, folder / f"load-{number}-{name}", CONTENDERS[name])
            try:
                peer.start()
                rate = requests_per_second(peer.url, script, connections=16, seconds=seconds)
                found[name].append(rate)
            finally:
                peer.close()
    answers = [f"{median(rates):,.0f}" for rates in found.values()]
    return Line("notifications/s, 1,000 models", "", answers)


def main() -> None:
    """Ask all of them, and print the table."""
    parser = argparse.ArgumentParser(prog="make peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="medians of so many rounds")
    parser.add_argument("--seconds", type=int, default=4, help="length of one round")
    parser.add_argument("--only", choices=CONTENDERS, action="append", help="one of them; repeat")
    args = parser.parse_args()
    names = args.only or list(CONTENDERS)
    with TemporaryDirectory() as name:
        lines = ask(Path(name), names)
        lines.append(throughput(Path(name), names, args.rounds, args.seconds))
    table = Table("question", "right", *names)
    for line in lines:
        table.add_row(line.what, line.right, *line.answers)
    Console(width=130).print(table)


if __name__ == "__main__":
    main()
