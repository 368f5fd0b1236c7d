"""What a chart reads of the log, on both engines: bounded, and as quick on a long one."""

from datetime import timedelta

import pytest
from sqlalchemy import event, text

from receiver.store.views.charts import EACH_SLOT
from tests.examples import alert

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)

SQLITE = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)"
POSTGRESQL = "WITH n(i) AS (SELECT generate_series(1, :count))"

COPY = """
INSERT INTO decisions (id, decided_at, source, policy, model, alertname, fingerprint, status,
  starts_at, labels, value, reason, outcome, detail, gates, config_hash)
{numbers}
SELECT d.id - CAST(i AS bigint) * 1000000, d.decided_at - CAST(i AS bigint) * 1000000,
  source, policy,
  CASE WHEN i % 20 = 0 THEN model ELSE 'other-' || i % 1000 END, alertname,
  fingerprint, status, starts_at, labels, 0.5 + i % 7, reason, outcome, detail, gates, config_hash
FROM n, (SELECT * FROM decisions LIMIT 1) AS d
"""
"""A decision each second, every twentieth of them about one model."""


def sampled(history, span=24 * HOUR, slot=5 * MINUTE, model="42"):
    with history.store.view() as view:
        return view.charts.sampled(model, view.now - span, slot)


def test_the_newest_of_each_slot_are_read(history):
    """Few of a busy one, all of a quiet one, none from before the range, none of another model."""
    history.deliver(alert("42", value=9.0))
    history.clock.pass_(24 * HOUR + MINUTE)
    for number in range(EACH_SLOT + 2):
        history.deliver(alert("42", value=float(number)), alert("43", value=7.0))
        history.clock.pass_(timedelta(seconds=1))
    history.clock.pass_(HOUR)
    history.deliver(alert("42", value=8.0))

    found = sampled(history)

    assert [one.value for one in found] == [2.0, 3.0, 4.0, 5.0, 8.0]
    assert {one.alertname for one in found} == {"HighModelMAE"}
    assert found[-1].decided_at == history.now()
    assert found == sorted(found, key=lambda one: one.id)


def test_a_clock_that_was_ahead_hides_nothing_that_is_new(history):
    """Ids never go back: what is decided then is found behind the last slot."""
    history.clock.jump(3 * HOUR)
    history.deliver(alert("42", value=1.0))
    history.clock.jump(-3 * HOUR)
    history.deliver(alert("42", value=2.0))

    assert 2.0 in {one.value for one in sampled(history)}


def test_a_clock_that_was_far_ahead_hides_no_hour_since(history):
    """Every id since then is beyond the present, for as long as the clock was."""
    history.clock.jump(300 * 24 * HOUR)
    history.deliver(alert("other"))
    history.clock.jump(-300 * 24 * HOUR)
    for number in range(20):
        history.clock.pass_(31 * MINUTE)
        history.deliver(alert("42", value=float(number)))

    assert [one.value for one in sampled(history)] == [float(number) for number in range(20)]


def fill(history, count):
    history.deliver(alert("42", value=0.5))
    with history.store.begin() as tx:
        numbers = SQLITE if tx._db.dialect.name == "sqlite" else POSTGRESQL
        tx._db.execute(text(COPY.format(numbers=numbers)), {"count": count})
        tx._db.execute(text("ANALYZE"))


@pytest.mark.parametrize("count", [100, 20_000])
def test_a_long_log_is_walked_along_its_index(history, count):
    """Few rows, however many there are; and the plan knows no way through the whole table."""
    fill(history, count)
    seen = []

    def note(_connection, _cursor, statement, parameters, *_rest):
        if "slots" in statement:
            seen.append((statement, parameters))

    event.listen(history.store._engine, "before_cursor_execute", note)
    found = sampled(history)
    event.remove(history.store._engine, "before_cursor_execute", note)

    assert len(found) <= 290 * EACH_SLOT
    with history.store.view() as view:
        db = view._moment.db
        sqlite = db.dialect.name == "sqlite"
        explain = "EXPLAIN QUERY PLAN " if sqlite else "EXPLAIN "
        rows = db.exec_driver_sql(explain + seen[0][0], seen[0][1]).all()
    plan = "\n".join(str(row[-1]) for row in rows)
    assert "SCAN decisions" not in plan, plan
    if count > 1000:
        assert "Seq Scan on decisions" not in plan, plan
        assert plan.count("ix_decisions_model") == EACH_SLOT, plan
