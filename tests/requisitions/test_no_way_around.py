"""Approval is not got around: not by splitting, not by the API, not by somebody else, not twice at once."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import func, select

from shop.actor import Role
from shop.db import unit_of_work
from shop.notices.models import Notice
from shop.orders.models import Order
from tests import builders as a
from tests.outbox.helpers import work
from tests.requisitions.office import Office


@pytest.fixture
def office(committed: str) -> Office:
    return Office()


def orders() -> int:
    with unit_of_work() as session:
        return session.scalar(select(func.count()).select_from(Order)) or 0


def test_what_is_split_to_stay_below_a_limit_is_placed_flagged_and_told_to_the_institution(office: Office) -> None:
    row = office.made(lines=[(office.apples, 1)])
    limit = office.call("GET", f"/requisitions/{row['id']}/check", "requester").json["total_fen"]
    with unit_of_work() as session:
        splitter = a.a_member(session, office.world.buyer, roles={Role.REQUESTER}, order_limit_fen=limit)
        office.people["splitter"] = splitter
    whole = office.call("POST", "/orders", "splitter", office.body([(office.apples, 3)]))
    assert (whole.status_code, whole.json["code"]) == (409, "approval_required")
    thirds = [office.call("POST", "/orders", "splitter", office.body([(office.apples, 1)])).json for _ in range(3)]
    assert [order["split_suspected"] for order in thirds] == [False, True, True]
    while work("notices.tell"):
        pass
    with unit_of_work() as session:
        told = session.scalars(select(Notice.organisation_id).where(Notice.kind == "order.split_suspected")).all()
    assert list(told) == [office.world.buyer.id] * 2
    flagged = office.call("GET", "/orders", "manager").json["items"]
    assert len(flagged) == 3


def test_the_api_places_nothing_that_is_not_approved(office: Office) -> None:
    asked = office.submitted()
    straight = office.call("POST", "/orders", "requester", office.body())
    assert (straight.status_code, straight.json["code"]) == (409, "approval_required")
    early = office.place(asked)
    assert (early.status_code, early.json["code"]) == (409, "wrong_requisition_status")
    draft = office.place(office.made())
    assert (draft.status_code, draft.json["code"]) == (409, "approval_required")
    for body in ({"status": "approved"}, {"approved": True}, {"chain": []}):
        forged = office.call("PUT", f"/requisitions/{asked['id']}", "requester", office.body() | body, version=1)
        assert forged.status_code == 422
        forged = office.call("POST", "/orders", "requester", office.body() | body)
        assert forged.status_code == 422
    own = office.decide(asked, "requester")
    assert (own.status_code, own.json["code"]) == (409, "own_requisition")
    assert orders() == 0


def test_an_approval_places_one_order_however_often_and_by_however_many_it_is_placed(office: Office) -> None:
    row = office.approved()
    gate = Barrier(8)

    def place(number: int) -> int:
        gate.wait()
        return int(office.place(row, "requester" if number % 2 else "manager").status_code)

    with ThreadPoolExecutor(8) as pool:
        answers = sorted(pool.map(place, range(8)))
    assert answers == [201] + [409] * 7
    assert orders() == 1
    assert office.place(row, "stranger").status_code == 404


def test_what_is_edited_while_it_is_being_approved_is_never_ordered_as_it_was_not_approved(office: Office) -> None:
    """The two meet: either the edit comes first and its version is the one to approve, or it voids the approval."""
    for turn in range(6):
        row = office.submitted()
        more = office.body([(office.apples, 40)])
        gate = Barrier(2)

        def approve(row: dict[str, object] = row, gate: Barrier = gate) -> int:
            gate.wait()
            return int(office.decide(row, "approver").status_code)

        def edit(row: dict[str, object] = row, gate: Barrier = gate, more: dict[str, object] = more) -> int:
            gate.wait()
            answer = office.call("PUT", f"/requisitions/{row['id']}", "requester", more, version=1)
            return int(answer.status_code)

        with ThreadPoolExecutor(2) as pool:
            first, second = (approve, edit) if turn % 2 else (edit, approve)
            made = {call: pool.submit(call) for call in (first, second)}
            assert made[edit].result() == 200
            assert made[approve].result() in (200, 409, 412)
        stands = office.call("GET", f"/requisitions/{row['id']}", "requester").json
        assert (stands["status"], stands["version"]) == ("draft", 2)
        assert office.place(stands).json["code"] == "approval_required"
    assert orders() == 0
