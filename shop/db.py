"""The database: the base of all models, the session and the unit of work that every edge opens."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Any, TypeVar, cast
from uuid import UUID

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CursorResult,
    Engine,
    MetaData,
    Text,
    TextClause,
    create_engine,
    func,
    literal,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column
from sqlalchemy.sql.dml import UpdateBase

from config.settings import settings
from shop.errors import Busy, Refusal
from shop.ids import new_id

Result = TypeVar("Result")

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Model(DeclarativeBase):
    """The base of every table: whole numbers are bigint, instants carry their zone, text has no length."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {  # noqa: RUF012 - the name SQLAlchemy reads
        int: BigInteger,
        str: Text,
        datetime: TIMESTAMP(timezone=True),
        dict[str, Any]: JSONB,
        list[Any]: JSONB,
    }


def id_column() -> Any:
    """The primary key of most tables: a UUIDv7 made before the row is sent."""
    return mapped_column(primary_key=True, default=new_id)


SEES_ALL, SEES_NOTHING = "-c app.sees=all", "-c app.sees="
"""Whose rows a connection sees at first, where row level security asks (migration 0010)."""

LIMITS = "-c TimeZone=UTC -c statement_timeout=10000 -c lock_timeout=3000 -c idle_in_transaction_session_timeout=10000"
SESSION_OPTIONS = f"{LIMITS} {SEES_ALL}"
EDGE_OPTIONS = f"{LIMITS} {SEES_NOTHING}"
LONG_OPTIONS = f"-c TimeZone=UTC -c statement_timeout=600000 -c lock_timeout=3000 {SEES_ALL}"


def make_engine(url: str, *, pool_size: int, options: str = SESSION_OPTIONS) -> Engine:
    """An engine with the limits that keep one slow statement from holding up a shop."""
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_pre_ping=False,
        pool_recycle=1800,
        pool_timeout=5,
        connect_args={"options": options, "prepare_threshold": 2},
        json_deserializer=msgspec.json.decode,
    )


@cache
def engine() -> Engine:
    """The engine of workers and the command line, which work for everybody; made at first use, after any fork."""
    return make_engine(settings().database_url, pool_size=settings().web_threads + 2)


@cache
def edge_engine() -> Engine:
    """The engine of requests: it sees no organisation's rows until the request's credential says whose they are."""
    return make_engine(settings().database_url, pool_size=settings().web_threads + 2, options=EDGE_OPTIONS)


SEE = text("SELECT set_config('app.sees', :word, true)")


def sees(session: Session, organisation: UUID | None) -> None:
    """For the rest of this transaction, see the rows of one organisation, or of everybody (None).

    For a request `find_actor` does it, in the database and in the same round trip that finds who asks.
    """
    session.execute(SEE, {"word": "all" if organisation is None else str(organisation)})


SEE_ALL = text("SELECT current_setting('app.sees', true), set_config('app.sees', 'all', true)")


@contextmanager
def seeing_all(session: Session) -> Iterator[None]:
    """See everybody's rows inside the block; whoever needs it says why where it does.

    For instance to keep the books of both sides of a trade, or to find who it is that logs in.
    """
    if not session.info.get("at_edge"):
        yield
        return
    before = session.execute(SEE_ALL).first()
    assert before is not None
    try:
        yield
    except DBAPIError:  # the transaction is lost, and with it whatever it saw
        raise
    except BaseException:
        session.execute(SEE, {"word": before[0]})
        raise
    session.execute(SEE, {"word": before[0]})


@cache
def checker_engine() -> Engine:
    """The engine of checks and long reports: a role that reads every table and writes none."""
    return make_engine(settings().database_checker_url, pool_size=2, options=LONG_OPTIONS)


def forget_connections() -> None:
    """Leave the parent's connections alone after a fork: each process opens its own."""
    for made in (engine, edge_engine, checker_engine):
        if made.cache_info().currsize:
            made().dispose(close=False)
        made.cache_clear()


@contextmanager
def unit_of_work(*, at_edge: bool = False) -> Iterator[Session]:
    """One transaction: committed when the block ends well, undone when it raises."""
    bind, info = (edge_engine(), {"at_edge": True}) if at_edge else (engine(), {})
    with Session(bind, expire_on_commit=False, info=info) as session, session.begin():
        yield session


