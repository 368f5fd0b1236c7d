"""A database whose user or password changes: new connections take what the file says by then."""

from contextlib import contextmanager

import pytest
from sqlalchemy import make_url, text

from receiver.config import load_config
from receiver.store.postgres import present_url
from receiver.store.store import Store
from tests.serving import NO_AUTH, serve

OLD = "postgresql+psycopg://old:first@db.example.com/retrain"


@contextmanager
def logins(server, *names):
    """Roles that may log in and do everything."""
    with server.connect() as admin:
        for name in names:
            admin.execute(f"CREATE ROLE {name} SUPERUSER LOGIN")
        try:
            yield admin
        finally:
            for name in names:
                admin.execute(f"DROP ROLE {name}")


def lock_out(admin, name):
    """Let a role log in no more, and end its sessions, as a rotation ends."""
    admin.execute(f"ALTER ROLE {name} NOLOGIN")
    admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [name]
    )


def test_a_login_that_changes_is_taken_up(replicas, postgres, tmp_path):
    """Without a restart: the old one is locked out, its connections are cut, and work goes on."""
    file = tmp_path / "url"
    urls = {
        name: postgres.url(replicas.database).replace("//test@", f"//{name}@")
        for name in ("login_before", "login_after")
    }
    with logins(postgres, *urls) as admin:
        file.write_text(urls["login_before"])
        store = Store.open(urls["login_before"], None, url_file=file)
        try:
            file.write_text(urls["login_after"])
            lock_out(admin, "login_before")

            with store._reading() as db:
                assert db.scalar(text("SELECT current_user")) == "login_after"
            assert "login_after@" in store.url
        finally:
            store.close()


def test_a_login_that_changes_before_a_receiver_that_serves(replicas, postgres, tmp_path):
    """It stays ready, and a reload does not ask for a restart because of it."""
    file = tmp_path / "url"
    urls = {
        name: postgres.url(replicas.database).replace("//test@", f"//{name}@")
        for name in ("serving_before", "serving_after")
    }
    config = NO_AUTH.replace("storage: {min_free: 0}", f"storage: {{url_file: {file}}}")
    with logins(postgres, *urls) as admin:
        file.write_text(urls["serving_before"])
        with serve(tmp_path, config) as receiver:
            before = load_config(tmp_path / "receiver.yaml").storage
            file.write_text(urls["serving_after"])
            lock_out(admin, "serving_before")

            assert receiver.get("/models").status == 200
            assert receiver.get("/-/ready").status == 200
            assert load_config(tmp_path / "receiver.yaml").storage.same_store(before)
            file.write_text(urls["serving_after"].replace(replicas.database, "another"))
            assert not load_config(tmp_path / "receiver.yaml").storage.same_store(before)


def test_a_login_in_the_query_is_left_alone(replicas, postgres, tmp_path):
    """As libpq takes it there; the file says the same."""
    file = tmp_path / "url"
    url = postgres.url(replicas.database).replace("//test@", "//") + "&user=in_the_query"
    file.write_text(url)
    with logins(postgres, "in_the_query"):
        store = Store.open(url, None, url_file=file)
        try:
            with store._reading() as db:
                assert db.scalar(text("SELECT current_user")) == "in_the_query"
        finally:
            store.close()


@pytest.mark.parametrize(
    ("content", "login"),
    [
        ("postgresql+psycopg://old:second@db.example.com/retrain", ("old", "second")),
        ("postgresql://new:p%40ss@db.example.com/retrain\n", ("new", "p@ss")),
        # What can't be used, and another database, are for the next start.
        ("", ("old", "first")),
        ("no address", ("old", "first")),
        ("postgresql://new:second@elsewhere.example.com/retrain", ("old", "first")),
        ("postgresql://new:second@db.example.com/another", ("old", "first")),
    ],
)
def test_what_the_file_says_of_user_and_password_counts(tmp_path, content, login):
    """And nothing else of it."""
    file = tmp_path / "url"
    file.write_text(content)
    found = present_url(make_url(OLD), file)

    assert (found.username, found.password) == login
    assert (found.host, found.database) == ("db.example.com", "retrain")
    assert present_url(make_url(OLD), None) == make_url(OLD)
