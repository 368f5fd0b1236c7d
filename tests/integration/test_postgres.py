"""What only PostgreSQL has: its clock, its locks, its restarts, a connection that is cut."""

from datetime import UTC, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from sqlalchemy import func, select, text

from receiver.core.dispatches import DispatchState
from receiver.store import store as module
from receiver.store.column_types import to_micros
from receiver.store.decision_ids import REPLICAS
from receiver.store.store import Store, StoreRefused, StoreUnavailable
from receiver.store.tables import dispatches, firing_alerts, models, run_ends
from tests.examples import alert
from tests.posts import entry, post
from tests.serving import NO_AUTH, serve

HOUR = timedelta(hours=1)


@pytest.fixture
def one(replicas):
    return replicas.start()


@pytest.fixture
def two(replicas):
    return replicas.start()


def setting(store, name):
    with store._reading() as db:
        return db.scalar(text(f"SELECT current_setting('{name}')"))


@pytest.mark.parametrize("table", [firing_alerts, dispatches, run_ends], ids=str)
def test_what_a_model_has_is_found_by_an_index(one, table):
    """Two collations let PostgreSQL go through all that fires for each of 50,000 models."""
    count = select(func.count()).where(table.c.model == models.c.name).scalar_subquery()
    with one.store._reading() as db:
        db.execute(text("SET LOCAL enable_seqscan = off"))
        plan = db.scalars(text(f"EXPLAIN {select(count).select_from(models)}")).all()

    assert any("Cond: (model = models.name)" in line for line in plan), plan


class TestPooler:
    """What may stand between us and the database."""

    @pytest.fixture
    def readable(self):
        with TemporaryDirectory(dir="/tmp") as path:
            Path(path).chmod(0o755)
            yield Path(path)

    def test_sessions_that_change_are_refused_with_the_cure(self, replicas, postgres, readable):
        """Behind PgBouncer in transaction mode the start says what to change."""
        with (
            postgres.pooled(replicas.database, "transaction", readable) as url,
            pytest.raises(StoreRefused, match="pool_mode = session"),
        ):
            Store.open(url, None)

    def test_sessions_that_swap_backends_are_refused(self, replicas, postgres, readable):
        """Also while other clients of the pooler take one in between."""
        with (
            postgres.pooled(replicas.database, "transaction", readable) as url,
            psycopg.connect(url.replace("+psycopg", "")) as other,
        ):
            other.execute("SELECT 1")  # and keeps its transaction open
            with pytest.raises(StoreRefused, match="pool_mode = session"):
                Store.open(url, None)

    def test_a_session_of_ones_own_is_enough(self, replicas, postgres, readable):
        """PgBouncer in session mode works."""
        with postgres.pooled(replicas.database, "session", readable) as url:
            store = Store.open(url, None)
            with store.begin() as tx:
                assert tx.now() is not None
            store.close()


class TestTime:
    """Replicas must agree on it."""

    def test_it_is_asked_after_the_locks_were_taken(self, replicas):
        """Who waited for a lock decides later than the one who held it, on every machine."""
        stores = [replicas.open(None), replicas.open(None)]

        def lock(tx):
            return tx.lock_models(["42"]), tx.now()

        with replicas.held(stores[0], stores[0].run, lock):
            waiting = replicas.begin(stores[1].run, lock)
            replicas.await_waiting()
            released = replicas.time()

        assert waiting.result()[1] > released

    def test_it_is_utc_and_moves_within_a_transaction(self, replicas):
        """Microseconds, with a zone, whatever zone the server lives in."""
        replicas.backdoor.execute(
            f"ALTER DATABASE {replicas.database} SET timezone TO 'Asia/Kathmandu'"
        )
        store = replicas.open(None)
        with store.begin() as tx:
            first, second = tx.now(), tx.now()

        assert first.tzinfo is UTC
        assert first < second
        assert abs(second - replicas.time()) < timedelta(minutes=1)

    def test_reads_use_it_too(self, replicas):
        """What is due is due for all replicas at the same moment."""
        store = replicas.open(None)
        with store.begin() as tx:
            assert tx.now() < tx.now()


class TestSession:
    """What every connection asks for, whatever the server's defaults are."""

    def test_what_is_acknowledged_is_durable(self, replicas, one):
        """Also where the server's own setting would lose it."""
        assert replicas.backdoor.execute("SHOW synchronous_commit") == [("off",)]
        assert setting(one.store, "synchronous_commit") == "on"

    def test_no_statement_is_compiled(self, one):
        """To compile what the page asks of 50,000 models took ten times as long as to run it."""
        assert setting(one.store, "jit") == "off"

    def test_a_stronger_promise_is_left_alone(self, replicas):
        """An operator may wait for a standby."""
        replicas.backdoor.execute(
            f"ALTER DATABASE {replicas.database} SET synchronous_commit TO 'remote_apply'"
        )
        assert setting(replicas.open(replicas.clock), "synchronous_commit") == "remote_apply"

    def test_reads_are_repeatable_and_writes_are_read_committed(self, replicas):
        """Whatever the server's default is."""
        replicas.backdoor.execute(
            f"ALTER DATABASE {replicas.database}"
            " SET default_transaction_isolation TO 'repeatable read'"
        )
        one, two = replicas.start(), replicas.start()
        with one.store._reading() as db, two.store.begin() as tx:
            count = text("SELECT count(*) FROM models")
            assert db.scalar(count) == 0
            assert tx._db.scalar(count) == 0
            one.deliver(alert())
            assert db.scalar(count) == 0
            assert tx._db.scalar(count) == 1

    def test_a_plan_is_made_for_the_queue_as_it_is(self, one):
        """One made once for any state could not use an index of the live ones."""

        def claim(tx):
            tx.claim_dispatch("pipeline", [DispatchState.PENDING], now=tx.now(), lease=HOUR)

        def claim_often(tx):
            for _ in range(20):
                claim(tx)
            plans = "SELECT sum(custom_plans), sum(generic_plans) FROM pg_prepared_statements"
            return tx._db.execute(text(plans)).one()

        custom, generic = one.store.run(claim_often)
        assert custom > 0
        assert generic == 0

    def test_a_replica_that_stands_still_holds_nothing_for_long(self, one, two):
        """Its session is ended by the server; what it began is undone."""

        def stand_still(tx):
            tx.lock_models(["42"])
            tx._db.execute(text("SET LOCAL idle_in_transaction_session_timeout = '50ms'"))
            assert two.reasons(alert()) == ["triggered"]
            tx.pauses()

        with pytest.raises(StoreUnavailable):
            one.store.run(stand_still)

        assert setting(one.store, "idle_in_transaction_session_timeout") == "30s"

    def test_a_missing_driver_is_told_with_its_cure(self, monkeypatch, clock):
        """It comes with an extra."""
        monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
        with pytest.raises(StoreRefused, match=r"retrain-receiver\[postgresql\]"):
            Store.open("postgresql+psycopg://nobody@/nothing", clock)


