"""Members of an organisation and those it invites."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from shop.accounts import queries_people
from shop.accounts.models_units import OrganisationNotActive
from shop.accounts.schemas_people import (
    ChangeMember,
    CodeInPersonOut,
    InvitationOut,
    InvitationPage,
    Invite,
    MemberOut,
    MemberPage,
    ReachQuery,
    ReasonIn,
    ResetInPerson,
    invitation_out,
    member_out,
)
from shop.accounts.service import confirming, inviting, managing_members, resetting
from shop.actor import Actor, Audience, Role
from shop.errors import NotFound
from shop.http import cursors
from shop.http.routes import NO_KEY, PageQuery, Routes, roles
from shop.ids import InvitationId, MembershipId, OrganisationId
from shop.notices.sms import NoTextMessages

managing = Routes("/v1/me/organisation", tag="Members", people_only=True)
helping = Routes("/v1/admin", tag="Members", people_only=True)
manager = roles(Role.MANAGER, Role.OPERATOR)
operator = roles(Role.OPERATOR, of=Audience.ADMIN)
reviewer = roles(Role.OPERATOR, Role.COUNTY_REVIEWER, of=Audience.ADMIN)
INVITE_REFUSALS = (
    NotFound, OrganisationNotActive, inviting.AlreadyMember, inviting.InvitationOpen, inviting.TooManyInvitations,
    NoTextMessages,
)  # fmt: skip


def member_page(session: Session, actor: Actor, query: PageQuery, organisation_id: UUID | None = None) -> MemberPage:
    question = f"members {(organisation_id or actor.organisation_id).hex}"
    after = cursors.decode_id(question, query.cursor) if query.cursor else None
    found = queries_people.members(session, actor, after=after, limit=query.limit + 1, organisation_id=organisation_id)
    page, following = cursors.cut(question, found, query.limit, lambda row: row[0].id)
    return MemberPage(items=[member_out(*row, to=actor) for row in page], next=following)


def invited(session: Session, actor: Actor, now: datetime, body: Invite, organisation_id: UUID) -> InvitationOut:
    wanted = inviting.Wanted(body.phone, body.email, body.roles, body.order_limit_fen, body.regions)
    made = inviting.invite(session, organisation_id=organisation_id, by=actor, wanted=wanted, now=now)
    (row,) = queries_people.invitations(session, organisation_id, before=None, limit=1, only=made.id)
    return invitation_out(*row)


@managing.get("/members", allow=manager, answers={200: MemberPage})
def list_members(session: Session, actor: Actor, query: PageQuery) -> MemberPage:
    """Who may act for the caller's organisation, and how."""
    return member_page(session, actor, query)


@managing.patch(
    "/members/<membership_id>",
    allow=manager,
    answers={200: MemberOut},
    refusals=(NotFound, managing_members.LastManager, managing_members.OwnPowers),
    key=NO_KEY,
)
def change_member(
    session: Session, actor: Actor, now: datetime, membership_id: MembershipId, body: ChangeMember
) -> MemberOut:
    """Change a member's roles, order limit or regions, in force at the member's next request.

    The last manager stays one, and nobody raises the own roles or limit.
    """
    managing_members.change(
        session,
        membership_id=membership_id,
        organisation_id=actor.organisation_id,
        roles=body.roles,
        order_limit_fen=body.order_limit_fen,
        regions=body.regions,
        fields=body.model_fields_set,
        by=actor,
        now=now,
    )
    row = queries_people.member(session, actor.organisation_id, membership_id)
    if row is None:
        raise NotFound
    return member_out(*row, to=actor)


@managing.post(
    "/members/<membership_id>/end",
    allow=manager,
    answers={204: None},
    refusals=(NotFound, managing_members.LastManager),
)
def end_membership(session: Session, actor: Actor, now: datetime, membership_id: MembershipId, body: ReasonIn) -> None:
    """End a membership: its sessions and tokens hold no more from the next request on."""
    managing_members.end(
        session,
        membership_id=membership_id,
        organisation_id=actor.organisation_id,
        reason=body.reason,
        by=actor,
        now=now,
    )


