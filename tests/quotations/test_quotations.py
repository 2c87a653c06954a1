"""Requests for quotation: asked, quoted sealed, compared, awarded, and kept."""

import hashlib
from datetime import timedelta

import msgspec
import pytest
from pydantic import ValidationError
from sqlalchemy import select, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session

from shop import clock
from shop.db import sees, unit_of_work
from shop.errors import Invalid, NotFound
from shop.orders.schemas_fulfilment import CountIn, Inspect
from shop.orders.service import acceptance
from shop.outbox.models import Event
from shop.quotations import queries
from shop.quotations.models import DeadlinePassed, QuotationEvidence, QuotesSealed, Seen, WrongRequestStatus
from shop.quotations.schemas import QuoteLineIn, SubmitQuote
from shop.quotations.service import asking, awarding, comparing, offering
from shop.quotations.service.comparing import AS_ASKED, Share, per_kg
from tests import builders as a
from tests.orders import journey
from tests.quotations.round import AFTER, DEADLINE, Round


def told(session: Session) -> list[tuple[str, set[object]]]:
    rows = session.execute(select(Event.kind, Event.seen_by).where(Event.kind.like("quotation.%")).order_by(Event.id))
    return [(kind, set(seen)) for kind, seen in rows]


def test_chosen_cooperatives_are_asked_and_quote_with_their_own_listings(session: Session) -> None:
    of = Round(session)
    one, other = of.listings
    asked = of.ask()
    assert of.row(asked).number == "RFQ-2024-000001"
    assert told(session) == [("quotation.requested", {of.world.buyer.id, one.cooperative_id, other.cooperative_id})]
    quote = of.quote(asked, one, 3_900)
    (line,) = queries.quoted_lines(session, [quote])[quote]
    assert (line.listing_id, line.listing_revision, line.packs, line.unit_fen) == (one.id, one.revision, 20, 3_900)
    with pytest.raises(NotFound, match="No such listing of yours"):
        offering.submit(
            session, by=of.seller(other), request_id=asked, now=a.NOW,
            wanted=SubmitQuote(lines=[QuoteLineIn(place=0, listing_id=one.id, unit_fen=1)]),
        )  # fmt: skip
    stranger = of.world.offer()
    with pytest.raises(NotFound):
        of.quote(asked, stranger, 1)


def test_packs_of_another_size_are_as_many_as_hold_what_is_asked_for(session: Session) -> None:
    of = Round(session, sellers=1, pack_base_quantity=7_000, pack_grams=7_500, min_packs=3, step_packs=2)
    quote = of.quote(of.ask(), of.listings[0], 5_600)
    (line,) = queries.quoted_lines(session, [quote])[quote]
    assert line.packs == 15  # 100 kg are 14.3 packs of 7 kg, and they go from 3 in steps of 2


def test_what_cannot_be_asked_or_quoted_is_refused_where_it_stands(session: Session) -> None:
    of = Round(session)
    one = of.listings[0]
    for more, pointer in (
        ({"deadline": a.NOW}, "/deadline"),
        ({"deadline": a.NOW + timedelta(days=367)}, "/deadline"),
        ({"cooperative_ids": [one.cooperative_id, of.world.buyer.id]}, "/cooperative_ids/1"),
    ):
        with pytest.raises(Invalid) as refused:
            of.ask(**more)
        assert [each["pointer"] for each in refused.value.errors] == [pointer]
    with pytest.raises(NotFound):
        of.ask(delivery_address_id=a.an_id())
    with pytest.raises(ValidationError, match="asked once"):
        of.ask(cooperative_ids=[one.cooperative_id] * 2)
    asked = of.ask()
    by_piece = of.world.offer(base_unit="piece")
    small = of.world.offer(max_packs=19)
    for listing in (by_piece, small):
        listing.cooperative_id = one.cooperative_id
    session.flush()
    for listing, place, pointer in (
        (one, 1, "/lines/0/place"), (by_piece, 0, "/lines/0/listing_id"), (small, 0, "/lines/0/listing_id"),
    ):  # fmt: skip
        wanted = SubmitQuote(lines=[QuoteLineIn(place=place, listing_id=listing.id, unit_fen=1)])
        with pytest.raises(Invalid) as refused:
            offering.submit(session, by=of.seller(one), request_id=asked, wanted=wanted, now=a.NOW)
        assert refused.value.pointer == pointer


def test_nobody_reads_a_quote_before_the_deadline(session: Session) -> None:
    of = Round(session)
    asked = of.ask()
    of.quote(asked, of.listings[0], 3_900)
    with pytest.raises(QuotesSealed) as refused:
        comparing.compare(session, of.row(asked), now=DEADLINE - timedelta(seconds=1))
    assert refused.value.facts == {"deadline": DEADLINE.isoformat()}
    with pytest.raises(QuotesSealed):
        of.award(asked, (0, of.listings[0], None), now=a.NOW)
    assert len(comparing.compare(session, of.row(asked), now=DEADLINE)[0]) == 1


