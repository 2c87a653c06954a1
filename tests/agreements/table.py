"""A buyer and a cooperative at one table: prices proposed and accepted, by the use cases themselves."""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import Range

from shop.actor import Actor
from shop.agreements.models import FrameworkAgreement, NegotiatedQuote
from shop.agreements.schemas import AgreementLineIn, ProposeAgreement
from shop.agreements.service import agreeing
from shop.catalogue.models import Listing
from tests import builders as a
from tests.orders import journey


def terms(*lines: AgreementLineIn, **more: Any) -> ProposeAgreement:
    fields: dict[str, Any] = {
        "reference": "协议〔2024〕1号",
        "valid_from": date(2024, 10, 1),
        "valid_to": date(2025, 10, 1),
        "ceiling_fen": 10**9,
        "lines": list(lines),
    }
    return ProposeAgreement(**fields | more)


def at(listing: Listing, unit_fen: int, ceiling_packs: int | None = None) -> AgreementLineIn:
    return AgreementLineIn(listing_id=listing.id, unit_fen=unit_fen, ceiling_packs=ceiling_packs)


def proposed(world: a.World, *lines: AgreementLineIn, **more: Any) -> UUID:
    return agreeing.propose(world.session, by=world.actor, wanted=terms(*lines, **more), now=a.NOW)


def seller(world: a.World, listing: Listing) -> Actor:
    return journey.seller_of(world.session, listing.cooperative_id)


def agreed(world: a.World, listing: Listing, unit_fen: int, **more: Any) -> FrameworkAgreement:
    """An agreement on one listing that both sides said yes to."""
    packs = more.pop("ceiling_packs", None)
    made = proposed(world, at(listing, unit_fen, packs), **more)
    agreeing.answer(world.session, by=seller(world, listing), agreement_id=made, accept=True, reason=None, now=a.NOW)
    return world.session.get_one(FrameworkAgreement, made, populate_existing=True)


def a_quote(world: a.World, listing: Listing, unit_fen: int, packs: int, **more: Any) -> NegotiatedQuote:
    """A price that the world's buyer was awarded."""
    fields: dict[str, Any] = {
        "buyer_id": world.buyer.id,
        "cooperative_id": listing.cooperative_id,
        "listing_id": listing.id,
        "pack_base_quantity": listing.pack_base_quantity,
        "unit_fen": unit_fen,
        "packs": packs,
        "valid": Range(date(2024, 10, 15), date(2024, 11, 14)),
        "made_at": a.NOW,
    }
    made = NegotiatedQuote(**fields | more)
    world.session.add(made)
    world.session.flush()
    return made
