"""examples/model-server and examples/drift.py, run as their READMEs say."""

import re
import subprocess
import sys
from collections import deque
from pathlib import Path

import pytest
import yaml

from tests.demo.kfp_environment import need_kfp_environment
from tests.lab.shop import EXAMPLES, SERVER, Shop
from tests.processes import ROOT
from tests.waiting import eventually

USERS = tuple(f"user{number:02}" for number in range(1, 21))
FLAT = [0.0, 0.0, 0.0, 0.0, 0.0]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    need_kfp_environment()
    with Shop(tmp_path_factory.mktemp("shop"), *USERS, window=300) as shop:
        yield shop


class TestServer:
    """KServe's v1 protocol."""

    def test_models_are_listed_and_ready(self, shop):
        """As a client of KServe asks."""
        assert shop.server.get("/").json() == {"status": "alive"}
        assert shop.server.get("/v1/models").json() == {"models": list(USERS)}
        assert shop.server.get("/v1/models/user07").json() == {"name": "user07", "ready": True}

    def test_predictions_in_the_order_of_instances(self, shop):
        """One number each, and each tenant's model is its own."""
        instances = [FLAT, [1.0, 0.0, 0.0, 0.0, 0.0]]
        one, two = (shop.predict(user, instances).json()["predictions"] for user in USERS[:2])

        assert len(one) == 2
        assert one[0] == pytest.approx(2.0, abs=0.1)
        assert one != two

    @pytest.mark.parametrize(
        ("path", "body", "status"),
        [
            ("/v1/models/nobody:predict", {"instances": [FLAT]}, 404),
            ("/v1/models/..%2Fuser01:predict", {"instances": [FLAT]}, 404),
            ("/v1/models/user01:explain", {"instances": [FLAT]}, 404),
            ("/v1/models/user01:predict", b"{", 400),
            ("/v1/models/user01:predict", {"instances": []}, 400),
            ("/v1/models/user01:predict", {"instances": [[1.0]]}, 400),
            ("/v1/models/user01:predict", {"instances": [FLAT, [1.0]]}, 400),
            ("/v1/models/user01:predict", {"instances": [["a"] * 5]}, 400),
            ("/v1/models/user01:feedback", {"id": "x", "actual": ["dear"]}, 400),
            ("/v1/models/user01:predict", b" " * (1024 * 1024 + 1), 413),
            ("/predict", {"features": FLAT}, 400),
            ("/predict", {"features": FLAT, "user_id": "nobody"}, 404),
            ("/predict", {"features": FLAT[1:], "user_id": "user01"}, 400),
            ("/predict", {"instances": [FLAT]}, 400),
            ("/predict", b"{", 400),
        ],
    )
    def test_what_is_wrong_is_refused(self, shop, path, body, status):
        """In JSON, and the server lives on."""
        answer = shop.server.post(path, body)

        assert answer.status == status
        assert answer.json()["error"]
        assert shop.server.get("/").status == 200

    def test_one_flat_is_asked_about_by_its_features(self, shop):
        """`/predict` says of one what KServe's protocol says of a list, and it is counted."""
        before = shop.metrics("user17").get("model_prediction_total success", 0)
        asked = {"features": [1.0] * 5, "user_id": "user17"}
        answer = shop.server.post("/predict", asked).json()

        (same,) = shop.predict("user17", [[1.0] * 5]).json()["predictions"]
        assert answer == {"user_id": "user17", "prediction": same}
        eventually(
            lambda: shop.metrics("user17").get("model_prediction_total success") == before + 2
        )

    def test_a_new_model_is_served_without_a_restart(self, shop):
        """The file is swapped, and the next answer is the new model's."""
        before = shop.predict("user20", [[1.0] * 5]).json()
        source = shop.workdir / "models" / "user19" / "model.joblib"
        scratch = shop.workdir / "models" / "user20" / "model.writing"
        scratch.write_bytes(source.read_bytes())
        scratch.replace(scratch.with_name("model.joblib"))

        assert shop.predict("user20", [[1.0] * 5]).json() != before