@managing.post(
    "/members/<membership_id>/reset",
    allow=manager,
    answers={201: CodeInPersonOut},
    refusals=(NotFound, resetting.MemberElsewhere),
    key=NO_KEY,
)
def reset_member_in_person(
    session: Session, actor: Actor, now: datetime, membership_id: MembershipId, body: ResetInPerson
) -> CodeInPersonOut:
    """A one-time code for a member whom neither phone nor e-mail reaches, to set a new password with within an hour."""
    return code_in_person(session, actor, now, membership_id, body)


def code_in_person(
    session: Session, actor: Actor, now: datetime, membership_id: UUID, body: ResetInPerson
) -> CodeInPersonOut:
    made = resetting.ask_in_person(
        session,
        membership_id=membership_id,
        reason=body.reason,
        drops_two_step=body.drops_two_step,
        by=actor,
        now=now,
    )
    return CodeInPersonOut(code=confirming.code_of(made), expires_at=made.expires_at.isoformat())


@managing.post("/invitations", allow=manager, answers={201: InvitationOut}, refusals=INVITE_REFUSALS, key=NO_KEY)
def invite_member(session: Session, actor: Actor, now: datetime, body: Invite) -> InvitationOut:
    """Invite somebody by phone or e-mail to act for the caller's organisation; the link works once, for 7 days."""
    return invited(session, actor, now, body, actor.organisation_id)


@managing.get("/invitations", allow=manager, answers={200: InvitationPage})
def list_invitations(session: Session, actor: Actor, query: PageQuery) -> InvitationPage:
    """The organisation's invitations, newest first; those that ended are listed for a few days more."""
    question = f"invitations {actor.organisation_id.hex}"
    before = cursors.decode_id(question, query.cursor) if query.cursor else None
    found = queries_people.invitations(session, actor.organisation_id, before=before, limit=query.limit + 1)
    page, following = cursors.cut(question, found, query.limit, lambda row: row[0].id)
    return InvitationPage(items=[invitation_out(*row) for row in page], next=following)


@managing.post(
    "/invitations/<invitation_id>/withdraw",
    allow=manager,
    answers={204: None},
    refusals=(NotFound, inviting.InvitationEnded),
)
def withdraw_invitation(session: Session, actor: Actor, now: datetime, invitation_id: InvitationId) -> None:
    """Withdraw an invitation that was not accepted yet."""
    inviting.withdraw(session, invitation_id=invitation_id, by=actor, now=now)


@helping.post(
    "/organisations/<organisation_id>/invitations",
    allow=operator,
    answers={201: InvitationOut},
    refusals=INVITE_REFUSALS,
    key=NO_KEY,
)
def invite_for_organisation(
    session: Session, actor: Actor, now: datetime, organisation_id: OrganisationId, body: Invite
) -> InvitationOut:
    """Invite somebody to act for any organisation, such as the first manager of a new one."""
    return invited(session, actor, now, body, organisation_id)


@helping.get("/members", allow=reviewer, answers={200: MemberPage})
def list_members_in_reach(session: Session, actor: Actor, query: ReachQuery) -> MemberPage:
    """Members of an organisation, their contacts masked unless it is the caller's.

    A county reviewer sees those of cooperatives of the reviewer's counties.
    """
    return member_page(session, actor, query, query.organisation_id)


@helping.post(
    "/members/<membership_id>/reset",
    allow=reviewer,
    answers={201: CodeInPersonOut},
    refusals=(NotFound, resetting.MemberElsewhere),
    key=NO_KEY,
)
def reset_in_person(
    session: Session, actor: Actor, now: datetime, membership_id: MembershipId, body: ResetInPerson
) -> CodeInPersonOut:
    """A one-time code for somebody whom neither phone nor e-mail reaches, to set a new password with within an hour.

    A county reviewer helps members of cooperatives of the reviewer's counties.
    """
    return code_in_person(session, actor, now, membership_id, body)
