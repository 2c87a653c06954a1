"""A harvest that falls short: the declared rule, the shares with their reasons, and what becomes of the orders."""

from datetime import date
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.accounts.models import Organisation
from shop.db import unit_of_work
from shop.errors import Invalid, NotFound
from shop.notices.models import Notice
from shop.orders.models import OrderLine, Status
from shop.orders.service import allocating, filling
from shop.orders.service.allocating import HoldsChanged, NothingShort
from shop.stock import queries_allocations as queries
from shop.stock.models import Supply
from shop.stock.models_allocations import Rule
from shop.stock.schemas_allocations import DeclareRule, WeekIn
from shop.stock.service import declaring
from shop.stock.service.sharing import Claim, share
from tests import builders as a
from tests.orders import journey
from tests.outbox.helpers import work
from tests.stock.proof import checks_find_nothing

CLAIMS = st.lists(
    st.builds(Claim, st.uuids(), st.integers(1, 50), st.integers(1, 9), st.booleans()),
    min_size=1, max_size=12, unique_by=lambda claim: claim.line_id,
)  # fmt: skip


@given(rule=st.sampled_from(Rule), available=st.integers(0, 2000), claims=CLAIMS, data=st.data())
def test_shares_conserve_what_is_there_whoever_asks_first(
    rule: Rule, available: int, claims: list[Claim], data: Any
) -> None:
    given_packs = share(rule, available, claims)
    assert given_packs == share(rule, available, data.draw(st.permutations(claims)))
    assert all(0 <= given_packs[claim.line_id] <= claim.packs for claim in claims)
    left = available - sum(given_packs[claim.line_id] * claim.pack for claim in claims)
    hungry = [claim for claim in claims if given_packs[claim.line_id] < claim.packs]
    assert left >= 0
    if len({claim.pack for claim in claims}) == 1 and hungry:
        assert left < claims[0].pack  # of packs alike, all that there are are dealt out
    wanted = sum(claim.quantity for claim in claims)
    if rule is Rule.PRO_RATA and wanted > available:
        for claim in claims:
            assert abs(given_packs[claim.line_id] * wanted - available * claim.packs) <= wanted
    alike = len({claim.pack for claim in claims}) == 1
    if rule is Rule.PAIRED_FIRST and alike and any(not c.paired and given_packs[c.line_id] for c in claims):
        assert not any(c.paired for c in hungry)
    if rule is Rule.SMALL_FIRST and hungry:
        first = min(hungry, key=lambda claim: (claim.quantity, claim.line_id))
        assert all(given_packs[c.line_id] == c.packs for c in claims if c.quantity < first.quantity)


class Frost:
    """A supply of 100 packs and three orders that hold 50, 30 and 10 of them."""

    def __init__(self, session: Session, *, lots: int = 20) -> None:
        self.session = session
        self.world = a.World(session)
        self.listing = self.world.offer(100, lots=lots)
        self.seller = a.a_member(session, session.get_one(Organisation, self.listing.cooperative_id))
        self.supply = session.scalars(select(Supply).where(Supply.listing_id == self.listing.id)).one()
        self.parts = [journey.confirmed(self.world, {self.listing.id: packs})[0] for packs in (50, 30, 10)]

    def strikes(self, packs: int) -> UUID:
        return allocating.allocate(
            self.session, by=self.seller, supply_id=self.supply.id, packs=packs, reason="霜冻", now=a.NOW
        )

    def gets(self) -> list[int]:
        self.session.expire_all()
        return [journey.lines_of(self.session, part)[0].packs_to_fill for part in self.parts]


@pytest.fixture
def frost(session: Session) -> Frost:
    return Frost(session)


def test_what_is_there_is_dealt_pro_rata_and_every_buyer_may_read_why(frost: Frost) -> None:
    made = frost.strikes(45)
    assert frost.gets() == [25, 15, 5]
    assert (frost.supply.held, frost.supply.open, frost.supply.withdrawn) == (225_000, 0, 275_000)
    allocation, shares = queries.allocation(frost.session, frost.world.actor, made)
    assert (allocation.rule, allocation.declared, allocation.wanted, allocation.available) == (
        "pro_rata", False, 450_000, 225_000,
    )  # fmt: skip
    assert sorted((each.wanted, each.given) for each in shares) == [(10, 5), (30, 15), (50, 25)]
    assert "得 25 件" in "".join(each.explanation["text"] for each in shares)
    stranger = a.a_member(frost.session, a.an_organisation(frost.session))
    with pytest.raises(NotFound):
        queries.allocation(frost.session, stranger, made)
    assert frost.strikes(20) != made
    assert frost.gets() == [11, 7, 2]