class TestExporter:
    """What the serving log says of each model."""

    def test_predictions_are_counted_and_judged_when_the_truth_is_known(self, shop):
        """MAE and R² are exact, and errors are counted apart."""
        flats = [[number / 20, 0.0, 0.0, 0.0, 0.0] for number in range(40)]
        predicted = shop.predict("user18", flats, **{"X-Request-Id": "told-1"}).json()
        actual = [each + 0.5 for each in predicted["predictions"]]
        shop.server.post("/v1/models/user18:feedback", {"id": "told-1", "actual": actual})
        shop.predict("user18", "nonsense")

        found = eventually(
            lambda: (
                shop.metrics("user18").get("model_prediction_total error") == 1
                and shop.metrics("user18")
            )
        )
        mean = sum(actual) / len(actual)
        assert found["model_mae_score"] == pytest.approx(0.5)
        assert found["model_r2_score"] == pytest.approx(
            1 - len(actual) * 0.25 / sum((each - mean) ** 2 for each in actual)
        )
        assert found["model_prediction_total success"] == 40
        assert found["model_last_eval_timestamp_seconds"] > 1.7e9

    def test_it_needs_little_memory_and_no_scikit_learn(self, shop):
        """A limit of 256Mi was once blown by pandas; with 20 tenants it stays under 80 MB."""
        for user in USERS:
            for number in range(8):
                name = {"X-Request-Id": f"memory-{number}"}
                predictions = shop.predict(user, [FLAT] * 200, **name).json()["predictions"]
                told = {"id": name["X-Request-Id"], "actual": predictions}
                shop.server.post(f"/v1/models/{user}:feedback", told)
        eventually(
            lambda: shop.metrics(USERS[-1]).get("model_prediction_total success", 0) >= 1600
        )
        process = Path("/proc", str(shop.processes["exporter"].pid))
        resident = re.search(r"VmHWM:\s+(\d+) kB", (process / "status").read_text())

        assert resident is not None
        assert int(resident[1]) * 1024 < 80_000_000
        assert not re.search("sklearn|pandas|numpy", (process / "maps").read_text())


def test_the_log_is_bounded_and_followed_across_its_change(tmp_path, monkeypatch):
    """Who follows misses nothing when a file is full; a line that is half there is awaited."""
    monkeypatch.syspath_prepend(str(SERVER))
    from request_log import Follower, RequestLog  # noqa: PLC0415

    log, follower = RequestLog(tmp_path, "user01", largest=2000), Follower(tmp_path, "user01")
    seen = deque()
    for number in range(500):
        log.add(id=str(number), actual=[1.0])
        if number % 7 == 0:
            seen.extend(follower.news())
    with (tmp_path / "user01.jsonl").open("ab") as file:
        file.write(b'{"id": "half')
    seen.extend(follower.news())

    assert [entry["id"] for entry in seen] == [str(number) for number in range(500)]
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 2 * 2100


def test_drift_is_as_large_as_it_says(tmp_path):
    """At `high` MAE rises by about 30 %, R² falls by about 15 %, each over its threshold."""
    need_kfp_environment()
    with Shop(tmp_path, "user01", window=1000) as shop:
        shop.sell()
        eventually(lambda: shop.metrics("user01").get("model_prediction_total success", 0) >= 1500)
        said = shop.drift("user01", "high")
        calm = shop.drift("user01", "none")

    mae, r2 = (int(change) for change in re.findall(r"([+-]\d+) %", said))
    assert 18 <= mae <= 45
    assert -25 <= r2 <= -5
    assert "above 0.45: its alert fires" in said
    assert calm.count("not ") == 2


def test_the_only_model_need_not_be_named(tmp_path):
    """As the first clients ask: the features and nothing else."""
    need_kfp_environment()
    with Shop(tmp_path, "user01") as shop:
        answer = shop.server.post("/predict", {"features": FLAT}).json()

    assert answer["user_id"] == "user01"
    assert answer["prediction"] == pytest.approx(2.0, abs=0.1)


def test_drift_compares_with_the_thresholds_of_the_rules():
    """The numbers that drift.py shows are those that alerts fire at."""
    rules = yaml.safe_load((ROOT / "rules" / "model-quality.yaml").read_text())
    said = (EXAMPLES / "drift.py").read_text()

    for rule in rules["groups"][0]["rules"]:
        assert f"({rule['expr'].split()[-1]}," in said


def test_what_it_needs_is_locked_as_it_is_tested():
    """The example's own lock names the scikit-learn and prometheus-client of these tests."""
    locked = (SERVER / "requirements.txt").read_text()
    tested = (ROOT / "requirements" / "kfp-local.txt").read_text()
    exporter = (SERVER / "requirements-exporter.txt").read_text()

    for name in ("scikit-learn", "joblib", "numpy"):
        pin = re.search(rf"^{name}==(\S+)", tested, re.MULTILINE)
        assert pin is not None
        assert f"{name}=={pin[1]}" in locked
    assert re.findall(r"^([a-z-]+)==", exporter, re.MULTILINE) == ["prometheus-client"]


def test_the_images_are_built_from_what_is_there():
    """No engine builds them here: hadolint finds nothing, and every file that is copied exists."""
    file = SERVER / "Dockerfile"
    hadolint = Path(sys.executable).with_name("hadolint")
    said = subprocess.run([hadolint, file], capture_output=True, text=True, check=False)
    copied = re.findall(r"^COPY (.*) \S+$", file.read_text(), re.MULTILINE)

    assert said.returncode == 0, said.stdout
    assert all((SERVER / name).exists() for names in copied for name in names.split())
    assert set(re.findall(r"^FROM \S+ AS (\S+)", file.read_text(), re.MULTILINE)) == {
        "base",
        "exporter",
        "model-server",
    }
