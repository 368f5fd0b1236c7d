"""Alertmanager's and Prometheus' APIs with a memory: they list what they are told."""

import json
import re
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

from receiver.alertmanager.entries import fingerprint_of

STARTED = "2026-11-30T07:00:00.000Z"


class Alertmanager:
    """Lists alerts as API v2 of 0.25 and later does.

    Attributes:
        receivers: Those of its configuration.
        alerts: As the API writes them.
        silences: The same.
        authorization: The header that it asks for; None for none.
        answer: What it answers instead of everything: status, headers, body.
        asked: Paths, in order.

    """

    def __init__(self):
        self.url = ""
        self.receivers = ["retrain", "other"]
        self.alerts = []
        self.silences = []
        self.up_since = STARTED
        self.authorization = None
        self.answer = None
        self.asked = []
        self.prometheus = []

    def fire(self, *, receivers=("retrain",), state="active", annotations=None, **labels):
        """One more alert is listed."""
        self.alerts.append(
            {
                "annotations": annotations or {},
                "endsAt": "2026-11-30T09:00:00.000Z",
                "fingerprint": fingerprint_of(labels),
                "receivers": [{"name": name} for name in receivers],
                "startsAt": "2026-11-30T08:00:00.123Z",
                "status": {"inhibitedBy": [], "silencedBy": [], "state": state},
                "updatedAt": "2026-11-30T08:30:00.000Z",
                "generatorURL": "http://prometheus/graph",
                "labels": labels,
            }
        )
        return self.alerts[-1]

    def silence(self, alert, name, **more):
        """A silence that holds one of its alerts."""
        self.silences.append(
            {"id": name, "createdBy": "ana", "comment": "sensor", "status": {"state": "active"}}
            | more
        )
        alert["status"]["silencedBy"] = [*alert["status"]["silencedBy"], name]
        alert["status"]["state"] = "suppressed"

    def at(self, path, query):
        """What is there; None if nothing is."""
        match path:
            case "/api/v2/alerts":
                pattern = re.compile(query["receiver"][0])
                return [
                    alert
                    for alert in self.alerts
                    if any(pattern.fullmatch(one["name"]) for one in alert["receivers"])
                ]
            case "/api/v2/status":
                return {"uptime": self.up_since, "cluster": {"status": "ready", "peers": []}}
            case "/api/v2/receivers":
                return [{"name": name} for name in self.receivers]
            case "/api/v2/silences":
                return self.silences
            case "/api/v1/alerts":
                return {"status": "success", "data": {"alerts": self.prometheus}}
        return None


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        peer = self.server.peer
        place = urlsplit(self.path)
        peer.asked.append(place.path)
        if peer.answer is not None:
            return self._send(*peer.answer)
        if peer.authorization not in (None, self.headers.get("Authorization")):
            return self._send(401, {}, b"Unauthorized\n")
        found = peer.at(place.path, parse_qs(place.query))
        if found is None:
            return self._send(404, {}, b"404 page not found\n")
        return self._send(200, {"Content-Type": "application/json"}, json.dumps(found).encode())

    def _send(self, status, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextmanager
def alertmanager(tls=None):
    """One that listens until the test ends, with TLS if it has a context for that."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    server.peer = Alertmanager()
    scheme = "http" if tls is None else "https"
    server.peer.url = f"{scheme}://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.peer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
