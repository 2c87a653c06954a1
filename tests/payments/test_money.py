"""Charges, refunds, settlement: what is posted, once, and never more than was paid."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from shop.accounts.models import Kind
from shop.actor import SYSTEM
from shop.audit.models import AuditEntry
from shop.db import in_unit_of_work, unit_of_work
from shop.errors import NotFound
from shop.facts.models import Fact
from shop.ids import new_id
from shop.ledger import service as ledger
from shop.ledger.checks import CHECKS as LEDGER_CHECKS
from shop.ledger.models import AccountKind, Balance, CreditLimit, Entry, Transaction
from shop.ledger.service import PLATFORM_ID, Leg
from shop.orders.models import Status, SupplierOrder
from shop.orders.service.cancelling import cancel_order
from shop.outbox.models import Event
from shop.payments.checks import CHECKS as PAYMENT_CHECKS
from shop.payments.models import BankReceipt, Charge, Method, Refund, RefundReason
from shop.payments.service import charging, forgetting, refunding, settling
from tests import builders as a
from tests.builders import World


@pytest.fixture
def world(session: Session) -> World:
    a.an_organisation(session, Kind.PLATFORM, id=PLATFORM_ID)
    return World(session)


def adds_up(session: Session) -> None:
    session.flush()
    for name, statement in (LEDGER_CHECKS | PAYMENT_CHECKS).items():
        assert session.execute(text(statement)).all() == [], name


def balances(session: Session) -> dict[str, int]:
    rows = session.execute(
        text(
            "SELECT a.kind, sum(b.amount_fen) FROM ledger_balance b JOIN ledger_account a ON a.id = b.account_id"
            " GROUP BY a.kind"
        )
    )
    return {kind: int(fen) for kind, fen in rows}


def ask(world: World, order_id: UUID, method: Method = Method.BANK_TRANSFER) -> Charge:
    return charging.request(
        world.session, actor=world.actor, order_id=order_id, method=method, payment_method=None, now=a.NOW
    )


def receive(world: World, charge: Charge, fen: int | None = None) -> Charge:
    return charging.receive_transfer(
        world.session, reference=charge.reference, amount_fen=fen or charge.amount_fen, payer_name="国库集中支付中心",
        by=SYSTEM, now=a.NOW,
    )  # fmt: skip


def inspected(world: World, order_id: UUID, accepted_fen: int) -> SupplierOrder:
    """Bring the one part of an order to inspected with so many fen accepted, as the inspection leaves it."""
    session = world.session
    part = session.scalars(select(SupplierOrder).where(SupplierOrder.order_id == order_id)).one()
    for status in ("accepted", "packed", "shipped", "delivered"):
        session.execute(text("UPDATE supplier_order SET status = :s WHERE id = :i"), {"s": status, "i": part.id})
    session.execute(
        text(
            "UPDATE supplier_order SET status = 'inspected', accepted_goods_fen = :g, accepted_freight_fen = 0"
            " WHERE id = :i"
        ),
        {"g": accepted_fen, "i": part.id},
    )
    ledger.post(
        session, kind="acceptance", source_id=part.id, order_id=order_id,
        legs=[Leg(part.buyer_id, AccountKind.BUYER, accepted_fen),
              Leg(part.cooperative_id, AccountKind.COOPERATIVE, -accepted_fen)],
        now=a.NOW,
    )  # fmt: skip
    session.refresh(part)
    return part


def test_a_transfer_for_the_notice_pays_and_confirms_the_order(world: World, session: Session) -> None:
    placed = world.place({world.offer().id: 10, world.offer().id: 5}, terms="prepaid")
    charge = ask(world, placed.id)
    assert (charge.amount_fen, charge.status) == (placed.total_fen, "pending")
    receive(world, charge)
    assert balances(session) == {"bank": placed.total_fen, "buyer": -placed.total_fen}
    statuses = session.scalars(select(SupplierOrder.status).where(SupplierOrder.order_id == placed.id)).all()
    assert set(statuses) == {"confirmed"}
    paid = session.scalar(select(func.sum(Fact.amount_fen)).where(Fact.measure == "paid"))
    assert paid == placed.total_fen
    adds_up(session)


def test_the_payer_s_name_stands_in_one_row_that_may_be_erased_and_only_its_id_elsewhere(
    world: World, session: Session
) -> None:
    charge = receive(world, ask(world, world.place({world.offer().id: 10}, terms="prepaid").id))
    session.flush()
    receipt = session.scalars(select(BankReceipt).where(BankReceipt.charge_id == charge.id)).one()
    assert receipt.payer_name == "国库集中支付中心"
    entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "book_receipt")).one()
    assert entry.change == {"receipt": receipt.id.hex}
    event = session.scalars(select(Event).where(Event.kind == "charge.succeeded")).one()
    assert event.payload == {"charge_id": charge.id.hex}
    session.execute(text("UPDATE bank_receipt SET payer_name = NULL"))


def test_who_paid_is_forgotten_after_ten_years_and_the_line_of_the_statement_stays(
    world: World, session: Session
) -> None:
    old, younger = (receive(world, ask(world, world.place({world.offer().id: 1}, terms="prepaid").id)) for _ in "12")
    session.flush()
    session.execute(
        update(BankReceipt).where(BankReceipt.charge_id == younger.id).values(booked_at=a.NOW + timedelta(days=2))
    )
    assert forgetting.forget(session, now=a.NOW + timedelta(days=3651)) == 0
    assert forgetting.forget(session, now=a.NOW + timedelta(days=3653)) == 1
    assert forgetting.forget(session, now=a.NOW + timedelta(days=3653)) == 0
    names = {row.charge_id: row.payer_name for row in session.scalars(select(BankReceipt))}
    assert names == {old.id: None, younger.id: "国库集中支付中心"}
    adds_up(session)


def test_an_order_has_one_open_payment_and_a_paid_notice_is_paid_once(world: World, session: Session) -> None:
    placed = world.place({world.offer().id: 10}, terms="prepaid")
    charge = ask(world, placed.id)
    with pytest.raises(charging.AlreadyAsked) as refused:
        ask(world, placed.id)
    assert refused.value.facts["reference"] == charge.reference
    receive(world, charge)
    with pytest.raises(charging.AlreadyAsked):
        receive(world, charge)
    assert balances(session)["bank"] == placed.total_fen


def test_another_sum_or_an_unknown_reference_books_nothing(world: World, session: Session) -> None:
    charge = ask(world, world.place({world.offer().id: 10}, terms="prepaid").id)
    with pytest.raises(charging.AmountDiffers) as refused:
        receive(world, charge, charge.amount_fen - 1)
    assert refused.value.facts["asked_fen"] - refused.value.facts["received_fen"] == 1
    with pytest.raises(NotFound):
        charging.receive_transfer(
            session, reference="XF000000000000", amount_fen=1, payer_name="x", by=SYSTEM, now=a.NOW
        )
    assert balances(session) == {}


def test_the_order_of_another_is_not_there_to_be_paid(world: World, session: Session) -> None:
    placed = world.place({world.offer().id: 1}, terms="prepaid")
    world.actor = a.a_member(session, a.an_organisation(session))
    with pytest.raises(NotFound):
        ask(world, placed.id)


def test_every_reference_checks_by_mod_97() -> None:
    for _ in range(200):
        reference = charging.new_reference()
        assert len(reference) == 14
        assert int(reference[2:]) % 97 == 1


def test_what_was_paid_and_not_accepted_goes_back_and_the_rest_to_the_cooperative(
    world: World, session: Session
) -> None:
    placed = world.place({world.offer().id: 10}, terms="prepaid")
    receive(world, ask(world, placed.id))
    part = inspected(world, placed.id, 30_000)
    for _ in range(2):  # an event may come twice
        refunding.after_inspection(session, supplier_order_id=part.id, acceptance_id=part.id, now=a.NOW)
    refund = session.scalars(select(Refund)).one()
    assert refund.amount_fen == placed.total_fen - 30_000
    assert refunding.finish(session, refund_id=refund.id, gateway_id=None, now=a.NOW)
    assert not refunding.finish(session, refund_id=refund.id, gateway_id=None, now=a.NOW)
    assert settling.settle_order(session, order_id=placed.id, now=a.NOW) == 1
    assert settling.settle_order(session, order_id=placed.id, now=a.NOW) == 0
    assert balances(session) == {"bank": 0, "buyer": 0, "cooperative": 0}
    assert session.scalar(select(SupplierOrder.status).where(SupplierOrder.id == part.id)) == Status.SETTLED
    adds_up(session)


def test_a_part_cancelled_while_its_money_was_on_the_way_is_refunded(world: World, session: Session) -> None:
    placed = world.place({world.offer().id: 10}, terms="prepaid")
    charge = ask(world, placed.id)
    cancel_order(session, order_id=placed.id, by=world.actor, reason="no", now=a.NOW)
    receive(world, charge)
    refund = session.scalars(select(Refund)).one()
    assert (refund.reason, refund.amount_fen) == ("cancelled", placed.total_fen)
    refunding.finish(session, refund_id=refund.id, gateway_id=None, now=a.NOW)
    assert balances(session) == {"bank": 0, "buyer": 0}
    adds_up(session)


def test_on_terms_nothing_is_due_before_the_inspection_and_paying_frees_the_credit(
    world: World, session: Session
) -> None:
    placed = world.place({world.offer().id: 10})
    with pytest.raises(charging.NothingToPay):
        ask(world, placed.id)
    session.execute(text("UPDATE supplier_order SET status = 'confirmed'"))
    inspected(world, placed.id, placed.total_fen)
    session.execute(
        text(
            "INSERT INTO fact (id, measure, class, grade, occurred_on, month, source_id, goods_fen, freight_fen,"
            " amount_fen, packs, grams, scheme, bucket, east_province, west_province, funding_code, origin_code,"
            " buyer_id, budget_unit_id, cooperative_id, product_id, category, purpose, terms, order_id,"
            " supplier_order_id, line_id) SELECT gen_random_uuid(), 'accepted', class, grade, occurred_on, month,"
            " source_id, goods_fen, freight_fen, amount_fen, packs, grams, scheme, bucket, east_province,"
            " west_province, funding_code, origin_code, buyer_id, budget_unit_id, cooperative_id, product_id,"
            " category, purpose, terms, order_id, supplier_order_id, line_id FROM fact"
        )
    )
    charge = ask(world, placed.id)
    assert charge.amount_fen == placed.total_fen
    receive(world, charge)
    assert settling.settle_order(session, order_id=placed.id, now=a.NOW) == 1
    session.expire_all()
    assert session.get_one(CreditLimit, world.buyer.id).used_fen == 0
    assert balances(session) == {"bank": 0, "buyer": 0, "cooperative": 0}
    adds_up(session)


def test_an_unpaid_order_is_cancelled_after_its_window_unless_its_card_payment_is_under_way(
    world: World, session: Session
) -> None:
    late, by_card = (world.place({world.offer().id: 1}, terms="prepaid") for _ in range(2))
    ask(world, late.id)
    ask(world, by_card.id, Method.STRIPE)
    assert charging.cancel_unpaid(session, now=a.NOW) == 0
    assert charging.cancel_unpaid(session, now=a.NOW.replace(month=12)) == 1
    statuses = dict(session.execute(select(SupplierOrder.order_id, SupplierOrder.status)).all())
    assert (statuses[late.id], statuses[by_card.id]) == ("cancelled", "placed")


def test_a_posting_that_does_not_sum_to_zero_is_refused_by_us_and_by_the_database(
    world: World, session: Session
) -> None:
    with pytest.raises(ValueError, match="sum"):
        ledger.post(session, kind="x", source_id=new_id(), order_id=None,
                    legs=[Leg(PLATFORM_ID, AccountKind.BANK, 1)], now=a.NOW)  # fmt: skip
    ledger.post(
        session, kind="x", source_id=new_id(), order_id=None,
        legs=[Leg(PLATFORM_ID, AccountKind.BANK, 1), Leg(world.buyer.id, AccountKind.BUYER, -1)], now=a.NOW,
    )  # fmt: skip
    account = session.scalars(select(Entry.account_id)).first()
    transaction = session.scalars(select(Transaction.id)).first()
    session.add(Entry(transaction_id=transaction, account_id=account, amount_fen=5))
    session.flush()
    with pytest.raises(DBAPIError, match="do not sum to zero"):
        session.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
    session.rollback()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_entry SET amount_fen = 7",
        "DELETE FROM ledger_entry",
        "TRUNCATE ledger_entry",
        "UPDATE ledger_transaction SET kind = 'y'",
        "DELETE FROM fact",
        "UPDATE fact SET amount_fen = 0, goods_fen = 0, freight_fen = 0",
    ],
)
@pytest.mark.usefixtures("committed")
def test_the_database_refuses_to_rewrite_money_and_facts(statement: str) -> None:
    with pytest.raises(DBAPIError), unit_of_work() as session:
        session.execute(text(statement))


@pytest.mark.usefixtures("committed")
def test_eight_at_once_on_the_same_accounts_keep_the_balances_exact() -> None:
    with unit_of_work() as session:
        a.an_organisation(session, Kind.PLATFORM, id=PLATFORM_ID)
        buyer = a.an_organisation(session).id

    def post(place: int) -> None:
        legs = [Leg(PLATFORM_ID, AccountKind.BANK, place), Leg(buyer, AccountKind.BUYER, -place)]
        in_unit_of_work(
            lambda session: ledger.post(
                session, kind="payment", source_id=new_id(), order_id=None, legs=legs, now=a.NOW
            ),
            attempts=1,
        )

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(post, range(1, 121)))
    with unit_of_work() as session:
        assert balances(session) == {"bank": 7260, "buyer": -7260}
        assert (session.scalar(select(func.count()).select_from(Balance)) or 0) > 2
        adds_up(session)


@pytest.mark.usefixtures("committed")
def test_twenty_orders_at_once_never_pass_the_credit_limit() -> None:
    with unit_of_work() as session:
        buyer = a.an_organisation(session).id
        ledger.set_credit_limit(session, buyer, 1_000)

    def reserve(_: int) -> bool:
        try:
            in_unit_of_work(lambda session: ledger.reserve_credit(session, buyer, 150))
        except ledger.CreditExceeded:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(reserve, range(20))) == 6
    with unit_of_work() as session:
        assert session.get_one(CreditLimit, buyer).used_fen == 900


@given(shares=st.lists(st.integers(1, 40), min_size=1, max_size=8))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_number_of_refunds_never_passes_the_charge(world: World, shares: list[int]) -> None:
    session = world.session
    placed = world.place({world.offer().id: 1}, terms="prepaid")
    charge = receive(world, ask(world, placed.id))
    part = session.scalars(select(SupplierOrder).where(SupplierOrder.order_id == placed.id)).one()
    left = placed.total_fen
    for share in shares:
        amount = placed.total_fen * share // 50 + 1
        try:
            refunding.begin(session, charge, part.id, new_id(), amount, RefundReason.NOT_ACCEPTED, a.NOW)
            left -= amount
        except ValueError:
            assert amount > left
            break
        assert left >= 0
    session.refresh(charge)
    assert charge.refunded_fen == placed.total_fen - left
