"""PostgreSQL crashes and comes back, and connections are cut: nothing acknowledged is lost."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from receiver.flows.intake.taking_in import arrive, take_in
from receiver.store.store import StoreUnavailable
from tests.cutting import CuttingProxy
from tests.examples import alert, notification, policy_set
from tests.waiting import eventually


@pytest.fixture
def one(replicas):
    return replicas.start()


class TestRestart:
    """The server crashes and comes back."""

    def test_between_two_transactions_nobody_notices(self, postgres, one):
        """Dead connections are found before they are used."""
        one.deliver(alert("1"))
        postgres.restart()

        assert one.reasons(alert("1"), alert("2")) == ["duplicate", "triggered"]

    def test_within_a_transaction_it_is_undone(self, postgres, one):
        """503; then it heals without help."""

        def crash(tx):
            tx.lock_models(["lost"])
            postgres.restart()
            tx.lock_models(["42"])

        with pytest.raises(StoreUnavailable):
            one.store.run(crash)

        assert one.reasons(alert()) == ["triggered"]
        with one.store.begin() as tx:
            assert not tx.knows_model("lost")

    def test_while_it_is_down_everything_is_told_so(self, postgres, one):
        """Reading and writing; both work again when it is back."""
        postgres.stop()
        try:
            with pytest.raises(StoreUnavailable):
                one.deliver(alert())
            with pytest.raises(StoreUnavailable):
                one.log()
        finally:
            postgres.start()

        assert one.reasons(alert()) == ["triggered"]

    def test_under_load_nothing_acknowledged_is_lost(self, replicas, postgres):
        """Three replicas commit while the server crashes again and again."""
        stores = [replicas.open(replicas.clock) for _ in range(3)]
        acknowledged, ended = set(), threading.Event()

        def post(number):
            n = 0
            while not ended.is_set():
                n += 1
                arrival = arrive(notification(alert(f"{number}-{n}")), policy_set())
                try:
                    (receipt,) = take_in(stores[number], [arrival])
                except StoreUnavailable:
                    continue
                acknowledged.update(decision.id for decision in receipt.decisions)

        with ThreadPoolExecutor(3) as posting:
            futures = [posting.submit(post, number) for number in range(3)]
            try:
                for _ in range(3):
                    enough = len(acknowledged) + 20
                    eventually(lambda enough=enough: len(acknowledged) > enough)
                    postgres.restart()
                enough = len(acknowledged) + 20
                eventually(lambda: len(acknowledged) > enough)
            finally:
                ended.set()
            for future in futures:
                future.result()

        with stores[0]._reading() as db:
            stored = set(db.scalars(text("SELECT id FROM decisions")))
        assert acknowledged <= stored


class TestCommit:
    """What is stored if nobody heard the answer."""

    @pytest.mark.parametrize(
        ("answered", "again"), [("before", "triggered"), ("after", "duplicate")]
    )
    def test_one_whose_answer_is_lost_may_be_told_again(self, replicas, postgres, answered, again):
        """Cut before or after the server heard COMMIT: 503, and no second run."""
        with CuttingProxy(postgres.socket, b"COMMIT\0", after=answered == "after") as proxy:
            history = replicas.start(through=proxy.folder)
            proxy.armed = True

            with pytest.raises(StoreUnavailable):
                history.deliver(alert())

            assert proxy.cuts == 1
            assert history.reasons(alert()) == [again]
            assert len(history.dispatches()) == 1
