"""How a unit has deliveries inspected: second signatures, drafts that survive loss of signal, photos."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.actor import Actor, Audience, Role
from shop.errors import Busy, NotFound
from shop.files import images
from shop.files import service as files
from shop.http import cursors
from shop.http.routes import REQUIRED, Routes, audience, roles, work_of
from shop.ids import DraftId, SupplierOrderId, new_id
from shop.orders import queries_fulfilment, queries_inspections
from shop.orders.api_fulfilment import acceptance_out
from shop.orders.models import WrongStatus
from shop.orders.models_inspections import InspectionSetting, InspectorOrdered, NoSignatureWaits, SameSigner
from shop.orders.schemas_fulfilment import AcceptanceOut, OrderPhotoOut, photo_out
from shop.orders.schemas_inspections import (
    DraftIn,
    DraftOut,
    DraftPage,
    InspectionSettingOut,
    InspectionSettings,
    OrderPhotos,
    SendBack,
    SetInspection,
    SettingsQuery,
    SigningOut,
    SigningPage,
    draft_out,
    setting_out,
    signing_out,
)
from shop.orders.service import inspecting, photographing
from shop.orders.service.acceptance import WrongCounts

routes = Routes("/v1/buyer", tag="Buying")
selling = Routes("/v1/cooperative", tag="Selling")
receiver = roles(Role.RECEIVER, Role.MANAGER, Role.REQUESTER, of=Audience.BUYER)
NAMED_WITHIN = timedelta(days=1)
UPLOADS = (
    NotFound,
    images.NotAPhoto,
    images.PhotoTooLarge,
    images.PhotoTooSmall,
    photographing.TooManyOrderPhotos,
    Busy,
)


@routes.get("/inspection-settings", allow=audience(Audience.BUYER), answers={200: InspectionSettings})
def list_inspection_settings(session: Session, actor: Actor, query: SettingsQuery) -> InspectionSettings:
    """How deliveries for the institution's units are inspected, where that was set."""
    wanted = select(InspectionSetting).where(InspectionSetting.organisation_id == actor.organisation_id)
    if query.cursor:
        after = cursors.decode_id("inspection-settings", query.cursor)
        wanted = wanted.where(InspectionSetting.budget_unit_id > after)
    found = session.scalars(wanted.order_by(InspectionSetting.budget_unit_id).limit(query.limit + 1)).all()
    page, following = cursors.cut("inspection-settings", found, query.limit, lambda row: row.budget_unit_id)
    return InspectionSettings(items=[setting_out(row) for row in page], next=following)


@routes.put(
    "/inspection-settings",
    allow=roles(Role.MANAGER, of=Audience.BUYER),
    answers={200: InspectionSettingOut},
    refusals=(NotFound,),
)
def set_inspection(session: Session, actor: Actor, now: datetime, body: SetInspection) -> InspectionSettingOut:
    """Set whether two people sign what arrives for a unit, and whether whoever ordered may be one of them."""
    return setting_out(inspecting.set_inspection(session, by=actor, wanted=body, now=now))


@routes.get(
    "/supplier-orders/<supplier_order_id>/signatures",
    allow=audience(Audience.BUYER),
    answers={200: SigningPage},
    refusals=(NotFound,),
)
def list_signatures(session: Session, actor: Actor, supplier_order_id: SupplierOrderId) -> SigningPage:
    """The inspections of a delivery that were signed once, oldest first, with what became of each."""
    return SigningPage(items=[signing_out(row) for row in inspecting.signings_of(session, actor, supplier_order_id)])


@routes.post(
    "/supplier-orders/<supplier_order_id>/countersign",
    allow=receiver,
    answers={201: AcceptanceOut},
    refusals=(NotFound, NoSignatureWaits, SameSigner, InspectorOrdered, WrongStatus, WrongCounts),
    key=REQUIRED,
)
def countersign_inspection(
    session: Session, actor: Actor, now: datetime, supplier_order_id: SupplierOrderId
) -> AcceptanceOut:
    """Give the second signature: what the first person found is recorded and settles the bill."""
    inspecting.countersign(session, actor=actor, supplier_order_id=supplier_order_id, now=now)
    return acceptance_out(session, supplier_order_id)


@routes.post(
    "/supplier-orders/<supplier_order_id>/signatures/return",
    allow=receiver,
    answers={200: SigningOut},
    refusals=(NotFound, NoSignatureWaits),
    key=REQUIRED,
)
def return_inspection(
    session: Session, actor: Actor, now: datetime, supplier_order_id: SupplierOrderId, body: SendBack
) -> SigningOut:
    """Do not sign, or take one's own signature back: the delivery is inspected anew."""
    return signing_out(
        inspecting.send_back(session, actor=actor, supplier_order_id=supplier_order_id, reason=body.reason, now=now)
    )


