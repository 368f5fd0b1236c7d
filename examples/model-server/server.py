"""Serves scikit-learn models over KServe's v1 protocol, and logs what it predicted.

    python server.py --workdir DIR --listen 127.0.0.1:8081

A model is `DIR/models/NAME/model.joblib`, where KServe's own scikit-learn server looks too. A new
file is picked up at the next request. Whoever may write there may run code here: joblib's files
are programs.

Besides KServe's routes there are two. `POST /v1/models/NAME:feedback` with `{"id", "actual"}`:
what came true of the request whose `X-Request-Id` was that. `POST /predict` with `{"features":
[number, ...], "user_id": NAME}`: for clients that ask about one thing at a time; the only model
that is served need not be named.
"""

import argparse
import json
import math
import re
import time
import uuid
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any

import joblib
import numpy as np
from request_log import LARGEST, RequestLog

NAME = re.compile(r"[a-z0-9-]{1,40}")
ROUTE = re.compile(r"/v1/models/([^/:]+)(?::(predict|feedback))?")
REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
LARGEST_BODY = 1024 * 1024
MOST_SKIPPED = 16 * LARGEST_BODY


class BadRequest(Exception):
    """What is wrong with a request, in one sentence."""


class Served:
    """One model, as it is on disk now."""

    def __init__(self, name: str, workdir: Path, largest_log: int) -> None:
        self.name = name
        self.log = RequestLog(workdir / "logs", name, largest_log)
        self._path = workdir / "models" / name / "model.joblib"
        self._lock = Lock()
        self._seen: tuple[int, int] | None = None
        self._model: Any = None

    @property
    def ready(self) -> bool:
        """Whether there is a model."""
        return self._path.exists()

    def predict(self, body: Any) -> list[float]:
        """What the model says of each instance."""
        model = self._load()
        match body:
            case {"instances": [_, *_] as instances}:
                pass
            case _:
                raise BadRequest('the body must be {"instances": [[number, ...], ...]}')
        try:
            rows = np.asarray(instances, dtype=float)
        except (TypeError, ValueError):
            raise BadRequest("each instance is a list of numbers, all equally long") from None
        if rows.ndim != 2 or rows.shape[1] != model.n_features_in_:  # noqa: PLR2004
            raise BadRequest(f"an instance of {self.name} has {model.n_features_in_} numbers")
        if not np.isfinite(rows).all():
            raise BadRequest("an instance holds a number that is not finite")
        predicted: list[float] = model.predict(rows).tolist()
        return predicted

    def _load(self) -> Any:
        with self._lock:
            stat = self._path.stat()
            replaced = (stat.st_ino, stat.st_mtime_ns)
            if replaced != self._seen:
                self._model = joblib.load(self._path)
                self._seen = replaced
            return self._model


