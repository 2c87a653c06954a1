"""Papers of lots: which are asked for, what is missing at packing, and the buyer's inspection book."""

import io
import zipfile
from typing import Any

import pytest
from python_calamine import CalamineWorkbook
from sqlalchemy import text

from shop.clock import move_to
from shop.db import unit_of_work
from tests import builders as a
from tests.application import a_client
from tests.orders import journey
from tests.outbox.helpers import client_of, work
from tests.stock.proof import checks_find_nothing
from tests.stock.test_keeping import Store

PAPER = b"%PDF-1.7 a paper"


class Butcher:
    """A cooperative with a lot of meat and an accepted order for it."""

    def __init__(self) -> None:
        with unit_of_work() as session:
            move_to(session, a.NOW)
            store = Store(session)
            product = session.get_one(a.Product, store.listing.product_id)
            product.category = "meat"
            (self.part,) = journey.confirmed(store.world, {store.listing.id: 5})
            journey.accepted(session, self.part)
            self.lot, self.code = f"lot_{store.lot.id.hex}", store.lot.code
        self.seller, self.buyer = client_of(store.seller), client_of(store.world.actor)

    def post(self, path: str, body: Any = None, client: Any = None) -> Any:
        headers = {"Idempotency-Key": f"papers-{next(a.serial):08d}"}
        sent = {"data": body} if isinstance(body, bytes) else {"json": body}
        return (client or self.seller).post(path, headers=headers, **sent)

    def pack(self) -> Any:
        return self.post(f"/v1/cooperative/supplier-orders/so_{self.part.hex}/pack")

    def add(self, kind: str, **more: Any) -> Any:
        file_id = self.post("/v1/me/files?name=x.pdf", PAPER + kind.encode()).json["id"]
        body = {"kind": kind, "number": f"NO-{kind}", "file_id": file_id} | more
        return self.post(f"/v1/cooperative/lots/{self.lot}/documents", body)

    def insist(self, blocking: bool) -> None:
        with unit_of_work() as session:  # policy is changed by migrations only; a test stands in for one here
            session.execute(text("UPDATE lot_document_rule SET blocking = :b WHERE category = 'meat'"), {"b": blocking})


@pytest.fixture
def butcher(committed: str) -> Butcher:
    return Butcher()


def test_a_paper_that_is_missing_is_shown_at_packing(butcher: Butcher) -> None:
    packed = butcher.pack()
    assert packed.status_code == 200, packed.json
    missing = [(one["code"], one["kind"], one["blocking"]) for one in packed.json["missing_documents"]]
    assert missing == [(butcher.code, "meat_inspection", False), (butcher.code, "quarantine_certificate", False)]
    left = butcher.add("meat_inspection").json["missing"]
    assert [one["kind"] for one in left] == ["quarantine_certificate"]


def test_where_the_rule_insists_nothing_is_packed_without_it(butcher: Butcher) -> None:
    butcher.insist(True)
    butcher.add("meat_inspection")
    refused = butcher.pack()
    assert (refused.status_code, refused.json["code"]) == (409, "documents_missing")
    assert [one["kind"] for one in refused.json["missing"]] == ["quarantine_certificate"]
    butcher.add("quarantine_certificate", valid_until="2024-10-16")
    with unit_of_work() as session:
        move_to(session, a.NOW.replace(day=16))
    assert butcher.pack().json["code"] == "documents_missing"
    butcher.add("quarantine_certificate")
    assert butcher.pack().status_code == 200
    checks_find_nothing()


def test_wrong_papers_are_refused_where_they_stand(butcher: Butcher) -> None:
    assert butcher.add("no_such_kind").json["errors"][0]["pointer"] == "/kind"
    assert butcher.add("meat_inspection", valid_until="2024-10-15").json["errors"][0]["pointer"] == "/valid_until"
    foreign = butcher.post("/v1/me/files?name=x.pdf", PAPER, butcher.buyer).json["id"]
    assert butcher.add("meat_inspection", file_id=foreign).status_code == 404
    rules = a_client().get("/v1/public/lot-documents").json["items"]
    assert {rule["kind"] for rule in rules if rule["category"] == "fruit"} == {"conformity_certificate"}


def test_the_inspection_book_of_any_days_is_one_file_with_every_paper(butcher: Butcher) -> None:
    butcher.add("meat_inspection")
    butcher.add("quarantine_certificate")
    assert butcher.pack().status_code == 200
    shipped = butcher.post(f"/v1/cooperative/supplier-orders/so_{butcher.part.hex}/ship", {"carrier": "simulated"})
    assert shipped.status_code == 200, shipped.json

    def book(first: str, end: str) -> zipfile.ZipFile:
        asked = butcher.post("/v1/buyer/inspection-book", {"first": first, "end": end}, butcher.buyer)
        assert asked.status_code == 202
        work("jobs.")
        job = butcher.buyer.get(f"/v1/jobs/{asked.json['job']['id']}").json
        assert job["status"] == "done", job
        return zipfile.ZipFile(io.BytesIO(butcher.buyer.get(job["result"]).data))

    found = book("2024-10-15", "2024-10-16")
    papers = [name for name in found.namelist() if name.startswith("证明文件/")]
    assert {found.read(name) for name in papers} == {PAPER + b"meat_inspection", PAPER + b"quarantine_certificate"}
    sheet = CalamineWorkbook.from_filelike(io.BytesIO(found.read("进货查验台账.xlsx"))).get_sheet_by_index(0)
    head, row = sheet.to_python()
    assert (head[8], row[8], row[11]) == ("批次号", butcher.code, 25_000)
    assert row[-1] == "；".join(papers)
    assert book("2024-10-16", "2024-10-17").namelist() == ["进货查验台账.xlsx"]
    refused = butcher.post("/v1/buyer/inspection-book", {"first": "2024-10-16", "end": "2024-10-16"}, butcher.buyer)
    assert refused.status_code == 422
