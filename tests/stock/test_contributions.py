"""What households brought: the monthly sheet, what weighs against the lot, and what the public may see."""

import re
from typing import Any
from xml.etree import ElementTree

import pytest
import segno
from flask.testing import FlaskClient
from sqlalchemy import select

from config.settings import settings
from shop.accounts.models import Kind
from shop.clock import move_to
from shop.db import unit_of_work
from shop.stock.models import Lot
from shop.stock.models_contributions import Contribution
from shop.stock.schemas_keeping import Transfer
from shop.stock.service import keeping
from tests import builders as a
from tests.application import a_client
from tests.outbox.helpers import client_of
from tests.stock.proof import checks_find_nothing
from tests.stock.test_keeping import Store

HEAD = "批次号,农户编号,交货日期,重量(公斤),已付金额(元),合格证编号\n"
PATH = "/v1/cooperative/contributions/sheet"
QUIET = 4  # modules of white around a code


class Fields:
    """A cooperative with a lot of 500 kg, and its client."""

    def __init__(self) -> None:
        with unit_of_work() as session:
            move_to(session, a.NOW)
            store = Store(session)
            store.lot.code = "LC-1"
            session.flush()
            self.lot = f"lot_{store.lot.id.hex}"
            self.there = keeping.transfer(
                session, by=store.seller, lot_id=store.lot.id, now=a.NOW,
                wanted=Transfer(location_id=store.east.id, quantity=1000),
            ).id  # fmt: skip
            rival = a.a_member(session, a.an_organisation(session, Kind.COOPERATIVE))
        self.client, self.rival = client_of(store.seller), client_of(rival)

    def send(self, *rows: str, client: FlaskClient | None = None, **query: Any) -> Any:
        data = (HEAD + "\n".join(rows)).encode()
        return (client or self.client).post(PATH, data=data, query_string={"dry_run": "false", **query})


@pytest.fixture
def fields(committed: str) -> Fields:
    return Fields()


def kept() -> list[tuple[str, int, int]]:
    with unit_of_work() as session:
        rows = session.scalars(select(Contribution).order_by(Contribution.household))
        return [(row.household, row.grams, row.paid_fen) for row in rows]


def test_a_sheet_is_tried_taken_and_taken_again_without_a_change(fields: Fields) -> None:
    rows = ("LC-1,H01,2024-10-01,100,420.50,HGZ-1", "LC-1,H02,2024-10-01,50.5,200,")
    tried = fields.send(*rows, dry_run="true").json
    assert (tried["written"], tried["added"], kept()) == (False, 2, [])
    done = fields.send(*rows).json
    assert (done["written"], done["added"], done["error_count"]) == (True, 2, 0)
    assert kept() == [("H01", 100_000, 42_050), ("H02", 50_500, 20_000)]
    again = fields.send(*rows).json
    assert (again["added"], again["changed"], again["unchanged"]) == (0, 0, 2)
    changed = fields.send("LC-1,H01,2024-10-01,100,430,HGZ-1").json
    assert (changed["changed"], kept()[0]) == (1, ("H01", 100_000, 43_000))
    checks_find_nothing()


@pytest.mark.parametrize(
    ("row", "column", "code"),
    [
        ("LC-9,H01,2024-10-01,1,1,", "lot", "unknown_lot"),
        ("LC-1,H01,2024-10-16,1,1,", "brought_on", "in_the_future"),
        ("LC-1,13800138000,2024-10-01,1,1,", "household", "not_a_code"),
        ("LC-1,110101199003071234,2024-10-01,1,1,", "household", "not_a_code"),
        ("LC-1,张三,2024-10-01,1,1,", "household", "not_a_code"),
        ("LC-1,H01,2024-10-01,500.001,1,", "grams", "more_than_lot"),
        ("LC-1,H01,2024-10-01,-1,1,", "grams", "too_small"),
    ],
)
def test_a_row_that_is_wrong_is_named_and_the_others_may_be_taken(
    fields: Fields, row: str, column: str, code: str
) -> None:
    good = "LC-1,H02,2024-10-02,0.001,0,"
    lot_full = code == "more_than_lot"
    rows = (row,) if lot_full else (row, good)
    tried = fields.send(*rows, dry_run="true").json
    assert [(e["row"], e["column"], e["code"]) for e in tried["errors"]] == [(2, column, code)]
    refused = fields.send(*rows)
    assert (refused.status_code, refused.json["code"], kept()) == (409, "import_has_errors", [])
    assert fields.send(*rows, valid_rows="true").json["added"] == len(rows) - 1
    assert len(kept()) == len(rows) - 1


