"""Run migrations without an ini file: `upgrade`, `drift` (models against migrations) and `heads`."""

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from shop.models import metadata

HERE = Path(__file__).parent


def configuration() -> Config:
    config = Config()
    config.set_main_option("script_location", str(HERE))
    config.set_main_option("path_separator", "os")
    return config


def upgrade() -> None:
    """Bring the database of the settings to the newest schema."""
    command.upgrade(configuration(), "head")


def heads() -> list[str]:
    return list(ScriptDirectory.from_config(configuration()).get_heads())


def drift(url: str) -> list[str]:
    """What the models say and the migrated database at `url` does not, one line each."""
    engine = create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = [str(difference) for difference in compare_metadata(context, metadata)]
    engine.dispose()
    return found
