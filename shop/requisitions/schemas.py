"""Requisitions, decisions and rules as JSON."""

from datetime import date
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from shop.http.fields import Day, across
from shop.http.routes import In, Out, PageQuery
from shop.ids import (
    AddressId,
    AgreementId,
    ApprovalDelegationId,
    ApprovalRuleId,
    BudgetUnitId,
    FileId,
    ListingId,
    MembershipId,
    NegotiatedQuoteId,
    OrderId,
    OrganisationId,
    RequisitionId,
    UserId,
)
from shop.orders.schemas import PlaceOrder, PricedBy, WishesOut, Words, wishes_out
from shop.requisitions.models import (
    ApprovalDelegation,
    ApprovalRule,
    Requisition,
    RequisitionDecision,
    RequisitionLine,
    RequisitionStatus,
    Step,
)

MOST_DECISIONS = 100
PurposeWord = Literal["canteen", "union_welfare", "other"]
TermsWord = Literal["prepaid", "on_terms"]
StepWord = Literal["approver", "finance", "manager"]


class RequisitionIn(PlaceOrder):
    """What is meant to be bought, for whose budget, where to and when; the whole of it, a change replaces it all."""


class Withdraw(In):
    reason: Words


class Decide(In):
    """A decision on the version that was read; a return says why."""

    version: Annotated[int, Field(ge=1, le=2**31)]
    decision: Literal["approve", "return"]
    comment: Words | None = None

    @model_validator(mode="after")
    def says_why(self) -> Self:
        if self.decision == "return" and self.comment is None:
            raise PydanticCustomError("comment", "a return says why in comment")
        return self


class DecideOne(Decide):
    requisition_id: RequisitionId


class DecideMany(In):
    """Decisions, each on another requisition, at the version that was read."""

    decisions: Annotated[list[DecideOne], Field(min_length=1, max_length=MOST_DECISIONS)]

    @model_validator(mode="after")
    def each_once(self) -> Self:
        if len({one.requisition_id for one in self.decisions}) < len(self.decisions):
            raise across("repeated", "a requisition stands in the list once", "decisions")
        return self


class RecordPaper(In):
    """An approval that was given on paper or in the institution's office system, with its scan."""

    version: Annotated[int, Field(ge=1, le=2**31)]
    file_id: FileId
    signed_on: Day
    comment: Words | None = None


class RequisitionsQuery(PageQuery):
    status: RequisitionStatus | None = None
    waiting_for_me: bool = False


class NewRule(In):
    """A step that requisitions need from an amount on, from a day to a day (exclusive)."""

    step: Annotated[int, Field(ge=1, le=9)]
    role: StepWord
    from_fen: Annotated[int, Field(ge=0, le=10**15)]
    budget_unit_id: BudgetUnitId | None = None
    purpose: PurposeWord | None = None
    member_id: MembershipId | None = None
    valid_from: Day
    valid_to: Day | None = None

    @model_validator(mode="after")
    def hangs_together(self) -> Self:
        check_days(self.valid_from, self.valid_to)
        return self


class EndRule(In):
    """The day from which the rule is asked no more."""

    valid_to: Day


class NewDelegation(In):
    """Who decides in whose place, from a day to a day (exclusive), and why."""

    from_user_id: UserId
    to_user_id: UserId
    valid_from: Day
    valid_to: Day
    reason: Words

    @model_validator(mode="after")
    def hangs_together(self) -> Self:
        check_days(self.valid_from, self.valid_to)
        if self.from_user_id == self.to_user_id:
            raise PydanticCustomError("member", "nobody stands in for themselves")
        return self


def check_days(first: date, last: date | None) -> None:
    if last is not None and last <= first:
        raise PydanticCustomError("days", "valid_to is after valid_from")


class LineOut(Out):
    """`unit_fen`: the price a pack when it was submitted; null in a draft."""

    listing_id: ListingId
    quantity: int
    min_shelf_life_days: int | None
    unit_fen: int | None


class StepOut(Out):
    """A step of the chain; `member_id`: the only one who may take it."""

    role: Step
    member_id: MembershipId | None


class DecisionOut(Out):
    """`for_user_id`: in whose place it was given. `paper`: it was given elsewhere and only recorded here."""

    version: int
    step: int
    decision: Literal["approved", "returned"]
    by_user_id: UserId
    for_user_id: UserId | None
    comment: str | None
    paper: bool
    signed_on: str | None
    at: str


class DecidedOut(Out):
    """What became of a decision: `result` is `done`, or the code of the refusal with its HTTP status and facts."""

    requisition_id: RequisitionId
    result: str
    status: int
    requisition_status: RequisitionStatus | None
    detail: str | None
    facts: dict[str, Any]


class DecidedMany(Out):
    items: list[DecidedOut]


class RequisitionItem(Out):
    id: RequisitionId
    number: str | None
    reference: str | None
    deliver_on: str | None
    status: RequisitionStatus
    version: int
    budget_unit_id: BudgetUnitId
    purpose: str
    total_fen: int | None
    created_at: str


