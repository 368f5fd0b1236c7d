"""Long logs: the page reads no more of them, and takes no longer."""

from statistics import median
from time import perf_counter

import pytest
from sqlalchemy import event, text

from tests.page.scene import every_state

LONG = 10_000

COPY = """
INSERT INTO decisions (id, decided_at, source, policy, model, alertname, fingerprint, status,
  starts_at, labels, value, reason, outcome, detail, gates, config_hash)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)
SELECT d.id - i * 1000, d.decided_at - i * 1000, 'alertmanager', policy, model, alertname,
  fingerprint, status, starts_at, labels, 0.5 + i % 7, reason, outcome, detail, gates, config_hash
FROM n, (SELECT * FROM decisions WHERE model = 'forecast-eu' AND reason = 'cooldown' LIMIT 1) d
"""

MODELS = """
INSERT INTO models (name, policy, labels, refusals)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)
SELECT 'other-' || i, 'model-quality', '{}', 0 FROM n
"""

PATHS = [
    *("/", "/?q=other", "/ui/decisions", "/ui/models/forecast-eu"),
    *("/ui/models/forecast-eu?range=30d", "/ui/runs", "/ui/runs?q=forecast"),
]


@pytest.fixture(scope="module")
def small(scene):
    return scene


@pytest.fixture(scope="module")
def large(stage):
    made = stage()
    every_state(made)
    with made.history.store.begin() as tx:
        tx._db.execute(text(COPY), {"count": LONG})
        tx._db.execute(text(MODELS), {"count": LONG})
    return made


def statements(scene, path):
    """How many statements a page takes."""
    seen = []
    engine = scene.history.store._engine

    def trace(connection, _record):
        connection.set_trace_callback(seen.append)

    event.listen(engine, "connect", trace)
    engine.dispose()  # so that every connection is traced, and none afterwards
    try:
        assert scene.peer.get(path).status == 200
    finally:
        event.remove(engine, "connect", trace)
        engine.dispose()
    return sum(statement.lstrip().startswith(("SELECT", "WITH")) for statement in seen)


@pytest.mark.parametrize("path", PATHS)
def test_a_long_log_takes_no_more_statements(small, large, path):
    """Neither what was ever decided nor how many models are shown makes more of them."""
    first_of_a_policy = 6 if path == "/?q=other" else 0  # there are none of these in the small one

    assert statements(large, path) <= statements(small, path) + first_of_a_policy <= 40


@pytest.mark.parametrize(
    "path", ["/ui/models/forecast-eu", "/?state=held", "/ui/decisions", "/ui/runs?q=forecast"]
)
def test_a_long_log_takes_no_longer(small, large, path):
    """Taken by turns, so that a busy machine slows both: the ratio stays near one."""
    times = {id(small): [], id(large): []}
    for _ in range(12):
        for scene in (small, large):
            began = perf_counter()
            assert scene.peer.get(path).status == 200
            times[id(scene)].append(perf_counter() - began)

    allowed = 8 if path == "/ui/decisions" else 4  # 200 decisions instead of 60
    assert median(times[id(large)]) < allowed * median(times[id(small)])
