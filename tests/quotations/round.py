"""A round of quotations: a buyer who asks, cooperatives who quote, by the use cases themselves."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.catalogue.models import Listing
from shop.quotations.models import QuotationRequest
from shop.quotations.schemas import AskForQuotes, Award, AwardLine, QuoteLineIn, RequestLineIn, SubmitQuote
from shop.quotations.service import asking, awarding, offering
from tests import builders as a
from tests.orders import journey

DEADLINE = a.NOW + timedelta(days=3)
AFTER = DEADLINE + timedelta(minutes=1)


class Round:
    """`listings` are each of another cooperative, in whose name it is quoted."""

    def __init__(self, session: Session, sellers: int = 2, lines: int = 1, **listing: Any) -> None:
        self.session = session
        self.world = a.World(session)
        self.listings = [self.world.offer(1000, **listing) for _ in range(sellers)]
        self.lines = lines

    def ask(self, **more: Any) -> UUID:
        line = RequestLineIn(name="苹果", spec="80mm", base_unit="g", pack_base_quantity=5000, packs=20)
        fields: dict[str, Any] = {
            "title": "秋季水果",
            "delivery_address_id": self.world.address.id,
            "deadline": DEADLINE,
            "valid_days": 30,
            "cooperative_ids": [listing.cooperative_id for listing in self.listings],
            "lines": [line] * self.lines,
        }
        return asking.ask(self.session, by=self.world.actor, wanted=AskForQuotes(**fields | more), now=a.NOW)

    def seller(self, listing: Listing) -> Actor:
        return journey.seller_of(self.session, listing.cooperative_id)

    def quote(self, request_id: UUID, listing: Listing, *prices: int, now: datetime = a.NOW) -> UUID:
        """A price for each line from the first on, all with one listing."""
        lines = [QuoteLineIn(place=place, listing_id=listing.id, unit_fen=fen) for place, fen in enumerate(prices)]
        return offering.submit(
            self.session, by=self.seller(listing), request_id=request_id, wanted=SubmitQuote(lines=lines), now=now
        )

    def award(self, request_id: UUID, *awards: tuple[int, Listing, str | None], now: datetime = AFTER) -> None:
        wanted = Award(
            awards=[
                AwardLine(place=place, cooperative_id=listing.cooperative_id, reason=reason)
                for place, listing, reason in awards
            ]
        )
        awarding.award(self.session, by=self.world.actor, request_id=request_id, wanted=wanted, now=now)

    def row(self, request_id: UUID) -> QuotationRequest:
        return self.session.get_one(QuotationRequest, request_id, populate_existing=True)
