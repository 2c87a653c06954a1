"""Money that comes late, twice or for what was cancelled meanwhile: booked, and given back where it pays nothing."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from shop.accounts.models import Kind
from shop.actor import SYSTEM
from shop.catalogue.models import Product
from shop.db import in_unit_of_work, unit_of_work
from shop.facts.models import Fact
from shop.ids import new_id
from shop.ledger.checks import CHECKS as LEDGER_CHECKS
from shop.ledger.models import AccountKind
from shop.ledger.service import PLATFORM_ID, balance
from shop.orders.models import Acceptance, OrderLine, Status, SupplierOrder
from shop.orders.schemas_fulfilment import CountIn, Inspect
from shop.orders.service.acceptance import inspect
from shop.orders.service.cancelling import cancel_supplier_order
from shop.payments.checks import CHECKS as PAYMENT_CHECKS
from shop.payments.models import Charge, ChargeStatus, Method, Refund, RefundReason
from shop.payments.service import charging, refunding, settling
from tests import builders as a
from tests.builders import World
from tests.orders import journey
from workers import payments as consumers

LATER = journey.LATER


@pytest.fixture
def world(session: Session) -> World:
    a.an_organisation(session, Kind.PLATFORM, id=PLATFORM_ID)
    return World(session)


def adds_up(session: Session) -> None:
    session.flush()
    for name, statement in (LEDGER_CHECKS | PAYMENT_CHECKS).items():
        assert session.execute(text(statement)).all() == [], name


def ask(world: World, order_id: UUID, method: Method = Method.BANK_TRANSFER) -> Charge:
    return charging.request(
        world.session, actor=world.actor, order_id=order_id, method=method, payment_method=None, now=a.NOW
    )


def receive(world: World, charge: Charge) -> Charge:
    return charging.receive_transfer(
        world.session, reference=charge.reference, amount_fen=charge.amount_fen, payer_name="区财政国库",
        by=SYSTEM, now=a.NOW,
    )  # fmt: skip


def refunds(session: Session) -> list[tuple[UUID, str, int]]:
    found = session.scalars(select(Refund).order_by(Refund.id))
    return [(refund.charge_id, refund.reason, refund.amount_fen) for refund in found]


def give_all_back(session: Session) -> None:
    for refund_id in session.scalars(select(Refund.id)).all():
        refunding.finish(session, refund_id=refund_id, gateway_id=None, now=a.NOW)


def offers(world: World, count: int, packs: int = 1000) -> list[UUID]:
    """Listings of so many cooperatives, with goods in store to be packed."""
    return [world.offer(packs, lots=packs).id for _ in range(count)]


def deliver(world: World, lines: dict[UUID, int], terms: str) -> tuple[UUID, list[UUID]]:
    """An order paid (when in advance) and delivered; its id and its parts."""
    placed = world.place(lines, terms=terms)
    if terms == "prepaid":
        receive(world, ask(world, placed.id))
    else:
        journey.confirm_order(world.session, order_id=placed.id, by=SYSTEM, now=a.NOW)
    parts = [part.id for part in placed.parts]
    for part in parts:
        journey.delivered(world.session, part)
    return placed.id, parts


def find(world: World, part_id: UUID, rejected: int = 0) -> UUID:
    """Inspect a part of which so many packs of each line are rejected; gives the acceptance."""
    sent = journey.sent_of(world.session, part_id)
    lines = [
        CountIn(
            line_id=share.line_id, lot_id=share.lot_id, accepted=share.packs - min(rejected, share.packs),
            rejected=min(rejected, share.packs), short=0, reason="破损" if rejected else None,
        )
        for share in sent
    ]  # fmt: skip
    return inspect(world.session, actor=world.actor, supplier_order_id=part_id, found=Inspect(lines=lines), now=LATER)


def hear_inspection(session: Session, part_id: UUID) -> None:
    note = session.execute(select(Acceptance.id).where(Acceptance.supplier_order_id == part_id)).scalar_one()
    order_id = session.execute(select(SupplierOrder.order_id).where(SupplierOrder.id == part_id)).scalar_one()
    consumers.after_inspection(session, supplier_order_id=part_id, order_id=order_id, acceptance_id=note)


def test_a_card_payment_that_failed_and_came_after_all_counts_and_the_transfer_after_it_goes_back(
    world: World, session: Session
) -> None:
    placed = world.place({world.offer().id: 10}, terms="prepaid")
    by_card = ask(world, placed.id, Method.STRIPE)
    assert charging.fail(session, charge_id=by_card.id, reason="card_declined", status=ChargeStatus.FAILED)
    notice = ask(world, placed.id)
    assert charging.settle_charge(session, charge_id=by_card.id, now=a.NOW)
    session.refresh(notice)
    assert (notice.status, notice.failure) == ("cancelled", "paid otherwise")
    receive(world, notice)
    assert refunds(session) == [(notice.id, "paid twice", placed.total_fen)]
    give_all_back(session)
    assert balance(session, PLATFORM_ID, AccountKind.BANK) == placed.total_fen
    assert balance(session, world.buyer.id, AccountKind.BUYER) == -placed.total_fen
    adds_up(session)
    cancel_supplier_order(session, supplier_order_id=placed.parts[0].id, by=SYSTEM, reason="no", now=a.NOW)
    refunding.after_cancellation(session, supplier_order_id=placed.parts[0].id, now=a.NOW)
    assert refunds(session)[1:] == [(by_card.id, "cancelled", placed.total_fen)]
    give_all_back(session)
    assert balance(session, PLATFORM_ID, AccountKind.BANK) == 0
    adds_up(session)


def test_two_payments_of_one_order_that_come_at_the_same_moment_pay_it_once(committed: str) -> None:
    with unit_of_work() as session:
        a.an_organisation(session, Kind.PLATFORM, id=PLATFORM_ID)
        world = World(session)
        placed = world.place({world.offer().id: 2, world.offer().id: 3}, terms="prepaid")
        first = ask(world, placed.id, Method.STRIPE)
        charging.fail(session, charge_id=first.id, reason="declined", status=ChargeStatus.FAILED)
        second = ask(world, placed.id)
    ready = Barrier(2)

    def settle(charge_id: UUID) -> bool:
        ready.wait()
        return in_unit_of_work(lambda session: charging.settle_charge(session, charge_id=charge_id, now=a.NOW))

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(settle, [first.id, second.id])) == [True, True]
    with unit_of_work() as session:
        back = refunds(session)
        assert len({charge for charge, _, _ in back}) == 1
        assert ({reason for _, reason, _ in back}, sum(fen for _, _, fen in back)) == ({"paid twice"}, placed.total_fen)
        assert set(session.scalars(select(SupplierOrder.status))) == {"confirmed"}
        adds_up(session)


def test_a_cancelled_part_takes_its_notice_back_and_the_rest_is_asked_for_alone(world: World, session: Session) -> None:
    placed = world.place({world.offer().id: 10, world.offer().id: 5}, terms="prepaid")
    notice = ask(world, placed.id)
    gone, rest = placed.parts
    cancel_supplier_order(session, supplier_order_id=gone.id, by=SYSTEM, reason="no", now=a.NOW)
    consumers.after_cancellation(session, supplier_order_id=gone.id)
    session.refresh(notice)
    assert (notice.status, notice.failure) == ("cancelled", "cancelled")
    smaller = ask(world, placed.id)
    assert smaller.amount_fen == rest.goods_fen + rest.freight_fen
    consumers.after_cancellation(session, supplier_order_id=gone.id)  # an event that comes late takes no other notice
    session.refresh(smaller)
    assert smaller.status == "pending"
    receive(world, notice)  # the buyer had paid the first one already
    session.refresh(smaller)
    assert smaller.status == "cancelled"
    assert refunds(session) == [(notice.id, "cancelled", gone.goods_fen + gone.freight_fen)]
    assert session.get_one(SupplierOrder, rest.id, populate_existing=True).status == Status.CONFIRMED
    give_all_back(session)
    adds_up(session)


def test_on_terms_nothing_is_refunded_when_the_money_comes_before_the_word_of_the_inspection(
    world: World, session: Session
) -> None:
    order_id, (part,) = deliver(world, {offers(world, 1)[0]: 10}, "on_terms")
    find(world, part, rejected=4)
    charge = receive(world, ask(world, order_id))
    hear_inspection(session, part)
    assert (charge.amount_fen, refunds(session)) == (6 * 4_000 + 3_000, [])
    assert session.get_one(SupplierOrder, part, populate_existing=True).status == Status.SETTLED
    adds_up(session)


def test_a_part_of_which_nothing_was_accepted_on_terms_is_settled_with_nothing_to_pay(
    world: World, session: Session
) -> None:
    order_id, (part,) = deliver(world, {offers(world, 1)[0]: 10}, "on_terms")
    find(world, part, rejected=10)
    with pytest.raises(charging.NothingToPay):
        ask(world, order_id)
    hear_inspection(session, part)
    assert session.get_one(SupplierOrder, part, populate_existing=True).status == Status.SETTLED
    adds_up(session)


def test_a_paid_on_terms_order_is_not_asked_for_again(world: World, session: Session) -> None:
    order_id, (part,) = deliver(world, {offers(world, 1)[0]: 10}, "on_terms")
    find(world, part)
    receive(world, ask(world, order_id))
    with pytest.raises(charging.NothingToPay):
        ask(world, order_id)


def test_a_payment_on_terms_stays_open_for_a_period_and_another_may_be_asked_for_then(
    world: World, session: Session
) -> None:
    order_id, (part,) = deliver(world, {offers(world, 1)[0]: 10}, "on_terms")
    find(world, part)
    notice = ask(world, order_id)
    before, after = a.NOW + timedelta(days=30, seconds=-1), a.NOW + timedelta(days=30)
    assert charging.withdraw_old_notices(session, now=before) == 0
    assert charging.is_wanted(session, notice, before)
    assert not charging.is_wanted(session, notice, after)  # what the sweep ends a payment at the gateway by
    assert charging.withdraw_old_notices(session, now=after) == 1
    session.refresh(notice)
    assert (notice.status, notice.failure) == ("cancelled", "not paid in its period")
    again = ask(world, order_id)
    receive(world, notice)  # the buyer paid the first one after all
    session.refresh(again)
    assert (again.status, refunds(session)) == ("cancelled", [])
    adds_up(session)


@given(
    packs=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    rejected=st.lists(st.integers(0, 40), min_size=4, max_size=4),
    per_part=st.booleans(),
)
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_paid_less_refunded_is_what_was_accepted_for_every_line_goods_and_freight_apart(
    world: World, session: Session, packs: list[int], rejected: list[int], per_part: bool
) -> None:
    first = world.offer(100, lots=100)
    listings = [first.id]
    for _ in packs[1:]:
        if per_part:
            listings.append(world.offer(100, lots=100).id)
            continue
        product = session.get_one(Product, first.product_id)
        more = a.a_listing(session, product, pack_base_quantity=2000, pack_grams=2000)
        a.a_supply(session, more, 100)
        a.a_lot(session, product, 100 * 2000)
        listings.append(more.id)
    order_id, parts = deliver(world, dict(zip(listings, packs, strict=True)), "prepaid")
    for part, count in zip(parts, rejected, strict=False):
        find(world, part, rejected=count)
        hear_inspection(session, part)
    give_all_back(session)
    sums = {
        (line_id, measure): (int(goods), int(freight), int(packs))
        for line_id, measure, goods, freight, packs in session.execute(
            select(
                Fact.line_id, Fact.measure, func.sum(Fact.goods_fen), func.sum(Fact.freight_fen), func.sum(Fact.packs)
            )
            .where(Fact.order_id == order_id)
            .group_by(Fact.line_id, Fact.measure)
        )
    }
    nothing = (0, 0, 0)
    for line_id in session.scalars(select(OrderLine.id).where(OrderLine.supplier_order_id.in_(parts))):
        paid, back, accepted = (sums.get((line_id, name), nothing) for name in ("paid", "refunded", "accepted"))
        assert tuple(was - gone for was, gone in zip(paid, back, strict=True)) == accepted
    settled = session.scalars(select(SupplierOrder.status).where(SupplierOrder.order_id == order_id)).all()
    assert set(settled) == {"settled"}
    adds_up(session)


def test_twenty_refunds_at_once_never_pass_what_was_paid(committed: str) -> None:
    with unit_of_work() as session:
        a.an_organisation(session, Kind.PLATFORM, id=PLATFORM_ID)
        world = World(session)
        placed = world.place({world.offer().id: 10}, terms="prepaid")
        charge = receive(world, ask(world, placed.id))
    each = charge.amount_fen // 7

    def back(_: int) -> bool:
        try:
            in_unit_of_work(
                lambda session: refunding.begin(
                    session, charge, placed.parts[0].id, new_id(), each, RefundReason.NOT_ACCEPTED, a.NOW
                )
            )
        except ValueError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(back, range(20))) == 7
    with unit_of_work() as session:
        found = refunds(session)
        assert (len(found), sum(fen for _, _, fen in found)) == (7, 7 * each)
        for refund_id in session.scalars(select(Refund.id)).all():
            refunding.finish(session, refund_id=refund_id, gateway_id=None, now=a.NOW)
        assert balance(session, PLATFORM_ID, AccountKind.BANK) == charge.amount_fen - 7 * each
        adds_up(session)


def test_an_order_over_five_cooperatives_is_settled_once_by_rivals(committed: str) -> None:
    with unit_of_work() as session:
        a.an_organisation(session, Kind.PLATFORM, id=PLATFORM_ID)
        world = World(session)
        order_id, parts = deliver(world, dict.fromkeys(offers(world, 5), 3), "prepaid")
        for part in parts:
            find(world, part)
    ready = Barrier(4)

    def settle(_: int) -> int:
        ready.wait()
        return in_unit_of_work(lambda session: settling.settle_order(session, order_id=order_id, now=LATER))

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(settle, range(4))) == [0, 0, 0, 5]
    with unit_of_work() as session:
        assert balance(session, PLATFORM_ID, AccountKind.BANK) == 0
        adds_up(session)


def test_money_left_behind_by_a_cancelled_part_is_found_once_nobody_works_on_it(world: World, session: Session) -> None:
    placed = world.place({world.offer().id: 10}, terms="prepaid")
    receive(world, ask(world, placed.id))
    cancel_supplier_order(session, supplier_order_id=placed.parts[0].id, by=SYSTEM, reason="no", now=a.NOW)
    (statement,) = (text(sql) for name, sql in PAYMENT_CHECKS.items() if "leaves nothing on anybody's account" in name)
    assert session.execute(statement).all() == []  # the word of it is still on its way
    session.execute(text("UPDATE event SET posted_no = 1 WHERE kind = 'supplier_order.cancelled'"))
    assert {int(fen) for _, _, fen in session.execute(statement)} == {placed.total_fen, -placed.total_fen}
    refunding.after_cancellation(session, supplier_order_id=placed.parts[0].id, now=a.NOW)
    assert session.execute(statement).all() == []  # the money is on its way back
    give_all_back(session)
    assert session.execute(statement).all() == []
