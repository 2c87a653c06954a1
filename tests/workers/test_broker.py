"""What Celery is told of a broker that went away."""

from types import SimpleNamespace

import pytest
from kombu import Connection
from kombu.message import Message
from kombu.transport import redis

import workers.broker  # noqa: F401 - which has channels say what is lost


@pytest.mark.parametrize("connection", [None, SimpleNamespace(client=None)])
def test_a_task_that_ends_after_its_connection_was_closed_is_left_to_be_delivered_again(connection: object) -> None:
    """Not an error that ends the worker: acknowledging passes over what Celery knows as the loss of a connection."""
    with pytest.MonkeyPatch.context() as patched:
        channel = redis.Channel.__new__(redis.Channel)
        channel.connection = connection
        patched.setattr(redis.Channel, "_pool", None, raising=False)
        patched.setattr(redis.Channel, "__del__", lambda self: None, raising=False)
        channel.no_ack_consumers = set()
        channel._qos = redis.QoS(channel)
        message = Message(body="{}", delivery_tag="t1", channel=channel)
        said: list[object] = []
        logger = SimpleNamespace(critical=lambda *told, **_: said.append(told))
        lost = Connection("redis://127.0.0.1:1/0").transport.connection_errors
        message.ack_log_error(logger, errors=lost)
    assert len(said) == 1
    assert not message.acknowledged