class RequisitionOut(RequisitionItem, WishesOut):
    """A requisition as it stands. `next_step` is the place in `chain` of the step that it waits for."""

    buyer_id: OrganisationId
    delivery_address_id: AddressId
    payment_terms: str
    made_by: UserId
    submitted_by: UserId | None
    submitted_at: str | None
    chain: list[StepOut]
    next_step: int | None
    order_id: OrderId | None
    lines: list[LineOut]
    decisions: list[DecisionOut]


class RequisitionPage(Out):
    items: list[RequisitionItem]
    next: str | None


class HeldLine(Out):
    """What holds a line, or what it would cost. `code` is that of the line's fault; `available` in packs.

    `was_unit_fen`: the price at the last submission, when it was another. `priced_by` is what the price rests on;
    `agreement_id` and `quote_id` name the framework agreement or the negotiated quote, where it is one.
    """

    place: int
    listing_id: ListingId
    quantity: int
    code: str | None
    detail: str | None
    allowed: int | None
    available: int
    unit_fen: int | None
    priced_by: PricedBy | None
    agreement_id: AgreementId | None
    quote_id: NegotiatedQuoteId | None
    was_unit_fen: int | None
    goods_fen: int | None
    freight_fen: int | None


class CheckOut(Out):
    """What placing this now would meet: per line, in total, and the approvals that it would need.

    `orderable`: no line is held. `within_limit`: the caller may order it alone. `total_fen` is of the lines not held.
    """

    orderable: bool
    within_limit: bool
    goods_fen: int
    freight_fen: int
    total_fen: int
    chain: list[StepOut]
    lines: list[HeldLine]


class RuleOut(Out):
    id: ApprovalRuleId
    step: int
    role: Step
    from_fen: int
    budget_unit_id: BudgetUnitId | None
    purpose: str | None
    member_id: MembershipId | None
    valid_from: str
    valid_to: str | None


class RulePage(Out):
    items: list[RuleOut]
    next: str | None


class DelegationOut(Out):
    id: ApprovalDelegationId
    from_user_id: UserId
    to_user_id: UserId
    valid_from: str
    valid_to: str
    reason: str
    ended_at: str | None


class DelegationPage(Out):
    items: list[DelegationOut]
    next: str | None


def item_fields(row: Requisition) -> dict[str, Any]:
    return {
        "id": row.id,
        "number": row.number,
        "reference": row.reference,
        "deliver_on": row.deliver_on.isoformat() if row.deliver_on else None,
        "status": RequisitionStatus(row.status),
        "version": row.version,
        "budget_unit_id": row.budget_unit_id,
        "purpose": row.purpose,
        "total_fen": row.total_fen,
        "created_at": row.created_at.isoformat(),
    }


def requisition_out(
    row: Requisition, lines: list[RequisitionLine], decisions: list[RequisitionDecision]
) -> RequisitionOut:
    waits = row.status == RequisitionStatus.SUBMITTED
    return RequisitionOut(
        **item_fields(row) | wishes_out(row),
        buyer_id=row.buyer_id,
        delivery_address_id=row.address_id,
        payment_terms=row.terms,
        made_by=row.made_by,
        submitted_by=row.submitted_by,
        submitted_at=row.submitted_at.isoformat() if row.submitted_at else None,
        chain=chain_out(row.chain or []),
        next_step=row.step if waits else None,
        order_id=row.order_id,
        lines=[
            LineOut(
                listing_id=line.listing_id,
                quantity=line.packs,
                min_shelf_life_days=line.min_shelf_life_days,
                unit_fen=line.unit_fen,
            )
            for line in lines
        ],
        decisions=[decision_out(said) for said in decisions],
    )


def chain_out(chain: list[Any]) -> list[StepOut]:
    """Steps as they are kept with a requisition: role and member, ids in hex."""
    return [
        StepOut(role=Step(step["role"]), member_id=UUID(hex=step["member"]) if step["member"] else None)
        for step in chain
    ]


def decision_out(said: RequisitionDecision) -> DecisionOut:
    return DecisionOut(
        version=said.version,
        step=said.step,
        decision=said.decision,  # type: ignore[arg-type]
        by_user_id=said.by_user_id,
        for_user_id=said.for_user_id,
        comment=said.comment,
        paper=said.file_id is not None,
        signed_on=said.signed_on.isoformat() if said.signed_on else None,
        at=said.at.isoformat(),
    )


def rule_out(rule: ApprovalRule) -> RuleOut:
    first, last = rule.valid.lower, rule.valid.upper
    assert first is not None
    return RuleOut(
        id=rule.id,
        step=rule.step,
        role=Step(rule.role),
        from_fen=rule.from_fen,
        budget_unit_id=rule.budget_unit_id,
        purpose=rule.purpose,
        member_id=rule.member_id,
        valid_from=first.isoformat(),
        valid_to=last.isoformat() if last else None,
    )


def delegation_out(row: ApprovalDelegation) -> DelegationOut:
    first, last = row.valid.lower, row.valid.upper
    assert first is not None
    assert last is not None
    return DelegationOut(
        id=row.id,
        from_user_id=row.from_user_id,
        to_user_id=row.to_user_id,
        valid_from=first.isoformat(),
        valid_to=last.isoformat(),
        reason=row.reason,
        ended_at=row.ended_at.isoformat() if row.ended_at else None,
    )