@routes.get(
    "/supplier-orders/<supplier_order_id>/inspection-drafts",
    allow=receiver,
    answers={200: DraftPage},
    refusals=(NotFound,),
)
def list_inspection_drafts(session: Session, actor: Actor, supplier_order_id: SupplierOrderId) -> DraftPage:
    """What devices have saved of the inspection of a delivery; `sent` tells which of them became the note."""
    drafts = inspecting.drafts_of(session, actor, supplier_order_id)
    note = queries_fulfilment.acceptance_of(session, supplier_order_id)
    sent = note[0].draft_id if note else None
    return DraftPage(items=[draft_out(row, sent) for row in drafts])


@routes.put(
    "/supplier-orders/<supplier_order_id>/inspection-drafts/<device_draft_id>",
    allow=receiver,
    answers={200: DraftOut},
    refusals=(NotFound,),
)
def save_inspection_draft(
    session: Session,
    actor: Actor,
    now: datetime,
    supplier_order_id: SupplierOrderId,
    device_draft_id: DraftId,
    body: DraftIn,
) -> DraftOut:
    """Save what is written so far under an id that the device made; the highest version stays.

    It may come late, twice or out of order. Hand it in at `…/inspection` with this id as `draft_id`: sent twice, it is
    one inspection.
    """
    row = inspecting.save_draft(
        session, actor=actor, supplier_order_id=supplier_order_id, draft_id=device_draft_id, wanted=body, now=now
    )
    return draft_out(row, None)


def photos_out(session: Session, actor: Actor, supplier_order_id: UUID) -> OrderPhotos:
    shown: Sequence[queries_inspections.Shown] = queries_inspections.own_photos(session, actor, supplier_order_id)
    items: list[OrderPhotoOut] = [photo_out(*each) for each in shown]
    return OrderPhotos(items=items)


def taken_in(actor: Actor, now: datetime, supplier_order_id: UUID, raw: bytes) -> OrderPhotos:
    """Store an upload and have it made into a photo; the row comes first, so that what breaks leaves nothing behind."""
    work_of(actor, lambda session: photographing.check(session, by=actor, supplier_order_id=supplier_order_id))
    images.measure(raw)
    file_id = new_id()

    def register(session: Session) -> None:
        files.register(
            session, file_id=file_id, organisation_id=actor.organisation_id, name=f"{file_id.hex}.photo",
            media_type="application/octet-stream", data=raw, kept_for=NAMED_WITHIN,
        )  # fmt: skip

    def add(session: Session) -> OrderPhotos:
        photographing.add(session, by=actor, supplier_order_id=supplier_order_id, file_id=file_id, data=raw, now=now)
        return photos_out(session, actor, supplier_order_id)

    work_of(actor, register)
    files.put(file_id, raw)
    return work_of(actor, add)


@routes.get("/supplier-orders/<supplier_order_id>/photos", allow=audience(Audience.BUYER), answers={200: OrderPhotos})
def list_buyer_photos(session: Session, actor: Actor, supplier_order_id: SupplierOrderId) -> OrderPhotos:
    """The photos that the buyer added to a supplier order, and how far each is."""
    return photos_out(session, actor, supplier_order_id)


@routes.post(
    "/supplier-orders/<supplier_order_id>/photos",
    allow=receiver,
    answers={201: OrderPhotos},
    refusals=UPLOADS,
    raw_body=True,
    calls_out=True,
    max_body=images.MAX_PHOTO,
)
def add_buyer_photo(actor: Actor, now: datetime, supplier_order_id: SupplierOrderId, raw: bytes) -> OrderPhotos:
    """Upload a photo of what arrived: a JPEG, PNG or WebP of at most 10 MB and 40 megapixels; the same is kept once.

    It is made anew without place, camera and other metadata, and shown to both sides once an inspection or a dispute
    names it.
    """
    return taken_in(actor, now, supplier_order_id, raw)


@selling.get(
    "/supplier-orders/<supplier_order_id>/photos", allow=audience(Audience.COOPERATIVE), answers={200: OrderPhotos}
)
def list_cooperative_photos(session: Session, actor: Actor, supplier_order_id: SupplierOrderId) -> OrderPhotos:
    """The photos that the cooperative added to a supplier order, and how far each is."""
    return photos_out(session, actor, supplier_order_id)


@selling.post(
    "/supplier-orders/<supplier_order_id>/photos",
    allow=roles(Role.SHIPPER, of=Audience.COOPERATIVE),
    answers={201: OrderPhotos},
    refusals=UPLOADS,
    raw_body=True,
    calls_out=True,
    max_body=images.MAX_PHOTO,
)
def add_cooperative_photo(actor: Actor, now: datetime, supplier_order_id: SupplierOrderId, raw: bytes) -> OrderPhotos:
    """Upload a photo of what was sent, as the buyer does of what arrived."""
    return taken_in(actor, now, supplier_order_id, raw)
