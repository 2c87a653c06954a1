"""An approval cannot be got round: not by a change, not in two tabs, not by splitting roles, not by the API."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError, ProgrammingError
from sqlalchemy.orm import Session

from shop.db import unit_of_work
from shop.orders.models import Order
from shop.outbox.models import Event
from shop.requisitions.models import NEXT, RequisitionDecision, RequisitionStatus
from tests import builders as a
from tests.requisitions.office import Office


@pytest.fixture
def office(committed: str) -> Office:
    return Office()


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json["code"]


def orders() -> int:
    with unit_of_work() as session:
        return session.scalars(select(func.count()).select_from(Order)).one()


def test_a_requisition_goes_from_a_draft_to_the_order_that_was_approved(office: Office) -> None:
    direct = office.call("POST", "/orders", "requester", office.body())
    assert code(direct) == (409, "approval_required")
    row = office.made(reference="食堂-11", deliver_on="2024-11-01", deliver_from="06:00", deliver_to="08:30")
    assert (row["status"], row["number"], row["total_fen"], row["chain"]) == ("draft", None, None, [])
    handed_in = office.call("POST", f"/requisitions/{row['id']}/submit", "requester").json
    assert (handed_in["number"], handed_in["next_step"]) == ("RQ-2024-000001", 0)
    assert handed_in["chain"] == [{"role": "approver", "member_id": None}]
    assert [line["unit_fen"] for line in handed_in["lines"]] == [office.apples.price_fen, office.pears.price_fen]
    assert code(office.place(row)) == (409, "wrong_requisition_status")
    waiting = office.call("GET", "/requisitions?waiting_for_me=true", "approver").json["items"]
    assert [item["id"] for item in waiting] == [row["id"]]
    assert office.call("GET", "/requisitions?waiting_for_me=true", "finance").json["items"] == []
    said = office.decide(handed_in, "approver").json
    assert (said["status"], said["next_step"]) == ("approved", None)
    placed = office.place(row)
    assert placed.status_code == 201
    assert placed.json["total_fen"] == handed_in["total_fen"]
    assert len(placed.json["supplier_orders"]) == 2
    after = office.call("GET", f"/requisitions/{row['id']}", "receiver").json
    assert (after["status"], after["order_id"], after["reference"]) == ("placed", placed.json["id"], "食堂-11")
    assert code(office.place(row)) == (409, "wrong_requisition_status")
    with unit_of_work() as session:
        told = session.scalars(select(Event.kind).where(Event.kind.startswith("requisition")).order_by(Event.id)).all()
    assert told == ["requisition.submitted", "requisition.approved", "requisition.placed"]


def test_whoever_asks_does_not_approve_however_many_roles_they_hold(office: Office) -> None:
    for name in ("approver", "manager"):
        row = office.submitted(by=name)
        assert code(office.decide(row, name)) == (409, "own_requisition")
        paper = {"version": 1, "file_id": office.scan(), "signed_on": "2024-10-14"}
        if name == "manager":
            answer = office.call("POST", f"/requisitions/{row['id']}/paper-approval", name, paper)
            assert code(answer) == (409, "own_requisition")
    changed = office.made()
    office.call("PUT", f"/requisitions/{changed['id']}", "approver", office.body(), version=1)
    office.call("POST", f"/requisitions/{changed['id']}/submit", "requester")
    assert code(office.decide({"id": changed["id"], "version": 2}, "approver")) == (409, "own_requisition")


@pytest.mark.parametrize("name", ["requester", "finance", "receiver"])
def test_a_step_is_taken_by_those_whose_step_it_is(office: Office, name: str) -> None:
    row = office.submitted(by="second approver")
    answer = office.decide(row, name)
    assert code(answer) == (403, "not_your_approval")
    assert answer.json["role"] == "approver"


def test_a_change_after_the_approval_voids_it(office: Office) -> None:
    row = office.approved()
    more = office.body([(office.apples, 50)])
    changed = office.call("PUT", f"/requisitions/{row['id']}", "requester", more, version=1)
    assert (changed.json["status"], changed.json["version"], changed.json["total_fen"]) == ("draft", 2, None)
    assert code(office.place(row)) == (409, "approval_required")
    again = office.call("POST", f"/requisitions/{row['id']}/submit", "requester").json
    assert code(office.decide(again, "approver", version=1)) == (412, "version_conflict")
    assert orders() == 0
    assert [(said["version"], said["decision"]) for said in again["decisions"]] == [(1, "approved")]


def test_two_tabs_do_not_approve_what_only_one_of_them_saw(office: Office) -> None:
    row = office.submitted()
    seen_by_approver = dict(row)
    office.call("PUT", f"/requisitions/{row['id']}", "requester", office.body([(office.apples, 40)]), version=1)
    office.call("POST", f"/requisitions/{row['id']}/submit", "requester")
    assert code(office.decide(seen_by_approver, "approver")) == (412, "version_conflict")
    stale = office.call("PUT", f"/requisitions/{row['id']}", "requester", office.body(), version=1)
    assert code(stale) == (412, "version_conflict")
    blind = office.call("PUT", f"/requisitions/{row['id']}", "requester", office.body())
    assert code(blind) == (428, "requisition_version_required")


def test_twenty_approvals_at_once_count_once(office: Office) -> None:
    office.rule(step=1)
    office.rule(step=2, role="finance")
    row = office.submitted()

    def approve(_: int) -> int:
        return int(office.decide(row, "approver").status_code)

    with ThreadPoolExecutor(20) as pool:
        answers = sorted(pool.map(approve, range(20)))
    assert answers == [200] + [403] * 19
    after = office.call("GET", f"/requisitions/{row['id']}", "requester").json
    assert (after["status"], after["next_step"], len(after["decisions"])) == ("submitted", 1, 1)


def test_the_chain_grows_with_the_amount_and_the_purpose(office: Office) -> None:
    unit = office.body()["budget_unit_id"]
    manager = f"mem_{office.people['manager'].membership_id.hex}"
    office.rule(step=1)
    office.rule(step=2, role="finance", from_fen=30_000)
    office.rule(step=3, role="manager", from_fen=60_000, budget_unit_id=unit, member_id=manager)
    office.rule(step=1, role="finance", purpose="union_welfare")
    office.rule(step=4, role="finance", valid_from="2024-12-01")

    def chain(packs: int, **more: Any) -> list[str]:
        return [step["role"] for step in office.submitted(lines=[(office.apples, packs)], **more)["chain"]]

    price = office.apples.price_fen
    small, middle, large = 1, -(-30_000 // price), -(-60_000 // price)
    assert chain(small) == ["approver"]
    assert chain(middle) == ["approver", "finance"]
    assert chain(large) == ["approver", "finance", "manager"]
    assert chain(small, purpose="union_welfare") == ["approver", "finance"]


def test_every_step_is_taken_by_another_person(office: Office) -> None:
    office.rule(step=1)
    office.rule(step=2, role="manager")
    row = office.submitted()
    assert office.decide(row, "manager").json["next_step"] == 1  # a manager may do what an approver may
    assert code(office.decide(row, "manager")) == (403, "not_your_approval")
    assert office.call("GET", "/requisitions?waiting_for_me=true", "manager").json["items"] == []


def test_a_delegate_decides_within_the_days_and_in_the_name_of_the_other(office: Office) -> None:
    row = office.submitted()
    assert code(office.decide(row, "receiver")) == (403, "not_your_approval")
    days = {"valid_from": "2024-10-14", "valid_to": "2024-10-20", "reason": "出差"}
    body = {"from_user_id": office.user("approver"), "to_user_id": office.user("receiver")} | days
    given = office.call("POST", "/approval-delegations", "approver", body)
    assert given.status_code == 201
    assert [item["id"] for item in office.call("GET", "/requisitions?waiting_for_me=true", "receiver").json["items"]]
    said = office.decide(row, "receiver").json
    (decision,) = said["decisions"]
    assert (decision["by_user_id"], decision["for_user_id"]) == (office.user("receiver"), office.user("approver"))

    late = office.submitted()
    office.now += timedelta(days=10)
    assert code(office.decide(late, "receiver")) == (403, "not_your_approval")


def test_a_delegation_does_not_let_the_asker_decide_nor_lend_the_askers_own_word(office: Office) -> None:
    days = {"valid_from": "2024-10-14", "valid_to": "2024-10-20", "reason": "出差"}

    def lend(of: str, to: str, by: str) -> Any:
        body = {"from_user_id": office.user(of), "to_user_id": office.user(to)} | days
        return office.call("POST", "/approval-delegations", by, body)

    assert lend("second approver", "requester", "second approver").status_code == 201
    assert code(office.decide(office.submitted(), "requester")) == (409, "own_requisition")
    assert lend("approver", "receiver", "approver").status_code == 201
    asked = office.submitted(by="approver")
    assert code(office.decide(asked, "receiver")) == (403, "not_your_approval")
    assert code(lend("approver", "finance", "receiver")) == (403, "not_your_delegation")
    taken = lend("approver", "finance", "manager").json
    assert office.call("POST", f"/approval-delegations/{taken['id']}/end", "finance").json["ended_at"]
    assert code(office.decide(office.submitted(), "finance")) == (403, "not_your_approval")


def test_an_approval_on_paper_is_recorded_with_its_scan_and_marked(office: Office) -> None:
    office.rule(step=1)
    office.rule(step=2, role="finance")
    row = office.submitted()
    path = f"/requisitions/{row['id']}/paper-approval"
    scan = office.scan()
    body = {"version": 1, "file_id": scan, "signed_on": "2024-10-14", "comment": "OA 审批单 118 号"}
    assert code(office.call("POST", path, "approver", body)) == (403, "forbidden")
    tomorrow = office.call("POST", path, "manager", body | {"signed_on": "2024-10-16"})
    assert (code(tomorrow), tomorrow.json["errors"][0]["pointer"]) == ((422, "invalid"), "/signed_on")
    assert office.call("POST", path, "manager", body | {"file_id": f"file_{'0' * 32}"}).status_code == 404
    recorded = office.call("POST", path, "manager", body).json
    assert recorded["status"] == "approved"
    assert [(said["step"], said["paper"], said["signed_on"]) for said in recorded["decisions"]] == [
        (0, True, "2024-10-14"),
        (1, True, "2024-10-14"),
    ]
    assert office.place(row).status_code == 201


def test_what_is_returned_says_why_and_comes_again_as_another_version(office: Office) -> None:
    row = office.submitted()
    dumb = office.call("POST", f"/requisitions/{row['id']}/decision", "approver", {"version": 1, "decision": "return"})
    assert dumb.status_code == 422
    returned = office.decide(row, "approver", "return").json
    assert returned["status"] == "returned"
    assert code(office.decide(row, "approver")) == (409, "wrong_requisition_status")
    again = office.call("POST", f"/requisitions/{row['id']}/submit", "requester").json
    assert (again["version"], again["number"]) == (2, row["number"])
    assert office.decide(again, "approver").json["status"] == "approved"


def test_what_has_become_dearer_than_approved_is_asked_again(office: Office) -> None:
    row = office.approved()
    with unit_of_work() as session:
        session.execute(
            text("UPDATE listing SET tiers = jsonb_build_array(jsonb_build_array(1, price_fen + 1)) WHERE id = :id"),
            {"id": office.apples.id},
        )
    answer = office.place(row)
    assert code(answer) == (409, "above_approval")
    assert answer.json["total_fen"] == row["total_fen"] + 5 == answer.json["allowed"] + 5
    seen = office.call("GET", f"/requisitions/{row['id']}/check", "requester").json
    assert [line["was_unit_fen"] for line in seen["lines"]] == [office.apples.price_fen, None]
    assert orders() == 0


def test_a_draft_within_the_own_limit_is_placed_by_its_member_alone(office: Office) -> None:
    row = office.made(by="approver")
    assert office.place(row, "requester").json["code"] == "approval_required"
    placed = office.place(row, "approver")
    assert placed.status_code == 201
    assert office.call("GET", f"/requisitions/{row['id']}", "approver").json["total_fen"] == placed.json["total_fen"]


def test_a_stranger_finds_nothing_and_changes_nothing(office: Office) -> None:
    row = office.submitted()
    answers = [
        office.call("GET", f"/requisitions/{row['id']}", "stranger"),
        office.decide(row, "stranger"),
        office.place(row, "stranger"),
        office.call("PUT", f"/requisitions/{row['id']}", "stranger", office.body(), version=1),
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert office.call("GET", "/requisitions", "stranger").json["items"] == []


def test_a_draft_names_goods_on_sale_a_unit_of_ones_own_and_a_day_to_come(office: Office) -> None:
    body = office.body()
    unknown = office.call("POST", "/requisitions", "requester", body | {"lines": [
        {"listing_id": f"lst_{'0' * 32}", "quantity": 1}
    ]})  # fmt: skip
    assert (code(unknown), unknown.json["errors"][0]["pointer"]) == ((409, "not_orderable"), "/lines/0/listing_id")
    past = office.call("POST", "/requisitions", "requester", body | {"deliver_on": "2024-10-01"})
    assert past.json["errors"][0]["pointer"] == "/deliver_on"
    foreign = office.call("POST", "/requisitions", "stranger", body)
    assert foreign.status_code == 404
    window = office.call("POST", "/requisitions", "requester", body | {"deliver_from": "08:00", "deliver_to": "09:00"})
    assert window.status_code == 422


def test_a_check_says_what_holds_each_line_and_changes_nothing(office: Office) -> None:
    office.rule(step=1, role="manager")
    with unit_of_work() as session:
        office.world.session = session
        scarce = office.world.offer(3)
        steps = office.world.offer(100, min_packs=10, step_packs=5)
    wanted = office.body([(office.apples, 5), (scarce, 4), (steps, 12), (office.pears, 3)])
    seen = office.call("POST", "/requisition-checks", "requester", wanted).json
    assert [(line["code"], line["allowed"], line["available"]) for line in seen["lines"]] == [
        (None, None, 100),
        ("not_enough_supply", 3, 3),
        ("off_step", 5, 100),
        (None, None, 100),
    ]
    assert (seen["orderable"], seen["within_limit"]) == (False, False)
    assert seen["goods_fen"] == 5 * office.apples.price_fen + 3 * office.pears.price_fen
    assert seen["total_fen"] == seen["goods_fen"] + seen["freight_fen"]
    assert seen["freight_fen"] == sum(line["freight_fen"] or 0 for line in seen["lines"]) > 0
    assert [step["role"] for step in seen["chain"]] == ["manager"]


def test_a_rule_ends_from_tomorrow_on_and_names_a_member_who_holds_the_role(office: Office) -> None:
    rule = office.rule(step=1, role="finance")
    ended = office.call("POST", f"/approval-rules/{rule['id']}/end", "manager", {"valid_to": "2024-10-15"})
    assert (code(ended), ended.json["errors"][0]["pointer"]) == ((422, "invalid"), "/valid_to")
    ended = office.call("POST", f"/approval-rules/{rule['id']}/end", "manager", {"valid_to": "2024-10-16"})
    assert ended.json["valid_to"] == "2024-10-16"
    assert [step["role"] for step in office.submitted()["chain"]] == ["finance"]
    office.now += timedelta(days=1)
    assert [step["role"] for step in office.submitted()["chain"]] == ["approver"]
    body = {"step": 1, "role": "finance", "from_fen": 0, "valid_from": "2024-01-01"}
    wrong = body | {"member_id": f"mem_{office.people['approver'].membership_id.hex}"}
    assert office.call("POST", "/approval-rules", "manager", wrong).json["errors"][0]["pointer"] == "/member_id"
    foreign = body | {"member_id": f"mem_{office.people['stranger'].membership_id.hex}"}
    assert office.call("POST", "/approval-rules", "manager", foreign).status_code == 404
    assert code(office.call("POST", "/approval-rules", "requester", body)) == (403, "forbidden")


def test_the_database_refuses_every_move_that_is_not_in_the_table(office: Office) -> None:
    ways: dict[RequisitionStatus, list[RequisitionStatus]] = {RequisitionStatus.DRAFT: []}
    while len(ways) < len(RequisitionStatus):
        for was, way in list(ways.items()):
            for then in sorted(NEXT[was]):
                ways.setdefault(then, [*way, then])
    with unit_of_work() as session:
        office.world.session = session
        order_id = office.world.place({office.apples.id: 1}).id
    keys = {was: office.made()["id"][4:] for was in ways}

    def moves(session: Session, was: RequisitionStatus, to: RequisitionStatus) -> None:
        session.execute(
            text("UPDATE requisition SET status = :to, order_id = :order, total_fen = 1 WHERE id = :id"),
            {"to": to, "id": keys[was], "order": order_id if to == RequisitionStatus.PLACED else None},
        )

    allowed = set()
    with unit_of_work() as session:
        for was, way in sorted(ways.items(), key=lambda each: each[0] == RequisitionStatus.PLACED):
            for then in way:
                moves(session, was, then)
            for to in RequisitionStatus:
                with suppress(IntegrityError):
                    inner = session.begin_nested()
                    moves(session, was, to)
                    allowed.add((was, to))
                inner.rollback()
    written = {(was, to) for was, following in NEXT.items() for to in following}
    assert allowed - {(was, was) for was in RequisitionStatus} == written - {(was, was) for was in RequisitionStatus}


def test_decisions_are_only_added(office: Office) -> None:
    office.approved()
    for statement in ("UPDATE requisition_decision SET comment = 'x'", "DELETE FROM requisition_decision"):
        with pytest.raises((ProgrammingError, IntegrityError)), unit_of_work() as session:
            session.execute(text(statement))
    with unit_of_work() as session:
        assert session.scalars(select(RequisitionDecision.comment)).all() == ["说明"]
        assert session.scalars(select(RequisitionDecision.at)).one() == a.NOW


def test_many_decisions_are_taken_at_once_and_each_is_refused_by_itself(office: Office) -> None:
    first, second, own = office.submitted(), office.submitted(), office.submitted(by="approver")
    decisions = [
        {"requisition_id": second["id"], "version": 1, "decision": "approve"},
        {"requisition_id": own["id"], "version": 1, "decision": "approve"},
        {"requisition_id": first["id"], "version": 2, "decision": "approve"},
        {"requisition_id": f"req_{a.an_id().hex}", "version": 1, "decision": "return", "comment": "x"},
    ]
    told = office.call("POST", "/requisition-decisions", "approver", {"decisions": decisions}).json["items"]
    assert [(one["requisition_id"], one["result"], one["status"], one["requisition_status"]) for one in told] == [
        (second["id"], "done", 200, "approved"),
        (own["id"], "own_requisition", 409, "submitted"),
        (first["id"], "version_conflict", 412, "submitted"),
        (decisions[3]["requisition_id"], "not_found", 404, None),
    ]
    assert told[2]["facts"] == {"version": 1}
    twice = office.call("POST", "/requisition-decisions", "approver", {"decisions": decisions[:1] * 2})
    assert (twice.status_code, twice.json["errors"][0]["pointer"]) == (422, "/decisions")


WISHES = {
    "reference": "2024-采-0815", "deliver_on": "2024-10-21", "deliver_from": "06:30", "deliver_to": "09:00",
    "note": "从北门进，冷链车限高 3.2 米",
}  # fmt: skip


def test_what_is_wished_goes_from_the_requisition_to_the_order_and_its_sellers(office: Office) -> None:
    row = office.approved(**WISHES)
    lines = office.body()["lines"]
    lines[0]["min_shelf_life_days"] = 7
    changed = office.call("PUT", f"/requisitions/{row['id']}", "requester", office.body(**WISHES) | {"lines": lines}, 1)
    assert [line["min_shelf_life_days"] for line in changed.json["lines"]] == [7, None]
    again = office.call("POST", f"/requisitions/{row['id']}/submit", "requester").json
    office.decide(again, "approver")
    placed = office.place(row)
    order = office.call("GET", f"/orders/{placed.json['id']}", "requester").json
    for shown in (row, placed.json, order):
        assert {name: shown[name] for name in WISHES} == WISHES
    listed = office.call("GET", "/orders", "requester").json["items"][0]
    assert (listed["reference"], listed["deliver_on"]) == (WISHES["reference"], WISHES["deliver_on"])
    kept = {
        line["listing_id"]: line["min_shelf_life_days"] for part in order["supplier_orders"] for line in part["lines"]
    }
    assert sorted(kept.values(), key=str) == [7, None]
    for part in order["supplier_orders"]:
        sold = office.sold(part["id"])
        assert {name: sold[name] for name in WISHES} == WISHES
        assert sold["destination"]["line"]


def test_an_order_is_refused_for_a_day_that_has_passed_and_for_half_a_window(office: Office) -> None:
    for wrong, pointer in (
        ({"deliver_on": "2024-10-14"}, "/deliver_on"),
        ({"deliver_on": "2024-10-21", "deliver_from": "09:00"}, ""),
        ({"deliver_on": "2024-10-21", "deliver_from": "09:00", "deliver_to": "08:00"}, ""),
        ({"deliver_from": "08:00", "deliver_to": "09:00"}, ""),
    ):
        answer = office.call("POST", "/orders", "manager", office.body(**wrong))
        assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, pointer)