class TestUnavailable:
    """The store can't commit now: 503, and nothing was stored."""

    def test_a_lock_is_not_waited_for_for_ever(self, replicas, one, monkeypatch):
        """503 soon; Alertmanager comes back."""
        monkeypatch.setattr(module, "LOCK_TIMEOUT_SECONDS", 0.1)
        hasty = replicas.start()

        with replicas.held(one.store, one.reasons, alert()):
            with pytest.raises(StoreUnavailable, match="lock timeout"):
                hasty.deliver(alert())
            assert hasty.reasons(alert("43")) == ["triggered"]

        assert hasty.reasons(alert()) == ["duplicate"]

    @pytest.mark.parametrize(
        ("statement", "said"),
        [
            ("SET TRANSACTION READ ONLY", "read-only"),  # a standby
            ("SELECT pg_terminate_backend(pg_backend_pid())", "terminating|closed"),
            ("DO $$ BEGIN RAISE SQLSTATE '53100'; END $$", "53100"),  # the disk is full
            ("DO $$ BEGIN RAISE SQLSTATE '57014'; END $$", "57014"),  # it took too long
            ("SET LOCAL ROLE pg_monitor", "permission denied"),
        ],
    )
    def test_the_store_is_at_fault_not_the_content(self, one, statement, said):
        """503; nothing is recorded as invalid, and the next one is served."""

        def meet_it(tx):
            tx._db.execute(text(statement))
            tx.lock_models(["42"])

        with pytest.raises(StoreUnavailable, match=said):
            one.store.run(meet_it)

        assert one.reasons(alert()) == ["triggered"]

    def test_a_trouble_of_the_store_is_none_of_a_single_alert(self, one):
        """Also inside a part that may fail alone."""

        def meet_it(tx):
            with tx.savepoint():
                tx._db.execute(text("SET TRANSACTION READ ONLY"))
                tx.lock_models(["42"])

        with pytest.raises(StoreUnavailable, match="read-only"):
            one.store.run(meet_it)

    def test_nobody_there(self, clock):
        """A start without its database ends with what the driver says."""
        with pytest.raises(StoreUnavailable, match="connection"):
            Store.open("postgresql+psycopg://nobody@127.0.0.1:9/nothing", clock)


class TestNumbers:
    """Ids of decisions."""

    def test_no_two_replicas_can_take_the_same_one(self, one, two):
        """Even at the same microsecond, which the hand-moved clock makes of all decisions."""
        taken = [d.id for history in (one, two) for d in history.deliver(alert(), alert("43"))]

        assert len(set(taken)) == 4
        assert {number % REPLICAS for number in taken[:2]} != {n % REPLICAS for n in taken[2:]}
        assert all(number >= to_micros(one.now()) for number in taken)
        assert all(number < 2**53 for number in taken)

    def test_a_replica_whose_number_is_taken_gets_another(self, replicas, one, two):
        """Only if many replicas started since: the transaction is begun again at once."""
        two.store._ids.share(one.store._ids._number)

        with replicas.held(one.store, one.reasons, alert("1")):
            second = replicas.begin(two.reasons, alert("2"))
            replicas.await_waiting()

        assert second.result() == ["triggered"]
        assert two.store._ids._number != one.store._ids._number

    def test_a_new_replica_continues_behind_the_log(self, replicas, one):
        """Also if the clock went back."""
        (last,) = one.deliver(alert("1"))
        replicas.clock.jump(-timedelta(days=1))

        (first,) = replicas.start().deliver(alert("2"))

        assert first.id > last.id


def test_two_processes_share_the_work(replicas, tmp_path):
    """Both are ready; what one has decided the other knows."""
    config = NO_AUTH.replace(
        "storage: {min_free: 0}", f"storage: {{url: '{replicas.server.url(replicas.database)}'}}"
    )
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()

    with serve(folders[0], config) as first, serve(folders[1], config) as second:
        told = [peer.post("/webhook", post(entry("42"))).json() for peer in (first, second)]

        assert [receipt["decisions"][0]["reason"] for receipt in told] == [
            "triggered",
            "duplicate",
        ]
        assert first.get("/models/42").json()["state"] == "running"