class ModelServer(ThreadingHTTPServer):
    """Serves what is under `workdir/models`."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self, address: tuple[str, int], workdir: Path, largest_log: int = LARGEST
    ) -> None:
        super().__init__(address, Requests)
        self._workdir = workdir
        self._largest_log = largest_log
        self._lock = Lock()
        self._served: dict[str, Served] = {}

    def names(self) -> list[str]:
        """The models that can be asked."""
        files = (self._workdir / "models").glob("*/model.joblib")
        return sorted(file.parent.name for file in files if NAME.fullmatch(file.parent.name))

    def served(self, name: str) -> Served | None:
        """One of them."""
        with self._lock:
            if name not in self._served and name in self.names():
                self._served[name] = Served(name, self._workdir, self._largest_log)
            return self._served.get(name)


class Requests(BaseHTTPRequestHandler):
    """KServe's v1 protocol, and `/predict`."""

    protocol_version = "HTTP/1.1"
    server: ModelServer

    def do_GET(self) -> None:
        """Whether the server lives, and which models are ready."""
        route = ROUTE.fullmatch(self.path)
        if self.path == "/":
            self._answer(HTTPStatus.OK, {"status": "alive"})
        elif self.path == "/v1/models":
            self._answer(HTTPStatus.OK, {"models": self.server.names()})
        elif route is not None and (served := self.server.served(route[1])):
            status = HTTPStatus.OK if served.ready else HTTPStatus.SERVICE_UNAVAILABLE
            self._answer(status, {"name": served.name, "ready": served.ready})
        else:
            self._answer(HTTPStatus.NOT_FOUND, {"error": "there is no such model"})

    def do_POST(self) -> None:
        """Predict, or take in what came true."""
        route = ROUTE.fullmatch(self.path)
        size = self.headers.get("Content-Length", "")
        if not size.isdigit() or int(size) > LARGEST_BODY:
            self.close_connection = True
            if size.isdigit():  # who is still sending when we hang up never reads the answer
                self._skip(min(int(size), MOST_SKIPPED))
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"error": "at most 1 MiB"})
            return
        text = self.rfile.read(int(size))
        if self.path == "/predict":
            self._predict_one(text)
            return
        served = self.server.served(route[1]) if route else None
        if route is None or route[2] is None or served is None:
            self._answer(HTTPStatus.NOT_FOUND, {"error": "there is no such model"})
            return
        verb = self._predict if route[2] == "predict" else self._learn
        self._attempt(served, lambda: verb(served, json.loads(text)))

    def _attempt(self, served: Served, do: Callable[[], None]) -> None:
        """Do what a request asks; one that can't be done is logged and answered 400."""
        try:
            do()
        except (BadRequest, ValueError, RecursionError) as error:
            self._log(served, status="error")
            self._answer(HTTPStatus.BAD_REQUEST, {"error": _said(error)})

    def _predict_one(self, text: bytes) -> None:
        """Predict for one instance: it goes the same way, and into the same log."""
        try:
            body = json.loads(text)
            served = self.server.served(self._named(body))
        except (BadRequest, ValueError, RecursionError) as error:
            self._answer(HTTPStatus.BAD_REQUEST, {"error": _said(error)})
            return
        if served is None:
            self._answer(HTTPStatus.NOT_FOUND, {"error": "there is no such model"})
            return
        self._attempt(served, lambda: self._answer_one(served, body))

    def _named(self, body: Any) -> str:
        """Which model a body for `/predict` asks."""
        match body:
            case {"features": _, "user_id": str(name)}:
                return name
            case {"features": _} if len(names := self.server.names()) == 1:
                return names[0]
            case {"features": _}:
                raise BadRequest("several models are served here: say which with user_id")
        raise BadRequest('the body must be {"features": [number, ...], "user_id": "..."}')

    def _answer_one(self, served: Served, body: Any) -> None:
        instances = [body["features"]]
        predictions = served.predict({"instances": instances})
        self._log(served, status="ok", instances=instances, predictions=predictions)
        answer = {"user_id": served.name, "prediction": predictions[0]}
        self._answer(HTTPStatus.OK, answer)

    def _predict(self, served: Served, body: Any) -> None:
        predictions = served.predict(body)
        self._log(served, status="ok", instances=body["instances"], predictions=predictions)
        self._answer(HTTPStatus.OK, {"predictions": predictions})

    def _learn(self, served: Served, body: Any) -> None:
        match body:
            case {"id": str(name), "actual": [_, *_] as actual} if REQUEST_ID.fullmatch(name):
                pass
            case _:
                raise BadRequest('the body must be {"id": "...", "actual": [number, ...]}')
        if not all(isinstance(each, int | float) and math.isfinite(each) for each in actual):
            raise BadRequest("what came true is a finite number for each instance")
        served.log.add(at=time.time(), id=name, actual=actual)
        self._answer(HTTPStatus.OK, {})

    def _log(self, served: Served, **entry: Any) -> None:
        served.log.add(at=time.time(), id=self._request_id(), **entry)

    def _request_id(self) -> str:
        given = self.headers.get("X-Request-Id", "")
        if REQUEST_ID.fullmatch(given) is None:
            del self.headers["X-Request-Id"]
            given = self.headers["X-Request-Id"] = uuid.uuid4().hex
        return given

    def _answer(self, status: HTTPStatus, body: Any) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.send_header("X-Request-Id", self._request_id())
        self.end_headers()
        self.wfile.write(text)

    def _skip(self, size: int) -> None:
        """Read so much of a body, or all that comes, and keep none of it."""
        while size > 0 and (chunk := self.rfile.read(min(size, LARGEST_BODY))):
            size -= len(chunk)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Stay silent: the serving log says it."""


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, BadRequest) else "the body is not JSON"


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--listen", default="127.0.0.1:8081", metavar="HOST:PORT")
    arguments = parser.parse_args()
    host, _, port = arguments.listen.rpartition(":")
    ModelServer((host, int(port)), arguments.workdir).serve_forever()


if __name__ == "__main__":
    main()
