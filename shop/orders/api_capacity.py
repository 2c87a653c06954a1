"""Sales beyond what was declared, for those who watch over sellers."""

from datetime import datetime
from typing import Annotated

from pydantic import Field
from sqlalchemy.orm import Session

from shop.actor import Actor, Audience, Role
from shop.clock import business_day
from shop.http import cursors
from shop.http.routes import Out, Query, Routes, roles
from shop.ids import OrganisationId
from shop.orders import queries_capacity as queries

routes = Routes("/v1/admin", tag="Review")


class FlagsQuery(Query):
    """Of a calendar year, this one unless another is named."""

    year: Annotated[int, Field(ge=1996, le=9000)] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 24
    cursor: Annotated[str, Field(max_length=400)] | None = None


class FlagOut(Out):
    """A product of which more was ordered, or promised, than its grower declared for a year; all in grams.

    `declared_grams` is null for a product that the seller's declaration leaves out.
    """

    cooperative_id: OrganisationId
    cooperative: str
    division_code: str
    product_name: str
    category: str
    year: int
    declared_grams: int | None
    ordered_grams: int
    promised_grams: int


class FlagPage(Out):
    items: list[FlagOut]
    next: str | None


@routes.get(
    "/capacity-flags",
    allow=roles(Role.OPERATOR, Role.COUNTY_REVIEWER, of=Audience.ADMIN),
    answers={200: FlagPage},
)
def list_capacity_flags(session: Session, actor: Actor, now: datetime, query: FlagsQuery) -> FlagPage:
    """Sellers whose year's orders or promises of a product pass what they declared, or were never declared."""
    year = query.year or business_day(now).year
    question = f"capacity flags {year} {actor.user_id.hex}"
    after = cursors.decode_id(question, query.cursor) if query.cursor else None
    found = queries.capacity_flags(session, actor, year=year, after=after, limit=query.limit)
    page, following = cursors.cut(question, found, query.limit)
    return FlagPage(
        items=[
            FlagOut(
                cooperative_id=row.organisation_id,
                cooperative=row.cooperative,
                division_code=row.division_code,
                product_name=row.product_name,
                category=row.category,
                year=year,
                declared_grams=row.declared_grams,
                ordered_grams=row.ordered_grams,
                promised_grams=row.promised_grams,
            )
            for row in page
        ],
        next=following,
    )
