"""Framework agreements: proposed by one side, accepted by the other, ended by either."""

from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, ProgrammingError
from sqlalchemy.orm import Session

from shop.agreements import queries
from shop.agreements.models import NEXT, AgreementStatus, FrameworkAgreement, WrongAgreementStatus
from shop.agreements.schemas import ProposeToBuyer
from shop.agreements.service import agreeing
from shop.audit.models import AuditEntry
from shop.errors import Invalid, NotFound
from shop.outbox.models import Event
from tests import builders as a
from tests.agreements.table import agreed, at, proposed, seller, terms
from tests.builders import World


@pytest.fixture
def world(session: Session) -> World:
    return World(session)


def status(world: World, agreement_id: Any) -> str:
    return world.session.get_one(FrameworkAgreement, agreement_id, populate_existing=True).status


def test_a_buyer_proposes_and_the_cooperative_accepts(world: World, session: Session) -> None:
    listing = world.offer()
    key = proposed(world, at(listing, 3_500, 200))
    assert status(world, key) == "proposed"
    agreeing.answer(session, by=seller(world, listing), agreement_id=key, accept=True, reason=None, now=a.NOW)
    assert status(world, key) == "accepted"
    (line,) = queries.lines_of(session, [key])[key]
    assert (line.unit_fen, line.ceiling_packs, line.drawn_packs) == (3_500, 200, 0)
    told = session.execute(select(Event.kind, Event.seen_by).where(Event.kind.like("agreement.%")).order_by(Event.id))
    assert [(kind, list(seen)) for kind, seen in told] == [
        ("agreement.proposed", [listing.cooperative_id]),
        ("agreement.accepted", [world.buyer.id]),
    ]
    trail = session.scalars(select(AuditEntry.action).where(AuditEntry.subject_kind == "agreement"))
    assert list(trail) == ["agreement.proposed", "agreement.accepted"]


def test_a_cooperative_proposes_to_a_buyer_that_it_names_by_its_code(world: World, session: Session) -> None:
    listing = world.offer()
    body = terms(at(listing, 3_500)).model_dump() | {"buyer_uscc": world.buyer.uscc}
    key = agreeing.propose(session, by=seller(world, listing), wanted=ProposeToBuyer(**body), now=a.NOW)
    agreeing.answer(session, by=world.actor, agreement_id=key, accept=False, reason="价格偏高", now=a.NOW)
    row = session.get_one(FrameworkAgreement, key, populate_existing=True)
    assert (row.buyer_id, row.status, row.reason) == (world.buyer.id, "declined", "价格偏高")


def test_an_agreement_makes_only_the_moves_of_its_life(world: World, session: Session) -> None:
    listing = world.offer()
    other = seller(world, listing)
    moves = {
        AgreementStatus.ACCEPTED: lambda key: agreeing.answer(
            session, by=other, agreement_id=key, accept=True, reason=None, now=a.NOW
        ),
        AgreementStatus.DECLINED: lambda key: agreeing.answer(
            session, by=other, agreement_id=key, accept=False, reason="x", now=a.NOW
        ),
        AgreementStatus.WITHDRAWN: lambda key: agreeing.end(
            session, by=world.actor, agreement_id=key, reason="x", now=a.NOW
        ),
    }
    for first in (AgreementStatus.ACCEPTED, AgreementStatus.DECLINED, AgreementStatus.WITHDRAWN):
        for then in (AgreementStatus.ACCEPTED, AgreementStatus.DECLINED):
            key = proposed(world, at(listing, 1))
            moves[first](key)
            with pytest.raises(WrongAgreementStatus) as refused:
                moves[then](key)
            assert then not in NEXT[first]
            assert refused.value.facts == {"agreement_status": first}
    ended = agreed(world, listing, 1)
    agreeing.end(session, by=other, agreement_id=ended.id, reason="减产", now=a.NOW)
    assert status(world, ended.id) == "ended"
    with pytest.raises(WrongAgreementStatus):
        agreeing.end(session, by=world.actor, agreement_id=ended.id, reason="x", now=a.NOW)


def test_each_side_does_its_own_part(world: World, session: Session) -> None:
    listing = world.offer()
    key = proposed(world, at(listing, 1))
    with pytest.raises(WrongAgreementStatus, match="Whoever proposed it"):
        agreeing.answer(session, by=world.actor, agreement_id=key, accept=True, reason=None, now=a.NOW)
    with pytest.raises(WrongAgreementStatus, match="Decline what was proposed"):
        agreeing.end(session, by=seller(world, listing), agreement_id=key, reason="x", now=a.NOW)
    with pytest.raises(NotFound):
        agreeing.end(session, by=World(session, roads=False).actor, agreement_id=key, reason="x", now=a.NOW)


def test_a_proposal_whose_days_are_over_is_not_accepted(world: World, session: Session) -> None:
    listing = world.offer()
    key = proposed(world, at(listing, 1), valid_to=date(2024, 10, 16))
    later = a.NOW.replace(day=16)
    with pytest.raises(WrongAgreementStatus, match="The last day has passed"):
        agreeing.answer(session, by=seller(world, listing), agreement_id=key, accept=True, reason=None, now=later)


def test_what_cannot_be_agreed_on_is_refused_where_it_stands(world: World, session: Session) -> None:
    one, other, gone = world.offer(), world.offer(), world.offer(status="delisted")
    for lines, refusal, pointer in (
        ([at(one, 1), at(one, 1)], Invalid, "/lines/1/listing_id"),
        ([at(one, 1), at(other, 1)], Invalid, "/lines/1/listing_id"),
        ([at(gone, 1)], NotFound, "/lines/0/listing_id"),
    ):
        with pytest.raises(refusal) as refused:
            proposed(world, *lines)
        assert refused.value.pointer == pointer
    with pytest.raises(Invalid) as refused:
        proposed(world, at(one, 1), valid_to=date(2024, 10, 15))
    assert refused.value.pointer == "/valid_to"
    body = terms(at(one, 1)).model_dump() | {"buyer_uscc": world.buyer.uscc}
    with pytest.raises(NotFound, match="No such listing of yours"):
        agreeing.propose(session, by=seller(world, other), wanted=ProposeToBuyer(**body), now=a.NOW)


def test_there_is_always_a_ceiling(world: World) -> None:
    one, other = world.offer(), world.offer()
    with pytest.raises(ValidationError, match="ceiling_fen"):
        terms(at(one, 1, 5), at(other, 1), ceiling_fen=None)
    assert terms(at(one, 1, 5), at(other, 1, 5), ceiling_fen=None).ceiling_fen is None


def test_terms_that_were_proposed_are_changed_by_nobody(world: World, session: Session) -> None:
    agreed(world, world.offer(), 3_500)
    for statement in (
        "UPDATE framework_agreement SET ceiling_fen = NULL",
        "UPDATE framework_agreement SET valid = '[2024-01-01,2034-01-01)'",
        "UPDATE framework_agreement SET drawn_fen = ceiling_fen + 1",
        "UPDATE agreement_line SET unit_fen = 1",
        "DELETE FROM framework_agreement",
        "DELETE FROM agreement_line",
    ):
        with pytest.raises((ProgrammingError, IntegrityError)), session.begin_nested():
            session.execute(text(statement))
