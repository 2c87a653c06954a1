"""Orders as JSON."""

from datetime import date
from typing import Annotated, Any, Literal, Protocol, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from shop.http.fields import Day
from shop.http.routes import In, Out, Query
from shop.ids import (
    AddressId,
    AgreementId,
    BudgetUnitId,
    LineId,
    ListingId,
    NegotiatedQuoteId,
    OrderId,
    OrganisationId,
    SupplierOrderId,
)
from shop.orders.models import Status

MAX_LINES = 200


class LineIn(In):
    """So many packs of a listing."""

    listing_id: ListingId
    quantity: Annotated[int, Field(ge=1, le=1_000_000)]


class OrderLineIn(LineIn):
    """What to order, and for how many days it has to keep when it is delivered."""

    min_shelf_life_days: Annotated[int, Field(ge=1, le=3650)] | None = None


PricedBy = Literal["tier", "agreement", "quote"]
Clock = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Words = Annotated[str, Field(min_length=1, max_length=500)]


class Wishes(In):
    """What an institution wishes beside its lines; sellers see it.

    `reference` is the institution's own number. `deliver_from` and `deliver_to` are times of the day `deliver_on`.
    """

    reference: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    deliver_on: Day | None = None
    deliver_from: Clock | None = None
    deliver_to: Clock | None = None
    note: Words | None = None

    @model_validator(mode="after")
    def hangs_together(self) -> Self:
        if (self.deliver_from is None) != (self.deliver_to is None):
            raise PydanticCustomError("window", "give both deliver_from and deliver_to, or neither")
        if self.deliver_from is not None:
            if self.deliver_on is None:
                raise PydanticCustomError("window", "a time of day needs deliver_on")
            if self.deliver_to is not None and self.deliver_from >= self.deliver_to:
                raise PydanticCustomError("window", "deliver_to is after deliver_from")
        return self


class PlaceOrder(Wishes):
    """What to order, for whose budget, where to and when."""

    lines: Annotated[list[OrderLineIn], Field(min_length=1, max_length=MAX_LINES)]
    delivery_address_id: AddressId
    budget_unit_id: BudgetUnitId
    purpose: Literal["canteen", "union_welfare", "other"]
    payment_terms: Literal["prepaid", "on_terms"]


class Cancel(In):
    reason: Annotated[str, Field(min_length=1, max_length=500)]


class OrdersQuery(Query):
    limit: Annotated[int, Field(ge=1, le=100)] = 24
    cursor: Annotated[str, Field(max_length=400)] | None = None
    split_suspected: Literal[True] | None = None


class CooperativeOut(Out):
    id: OrganisationId
    name: str


class LineOut(Out):
    """A line as it was ordered; `quantity` in packs, `min_shelf_life_days` what it has to keep for on delivery.

    `allocated`: how many packs it still gets, where a harvest fell short or less was agreed on. `priced_by` is what
    the price rests on; `agreement_id` and `quote_id` name the framework agreement or the negotiated quote, where it
    was one.
    """

    id: LineId
    listing_id: ListingId
    name: str
    spec: str
    pack_name: str
    origin_code: str
    quantity: int
    min_shelf_life_days: int | None
    allocated: int | None = None
    unit_fen: int
    priced_by: PricedBy
    agreement_id: AgreementId | None
    quote_id: NegotiatedQuoteId | None
    goods_fen: int
    freight_fen: int
    bucket: str


class SupplierOrderOut(Out):
    """The part of one cooperative. Accepted sums are null until the inspection; `agreed_freight_fen` is billed instead
    of the freight where both sides agreed on it before the order was accepted.

    `supply_held`: its supply is kept for it. That ends at `held_until` as long as it is to be paid; it can still be
    paid then, and takes supply anew if there is some. Null: held until the cooperative accepts it. What is to be paid
    first is cancelled unless it is paid by `pay_before`, which is null for all else.
    """

    id: SupplierOrderId
    cooperative: CooperativeOut
    status: Status
    goods_fen: int
    freight_fen: int
    agreed_freight_fen: int | None
    accepted_goods_fen: int | None
    accepted_freight_fen: int | None
    supply_held: bool
    held_until: str | None
    pay_before: str | None
    lines: list[LineOut]


class WishesOut(Out):
    """What was wished beside the lines, as it was ordered."""

    reference: str | None
    deliver_on: str | None
    deliver_from: str | None
    deliver_to: str | None
    note: str | None


class OrderOut(WishesOut):
    """An order with its split. `status` is the least advanced of its living parts, or cancelled.

    `approved`: it came of an approved requisition. `split_suspected`: together with others of the same member and unit
    in the days before, it passes what that member may order alone.
    """

    id: OrderId
    number: str
    status: Status
    purpose: str
    payment_terms: str
    budget_unit_id: BudgetUnitId
    goods_fen: int
    freight_fen: int
    total_fen: int
    placed_at: str
    approved: bool
    split_suspected: bool
    supplier_orders: list[SupplierOrderOut]


class OrderItem(Out):
    id: OrderId
    number: str
    reference: str | None
    deliver_on: str | None
    total_fen: int
    purpose: str
    payment_terms: str
    placed_at: str
    approved: bool
    split_suspected: bool


class OrderPage(Out):
    items: list[OrderItem]
    next: str | None


def line_out(line: Any) -> LineOut:
    """An OrderLine row as JSON."""
    return LineOut(
        id=line.id,
        listing_id=line.listing_id,
        name=line.snapshot["name"],
        spec=line.snapshot["spec"],
        pack_name=line.snapshot["pack_name"],
        origin_code=line.dimensions["origin_code"],
        quantity=line.packs,
        min_shelf_life_days=line.min_shelf_life_days,
        allocated=line.allocated_packs,
        unit_fen=line.unit_fen,
        priced_by="agreement" if line.agreement_id else "quote" if line.quote_id else "tier",
        agreement_id=line.agreement_id,
        quote_id=line.quote_id,
        goods_fen=line.goods_fen,
        freight_fen=line.freight_fen,
        bucket=line.dimensions["bucket"],
    )


class Wished(Protocol):
    """Whatever holds wishes: what was sent, or the row that keeps it."""

    @property
    def reference(self) -> str | None: ...
    @property
    def deliver_on(self) -> date | None: ...
    @property
    def deliver_from(self) -> str | None: ...
    @property
    def deliver_to(self) -> str | None: ...
    @property
    def note(self) -> str | None: ...


WISHES = tuple(Wishes.model_fields)


def wishes_of(held: Wished) -> dict[str, Any]:
    """Wishes by their names, as they are sent and kept."""
    return {name: getattr(held, name) for name in WISHES}


def wishes_out(held: Wished) -> dict[str, Any]:
    """The same as JSON."""
    return wishes_of(held) | {"deliver_on": held.deliver_on.isoformat() if held.deliver_on else None}
