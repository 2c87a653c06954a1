"""Where goods may come from, by the rules of the day on which they are entered.

A seller sells what grows in its own county, and in those that its admission was extended to (`OriginGrant`); an agent
what grows in the county of the principal who gave the mandate. A county that is not the seller's own must be on a list
that admits sellers on that day (`regions.ListRule`). The own county was asked when the right to sell was given, so it
is not asked again: a list that lapses ends counting, not trading.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from shop.accounts.models import AUDIENCE, Kind, Organisation
from shop.accounts.service.applying import CountyNotAdmitted, admitted_county
from shop.actor import Actor, Audience
from shop.audit import service as audit
from shop.catalogue.models import OriginGrant
from shop.catalogue.schemas import GrantOrigin
from shop.clock import business_day
from shop.errors import Invalid, NotFound, Refusal
from shop.outbox import service as outbox
from shop.regions.service import admits, admitted_counties, is_county


class OriginNotYours(Refusal):
    """Goods of that county are another seller's to list; `counties` are those that this seller may name."""

    code, status = "origin_not_yours", 409
    title, title_zh = "You are not admitted to sell goods of this county.", "您未获准销售该县的产品。"


class OriginGranted(Refusal):
    code, status = "origin_granted", 409
    title, title_zh = "Goods of this county may be sold in that time already.", "该时段内已可销售该县产品。"


OWN = text(
    """
    WITH RECURSIVE own AS (
        SELECT code FROM (
            SELECT o.division_code AS code FROM organisation o
            WHERE o.id = :organisation AND (o.kind <> 'agent' OR CAST(:mandate AS uuid) IS NULL)
            UNION ALL
            SELECT p.division_code FROM agent_mandate m JOIN organisation p ON p.id = m.principal_id
            WHERE m.id = :mandate
        ) home
        UNION
        SELECT d.successor_code FROM division d JOIN own ON d.code = own.code WHERE d.successor_code IS NOT NULL
    )
    SELECT own.code, true AS own FROM own
    UNION ALL
    SELECT g.county_code, false FROM origin_grant g
    WHERE g.organisation_id = :organisation AND g.valid @> CAST(:on AS date)
    UNION ALL
    SELECT NULL, NULL FROM agent_mandate m WHERE m.id = :mandate AND m.principal_id IS NULL
    """
)
"""The counties whose goods a seller may list: own or granted. A null row: a principal without a code here, whose county
only the lists can tell."""


def may_come_from(
    session: Session, *, organisation_id: UUID, county: str, mandate_id: UUID | None, on: date, pointer: str
) -> None:
    """Refuse goods of a county that the seller may not list on a day.

    Invalid for what is no county, CountyNotAdmitted for one that no list admits, OriginNotYours for another's.
    """
    if not is_county(session, county, on):
        raise Invalid("This code is no county on this day.", pointer=pointer)
    rows = session.execute(OWN, {"organisation": organisation_id, "mandate": mandate_id, "on": on}).all()
    if any(row.own and row.code == county for row in rows):
        return
    if not admits(session, county, on):
        raise CountyNotAdmitted(pointer=pointer)
    if not any(row.code in (county, None) for row in rows):
        raise OriginNotYours(pointer=pointer, counties=sorted({row.code for row in rows}))


@dataclass(frozen=True)
class Origins:
    """Which counties a seller may name on a day, for each of its mandates (None: its own goods)."""

    admitted: Collection[str]
    named: Mapping[UUID | None, Sequence[Any]]

    def refuses(self, county: str, mandate_id: UUID | None) -> str | None:
        """The code of the refusal of `may_come_from` for a county of the day; None where goods may come from it."""
        rows = self.named[mandate_id]
        if any(row.own and row.code == county for row in rows):
            return None
        if county not in self.admitted:
            return CountyNotAdmitted.code
        return None if any(row.code in (county, None) for row in rows) else OriginNotYours.code


def origins(session: Session, *, organisation_id: UUID, mandates: Collection[UUID | None], on: date) -> Origins:
    """What `may_come_from` would say of any county: one statement a mandate, whatever the number of goods."""
    named = {
        mandate: session.execute(OWN, {"organisation": organisation_id, "mandate": mandate, "on": on}).all()
        for mandate in mandates
    }
    return Origins(admitted_counties(session, on), named)


def grant(session: Session, *, seller_id: UUID, wanted: GrantOrigin, by: Actor, now: datetime) -> UUID:
    """Extend a seller's admission to another county; gives the id of the grant.

    NotFound for what is no seller; Invalid or CountyNotAdmitted for the county, OriginGranted when it was extended so
    already.
    """
    seller = session.get(Organisation, seller_id, with_for_update={"key_share": True})
    if seller is None or AUDIENCE[Kind(seller.kind)] is not Audience.COOPERATIVE:
        raise NotFound("No such seller.")
    today = business_day(now)
    admitted_county(session, wanted.county_code, today, "/county_code")
    valid = Range(wanted.valid_from, wanted.valid_to)
    taken = select(func.count()).where(
        OriginGrant.organisation_id == seller_id,
        OriginGrant.county_code == wanted.county_code,
        OriginGrant.valid.op("&&")(valid),
    )
    if session.scalar(taken):
        raise OriginGranted(pointer="/county_code")
    made = OriginGrant(
        organisation_id=seller_id,
        county_code=wanted.county_code,
        valid=valid,
        document=wanted.document,
        granted_by=by.user_id,
        granted_at=now,
    )
    session.add(made)
    session.flush()
    audit.record(
        session, by=by, action="origin.granted", kind="organisation", subject=seller_id, now=now,
        county_code=wanted.county_code, document=wanted.document,
    )  # fmt: skip
    outbox.announce(
        session, "origin.granted", now=now, seen_by=[seller_id], organisation_id=seller_id,
        county_code=wanted.county_code,
    )  # fmt: skip
    return made.id
