"""Budget units, their links and mandates, addresses and invoice titles, for buying organisations."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from shop.accounts import queries_units as queries
from shop.accounts.models import Address, BudgetUnit
from shop.accounts.models_units import (
    BuyingMandate,
    LinkStatus,
    OrganisationNotActive,
    UnitClosed,
    UnitLink,
)
from shop.accounts.schemas_units import (
    AcceptLink,
    AddressIn,
    AddressPage,
    AnswerMandate,
    BuyerAddressOut,
    BuyingMandateOut,
    BuyingMandatePage,
    ChangeAddress,
    ChangeUnit,
    CloseUnit,
    InvoiceIn,
    InvoiceProfileOut,
    InvoiceProfiles,
    LinkOut,
    LinkPage,
    MoveUnit,
    NewCatererMandate,
    NewUnionMandate,
    NewUnit,
    OfferLink,
    UnitOut,
    UnitPage,
    UnitsQuery,
    address_out,
    buying_mandate_out,
    link_out,
    profile_out,
    unit_out,
)
from shop.accounts.service import keeping_addresses, linking_units, managing_units, mandating
from shop.accounts.service.linking_units import LinkAnswered
from shop.accounts.service.managing_units import OtherTree, UnitCycle, UnitHasSubordinates, UnitTooDeep
from shop.accounts.service.mandating import NotAUnion, WrongMandateStatus
from shop.actor import Actor, Audience, Role
from shop.errors import Invalid, NotFound
from shop.http import cursors
from shop.http.routes import NO_KEY, PageQuery, Routes, audience, roles
from shop.ids import AddressId, BudgetUnitId, BuyingMandateId, InvoiceProfileId, UnitLinkId

routes = Routes("/v1/buyer", tag="Institution")
manager = roles(Role.MANAGER, of=Audience.BUYER)
keeper = roles(Role.MANAGER, Role.FINANCE, of=Audience.BUYER)
anyone = audience(Audience.BUYER)
PLACING_IN_A_TREE = (NotFound, Invalid, OrganisationNotActive, UnitClosed, UnitCycle, UnitTooDeep)


def paged(
    session: Session, question: Any, column: Any, query: PageQuery, name: str
) -> tuple[Sequence[Any], str | None]:
    """The rows of a page, and the cursor of the next one; the first part of a row has the id."""
    after = cursors.decode_id(name, query.cursor) if query.cursor else None
    found = session.execute(queries.page_after(question, column, after, query.limit)).all()
    return cursors.cut(name, found, query.limit, lambda row: row[0].id)


@routes.get("/units", allow=anyone, answers={200: UnitPage})
def list_units(session: Session, actor: Actor, query: UnitsQuery) -> UnitPage:
    """The organisation's budget units, those below them and those merged into them, oldest first."""
    wanted = queries.visible_units(actor)
    if query.parent_id:
        wanted = wanted.where(BudgetUnit.parent_id == query.parent_id)
    if query.status:
        wanted = wanted.where(BudgetUnit.status == query.status)
    page, following = paged(session, wanted, BudgetUnit.id, query, f"units {query.parent_id} {query.status}")
    return UnitPage(items=[unit_out(row[0]) for row in page], next=following)


@routes.post("/units", allow=manager, answers={201: UnitOut}, refusals=PLACING_IN_A_TREE)
def create_unit(session: Session, actor: Actor, now: datetime, body: NewUnit) -> UnitOut:
    """Make a budget unit: the top of a tree, or below one that the organisation has or supervises."""
    return unit_out(managing_units.create(session, by=actor, wanted=body, now=now))


@routes.patch(
    "/units/<unit_id>",
    allow=manager,
    answers={200: UnitOut},
    refusals=(NotFound, Invalid, OrganisationNotActive, UnitClosed),
)
def change_unit(session: Session, actor: Actor, now: datetime, unit_id: BudgetUnitId, body: ChangeUnit) -> UnitOut:
    """Change the name, code, finance level or funding of a unit that the organisation has or supervises."""
    return unit_out(managing_units.change(session, by=actor, unit_id=unit_id, wanted=body, now=now))


@routes.post("/units/<unit_id>/move", allow=manager, answers={200: UnitOut}, refusals=(*PLACING_IN_A_TREE, OtherTree))
def move_unit(session: Session, actor: Actor, now: datetime, unit_id: BudgetUnitId, body: MoveUnit) -> UnitOut:
    """Hang a unit, with all below it, below another one; without a parent it becomes the top of a tree."""
    return unit_out(managing_units.move(session, by=actor, unit_id=unit_id, parent_id=body.parent_id, now=now))


