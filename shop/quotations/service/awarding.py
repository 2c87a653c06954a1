"""Award the lines of a request, and keep what that rests on."""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.orm import Session

from shop.accounts import queries_units
from shop.actor import Actor
from shop.agreements.models import NegotiatedQuote
from shop.audit import service as audit
from shop.clock import business_day
from shop.db import insert_rows, moved
from shop.errors import Invalid
from shop.ids import new_id
from shop.quotations import queries
from shop.quotations.models import (
    NEXT,
    QuotationAward,
    QuotationEvidence,
    QuotationRequest,
    RequestStatus,
    WrongRequestStatus,
)
from shop.quotations.schemas import Award, comparison_out, quote_out, request_out, view_out
from shop.quotations.service import asking
from shop.quotations.service.comparing import Compared, compare


def award(session: Session, *, by: Actor, request_id: UUID, wanted: Award, now: datetime) -> None:
    """Give each line that is named to one of its quotes, once and for all; lines that are not named go to nobody.

    What is awarded may be ordered once at the price, up to the packs that were quoted, for the days of the request.
    QuotesSealed before the deadline; Invalid for a line or cooperative without a quote, and where the cheapest is
    passed over without a reason.
    """
    queries_units.require_active(session, by)
    row = asking.own(session, by, request_id)
    if row.status != RequestStatus.OPEN:
        raise WrongRequestStatus(request_status=row.status)
    compared = compare(session, row, now=now)
    chosen = choices(compared, wanted)
    if not moved(session, row, RequestStatus.AWARDED, NEXT, closed_by=by.user_id, closed_at=now):
        raise WrongRequestStatus(request_status=row.status)
    awards: list[dict[str, Any]] = [
        {
            "id": new_id(),
            "request_id": row.id,
            "place": place,
            "quotation_id": each.quotation.id,
            "buyer_id": row.buyer_id,
            "cooperative_id": each.quotation.cooperative_id,
            "cheapest": cheapest,
            "reason": reason,
            "by_user_id": by.user_id,
            "at": now,
        }
        for place, (each, cheapest, reason) in chosen.items()
    ]
    content = evidence(session, row, compared, awards)
    kept = {
        "request_id": row.id,
        "buyer_id": row.buyer_id,
        "content": content,
        "sha256": hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest(),
        "at": now,
    }
    today = business_day(now)
    prices = [
        {
            "id": each["id"],
            "buyer_id": row.buyer_id,
            "cooperative_id": each["cooperative_id"],
            "listing_id": line.listing_id,
            "pack_base_quantity": line.pack_base_quantity,
            "unit_fen": line.unit_fen,
            "packs": line.packs,
            "valid": f"[{today},{today + timedelta(days=row.valid_days)})",
            "made_at": now,
        }
        for each in awards
        for line in (chosen[each["place"]][0].line,)
    ]
    insert_rows(session, (QuotationAward, awards), (QuotationEvidence, [kept]), (NegotiatedQuote, prices))
    winners: set[UUID] = {each["cooperative_id"] for each in awards}
    audit.record(
        session, by=by, action="quotation.awarded", kind="quotation_request", subject=row.id, now=now,
        sha256=kept["sha256"], cooperatives=sorted(key.hex for key in winners),
    )  # fmt: skip
    others = set(queries.invited(session, [row.id])[row.id]) - winners
    asking.tell(session, row, "quotation.awarded", [row.buyer_id, *winners], now)
    if others:
        asking.tell(session, row, "quotation.closed", sorted(others), now)


def choices(compared: Mapping[int, list[Compared]], wanted: Award) -> dict[int, tuple[Compared, bool, str | None]]:
    """The quote that each line goes to, whether none is cheaper, and why it was chosen."""
    chosen: dict[int, tuple[Compared, bool, str | None]] = {}
    for nth, one in enumerate(wanted.awards):
        if one.place in chosen:
            raise Invalid("This line is awarded above already.", pointer=f"/awards/{nth}/place")
        quotes = compared.get(one.place, [])
        found = [each for each in quotes if each.quotation.cooperative_id == one.cooperative_id]
        if not found:
            raise Invalid("This cooperative has not quoted for this line.", pointer=f"/awards/{nth}/cooperative_id")
        cheapest = found[0].per_kg_fen == quotes[0].per_kg_fen
        if not cheapest and one.reason is None:
            raise Invalid("Another quote is cheaper: say why it is passed over.", pointer=f"/awards/{nth}/reason")
        chosen[one.place] = (found[0], cheapest, one.reason)
    return chosen


def evidence(
    session: Session, row: QuotationRequest, compared: Mapping[int, list[Compared]], awards: list[dict[str, Any]]
) -> dict[str, Any]:
    """All that the award rests on, as JSON that does not change any more."""
    versions = queries.versions_of(session, row.id)
    lines = queries.quoted_lines(session, [quote.id for quote in versions])
    names = queries.invited(session, [row.id])[row.id]
    shown = request_out(row, queries.lines_of(session, [row.id])[row.id], names, queries.name_of(session, row.buyer_id))
    return {
        "request": shown.model_dump(mode="json"),
        "quotes": [quote_out(quote, lines[quote.id]).model_dump(mode="json") for quote in versions],
        "comparison": comparison_out(compared, names).model_dump(mode="json"),
        "awards": [
            {
                "place": each["place"],
                "cooperative_id": f"org_{each['cooperative_id'].hex}",
                "cheapest": each["cheapest"],
                "reason": each["reason"],
                "by": f"usr_{each['by_user_id'].hex}",
                "at": each["at"].isoformat(),
            }
            for each in awards
        ],
        "views": [view_out(view).model_dump(mode="json") for view in queries.views_of(session, row.id)],
    }
