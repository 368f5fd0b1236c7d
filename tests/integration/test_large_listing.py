"""An Alertmanager that lists twenty thousand alerts is read within a bound of memory."""

import subprocess
import sys

from tests.peers.alertmanager import alertmanager

MANY = 20_000
MOST_MIB = 100

READ = """
import sys
from receiver.sources.alertmanager import AlertmanagerSource
from receiver.sources.fetching import Upstream

def memory(name):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024

source = AlertmanagerSource(Upstream(sys.argv[1]), "retrain")
before = memory("VmRSS")
found = source.ask()
print(len(found.alerts), memory("VmHWM") - before)
"""


def test_twenty_thousand_alerts_are_read_within_a_hundred_mebibytes():
    """The answer is 23 MB; what it holds of each alert is less."""
    told = {"value": "0.62", "summary": "s" * 600, "runbook_url": "r" * 100}
    with alertmanager() as peer:
        for number in range(MANY):
            name = {"alertname": "HighModelMAE", "user_id": f"m{number}", "pod": "p" * 40}
            peer.fire(annotations=told, **name)
        ended = subprocess.run(
            [sys.executable, "-c", READ, peer.url], capture_output=True, text=True, check=True
        )

    count, most = ended.stdout.split()
    assert int(count) == MANY
    assert 0 < float(most) < MOST_MIB
