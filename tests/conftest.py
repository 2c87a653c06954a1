"""Databases for the suite: one template migrated once, one clone a test process, everything undone after each test.

`session` and `client` work inside one outer transaction that is rolled back; a test that needs real commits, several
connections or the workers takes `committed`, which gives it a database of its own as the migrations leave it.
"""

import os
import sys
import uuid
from collections.abc import Iterator

import psycopg
import pytest
from argon2 import PasswordHasher
from sqlalchemy.engine import make_url

from tests.grounds import Grounds

SERVER = {  # kept apart, because the settings of this process will name a test database instead of the server's own
    "SHOP_TEST_SERVER_OWNER": os.environ.get("SHOP_DATABASE_OWNER_URL")
    or "postgresql+psycopg://postgres@127.0.0.1/postgres",
}
for name, variable, role in (
    ("SHOP_TEST_SERVER_APP", "SHOP_DATABASE_URL", "shop_app"),
    ("SHOP_TEST_SERVER_CHECKER", "SHOP_DATABASE_CHECKER_URL", "shop_checker"),
):
    SERVER[name] = os.environ.get(variable) or (
        make_url(SERVER["SHOP_TEST_SERVER_OWNER"]).set(username=role).render_as_string(hide_password=False)
    )
for name, address in SERVER.items():
    os.environ.setdefault(name, address)  # the first process of a run sets them, its workers inherit them
OWNER, APP, CHECKER = (os.environ[name] for name in SERVER)
RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID", uuid.uuid4().hex)[:8]
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
TEMPLATE = f"shop_test_{RUN}_template"


def url_for(database: str, server: str = OWNER) -> str:
    return make_url(server).set(database=database).render_as_string(hide_password=False)


def admin(database: str | None = None) -> psycopg.Connection:
    url = make_url(OWNER)
    if database:
        url = url.set(database=database)
    return psycopg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False), autocommit=True)


def settle(database: str) -> None:
    """Point the settings of this process at a database."""
    os.environ.update(
        SHOP_ENV="test",
        SHOP_DATABASE_URL=url_for(database, APP),
        SHOP_DATABASE_OWNER_URL=url_for(database),
        SHOP_DATABASE_CHECKER_URL=url_for(database, CHECKER),
        SHOP_REQUESTS_PER_MINUTE="1000000",
    )
    os.environ.setdefault("SHOP_BROKER_URL", "redis://127.0.0.1:6379/13")


def make_template() -> None:
    """The migrated database that every other one is cloned from; made once a run, whoever comes first."""
    with admin() as connection:
        connection.execute("SELECT pg_advisory_lock(hashtext(%s))", [TEMPLATE])  # let go with the connection
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [TEMPLATE]).fetchone():
            return
        making = TEMPLATE + "_making"
        connection.execute(f'CREATE DATABASE "{making}"')
        with admin(making) as inside:
            inside.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
            inside.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        settle(making)
        from config.settings import settings
        from migrations.manage import upgrade

        settings.cache_clear()
        upgrade()
        settings.cache_clear()
        connection.execute(f'ALTER DATABASE "{making}" RENAME TO "{TEMPLATE}"')


def clone(name: str) -> None:
    with admin() as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{TEMPLATE}"')


def drop(name: str) -> None:
    with admin() as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


grounds = Grounds(clone, drop, admin)
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
DATABASE = f"shop_test_{RUN}_{WORKER}"
settle(DATABASE)  # before any module of the shop reads the settings


def pytest_sessionstart(session: pytest.Session) -> None:
    if hasattr(session.config, "workerinput") or not session.config.getoption("numprocesses", None):
        make_template()
        clone(DATABASE)
        settle(DATABASE)


def pytest_sessionfinish(session: pytest.Session) -> None:
    from shop.db import checker_engine, edge_engine, engine

    for made in (engine, edge_engine, checker_engine):
        if made.cache_info().currsize:
            made().dispose()
    with admin() as connection:
        for (name,) in connection.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE %s", [f"shop_test_{RUN}_%"]
        ).fetchall():
            mine = name.startswith(DATABASE)
            last = not hasattr(session.config, "workerinput")
            if mine or last:
                connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture(autouse=True)
def quick_hashes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords cost what they cost in earnest only where that is what a test is about (`real_hashes`)."""
    from shop.accounts.service import passwords

    passwords.decoy.cache_clear()
    if request.node.get_closest_marker("real_hashes") is None:
        monkeypatch.setattr(passwords, "hasher", lambda: QUICK)


@pytest.fixture
def session() -> Iterator["object"]:
    """A session in a transaction that is undone; deferred rules are asked before the test ends."""
    from sqlalchemy import text
    from sqlalchemy.orm import Session

    from shop.db import engine

    with engine().connect() as connection:
        outer = connection.begin()
        with Session(connection, expire_on_commit=False, join_transaction_mode="create_savepoint") as made:
            yield made
            if outer.is_active:
                made.flush()
                made.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
        if outer.is_active:
            outer.rollback()


@pytest.fixture
def committed(request: pytest.FixtureRequest) -> Iterator[str]:
    """A database of the test's own, where commits are real; gives its name and points the settings at it."""
    from config.settings import settings
    from shop.db import checker_engine, edge_engine, engine, forget_connections

    name = grounds.take(DATABASE)
    for made in (engine, edge_engine, checker_engine):
        if made.cache_info().currsize:
            made().dispose()
    settle(name)
    settings.cache_clear()
    forget_connections()
    yield name
    for made in (engine, edge_engine, checker_engine):
        if made.cache_info().currsize:
            made().dispose()
    settle(DATABASE)
    settings.cache_clear()
    forget_connections()
    grounds.give_back(name)


sys.dont_write_bytecode = True
