"""Assisted entry: a cooperative lends its listing and shipping to a helper of the county, and takes it back."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from shop.accounts import queries_admission
from shop.accounts import queries_mandates as queries
from shop.accounts.models import SELLERS, Organisation
from shop.accounts.models_mandates import AssistMandate
from shop.accounts.schemas_mandates import NewAssistMandate
from shop.accounts.service.agent_mandating import check_days
from shop.accounts.service.reviewing import OwnRecommendation
from shop.accounts.service.sessions import new_session
from shop.actor import Actor
from shop.audit import service as audit
from shop.clock import business_day
from shop.db import seeing_all
from shop.errors import Forbidden, Invalid, NotFound, Refusal
from shop.files import service as files
from shop.outbox import service as outbox

HELPED = ("active", "applying", "suspended")
"""A suspended seller takes no new orders; those under way are shipped, with the help that was given."""


class MembersCanLogIn(Refusal):
    code, status = "members_can_log_in", 409
    title, title_zh = (
        "The cooperative gives this mandate itself: it can log in.",
        "该单位有可登录成员，应由其自行委托。",
    )


class AssistMandateEnded(Refusal):
    """The mandate is not in force today: not yet, no more, revoked, or its cooperative is not there to be helped."""

    code, status = "assist_mandate_ended", 409
    title, title_zh = "This mandate is not in force today.", "该协助委托当前无效。"


def give(session: Session, *, by: Actor, wanted: NewAssistMandate, now: datetime) -> AssistMandate:
    """A mandate that the actor's cooperative gives."""
    return made(session, by=by, cooperative_id=by.organisation_id, wanted=wanted, reason=None, now=now)


def give_for(
    session: Session, *, by: Actor, cooperative_id: UUID, wanted: NewAssistMandate, reason: str, now: datetime
) -> AssistMandate:
    """A mandate that the county gives for a cooperative of its own where nobody can log in, with the reason."""
    found = session.scalar(
        select(Organisation.id).where(
            Organisation.id == cooperative_id, Organisation.kind.in_(SELLERS), queries_admission.of_regions(by)
        )
    )
    if found is None:
        raise NotFound("No such cooperative in your counties.", pointer="/cooperative_id")
    if queries.can_log_in(session, cooperative_id):
        raise MembersCanLogIn(pointer="/cooperative_id")
    if wanted.helper_id == by.user_id:
        raise Invalid("Another person helps than the one who gives the mandate.", pointer="/helper_id")
    return made(session, by=by, cooperative_id=cooperative_id, wanted=wanted, reason=reason, now=now)


def made(
    session: Session, *, by: Actor, cooperative_id: UUID, wanted: NewAssistMandate, reason: str | None, now: datetime
) -> AssistMandate:
    check_days(wanted.valid_from, wanted.valid_to, business_day(now))
    with seeing_all(session):  # a helper belongs to an office of the county, whose members a cooperative does not see
        known = queries.is_helper(session, wanted.helper_id, wanted.helper_organisation_id)
    if not known:
        raise NotFound("No such helper.", pointer="/helper_id")
    if queries_admission.has_decided(session, wanted.helper_id, cooperative_id):
        raise OwnRecommendation("Who recommended this cooperative does not enter for it.", pointer="/helper_id")
    files.keep(session, organisation_id=by.organisation_id, file_ids={wanted.file_id})
    mandate = AssistMandate(
        helper_user_id=wanted.helper_id,
        helper_organisation_id=wanted.helper_organisation_id,
        cooperative_id=cooperative_id,
        valid=Range(wanted.valid_from, wanted.valid_to),
        file_id=wanted.file_id,
        given_by_user_id=by.user_id,
        given_by_organisation_id=by.organisation_id,
        reason=reason,
        created_at=now,
    )
    session.add(mandate)
    session.flush()
    record(session, mandate, "given", by, now, reason)
    return mandate


def revoke(session: Session, *, by: Actor, mandate_id: UUID, now: datetime) -> AssistMandate:
    """End a mandate, from the very next request on; again changes nothing."""
    mandate = queries.assist_mandate(session, by, mandate_id)
    end(session, mandate, by=by, now=now)
    return mandate


def end(session: Session, mandate: AssistMandate, *, by: Actor, now: datetime) -> None:
    """End a mandate that the actor may end; again changes nothing."""
    done = session.execute(
        update(AssistMandate)
        .where(AssistMandate.id == mandate.id, AssistMandate.revoked_at.is_(None))
        .values(revoked_at=now, revoked_by_user_id=by.user_id)
        .returning(AssistMandate.id)
        .execution_options(synchronize_session="fetch")
    ).first()
    if done is not None:
        record(session, mandate, "revoked", by, now, None)


def begin(session: Session, *, by: Actor, mandate_id: UUID, now: datetime) -> tuple[str, datetime]:
    """A token by which the helper acts for the cooperative, and when it ends; the mandate is asked at each request."""
    if by.scopes is not None:  # what it gives is a person's session, which no scopes bind
        raise Forbidden("A machine's token does not enter for a cooperative.")
    mandate = session.scalars(
        select(AssistMandate).where(
            AssistMandate.id == mandate_id,
            AssistMandate.helper_user_id == by.user_id,
            AssistMandate.helper_organisation_id == by.organisation_id,
        )
    ).first()
    if mandate is None:
        raise NotFound("No such mandate of yours.", pointer="/mandate_id")
    status = session.scalar(select(Organisation.status).where(Organisation.id == mandate.cooperative_id))
    if mandate.revoked_at is not None or business_day(now) not in mandate.valid or status not in HELPED:
        raise AssistMandateEnded
    record(session, mandate, "used", by, now, None)
    return new_session(session, membership_id=by.membership_id, assist_mandate_id=mandate.id)


def record(session: Session, mandate: AssistMandate, what: str, by: Actor, now: datetime, reason: str | None) -> None:
    audit.record(
        session, by=by, action=f"assist_mandate.{what}", kind="assist_mandate", subject=mandate.id, now=now,
        reason=reason,
    )  # fmt: skip
    outbox.announce(session, f"assist_mandate.{what}", now=now, seen_by=[mandate.cooperative_id], mandate_id=mandate.id)
