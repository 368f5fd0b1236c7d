"""An Alertmanager that lists twenty thousand alerts is read within a bound of memory."""

import json
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

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


def listed(number):
    return {
        "labels": {"alertname": "HighModelMAE", "user_id": f"m{number}", "pod": "p" * 40},
        "annotations": {"value": "0.62", "summary": "s" * 400, "runbook_url": "r" * 100},
        "startsAt": "2026-11-22T12:00:00.000Z",
        "updatedAt": "2026-11-22T12:00:00.000Z",
        "endsAt": "2026-11-22T13:00:00.000Z",
        "fingerprint": f"{number:016x}",
        "receivers": [{"name": "retrain"}],
        "status": {"state": "active", "silencedBy": [], "inhibitedBy": [], "mutedBy": []},
        "generatorURL": "g" * 200,
    }


@pytest.fixture
def large():
    """An Alertmanager with so many."""
    alerts = json.dumps([listed(number) for number in range(MANY)]).encode()
    status = json.dumps({"uptime": "2026-11-22T09:00:00.000Z"}).encode()
    answers = {"alerts": alerts, "status": status, "receivers": b'[{"name": "retrain"}]'}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.partition("?")[0].rsplit("/", 1)[-1]
            body = answers[name]
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_twenty_thousand_alerts_are_read_within_a_hundred_mebibytes(large):
    """The answer is 20 MB; what it holds of each alert is less."""
    ended = subprocess.run(
        [sys.executable, "-c", READ, large], capture_output=True, text=True, check=True
    )

    count, most = ended.stdout.split()
    assert int(count) == MANY
    assert 0 < float(most) < MOST_MIB