def test_the_database_shows_a_sealed_quote_to_its_cooperative_alone(committed: str) -> None:
    with unit_of_work() as session:
        clock.move_to(session, a.NOW)
        of = Round(session)
        asked = of.ask()
        for listing in of.listings:
            of.quote(asked, listing, 3_900)
        buyer, sellers = of.world.buyer.id, [listing.cooperative_id for listing in of.listings]

    def seen(organisation: object) -> tuple[int, int]:
        with unit_of_work(at_edge=True) as session:
            sees(session, organisation)  # type: ignore[arg-type]
            return tuple(
                session.scalar(text(f"SELECT count(*) FROM {table}")) for table in ("quotation", "quotation_line")
            )  # type: ignore[return-value]

    assert [seen(each) for each in (buyer, *sellers)] == [(0, 0), (1, 1), (1, 1)]
    with unit_of_work() as session:
        clock.move_to(session, AFTER)
    assert [seen(each) for each in (buyer, *sellers)] == [(2, 2), (1, 1), (1, 1)]


def test_no_quote_is_taken_after_the_deadline(session: Session) -> None:
    of = Round(session)
    asked = of.ask()
    of.quote(asked, of.listings[0], 3_900, now=DEADLINE - timedelta(seconds=1))
    with pytest.raises(DeadlinePassed):
        of.quote(asked, of.listings[1], 3_800, now=DEADLINE)


def test_the_last_version_counts_and_one_without_lines_takes_the_quote_back(session: Session) -> None:
    of = Round(session)
    one, other = of.listings
    asked = of.ask()
    of.quote(asked, one, 3_900)
    of.quote(asked, one, 3_700)
    of.quote(asked, other, 3_600)
    of.quote(asked, other)
    (found,) = comparing.compare(session, of.row(asked), now=AFTER)[0]
    assert (found.quotation.version, found.line.unit_fen) == (2, 3_700)
    assert [quote.version for quote in queries.versions_of(session, asked)] == [1, 2, 1, 2]


def test_landed_prices_are_rounded_once() -> None:
    kilo = {"goods_fen": 520_000, "freight_fen": 30_000, "net_grams": 1_000_000}
    assert per_kg(**kilo, share=AS_ASKED) == 550
    assert per_kg(**kilo, share=Share(931, 980, 9)) == 579  # 578.95
    assert per_kg(**kilo, share=Share(0, 980, 9)) is None
    assert per_kg(goods_fen=1, freight_fen=0, net_grams=2_000, share=AS_ASKED) == 1  # a half goes up


def test_what_was_rejected_before_makes_a_quote_dearer_than_its_price(session: Session) -> None:
    of = Round(session, lots=500)
    careless, careful = of.listings
    for listing, accepted in ((careless, 6), (careful, 10)):
        for _ in range(3):
            (part,) = journey.confirmed(of.world, {listing.id: 10})
            journey.delivered(session, part)
            (share,) = journey.sent_of(session, part)
            count = CountIn(
                line_id=share.line_id, lot_id=share.lot_id, accepted=accepted, rejected=10 - accepted, short=0,
                reason="腐坏",
            )  # fmt: skip
            acceptance.inspect(
                session, actor=of.world.actor, supplier_order_id=part, found=Inspect(lines=[count]), now=journey.LATER
            )
    asked = of.ask(deadline=journey.LATER + timedelta(days=1))
    of.quote(asked, careless, 3_000)
    of.quote(asked, careful, 4_000)
    first, second = comparing.compare(session, of.row(asked), now=journey.LATER + timedelta(days=2))[0]
    # 20 packs of 5 kg: goods 80,000 and 60,000 fen; freight of 100 kg at 600 yuan a tonne 6,000 fen
    assert (first.line.listing_id, first.goods_fen, first.freight and first.freight.fen) == (careful.id, 80_000, 6_000)
    assert first.per_kg_fen == 860
    assert (second.per_kg_fen, second.share) == (1_100, Share(18 * 5_000, 30 * 5_000, 3))


def test_a_quote_that_no_lane_reaches_stands_last_and_has_no_landed_price(session: Session) -> None:
    of = Round(session)
    near, far = of.listings
    far.origin_code = "530100"
    session.flush()
    asked = of.ask()
    of.quote(asked, far, 100)
    of.quote(asked, near, 3_900)
    found = comparing.compare(session, of.row(asked), now=AFTER)[0]
    assert [(each.line.listing_id, each.per_kg_fen is None) for each in found] == [(near.id, False), (far.id, True)]


