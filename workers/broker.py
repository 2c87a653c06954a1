"""The broker as Celery is to use it. The queue of record is PostgreSQL; a message is only the ring of a bell and may be
lost.

Settings follow what was measured: late acknowledgement with rejection on a lost worker, one message at a time, a
visibility timeout above the hard time limit, and a restore sweep every second instead of every hundred.
"""

from typing import Any

from celery import Celery
from kombu.transport import redis

from config.settings import settings

WORK, SWEEPS, CALLS = "work", "sweeps", "calls"
"""The queues: what changes rows only and takes moments; the same by the clock; what waits for others, or is long.

Workers of their own serve `calls`, so that a mail server that never answers holds up mails and no orders.
"""
TIME_LIMIT = 600
PATIENCE = 1  # seconds that a publisher waits for the broker


def route(name: str, *call: Any, **_: Any) -> dict[str, str]:
    """The queue of a task: the one that its sender names, because only the sender knows what the work is like."""
    _args, _kwargs, options = call
    return {"queue": options.get("queue") or (SWEEPS if name == "workers.sweep" else WORK)}


def say_what_is_lost(channel: type[redis.Channel]) -> None:
    """Have a channel say that its connection is lost when it is asked for something after that was closed.

    A task that ends while its worker connects anew is acknowledged on the channel of before. kombu looks up the address
    of a connection that is None by then, and the AttributeError ends the worker instead of being passed over.
    """
    addressed = channel._connparams

    def connparams(self: redis.Channel, asynchronous: bool = False) -> Any:
        if self.connection is None or self.connection.client is None:
            raise ConnectionError("The connection of this channel is closed.")
        return addressed(self, asynchronous=asynchronous)  # type: ignore[no-untyped-call]

    channel._connparams = connparams  # type: ignore[method-assign]


say_what_is_lost(redis.Channel)


def application(name: str, *modules: str, only_publishes: bool = False) -> Celery:
    """A Celery application of this shop, with the tasks of these modules.

    One that only publishes gives a silent broker up after a second, because it has other things to do meanwhile: the
    relay numbers events. A worker has nothing to do without its broker and waits for it.
    """
    celery = Celery(name, broker=settings().broker_url, include=modules)
    is_redis = settings().broker_url.startswith("redis")
    transport: dict[str, Any] = {"confirm_publish": True}
    if is_redis:
        transport = {
            "visibility_timeout": TIME_LIMIT + 300,
            "unacked_restore_interval": 1,
            "unacked_restore_throttle": 1,
            "socket_timeout": 30,
            "socket_connect_timeout": 2,
            "socket_keepalive": not settings().broker_url.startswith("redis+socket"),
            "health_check_interval": 25,
        }
    if only_publishes:
        transport |= {"max_retries": 0}  # kombu's own, with pauses of seconds: what was not rung is rung again anyway
        transport |= (
            {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE}
            if is_redis
            else {"read_timeout": PATIENCE, "write_timeout": PATIENCE}
        )
        celery.conf.broker_connection_timeout = PATIENCE
    celery.conf.update(
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        task_ignore_result=True,
        result_backend=None,
        task_serializer="json",
        accept_content=["json"],
        task_time_limit=TIME_LIMIT,
        task_soft_time_limit=TIME_LIMIT - 60,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        worker_cancel_long_running_tasks_on_connection_loss=True,
        worker_soft_shutdown_timeout=30,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        broker_transport_options=transport,
        task_default_queue=WORK,
        task_default_queue_type="classic" if is_redis else "quorum",
        task_routes=(route,),
        task_publish_retry=False,
        enable_utc=True,
        timezone="UTC",
    )
    return celery