def test_the_smallest_come_first_where_that_was_declared_before(frost: Frost) -> None:
    with pytest.raises(Invalid):
        declaring.declare(
            frost.session, by=frost.seller, now=a.NOW,
            wanted=DeclareRule(rule="small_first", valid_from=a.NOW.date()),
        )  # fmt: skip
    for rule, day in (("paired_first", date(2024, 10, 16)), ("small_first", date(2024, 10, 20))):
        wanted = DeclareRule(rule=rule, valid_from=day)  # type: ignore[arg-type]
        declaring.declare(frost.session, by=frost.seller, wanted=wanted, now=a.NOW)
    assert queries.rule_on(frost.session, frost.seller.organisation_id, date(2024, 10, 19)) == (
        Rule.PAIRED_FIRST, True,
    )  # fmt: skip
    allocating.allocate(
        frost.session, by=frost.seller, supply_id=frost.supply.id, packs=35, reason="霜冻",
        now=a.NOW.replace(day=20),
    )  # fmt: skip
    assert frost.gets() == [0, 25, 10]
    assert journey.part_of(frost.session, frost.parts[0]).status == Status.CANCELLED


def test_what_is_enough_is_not_dealt(frost: Frost) -> None:
    with pytest.raises(NothingShort) as refused:
        frost.strikes(90)
    assert refused.value.facts["held"] == 450_000
    rival = a.a_member(frost.session, a.an_organisation(frost.session, a.Kind.COOPERATIVE))
    with pytest.raises(NotFound):
        allocating.allocate(frost.session, by=rival, supply_id=frost.supply.id, packs=1, reason="x", now=a.NOW)


def test_an_order_that_comes_between_is_not_passed_over(frost: Frost, monkeypatch: pytest.MonkeyPatch) -> None:
    execute, placed = frost.session.execute, []

    def meanwhile(statement: Any, *rest: Any, **more: Any) -> Any:
        if statement is allocating.LOCK_SUPPLY and not placed:
            placed.append(frost.world.place({frost.listing.id: 1}))
        return execute(statement, *rest, **more)

    monkeypatch.setattr(frost.session, "execute", meanwhile)
    with pytest.raises(HoldsChanged):
        frost.strikes(45)


def test_a_cut_order_is_packed_sent_and_billed_for_what_it_got(committed: str) -> None:
    with unit_of_work() as session:
        frost = Frost(session, lots=100)
        frost.strikes(45)
        part = frost.parts[0]
        journey.accepted(session, part)
        filling.pack(session, actor=frost.seller, supplier_order_id=part, now=a.NOW)
        line = session.scalars(select(OrderLine).where(OrderLine.supplier_order_id == part)).one()
        assert (line.packs, line.packs_to_fill) == (50, 25)
    work("notices.tell")
    with unit_of_work() as session:
        told = session.scalars(select(Notice.organisation_id).where(Notice.kind == "supply.allocated")).all()
        assert told == [frost.world.buyer.id]
    checks_find_nothing()


def test_weeks_are_offered_many_at_once_or_not_at_all(frost: Frost) -> None:
    def weeks(*days: date) -> list[WeekIn]:
        return [WeekIn(listing_id=frost.listing.id, monday=day, packs=7) for day in days]

    mondays = date(2024, 10, 21), date(2024, 10, 28)
    made = declaring.offer_weeks(frost.session, by=frost.seller, weeks=weeks(*mondays), now=a.NOW)
    assert [(each.ready_from, each.ready_to, each.open) for each in made] == [
        (mondays[0], mondays[1], 35_000), (mondays[1], date(2024, 11, 4), 35_000),
    ]  # fmt: skip
    for wrong, pointer in (
        ((mondays[0], date(2024, 10, 22)), "/weeks/1/monday"),
        ((mondays[0], mondays[0]), "/weeks/1/monday"),
        ((date(2024, 9, 30),), "/weeks/0/monday"),
    ):
        with pytest.raises(Invalid) as refused:
            declaring.offer_weeks(frost.session, by=frost.seller, weeks=weeks(*wrong), now=a.NOW)
        assert refused.value.pointer == pointer
