"""County offices: the platform makes them, and changes and ends what their people may do."""

from datetime import datetime

from sqlalchemy.orm import Session

from shop.accounts import queries_people
from shop.accounts.schemas import OrganisationOut
from shop.accounts.schemas_people import ChangeMember, MemberOut, NewOffice, ReasonIn, member_out, organisation_out
from shop.accounts.service import managing_members, opening_offices
from shop.actor import Actor, Audience, Role
from shop.errors import Invalid, NotFound
from shop.http.routes import NO_KEY, Routes, roles
from shop.ids import MembershipId

routes = Routes("/v1/admin", tag="Offices", people_only=True)
operator = roles(Role.OPERATOR, of=Audience.ADMIN)


@routes.post("/county-offices", allow=operator, answers={201: OrganisationOut}, refusals=(Invalid,))
def open_county_office(session: Session, actor: Actor, now: datetime, body: NewOffice) -> OrganisationOut:
    """Make a county's office, whose officers are then invited as those of any organisation."""
    return organisation_out(opening_offices.open_office(session, wanted=body, by=actor, now=now))


@routes.patch(
    "/members/<membership_id>",
    allow=operator,
    answers={200: MemberOut},
    refusals=(NotFound, managing_members.OwnPowers),
    key=NO_KEY,
)
def change_officer(
    session: Session, actor: Actor, now: datetime, membership_id: MembershipId, body: ChangeMember
) -> MemberOut:
    """Change the roles or the counties of a county's officer, in force at the officer's next request."""
    organisation_id = opening_offices.office_of(session, membership_id)
    managing_members.change(
        session,
        membership_id=membership_id,
        organisation_id=organisation_id,
        roles=body.roles,
        order_limit_fen=body.order_limit_fen,
        regions=body.regions,
        fields=body.model_fields_set,
        by=actor,
        now=now,
    )
    row = queries_people.member(session, organisation_id, membership_id)
    if row is None:
        raise NotFound
    return member_out(*row, to=actor)


@routes.post("/members/<membership_id>/end", allow=operator, answers={204: None}, refusals=(NotFound,))
def end_officer(session: Session, actor: Actor, now: datetime, membership_id: MembershipId, body: ReasonIn) -> None:
    """End the membership of a county's officer, with its sessions, tokens and mandates."""
    managing_members.end(
        session,
        membership_id=membership_id,
        organisation_id=opening_offices.office_of(session, membership_id),
        reason=body.reason,
        by=actor,
        now=now,
    )
