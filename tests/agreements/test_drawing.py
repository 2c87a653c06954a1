"""What orders draw on agreements, and give back."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session

from shop.agreements import checks, queries
from shop.agreements.models import AgreementDrawnOn, AgreementLine, DrawingKind, FrameworkAgreement
from shop.agreements.service import agreeing, drawing
from shop.agreements.service.drawing import Draw
from shop.db import unit_of_work
from shop.ids import new_id
from tests import builders as a
from tests.agreements.table import agreed, at, proposed, seller
from tests.builders import World


@pytest.fixture
def world(session: Session) -> World:
    return World(session)


def line_of(session: Session, agreement_id: UUID) -> AgreementLine:
    return queries.lines_of(session, [agreement_id])[agreement_id][0]


def a_draw(line: AgreementLine, packs: int) -> Draw:
    return Draw(new_id(), line.agreement_id, line.id, packs, packs * line.unit_fen)


def drawn(session: Session, agreement_id: UUID) -> tuple[int, int]:
    row = session.get_one(FrameworkAgreement, agreement_id, populate_existing=True)
    return row.drawn_fen, line_of(session, agreement_id).drawn_packs


def faults(session: Session) -> list[str]:
    return [name for name, statement in checks.CHECKS.items() if session.execute(text(statement)).all()]


def test_a_ceiling_in_packs_and_one_in_fen_are_never_passed(world: World, session: Session) -> None:
    in_packs = line_of(session, agreed(world, world.offer(), 3_500, ceiling_packs=10, ceiling_fen=None).id)
    in_fen = line_of(session, agreed(world, world.offer(), 3_500, ceiling_fen=35_000).id)
    for line in (in_packs, in_fen):
        drawing.draw(session, [a_draw(line, 4)], now=a.NOW)
        with pytest.raises(AgreementDrawnOn) as refused, session.begin_nested():
            drawing.draw(session, [a_draw(line, 7)], now=a.NOW)
        assert refused.value.facts["lines"] == [{"agreement_id": f"agr_{line.agreement_id.hex}"}]
        drawing.draw(session, [a_draw(line, 6)], now=a.NOW)
        assert drawn(session, line.agreement_id) == (35_000, 10)
    assert faults(session) == []


def test_nothing_is_drawn_before_an_agreement_is_accepted_after_it_ended_or_outside_its_days(
    world: World, session: Session
) -> None:
    listing = world.offer()
    waiting = line_of(session, proposed(world, at(listing, 3_500)))
    ended, over = (line_of(session, agreed(world, listing, 3_500).id) for _ in range(2))
    agreeing.end(session, by=seller(world, listing), agreement_id=ended.agreement_id, reason="x", now=a.NOW)
    for line, now in ((waiting, a.NOW), (ended, a.NOW), (over, a.NOW + timedelta(days=366))):
        with pytest.raises(AgreementDrawnOn), session.begin_nested():
            drawing.draw(session, [a_draw(line, 1)], now=now)


def test_what_is_given_back_once_can_be_drawn_again(world: World, session: Session) -> None:
    line = line_of(session, agreed(world, world.offer(), 3_500, ceiling_packs=10, ceiling_fen=None).id)
    first, other = a_draw(line, 6), a_draw(line, 4)
    drawing.draw(session, [first], now=a.NOW)
    drawing.draw(session, [other], now=a.NOW)
    for _ in range(2):
        drawing.give_back(session, packs={first.order_line_id: 6, new_id(): 3}, kind=DrawingKind.CANCELLED, now=a.NOW)
        drawing.give_back(session, packs={other.order_line_id: 1}, kind=DrawingKind.NOT_ACCEPTED, now=a.NOW)
    assert drawn(session, line.agreement_id) == (3 * 3_500, 3)
    drawing.draw(session, [a_draw(line, 7)], now=a.NOW)
    found = queries.drawings_of(session, line.agreement_id, None, 10)
    assert [(row.kind, row.packs, row.fen) for row, _ in found] == [
        ("placed", 6, 21_000), ("placed", 4, 14_000), ("cancelled", -6, -21_000), ("not_accepted", -1, -3_500),
        ("placed", 7, 24_500),
    ]  # fmt: skip
    assert faults(session) == []


def test_drawings_are_only_added(world: World, session: Session) -> None:
    line = line_of(session, agreed(world, world.offer(), 3_500).id)
    drawing.draw(session, [a_draw(line, 1)], now=a.NOW)
    for statement in ("UPDATE agreement_drawing SET packs = 2", "DELETE FROM agreement_drawing"):
        with pytest.raises(ProgrammingError), session.begin_nested():
            session.execute(text(statement))


def test_twenty_at_once_draw_up_to_the_ceiling_and_give_all_of_it_back(committed: str) -> None:
    with unit_of_work() as session:
        world = World(session)
        one, other = (agreed(world, world.offer(), 3_500, ceiling_fen=12 * 3_500).id for _ in range(2))
        lines = [line_of(session, one), line_of(session, other)]

    def draw(turn: int) -> list[Draw]:
        draws = [a_draw(line, 1) for line in (lines if turn % 2 else lines[::-1])]
        try:
            with unit_of_work() as session:
                drawing.draw(session, draws, now=a.NOW)
        except AgreementDrawnOn:
            return []
        return draws

    with ThreadPoolExecutor(20) as pool:
        placed = [draws for draws in pool.map(draw, range(20)) if draws]
    assert len(placed) == 12

    def cancel(draws: list[Draw]) -> None:
        with unit_of_work() as session:
            packs = {each.order_line_id: each.packs for each in draws}
            drawing.give_back(session, packs=packs, kind=DrawingKind.CANCELLED, now=a.NOW)

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(cancel, placed * 2))
    with unit_of_work() as session:
        assert [drawn(session, key) for key in (one, other)] == [(0, 0), (0, 0)]
        assert faults(session) == []
