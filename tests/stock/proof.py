"""Whether everything adds up, as `shop check` asks it."""

from shop.db import checker_engine
from shop.reporting.checks import run_checks


def checks_find_nothing() -> None:
    """Every check of every room, on what was committed."""
    with checker_engine().connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        assert run_checks(connection) == []
