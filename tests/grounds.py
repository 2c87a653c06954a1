"""Databases for tests that commit: one a test process, swept after each test, which costs a tenth of a fresh one.

What the migrations put in is kept aside and put back. A database whose schema a test has changed, or that somebody is
still connected to, is dropped, and the next test gets a fresh clone.
"""

from collections.abc import Callable

import psycopg

MADE = """
    SELECT md5(string_agg(word, ',' ORDER BY word)) FROM (
        SELECT 'r' || oid || relname || relrowsecurity FROM pg_class WHERE relnamespace = 'public'::regnamespace
        UNION ALL SELECT 't' || oid || tgenabled::text FROM pg_trigger
        UNION ALL SELECT 'c' || oid FROM pg_constraint
        UNION ALL SELECT 'p' || oid FROM pg_policy
        UNION ALL SELECT 'f' || oid || md5(prosrc) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        UNION ALL SELECT 'a' || attrelid || attname || attnotnull FROM pg_attribute
            WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)
    ) made(word)
"""
OTHERS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
LET = """
    CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$
"""


class Grounds:
    """The databases of this test process: at most one is free at a time."""

    def __init__(
        self, clone: Callable[[str], None], drop: Callable[[str], None], admin: Callable[[str], psycopg.Connection]
    ) -> None:
        self.clone, self.drop, self.admin = clone, drop, admin
        self.free: list[str] = []
        self.made = 0
        self.schema: str | None = None
        self.tables: list[str] = []

    def take(self, stem: str) -> str:
        """A database as the migrations leave it; gives its name."""
        if self.free:
            return self.free.pop()
        self.made += 1
        name = f"{stem}_{self.made}"
        self.clone(name)
        with self.admin(name) as connection:
            if self.schema is None:
                self.schema = fingerprint(connection)
                self.tables = in_order_of_dropping()
            connection.execute("CREATE SCHEMA kept")
            for table in filled(connection, self.tables):
                connection.execute(f"CREATE TABLE kept.{table} AS TABLE {table}")
        return name

    def give_back(self, name: str) -> None:
        """Sweep a database for the next test, or drop it."""
        with self.admin(name) as connection:
            others = connection.execute(OTHERS).fetchone()
            clean = others == (0,) and fingerprint(connection) == self.schema
            if clean:
                self.sweep(connection)
        if clean:
            self.free.append(name)
        else:
            self.drop(name)

    def sweep(self, connection: psycopg.Connection) -> None:
        """Empty what is filled, children first, and put back what the migrations had put in."""
        kept = [row[0] for row in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'kept'")]
        rule = connection.execute("SELECT pg_get_functiondef('refuse_change'::regproc)").fetchone()
        assert rule is not None
        with connection.transaction():
            connection.execute(LET)
            for table in filled(connection, self.tables):
                connection.execute(f"DELETE FROM {table}")
            for table in reversed(self.tables):
                if table in kept:
                    connection.execute(f"INSERT INTO {table} SELECT * FROM kept.{table}")
            connection.execute(rule[0])


def fingerprint(connection: psycopg.Connection) -> str:
    """What stands for the schema: another word when a test made, dropped or switched off anything in it."""
    row = connection.execute(MADE).fetchone()
    assert row is not None
    return str(row[0])


def filled(connection: psycopg.Connection, tables: list[str]) -> list[str]:
    """Those of the tables that hold a row, in the same order."""
    connection.execute("SELECT set_config('app.sees', 'all', false)")
    asked = " UNION ALL ".join(f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {table})" for table in tables)
    found = {row[0] for row in connection.execute(asked)}
    return [table for table in tables if table in found]


def in_order_of_dropping() -> list[str]:
    """All tables, those that refer to others before them."""
    from shop.models import metadata

    return [table.name for table in reversed(metadata.sorted_tables)]
