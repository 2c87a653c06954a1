"""What names the state of the database: two statements of equal stamps, on one day, see the same rows."""

import threading
from typing import Any

import psycopg
import structlog
from psycopg import pq
from sqlalchemy.engine import make_url

from config.settings import settings
from shop.clock import TODAY
from shop.db import EDGE_OPTIONS

log = structlog.get_logger()

STAMP = f"""
    CASE WHEN pg_current_xact_id_if_assigned() IS NULL
    THEN pg_postmaster_start_time()::text || ' ' || pg_current_snapshot()::text || ' ' || {TODAY}::text END
"""
"""Equal snapshots, on one business day, of one run of the server. Null inside a transaction that has written, where
equal snapshots may see different rows."""


class StampNow:
    """The stamp of this moment, on one connection of its own a process, made at first use.

    One statement that is prepared on the wire, with nothing begun before it and nothing committed after it: a third of
    what it costs through the layers of Session and Cursor. None when the database does not answer; whoever asked then
    goes the long way, which says what is wrong.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None

    def __call__(self) -> str | None:
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = connect()
                result = self._connection.pgconn.exec_prepared(b"stamp", None)
                if result.status == pq.ExecStatus.TUPLES_OK:
                    value = result.get_value(0, 0)
                    return None if value is None else value.decode()
            except psycopg.Error as error:
                log.warning("stamp_not_read", error=str(error))
            self._leave()
            return None

    def _leave(self) -> None:
        """Without this connection; another is made at the next question."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        with self._lock:
            self._leave()


def connect() -> psycopg.Connection[Any]:
    address = make_url(settings().database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    connection = psycopg.connect(address, autocommit=True, options=EDGE_OPTIONS, connect_timeout=2)
    connection.pgconn.prepare(b"stamp", f"SELECT {STAMP}".encode())
    return connection
