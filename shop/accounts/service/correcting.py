"""Correct what an organisation is recorded as: its kind, its legal names, its code, its division."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.accounts import queries_units
from shop.accounts.models import AUDIENCE, Kind, Organisation
from shop.accounts.schemas_organisations import CorrectOrganisation
from shop.accounts.service.registering_buyers import OrganisationClosed
from shop.accounts.uscc import is_valid
from shop.actor import Actor, Audience
from shop.audit import service as audit
from shop.clock import business_day
from shop.db import unless_taken
from shop.errors import Invalid, NotFound
from shop.outbox import service as outbox
from shop.regions import service as regions


def correct(
    session: Session, *, organisation_id: UUID, wanted: CorrectOrganisation, by: Actor, now: datetime
) -> Organisation:
    """Change what is given, with the reason; the trail keeps what was before and after. The same again does nothing.

    What was ordered, reported and issued before stays under the name of its day.
    """
    organisation = session.scalars(
        select(Organisation)
        .where(Organisation.id == organisation_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).first()
    if organisation is None or AUDIENCE[Kind(organisation.kind)] is Audience.ADMIN:
        raise NotFound("No such organisation.")
    if organisation.status == "closed":
        raise OrganisationClosed
    audience, today = AUDIENCE[Kind(organisation.kind)], business_day(now)
    given = wanted.model_dump(exclude_none=True, exclude={"reason"})
    after = {name: value for name, value in given.items() if getattr(organisation, name) != value}
    if "kind" in after and AUDIENCE[Kind(after["kind"])] is not audience:
        raise Invalid("A buyer does not become a seller, nor a seller a buyer.", pointer="/kind")
    if "uscc" in after and not is_valid(after["uscc"]):
        raise Invalid("This is not a unified social credit code (GB 32100).", pointer="/uscc")
    if "division_code" in after:
        if audience is Audience.BUYER:
            queries_units.require_division(session, after["division_code"], today, pointer="/division_code")
        elif not regions.is_county(session, after["division_code"], today):
            raise Invalid("This code is no county on this day.", pointer="/division_code")
    if not after:
        return organisation
    before = {name: getattr(organisation, name) for name in after}
    with unless_taken(session, Invalid("Another organisation has this code.", pointer="/uscc")):
        for name, value in after.items():
            setattr(organisation, name, value)
    audit.record(
        session, by=by, action="correct", kind="organisation", subject=organisation_id, now=now, reason=wanted.reason,
        before=before, after=after,
    )  # fmt: skip
    outbox.announce(
        session, "organisation.changed", now=now, seen_by=[organisation_id], organisation_id=organisation_id,
        fields=sorted(after),
    )  # fmt: skip
    return organisation
