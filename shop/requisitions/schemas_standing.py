"""Standing orders and their runs as JSON."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from shop.http.fields import Day, across
from shop.http.routes import In, Out, PageQuery
from shop.ids import (
    AddressId,
    BudgetUnitId,
    ListingId,
    MembershipId,
    RequisitionId,
    RequisitionListId,
    StandingOrderId,
    StandingRunId,
)
from shop.orders.schemas import Words
from shop.requisitions.models_standing import StandingOrder, StandingRun, StandingRunLine
from shop.requisitions.schemas import PurposeWord, TermsWord
from shop.requisitions.schemas_lists import PassedOver

StatusWord = Literal["active", "paused", "ended"]
ResultWord = Literal["placed", "submitted", "refused", "missed"]
OutcomeWord = Literal["as_listed", "substituted", "left_out"]


class StandingIn(In):
    """A saved list for so many heads and meals, ordered from `run_on` every `every_days` days until `ends_on`.

    What is ordered on a day is wished for `lead_days` later. It is ordered in the name of whoever sends this: within
    what they may order alone it is placed, above that it is handed in for approval each time.
    """

    list_id: RequisitionListId
    budget_unit_id: BudgetUnitId
    delivery_address_id: AddressId
    headcount: Annotated[int, Field(ge=1, le=1_000_000)]
    meals: Annotated[int, Field(ge=1, le=1000)]
    purpose: PurposeWord
    payment_terms: TermsWord
    reference: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    note: Words | None = None
    every_days: Annotated[int, Field(ge=1, le=366)]
    lead_days: Annotated[int, Field(ge=0, le=60)] = 0
    run_on: Day
    ends_on: Day | None = None

    @model_validator(mode="after")
    def hangs_together(self) -> Self:
        if self.ends_on is not None and self.ends_on < self.run_on:
            raise across("days", "ends_on is not before run_on", "ends_on")
        return self


class StandingQuery(PageQuery):
    status: StatusWord | None = None


class StandingOut(Out):
    """`paused_because`: the code of what paused it, when the workers did."""

    id: StandingOrderId
    list_id: RequisitionListId
    membership_id: MembershipId
    budget_unit_id: BudgetUnitId
    delivery_address_id: AddressId
    headcount: int
    meals: int
    purpose: str
    payment_terms: str
    reference: str | None
    note: str | None
    every_days: int
    lead_days: int
    run_on: str
    ends_on: str | None
    status: StatusWord
    paused_because: str | None
    version: int


class StandingPage(Out):
    items: list[StandingOut]
    next: str | None


class RunLineOut(Out):
    """What became of a line of the list; `passed_over` says what could not be ordered, and why."""

    place: int
    wanted_listing_id: ListingId
    outcome: OutcomeWord
    listing_id: ListingId | None
    quantity: int | None
    needed_grams: int | None
    passed_over: list[PassedOver]


class RunOut(Out):
    """What became of the cycle of a day: placed, handed in for approval, refused, or missed while nothing ran."""

    id: StandingRunId
    cycle: str
    at: str
    result: ResultWord
    requisition_id: RequisitionId | None
    code: str | None
    detail: str | None
    lines: list[RunLineOut]


class RunPage(Out):
    items: list[RunOut]
    next: str | None


def standing_fields(wanted: StandingIn) -> dict[str, Any]:
    """The columns that a request sets."""
    said = {name: getattr(wanted, name) for name in StandingIn.model_fields}
    return said | {"address_id": said.pop("delivery_address_id"), "terms": said.pop("payment_terms")}


def standing_out(row: StandingOrder) -> StandingOut:
    same = set(StandingOut.model_fields) - {"delivery_address_id", "payment_terms", "run_on", "ends_on"}
    return StandingOut(
        **{name: getattr(row, name) for name in same},
        delivery_address_id=row.address_id,
        payment_terms=row.terms,
        run_on=row.run_on.isoformat(),
        ends_on=row.ends_on.isoformat() if row.ends_on else None,
    )


def run_out(run: StandingRun, lines: list[StandingRunLine]) -> RunOut:
    return RunOut(
        id=run.id,
        cycle=run.cycle.isoformat(),
        at=run.at.isoformat(),
        result=run.result,  # type: ignore[arg-type]
        requisition_id=run.requisition_id,
        code=run.code,
        detail=run.detail,
        lines=[
            RunLineOut(
                place=line.place,
                wanted_listing_id=line.wanted_listing_id,
                outcome=line.outcome,  # type: ignore[arg-type]
                listing_id=line.listing_id,
                quantity=line.packs,
                needed_grams=line.needed_grams,
                passed_over=[PassedOver.model_validate(one) for one in line.passed_over],
            )
            for line in lines
        ],
    )