LOCK_NOT_AVAILABLE = "55P03"  # after lock_timeout
AGAIN = {"40001", "40P01"}  # serialization failure, deadlock: PostgreSQL asks for the whole transaction again
AWAY = {"57P01", "57P02", "57P03", "08000", "08003", "08006", "53300", "57014", "25P03", "53100", "53200"}
AWAY |= {LOCK_NOT_AVAILABLE}


def sqlstate(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


def in_unit_of_work(use_case: Callable[[Session], Result], *, attempts: int = 3, at_edge: bool = False) -> Result:
    """Run a use case in one transaction; once more, up to three times, when PostgreSQL asks for it.

    `at_edge` is a request's: it sees no organisation's rows until `find_actor` has said whose.
    A database that is away, full or too slow is `Busy` (503), never a 500 and never half a change.
    """
    for attempt in range(1, attempts + 1):
        try:
            with unit_of_work(at_edge=at_edge) as session:
                return use_case(session)
        except PoolTimeout as error:
            raise Busy("Every connection to the database is in use.") from error
        except DBAPIError as error:
            if sqlstate(error) in AGAIN and attempt < attempts:
                continue
            if isinstance(error, OperationalError) or error.connection_invalidated or sqlstate(error) in AWAY | AGAIN:
                (edge_engine() if at_edge else engine()).dispose() if error.connection_invalidated else None
                raise Busy("The database is not answering.") from error
            raise
    raise AssertionError("unreachable")


def among(column: Any, values: Iterable[Any]) -> ColumnElement[bool]:
    """Whether a column is one of these, as one parameter.

    With an IN of thousands the statement's text is made and read anew each time, which takes longer than the rows do.
    """
    return cast("ColumnElement[bool]", column == func.any(literal(list(values), ARRAY(column.type))))


def changed(session: Session, statement: UpdateBase) -> int:
    """How many rows a conditional change found; what the session has loaded of them is not told."""
    done = session.execute(statement, execution_options={"synchronize_session": False})
    assert isinstance(done, CursorResult)
    return done.rowcount


def moved(session: Session, row: Any, to: str, moves: Mapping[Any, Collection[Any]], **values: Any) -> bool:
    """Give a row the status `to`, with other values, where the table of moves lets it; whether it did.

    One conditional update, so that of two at once one moves it; the row is as it stands then.
    """
    model = type(row)
    fitting = [was for was, following in moves.items() if to in following]
    done = changed(
        session,
        update(model).where(model.id == row.id, model.status.in_(fitting)).values(status=to, **values),
    )
    session.refresh(row)
    return bool(done)


UNIQUE_VIOLATION, EXCLUSION_VIOLATION = "23505", "23P01"


@contextmanager
def unless_taken(session: Session, refusal: Refusal) -> Iterator[None]:
    """Refuse so, with nothing of the block done, when another row has what must be there once."""
    try:
        with session.begin_nested():
            yield
            session.flush()
    except IntegrityError as error:
        if sqlstate(error) not in (UNIQUE_VIOLATION, EXCLUSION_VIOLATION):
            raise
        raise refusal from error


Rows = Sequence[Mapping[str, Any]]


@cache
def insert_statement(shape: tuple[tuple[type[Model], tuple[str, ...]], ...]) -> TextClause:
    parts = []
    for place, (model, names) in enumerate(shape):
        table = model.__tablename__
        columns = ", ".join(f'"{name}"' for name in names)
        parts.append(
            f"w{place} AS (INSERT INTO {table} ({columns})"  # noqa: S608 - names of our own models and columns
            f" SELECT {columns} FROM jsonb_populate_recordset(NULL::{table}, CAST(:p{place} AS jsonb)))"
        )
    return text(f"WITH {', '.join(parts)} SELECT 1")


def insert_rows(session: Session, *sets: tuple[type[Model], Rows]) -> None:
    """Insert rows of several tables in one statement and one round trip; rows are by column name.

    Every row of a set names the same columns; what is not named takes the database's default. Foreign keys between the
    sets are judged when all are in. About a tenth of the cost of a statement for each table.
    """
    filled = [(model, rows) for model, rows in sets if rows]
    if not filled:
        return
    shape = tuple((model, tuple(rows[0])) for model, rows in filled)
    values = {f"p{place}": msgspec.json.encode(rows).decode() for place, (_, rows) in enumerate(filled)}
    session.execute(insert_statement(shape), values)