def test_lines_go_to_different_cooperatives_with_a_reason_where_one_is_not_the_cheapest(session: Session) -> None:
    of = Round(session, sellers=3, lines=2)
    one, other, third = of.listings
    asked = of.ask()
    of.quote(asked, one, 3_900, 3_900)
    of.quote(asked, other, 3_800, 4_100)
    of.quote(asked, third, 5_000)
    for award, pointer in (
        ((0, one, None), "/awards/0/reason"),
        ((1, third, "x"), "/awards/0/cooperative_id"),
        ((7, one, None), "/awards/0/cooperative_id"),
    ):
        with pytest.raises(Invalid) as refused:
            of.award(asked, award)
        assert refused.value.pointer == pointer
    with pytest.raises(Invalid) as refused:
        of.award(asked, (0, other, None), (0, one, "x"))
    assert refused.value.pointer == "/awards/1/place"
    of.award(asked, (0, one, "上季验收更好"), (1, one, None))
    found = [(row.place, row.cooperative_id, row.cheapest, row.reason) for row in queries.awards_of(session, asked)]
    assert found == [(0, one.cooperative_id, False, "上季验收更好"), (1, one.cooperative_id, True, None)]
    assert told(session)[-2:] == [
        ("quotation.awarded", {of.world.buyer.id, one.cooperative_id}),
        ("quotation.closed", {other.cooperative_id, third.cooperative_id}),
    ]


def test_what_was_awarded_or_cancelled_stays_so(session: Session) -> None:
    of = Round(session)
    one = of.listings[0]
    awarded, cancelled = of.ask(), of.ask()
    for asked in (awarded, cancelled):
        of.quote(asked, one, 3_900)
    of.award(awarded, (0, one, None))
    asking.cancel(session, by=of.world.actor, request_id=cancelled, reason="预算调整", now=a.NOW)
    for asked, status in ((awarded, "awarded"), (cancelled, "cancelled")):
        for deed in (
            lambda asked=asked: of.award(asked, (0, one, None)),
            lambda asked=asked: of.quote(asked, one, 1),
            lambda asked=asked: asking.cancel(session, by=of.world.actor, request_id=asked, reason="x", now=a.NOW),
        ):
            with pytest.raises(WrongRequestStatus) as refused:
                deed()
            assert refused.value.facts == {"request_status": status}
    with pytest.raises(NotFound):
        asking.cancel(session, by=of.seller(one), request_id=awarded, reason="x", now=a.NOW)


def test_evidence_keeps_listings_quotes_readers_and_the_comparison_as_they_were(session: Session) -> None:
    of = Round(session)
    one, other = of.listings
    asked = of.ask()
    of.quote(asked, one, 4_000)
    of.quote(asked, one, 3_900)
    of.quote(asked, other, 3_950)
    row = of.row(asked)
    asking.note_view(session, by=of.seller(one), row=row, what=Seen.REQUEST, now=a.NOW)
    asking.note_view(session, by=of.world.actor, row=row, what=Seen.QUOTES, now=AFTER)
    of.award(asked, (0, one, None))
    kept = session.get_one(QuotationEvidence, asked)
    content = kept.content
    assert [(quote["version"], quote["lines"][0]["unit_fen"]) for quote in content["quotes"]] == [
        (1, 4_000), (2, 3_900), (1, 3_950),
    ]  # fmt: skip
    assert content["quotes"][0]["lines"][0]["listing_revision"] == one.revision
    assert [each["per_kg_fen"] for each in content["comparison"]["lines"][0]["quotes"]] == [840, 850]
    assert [view["what"] for view in content["views"]] == ["request", "quotes"]
    assert content["awards"][0]["cheapest"] is True
    assert hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest() == kept.sha256
    for table in ("evidence", "award", "view", "line", "invitation", "request_line"):
        for deed in (f"DELETE FROM quotation_{table}", f"UPDATE quotation_{table} SET request_id = request_id"):
            with pytest.raises(ProgrammingError), session.begin_nested():
                session.execute(text(deed))
    for deed in ("UPDATE quotation SET at = at", "UPDATE quotation_request SET deadline = deadline"):
        with pytest.raises(ProgrammingError), session.begin_nested():
            session.execute(text(deed))


def test_the_buyer_is_told_once_that_a_deadline_has_passed(session: Session) -> None:
    of = Round(session)
    of.ask()
    gone = of.ask()
    asking.cancel(session, by=of.world.actor, request_id=gone, reason="x", now=a.NOW)
    assert [asking.open_due(session, now=now) for now in (a.NOW, DEADLINE, DEADLINE)] == [0, 1, 0]
    assert told(session)[-1] == ("quotation.opened", {of.world.buyer.id})


def test_two_who_award_at_once_do_not_both(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    of = Round(session)
    one = of.listings[0]
    asked = of.ask()
    of.quote(asked, one, 3_900)
    compare = comparing.compare

    def meanwhile(*args: object, **named: object) -> object:
        monkeypatch.setattr(awarding, "compare", compare)
        of.award(asked, (0, one, None))
        return compare(*args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(awarding, "compare", meanwhile)
    with pytest.raises(WrongRequestStatus):
        of.award(asked, (0, one, None))
    assert len(queries.awards_of(session, asked)) == 1
