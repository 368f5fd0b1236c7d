import json
import math
import threading

import pytest

from receiver.demo.asking import ModelServerPeer, NoAnswerError
from receiver.demo.evaluation import ENOUGH, Quality, RecentScores, mean_absolute_error, r2_score
from receiver.demo.live import TARGET, LiveStream, Recent, drifted, read_table, write_table
from receiver.demo.model_server import ModelServer

SAMPLES = [
    {
        "row_id": float(i),
        "radius": i / 10,
        "area": 0.0,
        "fractal_dimension": i % 7 / 3,
        TARGET: i / 5,
    }
    for i in range(40)
]
GOOD = {"features": ["radius"], "coefficients": [2.0], "intercept": 0.0, "dispatch_id": ""}


@pytest.mark.parametrize(
    ("actual", "predicted", "mae", "r2"),
    [
        ([1, 2, 3], [1, 2, 3], 0, 1),
        ([1, 2, 3], [2, 2, 2], 2 / 3, 0),
        ([1, 2, 3], [3, 2, 1], 4 / 3, -3),
        ([1, 2, 4], [2, 2, 4], 1 / 3, 1 - 1 / (14 / 3)),
    ],
)
def test_scores(actual, predicted, mae, r2):
    """MAE and R² are what the textbook says."""
    assert mean_absolute_error(actual, predicted) == pytest.approx(mae)
    assert r2_score(actual, predicted) == pytest.approx(r2)


def test_scores_of_nothing_are_no_numbers():
    """Where a score has no meaning it is NaN, which raises no alert."""
    assert math.isnan(mean_absolute_error([], []))
    assert math.isnan(r2_score([], []))
    assert math.isnan(r2_score([2, 2], [1, 3]))


def test_a_window_says_nothing_before_it_has_enough():
    """A start is no drift: a window with few predictions is NaN."""
    window = RecentScores(ENOUGH)
    for i in range(ENOUGH - 1):
        window.add(i, i)
    assert math.isnan(window.mae())

    window.add(0, ENOUGH)

    assert window.mae() == pytest.approx(1)


def test_a_window_forgets():
    """Only the last predictions count."""
    window = RecentScores(ENOUGH)
    for i in range(ENOUGH):
        window.add(i, i + 100)
    for i in range(ENOUGH):
        window.add(i, i)

    assert (window.mae(), window.r2()) == (0, 1)


def test_a_stream_shows_each_sample_once_before_any_twice():
    """What is held out by sample stays rare enough to be told apart."""
    stream = LiveStream(SAMPLES, seed="42")

    rounds = [sorted(stream.next()["row_id"] for _ in SAMPLES) for _ in range(2)]

    assert rounds == [[row["row_id"] for row in SAMPLES]] * 2


def test_drift_moves_inputs_and_relation():
    """Both what the model sees and what it should answer change."""
    before = SAMPLES[5]
    after = drifted(before)

    assert after["radius"] - before["radius"] == pytest.approx(0.5)
    assert after[TARGET] - before[TARGET] == pytest.approx(0.4 + 0.8 * before["fractal_dimension"])
    assert after["row_id"] == before["row_id"]


def test_recent_rows_survive_the_file(tmp_path):
    """The pipeline reads what the server saw, the newest rows only."""
    recent = Recent(tmp_path / "recent" / "42.csv", size=3)
    recent.save()
    assert not (tmp_path / "recent").exists()
    for row in SAMPLES:
        recent.add(row)

    recent.save()

    assert read_table(tmp_path / "recent" / "42.csv") == SAMPLES[-3:]


@pytest.fixture
def server(tmp_path):
    """A model server on loopback that predicts when the test says so."""
    write_table(tmp_path / "live.csv", SAMPLES)
    (tmp_path / "served").mkdir()
    with ModelServer(("127.0.0.1", 0), tmp_path, ["42", "43"]) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def peer(server):
    return ModelServerPeer(server.server_address[1])


def deploy(tmp_path, user_id="42", **changes):
    (tmp_path / "served" / f"{user_id}.json").write_text(json.dumps({**GOOD, **changes}))


def tick(server, times=20):
    for _ in range(times):
        for model in server.models.values():
            model.tick()


def test_metrics_are_exported_under_their_names(server, peer, tmp_path):
    """Prometheus finds the three metrics that the rules and dashboards are written against."""
    deploy(tmp_path)
    tick(server, times=1)

    exported = peer.ask("/metrics").decode()

    assert 'model_prediction_total{status="success",user_id="42"} 10.0' in exported
    assert 'model_prediction_total{status="error",user_id="43"} 10.0' in exported
    assert 'model_mae_score{user_id="42"} NaN' in exported
    assert 'model_r2_score{user_id="43"} NaN' in exported


def test_a_replaced_artefact_is_served(server, peer, tmp_path):
    """A deployment needs no restart."""
    deploy(tmp_path, coefficients=[-2.0])
    tick(server)
    before = peer.quality("42")
    (tmp_path / "served" / "42.json").unlink()
    deploy(tmp_path)
    tick(server)

    assert not before.good
    assert peer.quality("42").good


def test_only_the_named_model_drifts(server, peer, tmp_path):
    """The neighbour's data stay as they are."""
    deploy(tmp_path, "42")
    deploy(tmp_path, "43")
    tick(server)
    peer.drift("42")
    tick(server)

    assert peer.quality("42").mae > 0.45
    assert peer.quality("43").good


@pytest.mark.parametrize("path", ["/drift", "/drift?user_id=44", "/metrics"])
def test_a_post_that_means_nothing_changes_nothing(server, peer, path):
    """A model that is not served cannot drift."""
    with pytest.raises(NoAnswerError, match="404"):
        peer.ask(path, method="POST")

    assert not any(model.stream.has_drifted for model in server.models.values())


@pytest.mark.parametrize(
    ("quality", "good", "breaches"),
    [
        (Quality(0.1, 0.9), True, set()),
        (Quality(0.45, 0.75), True, set()),
        (Quality(0.46, 0.9), False, {"HighModelMAE"}),
        (Quality(0.1, 0.74), False, {"LowModelR2"}),
        (Quality(0.9, -math.inf), False, {"HighModelMAE", "LowModelR2"}),
        (Quality(), False, set()),
    ],
)
def test_good_and_bad_are_what_the_rules_say(quality, good, breaches):
    """NaN is neither good nor a breach."""
    assert quality.good is good
    assert quality.breaches.keys() == breaches
