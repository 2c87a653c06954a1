"""What names a person goes when its written period is over; what is younger, and all the rest of the row, stays."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, select, text, update

from shop.accounts.models import Address
from shop.accounts.models_admission import Application, ApplicationDocument, ApplicationReview
from shop.accounts.service import forgetting
from shop.db import in_unit_of_work, unit_of_work
from shop.files.models import StoredFile
from shop.payments.service import forgetting as forgetting_payers
from shop.retention import Personal, kept_since
from tests import builders as a
from tests.accounts.county import County
from workers import sweeps
from workers.sweeps import forget_personal

RULES = "/v1/admin/retention-rules"
APPLICATION = "/v1/cooperative/application"


def sweep() -> int:
    done = 0
    while found := in_unit_of_work(forget_personal):
        done += found
    return done


def names() -> list[str]:
    with unit_of_work() as session:
        return list(session.scalars(select(ApplicationReview.officer_name).order_by(ApplicationReview.id)))


def test_who_signed_is_forgotten_after_five_years_and_what_was_decided_stays(county: County) -> None:
    old = county.submitted()
    county.approved(old)
    before = county.get("operator", f"/v1/admin/applications/{old}")["reviews"]
    county.move_to(datetime(2025, 1, 15, tzinfo=UTC))
    county.approved(county.submitted("younger"))
    assert len([name for name in names() if name]) == 6
    county.move_to(datetime(2029, 10, 14, tzinfo=UTC))
    sweep()
    assert len([name for name in names() if name]) == 6, "a day too early"
    county.move_to(datetime(2029, 10, 16, 20, tzinfo=UTC))
    sweep()
    assert [bool(name) for name in names()] == [False] * 3 + [True] * 3
    after = county.get("operator", f"/v1/admin/applications/{old}")["reviews"]
    assert [review | {"officer_name": "", "photos": []} for review in before] == [
        review | {"photos": []} for review in after
    ]
    assert sweep() == 0


@pytest.mark.parametrize(
    "change",
    ["officer_name = '别人'", "officer_name = '', reason = 'x'", "officer_name = '', decision = 'reject'"],
)
def test_nothing_else_of_a_review_changes(county: County, change: str) -> None:
    county.approved(county.submitted())
    with pytest.raises(Exception, match=r"permission denied|append-only"), unit_of_work() as session:
        session.execute(text(f"UPDATE application_review SET {change}"))


def papers(application_id: str) -> dict[str, UUID | None]:
    with unit_of_work() as session:
        found = session.execute(
            select(ApplicationDocument.kind, ApplicationDocument.file_id).where(
                ApplicationDocument.application_id == UUID(hex=application_id[4:])
            )
        )
        return {row.kind: row.file_id for row in found}


def is_stored(file_id: UUID | None) -> bool:
    with unit_of_work() as session:
        return session.get(StoredFile, file_id) is not None


def test_an_identity_paper_goes_three_years_after_its_application_and_the_other_papers_stay(county: County) -> None:
    old = county.submitted()
    county.approved(old)
    paper = papers(old)["legal_person_id"]
    county.move_to(datetime(2025, 10, 1, tzinfo=UTC))
    younger = county.submitted("younger")
    county.approved(younger)
    county.move_to(datetime(2027, 10, 14, tzinfo=UTC))
    sweep()
    assert papers(old)["legal_person_id"] == paper
    county.move_to(datetime(2027, 10, 16, tzinfo=UTC))
    sweep()
    sweeps.drop_files()
    assert {kind for kind, file_id in papers(old).items() if file_id is None} == {"legal_person_id"}
    assert not is_stored(paper)
    assert is_stored(papers(old)["licence"])
    assert is_stored(papers(younger)["legal_person_id"])
    shown = county.get("operator", f"/v1/admin/applications/{old}")["documents"]
    assert {one["kind"] for one in shown if one["file"] is None} == {"legal_person_id"}
    assert len(shown) == 5


def test_a_paper_that_a_newer_application_carries_on_is_kept_for_as_long_as_that(county: County) -> None:
    old = county.submitted()
    county.approved(old)
    county.move_to(datetime(2025, 9, 15, tzinfo=UTC))
    newer = county.post("applicant", f"{APPLICATION}/begin-again")["id"]
    paper = papers(old)["legal_person_id"]
    assert papers(newer)["legal_person_id"] == paper
    county.move_to(datetime(2027, 10, 16, tzinfo=UTC))
    sweep()
    sweeps.drop_files()
    assert (papers(old)["legal_person_id"], papers(newer)["legal_person_id"]) == (None, paper)
    assert is_stored(paper)
    county.move_to(datetime(2028, 9, 16, tzinfo=UTC))
    sweep()
    sweeps.drop_files()
    assert papers(newer)["legal_person_id"] is None, "it was left lying for three years"
    assert not is_stored(paper)


def test_an_application_under_review_keeps_its_papers_and_one_taken_up_again_asks_for_them(county: County) -> None:
    waits = county.submitted()
    county.move_to(datetime(2028, 10, 16, tzinfo=UTC))
    sweep()
    assert all(papers(waits).values())
    with unit_of_work() as session:
        session.execute(update(Application).values(status="returned", step=None))
    sweep()
    assert papers(waits)["legal_person_id"] is None
    lacking = {gap["pointer"] for gap in county.get("applicant", APPLICATION)["missing"]}
    assert lacking == {"/documents/legal_person_id"}
    assert county.document("applicant", "legal_person_id").status_code == 201
    assert county.get("applicant", APPLICATION)["missing"] == []


def test_whom_to_call_is_forgotten_three_years_after_a_place_was_retired(county: County) -> None:
    with unit_of_work() as session:
        buyer = a.an_organisation(session)
        kept, old, younger = (a.an_address(session, buyer) for _ in range(3))
        old.retired_at, younger.retired_at = a.NOW - timedelta(days=1097), a.NOW - timedelta(days=1095)
        line = old.line
        for each in (kept, old, younger):
            each.contact = "王老师 13900139000"
    assert sweep() == 1
    with unit_of_work() as session:
        found = {row.id: (row.contact, row.line) for row in session.scalars(select(Address))}
    assert found[old.id] == ("", line)
    assert (found[kept.id][0], found[younger.id][0]) == ("王老师 13900139000",) * 2


def test_what_is_past_its_period_is_found_by_an_index(county: County) -> None:
    plans: list[str] = []
    with unit_of_work() as session:
        session.execute(text("SET LOCAL enable_seqscan = off"))

        def explain(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
            if statement.startswith("UPDATE"):
                with connection.connection.cursor() as other:
                    plans.append("".join(line for (line,) in other.execute(f"EXPLAIN {statement}", parameters)))

        event.listen(session.connection(), "before_cursor_execute", explain)
        forgetting.forget(session, now=a.NOW)
        forgetting_payers.forget(session, now=a.NOW)
    assert len(plans) == 3
    names = ("ix_application_review_named", "ix_address_retired_contact", "ix_bank_receipt_named")
    assert [name in plan for name, plan in zip(names, plans, strict=True)] == [True] * 3


def test_a_period_is_the_one_of_the_day_and_without_one_nothing_is_forgotten(county: County) -> None:
    rule = next(one for one in county.get("operator", RULES)["items"] if one["what"] == "address_contact")
    assert (rule["months"], rule["from"], rule["to"]) == (36, "1996-01-01", None)
    county.post("operator", f"{RULES}/{rule['id']}/end", {"to": "2024-10-20", "reason": "新规"})
    made = {"what": "address_contact", "months": 60, "from": "2024-10-22", "reason": "沪商〔2024〕1号"}
    assert county.post("operator", RULES, made)["source"] == made["reason"]
    assert county.refused("operator", "POST", RULES, made) == (409, "rule_overlaps", ["/from"])
    assert county.refused("operator", "POST", RULES, made | {"months": 0}) == (422, "invalid", ["/months"])
    assert county.refused("operator", "POST", RULES, made | {"what": "everything"}) == (422, "invalid", ["/what"])

    def since(day: int) -> Any:
        with unit_of_work() as session:
            return kept_since(session, Personal.ADDRESS_CONTACT, now=datetime(2024, 10, day, 4, tzinfo=UTC))

    assert since(19).isoformat() == "2021-10-19T00:00:00+08:00"
    assert since(21) is None
    assert since(22).isoformat() == "2019-10-22T00:00:00+08:00"
