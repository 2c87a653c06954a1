"""A migrated database for the length of a `with` block, on the server of the settings or on an engine of its own."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy.engine import make_url

from config.database import driver_url
from config.engine import temporary_engine
from config.settings import settings


@contextmanager
def scratch_database() -> Iterator[str]:
    """The address (owner's role) of a freshly migrated database."""
    if "SHOP_DATABASE_URL" in os.environ:
        with made_on(settings().database_owner_url) as url:
            yield url
        return
    with temporary_engine() as (engine, _):
        os.environ.update(engine.environment())
        settings.cache_clear()
        with made_on(settings().database_owner_url) as url:
            yield url


@contextmanager
def made_on(server: str) -> Iterator[str]:
    from migrations.manage import upgrade

    name = f"shop_scratch_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(driver_url(server), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        before = os.environ.get("SHOP_DATABASE_OWNER_URL", "")
        url = make_url(server).set(database=name).render_as_string(hide_password=False)
        os.environ["SHOP_DATABASE_OWNER_URL"] = url
        settings.cache_clear()
        try:
            upgrade()
            yield url
        finally:
            os.environ["SHOP_DATABASE_OWNER_URL"] = before
            settings.cache_clear()
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
