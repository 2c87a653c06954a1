"""A market in which anything may happen to an order at any moment: what people, workers and time do, by name.

Each deed is drawn with a number that picks whom it befalls and a small quantity, and gives the call that does it, in
transactions of its own, or nothing where nobody is there for it.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from shop import clock
from shop.accounts.models import Kind, Organisation
from shop.actor import Role
from shop.catalogue.models import Listing, Product
from shop.db import in_unit_of_work, unit_of_work
from shop.errors import Refusal
from shop.ledger.service import PLATFORM_ID
from shop.logistics.models import TrackingKind
from shop.logistics.service import report, ship
from shop.orders.models_claims import ClaimLine
from shop.orders.models_holds import Chosen
from shop.orders.queries_fulfilment import LotShare
from shop.orders.schemas_budgets import SetBudget
from shop.orders.schemas_changes import ChangeLineIn, ProposeChange
from shop.orders.schemas_claims import ClaimLineIn, Decide, Grant, NewAnswer, NewClaim
from shop.orders.schemas_fulfilment import CountIn, Inspect
from shop.orders.schemas_inspections import SetInspection
from shop.orders.service import budgeting, cancelling, changing, choosing_supply, claiming, filling, inspecting
from shop.orders.service.placing import place
from shop.payments.models import Method
from shop.payments.service import charging, lapsing, refunding
from shop.requisitions.schemas import RequisitionIn
from shop.requisitions.service import approving, drafting, ordering
from shop.stock.schemas_recalls import OrderRecall
from shop.stock.service import recalling
from tests import builders as a
from tests.agreements.table import agreed
from tests.orders import journey
from workers.deliveries import run_all
from workers.relay import number_and_fan_out
from workers.schedule import SWEEPS

Deed = Callable[[], None]
EXPECTED = {
    "above_approval", "agreement_drawn_on", "already_delivered", "approval_required", "bank_line_booked",
    "budget_exceeded", "change_open", "claim_open", "claim_too_late", "inspector_ordered", "lot_recalled",
    "lots_too_old", "missing_documents", "no_signature_waits", "no_supply_choice", "not_enough_in_store",
    "not_enough_supply", "not_found", "not_orderable", "nothing_to_pay", "own_requisition", "payment_open",
    "recall_ended", "refund_done", "same_signer", "shipment_halted", "signature_waits", "version_conflict",
    "wrong_change", "wrong_change_status", "wrong_claim", "wrong_claim_status", "wrong_counts",
    "wrong_order_status", "wrong_requisition_status",
}  # fmt: skip
"""The refusals that people may meet here; anything else, a deadlock above all, is a failure."""

DEEDS = (
    "order", "order", "buy what is left", "order in advance", "order in advance", "draft and submit", "edit",
    "approve", "place approved", "cancel order", "cancel part", "choose", "ask for money", "ask for money",
    "money comes", "money comes", "money comes late", "refund is sent", "propose a change", "answer a change",
    "accept", "accept", "pack", "pack", "send", "send", "arrives", "arrives", "inspect", "inspect", "countersign",
    "send back", "claim", "claim", "answer", "decide", "withdraw claim", "work", "work", "work", "sweep", "beat",
    "harvest", "recall", "end recall",
)  # fmt: skip
CONSUMERS = ("orders.", "payments.", "recalls.")
"""Whose deliveries are done here; mails and notices are not what a life is about."""
SWEEPS_OF_LIFE = (
    "cancel_unpaid", "lapse_holds", "settle_supply_choices", "tell_order_times", "pass_order_times", "roll_up"
)  # fmt: skip


class Market:
    """A buyer with a requester, an approver and a second receiver; three cooperatives; the platform; and the clock."""

    def __init__(self, *, packs: Sequence[int], two_sign: bool, with_agreement: bool) -> None:
        self.now = a.NOW
        self.done: set[str] = set()
        with unit_of_work() as session:
            clock.move_to(session, self.now)
            platform = session.get(Organisation, PLATFORM_ID) or a.an_organisation(
                session, Kind.PLATFORM, id=PLATFORM_ID, uscc=None
            )
            roads = session.scalar(text("SELECT count(*) FROM pairing")) == 0
            self.world = world = a.World(session, roads=roads)
            self.listings = [world.offer(count, lots=count) for count in packs]
            self.sellers = {
                listing.cooperative_id: journey.seller_of(session, listing.cooperative_id) for listing in self.listings
            }
            self.buyer, self.operator = world.actor, a.a_member(session, platform)
            self.second = a.a_member(session, world.buyer)
            self.requester = a.a_member(session, world.buyer, roles={Role.REQUESTER}, order_limit_fen=None)
            self.approver = a.a_member(session, world.buyer, roles={Role.APPROVER})
            budget = SetBudget(
                budget_unit_id=world.unit.id, year=2024, purpose="canteen", amount_fen=2_000_000, reason="年初批复"
            )
            budgeting.set_budget(session, by=world.actor, wanted=budget, now=self.now)
            if two_sign:
                both = SetInspection(
                    budget_unit_id=world.unit.id, two_signatures=True, not_by_requester=False, reason="双人验收"
                )
                inspecting.set_inspection(session, by=world.actor, wanted=both, now=self.now)
            if with_agreement:
                agreed(world, self.listings[0], 3_500, ceiling_packs=20)

    def tick(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        with unit_of_work() as session:
            clock.move_to(session, self.now)

    # who and what there is

    def rows(self, sql: str, **more: Any) -> list[Any]:
        with unit_of_work() as session:
            return list(session.execute(text(sql), {"buyer": self.world.buyer.id, **more}).all())

    def one(self, pick: int, sql: str, **more: Any) -> Any:
        """One of the rows of this market, drawn by a number; None where there is none."""
        found = self.rows(sql, **more)
        return found[pick % len(found)] if found else None

    def part(self, pick: int, *statuses: str) -> Any:
        """A supplier order that stands so; every ninth time any of them, which is to be refused."""
        which = "" if pick % 9 == 0 else "AND status = ANY(:statuses)"
        sql = f"SELECT id, order_id, cooperative_id FROM supplier_order WHERE buyer_id = :buyer {which} ORDER BY id"
        return self.one(pick // 9, sql, **({"statuses": list(statuses)} if which else {}))

    def sent(self, session: Session, part_id: UUID) -> list[LotShare]:
        return journey.sent_of(session, part_id)

    def wanted(self, pick: int, quantity: int, terms: str = "on_terms") -> Any:
        chosen = [listing.id for number, listing in enumerate(self.listings) if (pick % 7 + 1) >> number & 1]
        return self.world.wanted({key: quantity + place for place, key in enumerate(chosen)}, terms)

    # what people do

    def deed(self, name: str, pick: int, quantity: int) -> Deed:
        """The call that does it, which says in `done` that it was done; where it befalls nobody, the next deed's."""
        first = DEEDS.index(name)
        for tried in (*DEEDS[first:], *DEEDS[:first]):
            made = getattr(self, "do_" + tried.replace(" ", "_"))(pick, quantity)
            if made is not None:
                return self.noted(tried, made)
        raise AssertionError("somebody may always order")

    def noted(self, name: str, made: Deed) -> Deed:
        def call() -> None:
            made()
            self.done.add(name)

        return call

    def within(self, use_case: Callable[[Session], Any]) -> Deed:
        return lambda: in_unit_of_work(use_case)

    def do_order(self, pick: int, quantity: int, terms: str = "on_terms") -> Deed:
        wanted = self.wanted(pick, quantity, terms)
        return self.within(lambda session: place(session, actor=self.buyer, wanted=wanted, now=self.now))

    def do_order_in_advance(self, pick: int, quantity: int) -> Deed:
        return self.do_order(pick, quantity, "prepaid")

    def do_buy_what_is_left(self, pick: int, quantity: int) -> Deed | None:
        """One listing's open supply goes to this buyer too, before another's money comes."""
        listing = self.listings[pick % len(self.listings)]
        asked = "SELECT sum(open) AS left FROM supply WHERE listing_id = :listing AND open > 0 AND recalls = 0"
        left = (self.rows(asked, listing=listing.id)[0].left or 0) // listing.pack_base_quantity
        if not left:
            return None
        wanted = self.world.wanted({listing.id: int(left)})
        return self.within(lambda session: place(session, actor=self.buyer, wanted=wanted, now=self.now))

    def do_draft_and_submit(self, pick: int, quantity: int) -> Deed:
        wanted = RequisitionIn.model_validate(self.wanted(pick, quantity).model_dump())

        def ask(session: Session) -> None:
            key = drafting.make(session, by=self.requester, wanted=wanted, now=self.now)
            drafting.submit(session, requisition_id=key, by=self.requester, now=self.now)

        return self.within(ask)

    def requisition(self, pick: int, *statuses: str) -> Any:
        sql = "SELECT id, version FROM requisition WHERE buyer_id = :buyer AND status = ANY(:of) ORDER BY id"
        return self.one(pick, sql, of=list(statuses))

    def do_edit(self, pick: int, quantity: int) -> Deed | None:
        if (row := self.requisition(pick, "submitted", "approved")) is None:
            return None
        wanted = RequisitionIn.model_validate(self.wanted(pick, quantity + 3).model_dump())

        def edit(session: Session) -> None:
            version = str(row.version)
            drafting.change(
                session, requisition_id=row.id, by=self.requester, wanted=wanted, version=version, now=self.now
            )
            drafting.submit(session, requisition_id=row.id, by=self.requester, now=self.now)

        return self.within(edit)

    def do_approve(self, pick: int, quantity: int) -> Deed | None:
        if (row := self.requisition(pick, "submitted")) is None:
            return None
        return self.within(
            lambda session: approving.decide(
                session, requisition_id=row.id, by=self.approver, version=row.version, approve=quantity > 1,
                comment="说明", now=self.now,
            )
        )  # fmt: skip

    def do_place_approved(self, pick: int, quantity: int) -> Deed | None:
        if (row := self.requisition(pick, "approved")) is None:
            return None
        return self.within(
            lambda session: ordering.place(session, requisition_id=row.id, by=self.requester, now=self.now)
        )

    def do_cancel_order(self, pick: int, quantity: int) -> Deed | None:
        if (row := self.part(pick, "placed", "confirmed", "accepted")) is None:
            return None
        return self.within(
            lambda session: cancelling.cancel_order(
                session, order_id=row.order_id, by=self.buyer, reason="变更", now=self.now
            )
        )

    def do_cancel_part(self, pick: int, quantity: int) -> Deed | None:
        if (row := self.part(pick, "placed", "confirmed", "accepted")) is None:
            return None
        return self.within(
            lambda session: cancelling.cancel_supplier_order(
                session, supplier_order_id=row.id, by=self.buyer, reason="变更", now=self.now
            )
        )

    def do_choose(self, pick: int, quantity: int) -> Deed | None:
        sql = (
            "SELECT supplier_order_id FROM supply_choice JOIN supplier_order s ON s.id = supplier_order_id"
            " WHERE buyer_id = :buyer ORDER BY s.id"
        )
        if (row := self.one(pick, sql)) is None:
            return None
        chosen = Chosen.WAIT if quantity % 2 else Chosen.REFUND
        return self.within(
            lambda session: choosing_supply.choose(
                session, actor=self.buyer, supplier_order_id=row.supplier_order_id, chosen=chosen, now=self.now
            )
        )

    def do_ask_for_money(self, pick: int, quantity: int) -> Deed | None:
        if (row := self.part(pick, "placed", "inspected", "settled")) is None:
            return None
        return self.within(
            lambda session: charging.request(
                session, actor=self.buyer, order_id=row.order_id, method=Method.BANK_TRANSFER, payment_method=None,
                now=self.now,
            )
        )  # fmt: skip

    def do_money_comes(self, pick: int, quantity: int) -> Deed | None:
        sql = "SELECT reference, amount_fen FROM charge WHERE buyer_id = :buyer AND status <> 'succeeded' ORDER BY id"
        if (row := self.one(pick, sql)) is None:
            return None
        return self.within(
            lambda session: charging.receive_transfer(
                session, reference=row.reference, amount_fen=row.amount_fen, payer_name="国库", by=self.operator,
                now=self.now,
            )
        )  # fmt: skip

    def do_money_comes_late(self, pick: int, quantity: int) -> Deed | None:
        """The holds lapse as they would three days on, somebody buys what is open then, and now the money is there."""
        comes = self.do_money_comes(pick, quantity)
        if comes is None:
            return None

        def late() -> None:
            in_unit_of_work(lambda session: lapsing.lapse_holds(session, now=self.now + timedelta(days=3)))
            for number in range(len(self.listings)):
                takes = self.do_buy_what_is_left(number, 1)
                if takes is not None:
                    who_is_refused(takes)
            comes()

        return late

    def do_refund_is_sent(self, pick: int, quantity: int) -> Deed | None:
        sql = (
            "SELECT r.id FROM refund r JOIN charge c ON c.id = r.charge_id"
            " WHERE buyer_id = :buyer AND r.status = 'pending' ORDER BY r.id"
        )
        if (row := self.one(pick, sql)) is None:
            return None
        return self.within(
            lambda session: refunding.send(
                session, refund_id=row.id, bank_reference=f"B{row.id.hex}", sent_on=clock.business_day(self.now),
                by=self.operator, now=self.now,
            )
        )  # fmt: skip

    def do_accept(self, pick: int, quantity: int) -> Deed | None:
        if (row := self.part(pick, "confirmed")) is None:
            return None
        seller = self.sellers[row.cooperative_id]
        return self.within(
            lambda session: filling.accept(session, actor=seller, supplier_order_id=row.id, now=self.now)
        )

    def do_propose_a_change(self, pick: int, quantity: int) -> Deed | None:
        """Fewer packs, and from the cooperative perhaps another freight."""
        if (row := self.part(pick, "confirmed")) is None:
            return None
        by_seller = pick % 2 == 0

        def propose(session: Session) -> None:
            lines = [
                ChangeLineIn(line_id=line.id, packs=max(0, line.packs_to_fill - quantity))
                for line in journey.lines_of(session, row.id)
            ]
            freight = pick if by_seller and pick % 3 == 0 else None
            wanted = ProposeChange(lines=lines[: 1 + pick % 2], freight_fen=freight, reason="减产")
            who = self.sellers[row.cooperative_id] if by_seller else self.buyer
            changing.propose(session, actor=who, supplier_order_id=row.id, wanted=wanted, now=self.now)

        return self.within(propose)

    def do_answer_a_change(self, pick: int, quantity: int) -> Deed | None:
        sql = (
            "SELECT c.id, c.supplier_order_id, c.side, s.cooperative_id FROM order_change c"
            " JOIN supplier_order s ON s.id = c.supplier_order_id"
            " WHERE s.buyer_id = :buyer AND c.status = 'open' ORDER BY c.id"
        )
        if (row := self.one(pick, sql)) is None:
            return None
        seller, other = self.sellers[row.cooperative_id], row.side == "buyer"
        if quantity == 1:
            return self.within(
                lambda session: changing.withdraw(
                    session, actor=self.buyer if other else seller, supplier_order_id=row.supplier_order_id,
                    change_id=row.id, now=self.now,
                )
            )  # fmt: skip
        return self.within(
            lambda session: changing.answer(
                session, actor=seller if other else self.buyer, supplier_order_id=row.supplier_order_id,
                change_id=row.id, agree=quantity > 2, said=None, now=self.now,
            )
        )  # fmt: skip

    def do_pack(self, pick: int, quantity: int) -> Deed | None:
        if (row := self.part(pick, "accepted")) is None:
            return None
        seller = self.sellers[row.cooperative_id]
        return self.within(lambda session: filling.pack(session, actor=seller, supplier_order_id=row.id, now=self.now))

    def do_send(self, pick: int, quantity: int) -> Deed | None:
        if (row := self.part(pick, "packed")) is None:
            return None
        seller = self.sellers[row.cooperative_id]
        waybill = f"OWN-{row.id.hex[-12:]}"
        return self.within(
            lambda session: ship(
                session, actor=seller, supplier_order_id=row.id, carrier="own", waybill=waybill, now=self.now
            )
        )

    def do_arrives(self, pick: int, quantity: int) -> Deed | None:
        sql = (
            "SELECT h.id, s.cooperative_id FROM shipment h JOIN supplier_order s ON s.id = h.supplier_order_id"
            " WHERE s.buyer_id = :buyer AND s.status = 'shipped' ORDER BY h.id"
        )
        if (row := self.one(pick, sql)) is None:
            return None
        seller = self.sellers[row.cooperative_id]
        return self.within(
            lambda session: report(
                session, actor=seller, shipment_id=row.id, ref="1", kind=TrackingKind.DELIVERED, place="上海",
                note=None, now=self.now,
            )
        )  # fmt: skip

    def do_inspect(self, pick: int, quantity: int) -> Deed | None:
        if (row := self.part(pick, "delivered")) is None:
            return None

        def look(session: Session) -> None:
            counts = []
            for number, share in enumerate(self.sent(session, row.id)):
                packs = share.packs
                rejected = min(packs, (pick + number) % 4)
                short = min(packs - rejected, quantity % 3)
                counts.append(
                    CountIn(
                        line_id=share.line_id, lot_id=share.lot_id, accepted=packs - rejected - short,
                        rejected=rejected, short=short, reason="压伤" if rejected or short else None,
                    )
                )  # fmt: skip
            found = Inspect(lines=counts) if counts and pick % 3 else Inspect(accept_all=True)
            inspecting.hand_in(session, actor=self.buyer, supplier_order_id=row.id, found=found, now=self.now)

        return self.within(look)

    def do_countersign(self, pick: int, quantity: int) -> Deed | None:
        if (row := self.part(pick, "delivered")) is None:
            return None
        who = self.second if pick % 4 else self.buyer
        return self.within(
            lambda session: inspecting.countersign(session, actor=who, supplier_order_id=row.id, now=self.now)
        )

    def do_send_back(self, pick: int, quantity: int) -> Deed | None:
        if (row := self.part(pick, "delivered")) is None:
            return None
        return self.within(
            lambda session: inspecting.send_back(
                session, actor=self.second, supplier_order_id=row.id, reason="重点一次", now=self.now
            )
        )

    def do_claim(self, pick: int, quantity: int) -> Deed | None:
        if (row := self.part(pick, "inspected", "settled")) is None:
            return None

        def claim(session: Session) -> None:
            lines = [
                ClaimLineIn(line_id=share.line_id, lot_id=share.lot_id, packs=min(share.packs, quantity), reason="腐烂")
                for share in self.sent(session, row.id)
            ]
            if not lines:
                return
            kind = "return" if pick % 2 else "dispute"
            wanted = NewClaim(kind=kind, statement="到货三日后腐烂", lines=lines[: 1 + pick % 2])
            claiming.raise_claim(session, actor=self.buyer, supplier_order_id=row.id, wanted=wanted, now=self.now)

        return self.within(claim)

    def a_claim(self, pick: int) -> Any:
        sql = "SELECT id, cooperative_id FROM claim WHERE buyer_id = :buyer AND closed_at IS NULL ORDER BY id"
        return self.one(pick, sql)

    def do_answer(self, pick: int, quantity: int) -> Deed | None:
        if (row := self.a_claim(pick)) is None:
            return None
        said = NewAnswer(agree=quantity % 2 == 0, statement="我方发货完好")
        seller = self.sellers[row.cooperative_id]
        return self.within(
            lambda session: claiming.answer(session, actor=seller, claim_id=row.id, wanted=said, now=self.now)
        )

    def do_decide(self, pick: int, quantity: int) -> Deed | None:
        if (row := self.a_claim(pick)) is None:
            return None

        def judge(session: Session) -> None:
            lines = session.scalars(select(ClaimLine).where(ClaimLine.claim_id == row.id).order_by(ClaimLine.id))
            grants = [
                Grant(line_id=line.line_id, lot_id=line.lot_id, packs=min(line.packs, quantity - 1)) for line in lines
            ]
            wanted = Decide(grants=grants, reason="检测报告")
            claiming.decide(session, by=self.operator, claim_id=row.id, wanted=wanted, now=self.now)

        return self.within(judge)

    def do_withdraw_claim(self, pick: int, quantity: int) -> Deed | None:
        if (row := self.a_claim(pick)) is None:
            return None
        return self.within(lambda session: claiming.withdraw(session, actor=self.buyer, claim_id=row.id, now=self.now))

    def do_harvest(self, pick: int, quantity: int) -> Deed:
        """More of one listing's goods: promised, and in store."""
        listing = self.listings[pick % len(self.listings)]

        def grow(session: Session) -> None:
            found = session.get_one(Listing, listing.id)
            a.a_supply(session, found, quantity)
            a.a_lot(session, session.get_one(Product, found.product_id), quantity * found.pack_base_quantity)

        return self.within(grow)

    def do_recall(self, pick: int, quantity: int) -> Deed | None:
        """A lot is recalled, rarely: each one stops much."""
        lots = "SELECT id, cooperative_id FROM lot WHERE cooperative_id = ANY(:sellers) ORDER BY id"
        row = self.one(pick, lots, sellers=list(self.sellers))
        if pick % 3 or row is None:
            return None
        wanted = OrderRecall(lot_ids=[row.id], reason="抽检不合格", hold_supply=bool(quantity % 2))
        seller = self.sellers[row.cooperative_id]
        return self.within(lambda session: recalling.order(session, by=seller, wanted=wanted, now=self.now))

    def do_end_recall(self, pick: int, quantity: int) -> Deed | None:
        open_ones = "SELECT id, cooperative_id FROM recall WHERE cooperative_id = ANY(:sellers) ORDER BY id"
        if (row := self.one(pick, open_ones, sellers=list(self.sellers))) is None:
            return None
        seller = self.sellers[row.cooperative_id]
        return self.within(
            lambda session: recalling.release(session, by=seller, recall_id=row.id, reason="复检合格", now=self.now)
        )

    # what workers do

    def do_work(self, pick: int, quantity: int) -> Deed:
        def work() -> None:
            in_unit_of_work(number_and_fan_out)
            waiting = self.waiting()
            some = waiting if pick % 2 else waiting[: 1 + quantity]
            run_all(some)

        return work

    def waiting(self) -> list[tuple[UUID, str]]:
        """The deliveries of a life that are not done, oldest first."""
        with unit_of_work() as session:
            found = session.execute(
                text("SELECT event_id, consumer FROM delivery WHERE status <> 'done' ORDER BY event_id, consumer")
            ).all()
        return [(event, consumer) for event, consumer in found if consumer.startswith(CONSUMERS)]

    def do_sweep(self, pick: int, quantity: int) -> Deed:
        name = SWEEPS_OF_LIFE[pick % len(SWEEPS_OF_LIFE)]
        return lambda: self.sweep(name)

    def do_beat(self, pick: int, quantity: int) -> Deed:
        def beat() -> None:
            for name in SWEEPS_OF_LIFE:
                self.sweep(name)

        return beat

    def sweep(self, name: str) -> None:
        """One ring of beat for this sweep; what it cannot do is raised, not logged."""
        use_case = SWEEPS[name]
        if getattr(use_case, "calls_out", False):
            use_case()
            return
        while in_unit_of_work(use_case):
            pass

    def come_to_rest(self) -> None:
        """The workers do all that is left to them, and every refund is sent."""
        for _ in range(50):
            self.do_work(1, 1)()
            pending = self.do_refund_is_sent(0, 0)
            if pending is not None:
                pending()
            elif not self.waiting():
                return
        raise AssertionError(f"work is left that nobody does: {self.waiting()}")


def who_is_refused(call: Deed) -> Refusal | None:
    """Do it; gives the refusal, if it is one that people may meet."""
    try:
        call()
    except Refusal as refusal:
        if refusal.code not in EXPECTED:
            raise
        return refusal
    return None
