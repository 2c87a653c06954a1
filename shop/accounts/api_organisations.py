"""Correcting what organisations are recorded as, for operators."""

from datetime import datetime

from sqlalchemy.orm import Session

from shop.accounts.schemas_admission import ApplicantOut, applicant_out
from shop.accounts.schemas_organisations import CorrectOrganisation
from shop.accounts.service import correcting
from shop.accounts.service.registering_buyers import OrganisationClosed
from shop.actor import Actor, Audience, Role
from shop.errors import Invalid, NotFound
from shop.http.routes import Routes, roles
from shop.ids import OrganisationId

routes = Routes("/v1/admin", tag="Organisations", people_only=True)


@routes.patch(
    "/organisations/<organisation_id>",
    allow=roles(Role.OPERATOR, of=Audience.ADMIN),
    answers={200: ApplicantOut},
    refusals=(NotFound, Invalid, OrganisationClosed),
)
def correct_organisation(
    session: Session, actor: Actor, now: datetime, organisation_id: OrganisationId, body: CorrectOrganisation
) -> ApplicantOut:
    """Correct the kind, legal names, code or division of a buyer or a seller, with the reason.

    What was ordered, reported and issued before stays under the name of its day.
    """
    return applicant_out(correcting.correct(session, organisation_id=organisation_id, wanted=body, by=actor, now=now))
