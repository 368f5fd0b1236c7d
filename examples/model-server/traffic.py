"""Sells flats: asks the server for prices, and tells it later what was paid.

python traffic.py --workdir DIR --server http://127.0.0.1:8081 [USER_ID ...]
"""

import argparse
import json
import threading
import uuid
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from live import TENANTS, City, present_level

BATCH = 50
ROUND = 0.25
"""Seconds between two batches of a tenant: 200 flats a second turn a window of 1000 over in 5."""


class Market:
    """All flats of one tenant."""

    def __init__(self, workdir: Path, server: str, user_id: str) -> None:
        self._workdir = workdir
        self._server = urlsplit(server).netloc
        self._user_id = user_id
        self._city = City(user_id)

    def sell(self) -> None:
        """Ask for prices, then say what was paid."""
        level = present_level(self._workdir, self._user_id)
        flats, prices = self._city.draw(BATCH, level)
        name = uuid.uuid4().hex
        self._post("predict", {"instances": flats}, name)
        self._post("feedback", {"id": name, "actual": prices}, name)

    def _post(self, verb: str, body: Any, name: str) -> None:
        connection = HTTPConnection(self._server, timeout=10)
        headers = {"Content-Type": "application/json", "X-Request-Id": name}
        try:
            path = f"/v1/models/{self._user_id}:{verb}"
            connection.request("POST", path, json.dumps(body), headers)
            connection.getresponse().read()
        except (OSError, HTTPException):
            pass  # the server is away for a moment; buyers come back
        finally:
            connection.close()


def main() -> None:
    """Sell until killed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--server", default="http://127.0.0.1:8081", metavar="URL")
    parser.add_argument("user_ids", nargs="*", default=TENANTS, metavar="USER_ID")
    arguments = parser.parse_args()
    markets = [
        Market(arguments.workdir, arguments.server, user_id) for user_id in arguments.user_ids
    ]
    forever = threading.Event()
    while not forever.wait(ROUND):
        for market in markets:
            market.sell()


if __name__ == "__main__":
    main()
