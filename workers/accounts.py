"""What people are sent about their account. The link or code is made at the moment of sending and kept nowhere."""

import smtplib
from collections.abc import Callable
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from shop.accounts.models_people import Channel
from shop.accounts.service import messages
from shop.accounts.service.messages import Message
from shop.clock import machine_now
from shop.notices import service as notices
from shop.notices import sms
from shop.outbox import service as outbox

log = structlog.get_logger()


class NotSent(Exception):
    """The message was not taken; says how, and never to whom."""


def send_invitation(taken: outbox.Claim, *, invitation_id: UUID, **_newer: Any) -> None:
    """Send the link of an invitation that is still open."""
    send(taken, lambda session: messages.of_invitation(session, invitation_id))


send_invitation.calls_out = True  # type: ignore[attr-defined]


def send_confirmation(taken: outbox.Claim, *, confirmation_id: UUID, **_newer: Any) -> None:
    """Send the code or link of a confirmation that is still open."""
    send(taken, lambda session: messages.of_confirmation(session, confirmation_id))


send_confirmation.calls_out = True  # type: ignore[attr-defined]


def send(taken: outbox.Claim, make: Callable[[Session], Message | None]) -> None:
    """Make the message under the claim, send it outside of any transaction, and mark the delivery done."""
    with outbox.working(taken) as session:
        message, at = make(session), machine_now(session)
        outbox.renew(session, taken)
    message_id = taken.event_id.hex
    try:
        if message is not None and message.channel is Channel.TEXT:
            sms.send_text(to=message.to, text=message.body, message_id=message_id, at=at)
        elif message is not None:
            notices.send_mail(to=message.to, subject=message.subject, body=message.body, message_id=message_id, at=at)
    except smtplib.SMTPRecipientsRefused as error:  # its words name the recipient, and errors are kept with deliveries
        codes = [code for code, _ in error.recipients.values()]
        if min(codes) < 500:  # for now: the delivery comes again
            raise NotSent(f"the mail server put it off: {codes}") from None
        log.warning("mail_refused", codes=codes)
    with outbox.working(taken) as session:
        outbox.finish(session, taken)
