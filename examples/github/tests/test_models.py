"""What is trained, served and measured: fast tests for every pull request of the team."""

import json
import sys
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread

import joblib
import numpy as np
import pytest
from sklearn.linear_model import Ridge

sys.path.insert(0, str(Path(__file__).parents[1] / "model-server"))

from exporter import Exporter
from live import FEATURES, LEVELS, City
from request_log import RequestLog
from server import BadRequest, ModelServer, Served
from traffic import Market

USER = "user01"


@pytest.fixture
def model(tmp_path):
    """Train a model and store it where the server looks."""
    flats, prices = City(USER, seed="history").draw(3000)
    file = tmp_path / "models" / USER / "model.joblib"
    file.parent.mkdir(parents=True)
    joblib.dump(Ridge().fit(flats, prices), file)
    return Served(USER, tmp_path, largest_log=10_000)


@pytest.fixture
def server(model, tmp_path):
    """Serve it on a free port."""
    server = ModelServer(("127.0.0.1", 0), tmp_path)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def ask(server, method, path, body=None):
    """Status and answer."""
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.request(method, path, json.dumps(body))
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def error(model, level):
    """How far off it is on average at a level of drift."""
    flats, prices = City(USER, seed="live").draw(3000, level)
    predicted = model.predict({"instances": flats})
    return float(np.mean(np.abs(np.subtract(prices, predicted))))


def test_the_model_is_good_until_its_data_drift(model):
    """Below the threshold of the alert, and above it at the highest level."""
    errors = [error(model, level) for level in LEVELS]

    assert errors == sorted(errors)
    assert errors[0] < 0.42
    assert errors[-1] > 0.45


@pytest.mark.parametrize("instances", [[], [[1.0]], [["dear"] * 5], [[float("nan")] * 5]])
def test_what_is_no_flat_is_refused(model, instances):
    """With a sentence, before the model sees it."""
    with pytest.raises(BadRequest):
        model.predict({"instances": instances})


def test_a_model_that_was_replaced_is_served(model, tmp_path):
    """The next request is answered by the new file."""
    file = tmp_path / "models" / USER / "model.joblib"
    scratch = file.with_suffix(".writing")
    joblib.dump(Ridge().fit([[0.0] * len(FEATURES)] * 2, [7.0, 7.0]), scratch)
    model.predict({"instances": [[1.0] * 5]})
    scratch.replace(file)

    assert model.predict({"instances": [[1.0] * 5]}) == [pytest.approx(7.0)]


def test_the_exporter_measures_what_came_true(tmp_path):
    """Half a unit off each time is an error of a half."""
    log = RequestLog(tmp_path / "logs", USER)
    predictions = [float(number) for number in range(40)]
    log.add(id="a", status="ok", instances=[[0.0] * 5] * 40, predictions=predictions)
    log.add(id="b", status="error")
    log.add(id="a", at=1.0, actual=[each + 0.5 for each in predictions])

    exporter = Exporter(tmp_path)
    exporter.look()

    labels = {"user_id": USER}
    read = exporter.metrics.registry.get_sample_value
    assert read("model_mae_score", labels) == pytest.approx(0.5)
    assert read("model_r2_score", labels) > 0.99
    assert read("model_prediction_total", {**labels, "status": "success"}) == 40
    assert read("model_prediction_total", {**labels, "status": "error"}) == 1


def test_the_server_lists_and_predicts(server):
    """KServe's protocol, and one flat at a time."""
    flat = [0.5] * 5
    status, many = ask(server, "POST", f"/v1/models/{USER}:predict", {"instances": [flat]})
    _, one = ask(server, "POST", "/predict", {"features": flat})

    assert status == 200
    assert one == {"user_id": USER, "prediction": many["predictions"][0]}
    assert ask(server, "GET", "/") == (200, {"status": "alive"})
    assert ask(server, "GET", "/v1/models") == (200, {"models": [USER]})
    assert ask(server, "GET", f"/v1/models/{USER}") == (200, {"name": USER, "ready": True})


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/models/nobody:predict", {"instances": [[0.0] * 5]}, 404),
        (f"/v1/models/{USER}:predict", {"instances": "all"}, 400),
        (f"/v1/models/{USER}:feedback", {"id": "a"}, 400),
        ("/predict", {"features": [1.0]}, 400),
        ("/predict", {}, 400),
    ],
)
def test_the_server_refuses_with_a_sentence(server, path, body, status):
    """And goes on."""
    answered, said = ask(server, "POST", path, body)

    assert answered == status
    assert said["error"]
    assert ask(server, "GET", "/")[0] == 200


def test_what_is_sold_is_measured(server, tmp_path):
    """From the prediction over what was paid to the metric."""
    market = Market(tmp_path, f"http://127.0.0.1:{server.server_port}", USER)
    market.sell()
    exporter = Exporter(tmp_path)
    exporter.look()

    error_seen = exporter.metrics.registry.get_sample_value("model_mae_score", {"user_id": USER})
    assert 0.1 < error_seen < 0.8