@routes.post(
    "/units/<unit_id>/close",
    allow=manager,
    answers={200: UnitOut},
    refusals=(*PLACING_IN_A_TREE, UnitHasSubordinates),
)
def close_unit(session: Session, actor: Actor, now: datetime, unit_id: BudgetUnitId, body: CloseUnit) -> UnitOut:
    """Close a unit: it takes no new orders, keeps its history, and its successor takes the units below it."""
    return unit_out(
        managing_units.close(
            session, by=actor, unit_id=unit_id, successor_id=body.successor_id, reason=body.reason, now=now
        )
    )


def link_shown(session: Session, actor: Actor, link_id: UnitLinkId) -> LinkOut:
    return link_out(*session.execute(queries.visible_links(actor).where(UnitLink.id == link_id)).one())


@routes.get("/unit-links", allow=anyone, answers={200: LinkPage})
def list_unit_links(session: Session, actor: Actor, query: PageQuery) -> LinkPage:
    """Offers to stand below a unit that the organisation made or was made, oldest first."""
    page, following = paged(session, queries.visible_links(actor), UnitLink.id, query, "unit-links")
    return LinkPage(items=[link_out(*row) for row in page], next=following)


@routes.post(
    "/unit-links",
    allow=manager,
    answers={201: LinkOut},
    refusals=(NotFound, Invalid, OrganisationNotActive, UnitClosed),
)
def offer_unit_link(session: Session, actor: Actor, now: datetime, body: OfferLink) -> LinkOut:
    """Ask another organisation, by its code, to hang one of its units below one of yours."""
    made = linking_units.offer(session, by=actor, parent_id=body.parent_id, uscc=body.uscc, now=now)
    return link_shown(session, actor, made.id)


@routes.post(
    "/unit-links/<link_id>/accept",
    allow=manager,
    answers={200: LinkOut},
    refusals=(*PLACING_IN_A_TREE, LinkAnswered),
)
def accept_unit_link(session: Session, actor: Actor, now: datetime, link_id: UnitLinkId, body: AcceptLink) -> LinkOut:
    """Accept an offer with a unit of your own, which from now on stands below the one that offered."""
    linking_units.answer(session, by=actor, link_id=link_id, to=LinkStatus.ACCEPTED, unit_id=body.unit_id, now=now)
    return link_shown(session, actor, link_id)


@routes.post(
    "/unit-links/<link_id>/decline",
    allow=manager,
    answers={200: LinkOut},
    refusals=(NotFound, OrganisationNotActive, LinkAnswered),
)
def decline_unit_link(session: Session, actor: Actor, now: datetime, link_id: UnitLinkId) -> LinkOut:
    """Decline an offer to stand below a unit."""
    linking_units.answer(session, by=actor, link_id=link_id, to=LinkStatus.DECLINED, now=now)
    return link_shown(session, actor, link_id)


@routes.post(
    "/unit-links/<link_id>/withdraw",
    allow=manager,
    answers={200: LinkOut},
    refusals=(NotFound, OrganisationNotActive, LinkAnswered),
)
def withdraw_unit_link(session: Session, actor: Actor, now: datetime, link_id: UnitLinkId) -> LinkOut:
    """Withdraw an offer that was not answered yet."""
    linking_units.answer(session, by=actor, link_id=link_id, to=LinkStatus.WITHDRAWN, now=now)
    return link_shown(session, actor, link_id)


def mandate_shown(session: Session, actor: Actor, mandate_id: BuyingMandateId) -> BuyingMandateOut:
    wanted = queries.visible_mandates(actor).where(BuyingMandate.id == mandate_id)
    return buying_mandate_out(*session.execute(wanted).one())


@routes.get("/mandates", allow=anyone, answers={200: BuyingMandatePage})
def list_buying_mandates(session: Session, actor: Actor, query: PageQuery) -> BuyingMandatePage:
    """Mandates to buy for a unit that the organisation gave or holds, oldest first."""
    page, following = paged(session, queries.visible_mandates(actor), BuyingMandate.id, query, "mandates")
    return BuyingMandatePage(items=[buying_mandate_out(*row) for row in page], next=following)


@routes.post(
    "/mandates",
    allow=manager,
    answers={201: BuyingMandateOut},
    refusals=(NotFound, Invalid, OrganisationNotActive, UnitClosed),
)
def give_caterer_mandate(session: Session, actor: Actor, now: datetime, body: NewCatererMandate) -> BuyingMandateOut:
    """Let the caterer of an outsourced canteen order for a unit of yours, from a day to a day."""
    return mandate_shown(session, actor, mandating.give(session, by=actor, wanted=body, now=now).id)


