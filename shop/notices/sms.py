"""Text messages: posted to the gateway of the settings; without one, files in the embedded start and in tests."""

import base64
import hashlib
import hmac
import json
import re
from datetime import datetime

import structlog

from config.settings import settings
from shop.errors import Invalid
from shop.http import outgoing

log = structlog.get_logger()


class NoTextMessages(Invalid):
    """Production has no gateway: what would be sent can never arrive, so it is not asked for; an e-mail does."""

    code, status = "no_text_messages", 422
    title, title_zh = "No text messages are sent here; give an e-mail.", "本平台未开通短信，请改用邮箱。"


def are_sent() -> bool:
    """Whether a text message arrives anywhere."""
    return bool(settings().sms_url) or not settings().production


def require(pointer: str) -> None:
    """NoTextMessages, naming the field of the phone, where none is sent."""
    if not are_sent():
        raise NoTextMessages(pointer=pointer)


class TextNotTaken(Exception):
    """The gateway answered, but did not take the message."""


def send_text(*, to: str, text: str, message_id: str, at: datetime) -> None:
    """Send one text message, `message_id` naming it so that one sent twice is one to the gateway, and one file here.

    The gateway gets `{id, to, text}` as JSON, signed as Standard Webhooks signs. In production without a gateway
    nothing is asked for any more (`require`); what was before is not sent, which the log says.
    """
    if settings().sms_url:
        post(to=to, text=text, message_id=message_id, at=at)
        return
    if not are_sent():
        log.warning("text_not_sent", message=message_id)
        return
    folder = settings().var / "mail"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / (re.sub(r"[^\w.-]", "_", message_id) + ".txt")).write_text(f"{to}\n{text}\n", encoding="utf-8")


def post(*, to: str, text: str, message_id: str, at: datetime) -> None:
    """Hand a message to the gateway; TextNotTaken or an OutgoingError, so that it is tried again."""
    body = json.dumps({"id": message_id, "to": to, "text": text}, ensure_ascii=False).encode()
    answer = outgoing.post(
        settings().sms_url, body, headers_of(message_id, at, body), allow_private=not settings().production
    )
    if not 200 <= answer.status < 300:
        raise TextNotTaken(f"the gateway answered {answer.status}")


def headers_of(message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The signature covers the id, the second of sending and the body."""
    seconds = str(int(at.timestamp()))
    signed = b".".join((message_id.encode(), seconds.encode(), body))
    signature = hmac.new(settings().sms_secret.encode(), signed, hashlib.sha256).digest()
    return {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": seconds,
        "webhook-signature": "v1," + base64.b64encode(signature).decode(),
    }
