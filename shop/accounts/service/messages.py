"""What people are sent about their account: the words, made with the link or code at the moment of sending."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from config.settings import settings
from shop.accounts import secrets
from shop.accounts.models import Organisation, User
from shop.accounts.models_people import Channel, Confirmation, Invitation, Purpose
from shop.accounts.service.confirming import code_of

INVITATION_LINK, RESET_LINK, CONTACT_LINK = "invitation", "reset", "contact"


@dataclass(frozen=True)
class Message:
    """A mail or a text message; `subject` is for mails."""

    channel: Channel
    to: str
    subject: str
    body: str


def link(page: str, purpose: str, row_id: UUID) -> str:
    """The address of a page with the token behind the `#`, which no browser sends and no server writes to a log."""
    return f"{settings().public_url}/{page}#{secrets.link_token(purpose, row_id)}"


def by_program(path: str, address: str) -> str:
    """Which call takes the token of a link, for who comes without a page."""
    token = address.partition("#")[2]
    return f"接口调用 By the API: POST {settings().public_url}{path}, token = {token}\n"


def of_invitation(session: Session, invitation_id: UUID) -> Message | None:
    """What to send about an invitation; None when it is not open any more."""
    row = session.execute(
        select(Invitation.channel, User.email, User.phone, Organisation.name, Organisation.name_en)
        .join(User, User.id == Invitation.user_id)
        .join(Organisation, Organisation.id == Invitation.organisation_id)
        .where(
            Invitation.id == invitation_id,
            Invitation.accepted_at.is_(None),
            Invitation.withdrawn_at.is_(None),
            Invitation.expires_at > func.clock_timestamp(),
        )
    ).first()
    if row is None:
        return None
    channel = Channel(row.channel)
    to = row.phone if channel is Channel.TEXT else row.email
    if to is None:
        return None
    address = link("invitation", INVITATION_LINK, invitation_id)
    zh = f"{row.name}邀请您加入消费协作购销平台，链接7日内有效，如与您无关请忽略：{address}"
    en = (
        f"{row.name_en} invites you to the produce exchange. If this is nothing to you, ignore it."
        f" The link works for 7 days: {address}"
    )
    if channel is Channel.TEXT:
        return Message(channel, to, "", zh)
    subject = "邀请您加入消费协作购销平台 Invitation to the produce exchange"
    return Message(channel, to, subject, f"{zh}\n\n{en}\n\n{by_program('/v1/auth/invitations/accept', address)}")


def of_confirmation(session: Session, confirmation_id: UUID) -> Message | None:
    """What to send about a confirmation; None when nobody is to have it, or it is over."""
    row = session.execute(
        select(Confirmation, User.email, User.phone, User.pending_contact)
        .join(User, User.id == Confirmation.user_id)
        .where(
            Confirmation.id == confirmation_id,
            Confirmation.used_at.is_(None),
            Confirmation.expires_at > func.clock_timestamp(),
        )
    ).first()
    if row is None:
        return None
    asked: Confirmation = row[0]
    channel, is_reset = Channel(asked.channel), asked.purpose == Purpose.RESET
    to = row.pending_contact if not is_reset else row.phone if channel is Channel.TEXT else row.email
    if to is None:
        return None
    zh, en = ("重设密码", "a new password") if is_reset else ("确认联系方式", "your new contact")
    if channel is Channel.TEXT:
        return Message(channel, to, "", f"验证码{code_of(asked)}，用于{zh}，10分钟内有效，请勿告知他人。")
    address = link(*(("reset", RESET_LINK) if is_reset else ("contact", CONTACT_LINK)), confirmation_id)
    body = (
        f"请用此链接{zh}，10分钟内有效；如非本人操作请忽略：{address}\n\n"
        f"This link is for {en} and works for 10 minutes. If you did not ask for it, ignore it: {address}\n"
    )
    call = "/v1/auth/reset/confirm" if is_reset else "/v1/me/contact/confirm"
    return Message(channel, to, f"{zh} Link for {en}", f"{body}\n{by_program(call, address)}")
