"""What was sold stands on the listing, once for each order, and best selling goes by it."""

from sqlalchemy import select, text

from shop.actor import SYSTEM
from shop.catalogue.cards import write_cards
from shop.catalogue.models_search import SearchEntry
from shop.db import in_unit_of_work, unit_of_work
from shop.orders.models import SupplierOrder
from shop.orders.service import moving
from shop.outbox.models import Event
from shop.storefront import queries
from tests import builders as a
from workers import catalogue, deliveries, relay


def sold(session, listing_id):
    return session.scalar(select(SearchEntry.sold_grams).where(SearchEntry.listing_id == listing_id))


def order_in_list(session, sort):
    words = ["苹果"] if sort == "relevance" else []
    page = queries.listed(session, words=words, facets={}, sort=sort, after=None, limit=100)
    return [part[:32] for part in page.items.split('"id":"lst_')[1:]]


def a_sale(session, *packs):
    world = a.World(session)
    listings = [world.offer(listed_at=a.NOW) for _ in packs]
    write_cards(session, [listing.id for listing in listings], on=a.NOW.date())
    placed = world.place({listing.id: count for listing, count in zip(listings, packs, strict=True)})
    moving.confirm_order(session, order_id=placed.id, by=SYSTEM, now=a.NOW)
    parts = session.scalars(select(SupplierOrder.id).where(SupplierOrder.order_id == placed.id)).all()
    return [listing.id for listing in listings], parts


def test_best_selling_goes_by_the_grams_of_confirmed_orders(session):
    listings, parts = a_sale(session, 1, 100)
    assert [sold(session, key) for key in listings] == [0, 0]
    for part in parts:
        catalogue.add_sold(session, supplier_order_id=part)
    assert [sold(session, key) for key in listings] == [5_000, 500_000]
    best_first = [listings[1].hex, listings[0].hex]
    assert order_in_list(session, "best_selling") == order_in_list(session, "relevance") == best_first


def test_what_is_cancelled_after_it_was_confirmed_was_not_sold(session):
    listings, parts = a_sale(session, 3)
    moving.move(session, supplier_order_id=parts[0], to="cancelled", by=SYSTEM, now=a.NOW)
    catalogue.take_back_sold(session, supplier_order_id=parts[0])  # the events may come in any order
    catalogue.add_sold(session, supplier_order_id=parts[0])
    assert sold(session, listings[0]) == 0
    session.execute(text("DELETE FROM search_posting"))
    catalogue.add_sold(session, supplier_order_id=parts[0])
    assert order_in_list(session, "relevance") == [listings[0].hex]


def test_what_was_never_confirmed_is_not_taken_back(session):
    world = a.World(session)
    listing = world.offer()
    write_cards(session, [listing.id], on=a.NOW.date())
    placed = world.place({listing.id: 2})
    (part,) = session.scalars(select(SupplierOrder.id).where(SupplierOrder.order_id == placed.id))
    catalogue.take_back_sold(session, supplier_order_id=part)
    assert sold(session, listing.id) == 0


def test_an_event_that_comes_twice_counts_once(committed):
    with unit_of_work() as session:
        listings, _ = a_sale(session, 4)
    in_unit_of_work(relay.number_and_fan_out)
    with unit_of_work() as session:
        event = session.scalar(select(Event.id).where(Event.kind == "supplier_order.confirmed"))
    assert [deliveries.run(event, "catalogue.add_sold") for _ in range(3)] == [True, False, False]
    with unit_of_work() as session:
        assert sold(session, listings[0]) == 20_000