@routes.post(
    "/union-mandates",
    allow=manager,
    answers={201: BuyingMandateOut},
    refusals=(NotFound, Invalid, OrganisationNotActive, UnitClosed, NotAUnion),
)
def propose_union_mandate(session: Session, actor: Actor, now: datetime, body: NewUnionMandate) -> BuyingMandateOut:
    """Name the budget unit that the union counts for; the unit's manager confirms it."""
    return mandate_shown(session, actor, mandating.propose(session, by=actor, wanted=body, now=now).id)


@routes.post(
    "/mandates/<buying_mandate_id>/answer",
    allow=manager,
    answers={200: BuyingMandateOut},
    refusals=(NotFound, OrganisationNotActive, WrongMandateStatus),
)
def answer_union_mandate(
    session: Session, actor: Actor, now: datetime, buying_mandate_id: BuyingMandateId, body: AnswerMandate
) -> BuyingMandateOut:
    """Confirm or decline that a union counts for a unit of yours."""
    mandating.answer(session, by=actor, mandate_id=buying_mandate_id, accept=body.accept, now=now)
    return mandate_shown(session, actor, buying_mandate_id)


@routes.post(
    "/mandates/<buying_mandate_id>/end",
    allow=manager,
    answers={200: BuyingMandateOut},
    refusals=(NotFound, WrongMandateStatus),
)
def end_buying_mandate(
    session: Session, actor: Actor, now: datetime, buying_mandate_id: BuyingMandateId
) -> BuyingMandateOut:
    """End a mandate at once, as the unit or as who holds it; what was ordered under it counts on."""
    mandating.end(session, by=actor, mandate_id=buying_mandate_id, now=now)
    return mandate_shown(session, actor, buying_mandate_id)


@routes.get("/addresses", allow=anyone, answers={200: AddressPage})
def list_addresses(session: Session, actor: Actor, query: PageQuery) -> AddressPage:
    """The organisation's own places of delivery in use, oldest first."""
    wanted = queries.own_addresses(actor)
    page, following = paged(session, wanted, Address.id, query, "addresses")
    return AddressPage(items=[address_out(row[0]) for row in page], next=following)


@routes.post("/addresses", allow=manager, answers={201: BuyerAddressOut}, refusals=(Invalid,), key=NO_KEY)
def add_buyer_address(session: Session, actor: Actor, now: datetime, body: AddressIn) -> BuyerAddressOut:
    """Add a place of delivery."""
    return address_out(keeping_addresses.add(session, by=actor, wanted=body, now=now))


@routes.patch(
    "/addresses/<address_id>", allow=manager, answers={200: BuyerAddressOut}, refusals=(NotFound, Invalid), key=NO_KEY
)
def change_buyer_address(
    session: Session, actor: Actor, now: datetime, address_id: AddressId, body: ChangeAddress
) -> BuyerAddressOut:
    """Change a place of delivery; the answer has a new id, because orders on their way keep the old one."""
    return address_out(keeping_addresses.change(session, by=actor, address_id=address_id, wanted=body, now=now))


@routes.post("/addresses/<address_id>/retire", allow=manager, answers={204: None}, refusals=(NotFound,))
def retire_buyer_address(session: Session, actor: Actor, now: datetime, address_id: AddressId) -> None:
    """Take a place of delivery out of use."""
    keeping_addresses.retire(session, by=actor, address_id=address_id, now=now)


@routes.get("/invoice-profiles", allow=anyone, answers={200: InvoiceProfiles})
def list_invoice_profiles(session: Session, actor: Actor) -> InvoiceProfiles:
    """The titles that invoices may be made out to; account numbers are whole for managers and finance only."""
    whole = actor.has(Role.MANAGER, Role.FINANCE)
    return InvoiceProfiles(items=[profile_out(one, whole=whole) for one in keeping_addresses.profiles(session, actor)])


@routes.post("/invoice-profiles", allow=keeper, answers={201: InvoiceProfileOut}, refusals=(Invalid,), key=NO_KEY)
def add_invoice_profile(session: Session, actor: Actor, now: datetime, body: InvoiceIn) -> InvoiceProfileOut:
    """Add a title with its tax number and account; a changed one is added anew and the old one retired."""
    return profile_out(keeping_addresses.add_profile(session, by=actor, wanted=body, now=now), whole=True)


@routes.post("/invoice-profiles/<profile_id>/retire", allow=keeper, answers={204: None}, refusals=(NotFound,))
def retire_invoice_profile(session: Session, actor: Actor, now: datetime, profile_id: InvoiceProfileId) -> None:
    """Take an invoice title out of use."""
    keeping_addresses.retire_profile(session, by=actor, profile_id=profile_id, now=now)
