"""Alembic's entry: migrate as the owner's role, one transaction a migration, never waiting long on a lock."""

from alembic import context
from sqlalchemy import create_engine, text

from config.settings import settings
from shop.models import metadata


def run() -> None:
    given = context.config.attributes.get("connection")
    if given is not None:
        context.configure(connection=given, target_metadata=metadata, compare_type=True)
        with context.begin_transaction():
            context.run_migrations()
        return
    engine = create_engine(settings().database_owner_url)
    with engine.connect() as connection:
        connection.execute(text("SET lock_timeout = '1s'"))
        connection.commit()
        context.configure(
            connection=connection, target_metadata=metadata, compare_type=True, transaction_per_migration=True
        )
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run()
