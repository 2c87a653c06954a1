"""Settings, signatures, drafts and photos of inspections, as JSON."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from shop.http.routes import In, Out, PageQuery
from shop.ids import BudgetUnitId, DraftId, SigningId, SupplierOrderId, UserId
from shop.orders.models_inspections import InspectionDraft, InspectionSetting, InspectionSigning
from shop.orders.schemas_fulfilment import CountIn, OrderPhotoOut

Reason = Annotated[str, Field(min_length=1, max_length=500)]


class SetInspection(In):
    """How deliveries for a unit are inspected from now on, and why."""

    budget_unit_id: BudgetUnitId
    two_signatures: bool
    not_by_requester: bool
    reason: Reason


class SettingsQuery(PageQuery):
    pass


class InspectionSettingOut(Out):
    """`two_signatures`: two people sign. `not_by_requester`: neither is whoever ordered."""

    budget_unit_id: BudgetUnitId
    two_signatures: bool
    not_by_requester: bool


class InspectionSettings(Out):
    items: list[InspectionSettingOut]
    next: str | None


class SendBack(In):
    """Why the second person does not sign."""

    reason: Reason


class SigningOut(Out):
    """An inspection with its first signature. Nothing is accepted before the second, which is wanted by `lapses_at`."""

    id: SigningId
    supplier_order_id: SupplierOrderId
    status: Literal["waiting", "signed", "returned", "lapsed"]
    found: dict[str, Any]
    first_signer: UserId
    signed_at: str
    lapses_at: str | None
    second_signer: UserId | None
    reason: str | None
    ended_at: str | None


class SigningPage(Out):
    items: list[SigningOut]


class DraftIn(In):
    """What is written so far. `version` rises with every change on the device; an older one changes nothing."""

    version: Annotated[int, Field(ge=1, le=1_000_000_000)]
    lines: Annotated[list[CountIn], Field(max_length=1000)]
    note: Annotated[str, Field(min_length=1, max_length=1000)] | None = None


class DraftOut(Out):
    """The newest version that was saved under this id; `sent` once it became the acceptance note."""

    id: DraftId
    version: int
    lines: list[dict[str, Any]]
    note: str | None
    saved_by: UserId
    saved_at: str
    sent: bool


class DraftPage(Out):
    items: list[DraftOut]


class OrderPhotos(Out):
    items: list[OrderPhotoOut]


def setting_out(row: InspectionSetting) -> InspectionSettingOut:
    return InspectionSettingOut(
        budget_unit_id=row.budget_unit_id, two_signatures=row.two_signatures, not_by_requester=row.not_by_requester
    )


def signing_out(row: InspectionSigning) -> SigningOut:
    return SigningOut(
        id=row.id,
        supplier_order_id=row.supplier_order_id,
        status=row.status,  # type: ignore[arg-type]
        found=row.content,
        first_signer=row.first_user_id,
        signed_at=row.signed_at.isoformat(),
        lapses_at=row.lapses_at.isoformat() if row.lapses_at else None,
        second_signer=row.second_user_id,
        reason=row.reason,
        ended_at=row.ended_at.isoformat() if row.ended_at else None,
    )


def draft_out(row: InspectionDraft, sent: UUID | None) -> DraftOut:
    return DraftOut(
        id=row.id,
        version=row.version,
        lines=row.content["lines"],
        note=row.content["note"],
        saved_by=row.saved_by,
        saved_at=row.saved_at.isoformat(),
        sent=row.id == sent,
    )
