"""Closing organisations, for operators."""

from datetime import datetime

from sqlalchemy.orm import Session

from shop.accounts.schemas_admission import ReasonIn
from shop.accounts.schemas_units import ClosedOrganisation, CloseOrganisation
from shop.accounts.service.managing_units import UnitHasSubordinates
from shop.accounts.service.registering_buyers import OrganisationClosed
from shop.actor import Actor, Audience, Role
from shop.errors import Invalid, NotFound
from shop.http.routes import Routes, roles
from shop.ids import OrganisationId
from shop.orders.service import closing

routes = Routes("/v1/admin", tag="Organisations", people_only=True)
operator = roles(Role.OPERATOR, of=Audience.ADMIN)


@routes.post(
    "/organisations/<organisation_id>/close",
    allow=operator,
    answers={200: ClosedOrganisation},
    refusals=(NotFound, Invalid, OrganisationClosed, UnitHasSubordinates, closing.OpenOrders),
)
def close_buyer(
    session: Session, actor: Actor, now: datetime, organisation_id: OrganisationId, body: CloseOrganisation
) -> ClosedOrganisation:
    """Close a buying organisation and its units, with the successor it was merged into, if any; nothing is deleted.

    Members of the successor who manage, receive or pay there become members here and end the orders under way, after
    `POST /v1/auth/switch`; nobody orders any more. Without a successor there may be no orders under way.
    """
    closed, open_orders = closing.close_buyer(
        session,
        by=actor,
        organisation_id=organisation_id,
        successor_id=body.successor_id,
        reason=body.reason,
        now=now,
    )
    return ClosedOrganisation(
        id=closed.id, status=closed.status, successor_id=closed.successor_id, open_orders=open_orders
    )


@routes.post(
    "/sellers/<organisation_id>/close",
    allow=operator,
    answers={200: ClosedOrganisation},
    refusals=(NotFound, OrganisationClosed, closing.OpenOrders),
)
def close_seller(
    session: Session, actor: Actor, now: datetime, organisation_id: OrganisationId, body: ReasonIn
) -> ClosedOrganisation:
    """Close a seller without orders under way, or one that applied to be one; its code is free then."""
    closed = closing.close_seller(session, by=actor, organisation_id=organisation_id, reason=body.reason, now=now)
    return ClosedOrganisation(id=closed.id, status=closed.status, successor_id=None, open_orders=0)
