"""Supply week by week, the rule for scarce goods, and what became of a harvest that fell short."""

from datetime import datetime

from sqlalchemy.orm import Session

from shop.actor import Actor, Audience, Role
from shop.errors import NotFound
from shop.http.routes import REQUIRED, Routes, audience, roles
from shop.ids import AllocationId, SupplyId
from shop.orders.service import allocating
from shop.stock import queries_allocations as queries
from shop.stock.schemas import supply_out
from shop.stock.schemas_allocations import (
    AllocationOut,
    DeclareRule,
    OfferedOut,
    OfferWeeks,
    RuleOut,
    RulesOut,
    Shortfall,
    allocation_out,
    rule_out,
)
from shop.stock.service import declaring

selling = Routes("/v1/cooperative", tag="Stock")
buying = Routes("/v1/buyer", tag="Buying")
lister = roles(Role.LISTER, of=Audience.COOPERATIVE)
manager = roles(Role.MANAGER, of=Audience.COOPERATIVE, helpers=False)


@selling.post("/supplies/weeks", allow=lister, answers={201: OfferedOut}, refusals=(NotFound,), key=REQUIRED)
def offer_weeks(session: Session, actor: Actor, now: datetime, body: OfferWeeks) -> OfferedOut:
    """Promise packs of listings week by week, many at once."""
    made = declaring.offer_weeks(session, by=actor, weeks=body.weeks, now=now)
    return OfferedOut(supplies=[supply_out(supply) for supply in made])


@selling.post(
    "/supplies/<supply_id>/shortfall",
    allow=manager,
    answers={201: AllocationOut},
    refusals=(NotFound, allocating.NothingShort, allocating.HoldsChanged),
    key=REQUIRED,
)
def allocate_shortfall(
    session: Session, actor: Actor, now: datetime, supply_id: SupplyId, body: Shortfall
) -> AllocationOut:
    """Say that less of a supply is there than orders hold: it is dealt by the declared rule, and every buyer told."""
    made = allocating.allocate(session, by=actor, supply_id=supply_id, packs=body.packs, reason=body.reason, now=now)
    return read(session, actor, made)


@selling.get("/allocations/<allocation_id>", allow=audience(Audience.COOPERATIVE), answers={200: AllocationOut})
def read_own_allocation(session: Session, actor: Actor, allocation_id: AllocationId) -> AllocationOut:
    """How a harvest of one's own that fell short was dealt."""
    return read(session, actor, allocation_id)


@buying.get("/allocations/<allocation_id>", allow=audience(Audience.BUYER), answers={200: AllocationOut})
def read_allocation_of_bought(session: Session, actor: Actor, allocation_id: AllocationId) -> AllocationOut:
    """What the institution got of a harvest that fell short, and why."""
    return read(session, actor, allocation_id)


@selling.get("/allocation-rules", allow=audience(Audience.COOPERATIVE), answers={200: RulesOut})
def list_allocation_rules(session: Session, actor: Actor) -> RulesOut:
    """The rules that the cooperative declared, newest first."""
    return RulesOut(items=[rule_out(rule) for rule in queries.rules(session, actor)])


@selling.post("/allocation-rules", allow=manager, answers={201: RuleOut}, key=REQUIRED)
def declare_allocation_rule(session: Session, actor: Actor, now: datetime, body: DeclareRule) -> RuleOut:
    """Declare how scarce goods are dealt from a day to come."""
    return rule_out(declaring.declare(session, by=actor, wanted=body, now=now))


def read(session: Session, actor: Actor, allocation_id: AllocationId) -> AllocationOut:
    return allocation_out(*queries.allocation(session, actor, allocation_id))
