"""Structured logs: one JSON object a line, with the request id that follows a request into its tasks."""

import logging
import sys
import time
from datetime import UTC, datetime

import structlog

from config.settings import settings


def set_up_logs() -> None:
    """Send every log line of this process to standard error as JSON."""
    level = logging.getLevelNamesMapping().get(settings().log_level.upper(), logging.INFO)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(stream=sys.stderr, level=level, format="%(asctime)s %(name)s %(levelname)s %(message)s")


_second = (0, "")


def note_request(operation: str, status: int, milliseconds: float, request_id: str) -> None:
    """One line of the access log: what was asked of which route and how it went, nothing of who asked or for what.

    Written by hand, in the form of the other lines: it is the one line that every request pays for. An operation is
    `METHOD /route`; neither it nor a request id needs escaping.
    """
    global _second
    now = time.time()
    whole = int(now)
    second, began = _second
    if whole != second:
        began = f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}"
        _second = (whole, began)
    at = f"{began}.{now % 1 * 1000:03.0f}Z"
    method, _, route = operation.rpartition(" ")
    sys.stderr.write(
        f'{{"method":"{method}","route":"{route}","status":{status},"ms":{milliseconds:.1f},'
        f'"request_id":"{request_id}","event":"request","level":"info","timestamp":"{at}"}}\n'
    )
