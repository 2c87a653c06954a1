"""Saved lists, what is worked out from them, pasted lines and copies, as JSON."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from shop.http.fields import Day
from shop.http.routes import In, Out
from shop.ids import AddressId, BudgetUnitId, ListingId, RequisitionId, RequisitionListId
from shop.orders.schemas import MAX_LINES, Words
from shop.requisitions.models_lists import RequisitionList, RequisitionListLine
from shop.requisitions.schemas import PurposeWord, RequisitionOut, TermsWord

PastedFaultCode = Literal["unreadable", "unknown_code", "ambiguous_code", "repeated"]
MOST_SUBSTITUTES = 5
MOST_CANTEENS = 200


class ListLineIn(In):
    """`quantity` in packs; or `grams_per_meal` on one head's plate, which `yield_percent` of what is bought reaches.

    `substitutes` take its place in their order while it cannot be ordered.
    """

    listing_id: ListingId
    quantity: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    grams_per_meal: Annotated[int, Field(ge=1, le=10_000)] | None = None
    yield_percent: Annotated[int, Field(ge=1, le=100)] = 100
    substitutes: Annotated[list[ListingId], Field(max_length=MOST_SUBSTITUTES, default_factory=list)]

    @model_validator(mode="after")
    def one_measure(self) -> Self:
        if (self.quantity is None) == (self.grams_per_meal is None):
            raise PydanticCustomError("measure", "give quantity or grams_per_meal")
        return self


class ListIn(In):
    """A saved list; the whole of it, a change replaces it all."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    lines: Annotated[list[ListLineIn], Field(min_length=1, max_length=MAX_LINES)]

    @model_validator(mode="after")
    def each_once(self) -> Self:
        named = [key for line in self.lines for key in (line.listing_id, *line.substitutes)]
        if len(set(named)) < len(named):
            raise PydanticCustomError("repeated", "a listing stands in a list once, as a line or as a substitute")
        return self


class ListLineOut(Out):
    listing_id: ListingId
    quantity: int | None
    grams_per_meal: int | None
    yield_percent: int | None
    substitutes: list[ListingId]


class ListItem(Out):
    id: RequisitionListId
    name: str
    version: int
    changed_at: str


class ListOut(ListItem):
    lines: list[ListLineOut]


class ListPage(Out):
    items: list[ListItem]
    next: str | None


class WorkOut(In):
    """How many heads eat how many meals."""

    headcount: Annotated[int, Field(ge=1, le=1_000_000)]
    meals: Annotated[int, Field(ge=1, le=1000)]


class PassedOver(Out):
    """A listing that could not be ordered, and why."""

    listing_id: ListingId
    code: str
    detail: str


class WorkedLine(Out):
    """What a line comes to. `listing_id` and `quantity` are null where neither it nor a substitute can be ordered.

    `needed_grams`: to be bought for the heads and meals, rounded up; `comes_to_grams`: what the packs hold.
    """

    place: int
    listing_id: ListingId | None
    quantity: int | None
    instead_of: ListingId | None
    needed_grams: int | None
    comes_to_grams: int | None
    passed_over: list[PassedOver]


class WorkedOut(Out):
    lines: list[WorkedLine]


class CanteenIn(In):
    """Whose budget, where to, and how many heads; `reference` is the institution's own number."""

    budget_unit_id: BudgetUnitId
    delivery_address_id: AddressId
    headcount: Annotated[int, Field(ge=1, le=1_000_000)]
    reference: Annotated[str, Field(min_length=1, max_length=64)] | None = None


class DrawUp(In):
    """A requisition for every canteen, from the list and its headcount; with `submit` each is handed in at once."""

    canteens: Annotated[list[CanteenIn], Field(min_length=1, max_length=MOST_CANTEENS)]
    meals: Annotated[int, Field(ge=1, le=1000)]
    purpose: PurposeWord
    payment_terms: TermsWord
    deliver_on: Day | None = None
    note: Words | None = None
    submit: bool = False


class DrawnUp(Out):
    """`left_out`: the lines of the list that nothing could be ordered for."""

    requisition_id: RequisitionId
    status: str
    version: int
    total_fen: int | None
    left_out: list[WorkedLine]


class DrawnUpMany(Out):
    items: list[DrawnUp]


class Pasted(In):
    """A line of text each: a code and a quantity in packs, with blanks, a tab, a comma or a semicolon between them."""

    text: Annotated[str, Field(min_length=1, max_length=20_000)]


class Candidate(Out):
    """A listing on sale that a code stands for."""

    listing_id: ListingId
    name: str
    pack_name: str
    cooperative: str
    price_fen: int


class PastedLine(Out):
    """`row` counts from 1."""

    row: int
    listing_id: ListingId
    quantity: int
    name: str
    pack_name: str
    cooperative: str


class PastedFault(Out):
    """`candidates`: the listings that an ambiguous code may mean."""

    row: int
    text: str
    code: PastedFaultCode
    detail: str
    candidates: list[Candidate]


class PastedOut(Out):
    lines: list[PastedLine]
    faults: list[PastedFault]


class CopiedOut(Out):
    """The draft, and the lines of the order that cannot be ordered again."""

    requisition: RequisitionOut
    left_out: list[PassedOver]


def list_item(row: RequisitionList) -> dict[str, Any]:
    return {"id": row.id, "name": row.name, "version": row.version, "changed_at": row.changed_at.isoformat()}


def list_out(row: RequisitionList, lines: list[RequisitionListLine]) -> ListOut:
    return ListOut(
        **list_item(row),
        lines=[
            ListLineOut(
                listing_id=line.listing_id,
                quantity=line.packs,
                grams_per_meal=line.grams_per_meal,
                yield_percent=line.yield_percent,
                substitutes=line.substitutes,
            )
            for line in lines
        ],
    )