def test_households_together_bring_no_more_than_the_lot_weighs_over_several_sheets(fields: Fields) -> None:
    assert fields.send("LC-1,H01,2024-10-01,300,1,").status_code == 200
    assert fields.send("LC-1,H02,2024-10-01,200.001,1,").status_code == 409
    assert fields.send("LC-1,H01,2024-10-01,100,1,").status_code == 200
    assert fields.send("LC-1,H02,2024-10-01,400,1,").status_code == 200


def test_a_cooperative_sees_what_reached_its_households_and_nobody_elses(fields: Fields) -> None:
    fields.send("LC-1,H01,2024-09-30,100,400,A", "LC-1,H01,2024-10-02,10,40,B", "LC-1,H02,2024-10-02,20,90,")
    query = "first=2024-10-01&end=2024-11-01"
    seen = fields.client.get(f"/v1/cooperative/contributions/benefits?{query}").json
    assert (seen["grams"], seen["paid_fen"]) == (30_000, 13_000)
    assert [(one["household"], one["paid_fen"]) for one in seen["households"]] == [("H01", 4_000), ("H02", 9_000)]
    for lot in (fields.lot, f"lot_{fields.there.hex}"):
        behind = fields.client.get(f"/v1/cooperative/lots/{lot}/households").json
        assert (behind["lot_grams"], behind["attributed_grams"]) == (500_000, 130_000)
        assert behind["households"][0] == {
            "household": "H01", "grams": 110_000, "paid_fen": 44_000, "certificates": ["A", "B"],
        }  # fmt: skip
        assert fields.rival.get(f"/v1/cooperative/lots/{lot}/households").status_code == 404
    assert fields.rival.get(f"/v1/cooperative/contributions/benefits?{query}").json["households"] == []
    assert fields.send("LC-1,H01,2024-10-02,10,40,", client=fields.rival).status_code == 409


def test_the_public_sees_households_only_where_they_are_five_or_more(fields: Fields) -> None:
    public = a_client()
    path = f"/v1/public/lots/{fields.lot}"
    for number in range(1, 6):
        fields.send(f"LC-1,H{number:02d},2024-10-01,1,1,")
        seen = public.get(path).json
        assert seen["households"] == (5 if number == 5 else None)
        page = public.get(f"{path}/page").text
        assert ("少于五户" in page) is (number < 5)
        assert "H01" not in page + str(seen)
    there = public.get(f"/v1/public/lots/lot_{fields.there.hex}").json
    assert (there["id"], there["code"], there["county"], there["recalled"]) == (fields.lot, "LC-1", None, False)
    assert public.get("/v1/public/lots/lot_" + "0" * 32).status_code == 404
    with unit_of_work() as session:
        session.get_one(Lot, a.UUID(hex=fields.lot[4:])).recalls = 1
    assert "已召回" in public.get(f"{path}/page").text


def test_the_code_on_a_label_leads_to_the_page_of_the_lot(fields: Fields) -> None:
    public = a_client()
    path = f"/v1/public/lots/{fields.lot}"
    drawn = public.get(f"{path}/qr")
    assert (drawn.status_code, drawn.mimetype) == (200, "image/svg+xml")
    page = public.get(f"{path}/page")
    assert page.data.count(drawn.data) == 1
    meant = segno.make_qr(f"{settings().public_url}{path}/page", error="m")
    assert read_off(drawn.data, len(tuple(meant.matrix))) == [list(row) for row in meant.matrix]
    assert public.get("/v1/public/lots/lot_" + "0" * 32 + "/qr").status_code == 404


def read_off(svg: bytes, size: int) -> list[list[int]]:
    """The dark and light modules that a picture shows, from the strokes of its path (`M`, `m`, `h` as segno writes)."""
    (path,) = (node for node in ElementTree.fromstring(svg).iter() if node.tag.endswith("path"))
    modules = [[0] * size for _ in range(size)]
    x = y = 0.0
    for command, numbers in re.findall(r"([Mmh])([-\d. ]+)", path.attrib["d"]):
        values = [float(number) for number in numbers.split()]
        if command == "h":
            for place in range(int(values[0])):
                modules[int(y) - QUIET][int(x) - QUIET + place] = 1
            x += values[0]
        else:
            x, y = (values[0], values[1]) if command == "M" else (x + values[0], y + values[1])
    return modules
