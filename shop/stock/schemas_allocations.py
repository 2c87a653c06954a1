"""Allocations and the rules behind them as JSON."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from shop.http.fields import Day
from shop.http.routes import In, Out
from shop.ids import AllocationId, LineId, ListingId, OrganisationId, SupplyId
from shop.stock.models_allocations import Allocation, AllocationRule, AllocationShare
from shop.stock.schemas import Packs, SupplyOut


class DeclareRule(In):
    """How scarce goods will be dealt from a day to come, until another rule is declared."""

    rule: Literal["pro_rata", "paired_first", "small_first"]
    valid_from: Day


class Shortfall(In):
    """How many packs of a supply there are for the orders that hold it, and why there are no more."""

    packs: Annotated[int, Field(ge=0, le=1_000_000)]
    reason: Annotated[str, Field(min_length=1, max_length=500)]


class WeekIn(In):
    """So many packs of a listing in the week of a Monday."""

    listing_id: ListingId
    monday: Day
    packs: Packs


class OfferWeeks(In):
    weeks: Annotated[list[WeekIn], Field(min_length=1, max_length=500)]


class OfferedOut(Out):
    supplies: list[SupplyOut]


class RuleOut(Out):
    rule: str
    valid_from: date
    valid_to: date | None


class RulesOut(Out):
    items: list[RuleOut]


class ShareOut(Out):
    """What a line wanted and got of it, in packs, and why."""

    line_id: LineId
    buyer_id: OrganisationId
    wanted: int
    given: int
    explanation: str
    explanation_en: str


class AllocationOut(Out):
    """A harvest that fell short: `wanted` and `available` in base units, and the shares that one may know of."""

    id: AllocationId
    supply_id: SupplyId
    rule: str
    declared: bool
    wanted: int
    available: int
    reason: str
    at: str
    shares: list[ShareOut]


def rule_out(rule: AllocationRule) -> RuleOut:
    assert rule.valid.lower is not None
    return RuleOut(rule=rule.rule, valid_from=rule.valid.lower, valid_to=rule.valid.upper)


def allocation_out(allocation: Allocation, shares: Sequence[AllocationShare]) -> AllocationOut:
    return AllocationOut(
        id=allocation.id,
        supply_id=allocation.supply_id,
        rule=allocation.rule,
        declared=allocation.declared,
        wanted=allocation.wanted,
        available=allocation.available,
        reason=allocation.reason,
        at=allocation.at.isoformat(),
        shares=[
            ShareOut(
                line_id=share.line_id,
                buyer_id=share.buyer_id,
                wanted=share.wanted,
                given=share.given,
                explanation=share.explanation["text"],
                explanation_en=share.explanation["text_en"],
            )
            for share in shares
        ],
    )
