"""A cooperative that keeps its goods in a spreadsheet, over HTTP, with the workers beside it."""

import io
from pathlib import Path
from typing import Any
from uuid import UUID

from flask.testing import FlaskClient

from shop import clock
from shop.accounts.models import Kind, Organisation
from shop.accounts.models_admission import Application, DeclaredCapacity, Purpose
from shop.actor import Actor, Role
from shop.catalogue.intake.columns import COLUMNS
from shop.catalogue.intake.models import ListingImportRow
from shop.db import unit_of_work
from shop.sheets.writer import Out, xlsx_into
from tests import builders as a
from tests.application import a_client
from tests.outbox.helpers import client_of, work

TITLES = {column.name: column.titles[0] for column in COLUMNS}
GOODS: dict[str, Any] = {
    "code": "A1", "name": "洛川苹果", "name_en": "Luochuan apples", "category": "水果", "origin": "洛川县",
    "storage": "冷藏", "shelf_life_days": "180天", "grade": "一级", "spec": "80mm 以上", "pack_name": "10斤箱",
    "pack_grams": "5.25公斤", "price_fen": "40.00", "min_packs": "1", "step_packs": "1", "max_packs": "1000",
    "tier2_packs": "100", "tier2_price_fen": "38.00", "season_from": "9月", "season_to": "4月",
}  # fmt: skip
Rows = list[dict[str, Any]]


def goods(**more: Any) -> dict[str, Any]:
    return GOODS | more


def table(rows: Rows, titles: dict[str, str] | None = None) -> list[list[Any]]:
    """The rows below the titles of the columns that any of them has."""
    titles = TITLES | (titles or {})
    names = [name for name in TITLES if any(name in row for row in rows)]
    return [[titles[name] for name in names], *([row.get(name) for name in names] for row in rows)]


def csv_of(cells: list[list[Any]], encoding: str = "gb18030") -> bytes:
    def text(cell: Any) -> str:
        word = "" if cell is None else str(cell)
        return f'"{word}"' if "," in word or "\n" in word else word

    return "\r\n".join(",".join(map(text, row)) for row in cells).encode(encoding)


def xlsx_of(cells: list[list[Any]]) -> bytes:
    target = io.BytesIO()
    head, *rows = cells
    xlsx_into(target, [Out(title) for title in head], [[None if c is None else str(c) for c in row] for row in rows])
    return target.getvalue()


class Coop:
    """One cooperative of 洛川县 and its rival, an operator, a county reviewer; files are kept in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with unit_of_work() as session:
            clock.move_to(session, a.NOW)
            a.a_division(session, "610000", "陕西省", "province")
            a.a_division(session, "610600", "延安市", "prefecture", "610000")
            a.a_division(session, a.LUOCHUAN, "洛川县", "county", "610600")
            a.a_division(session, "640000", "宁夏回族自治区", "province")
            a.a_division(session, a.YANCHI, "盐池县", "county", "640000")
            a.a_division(session, "110105", "朝阳区", "county", "640000")
            a.a_division(session, "220104", "朝阳区", "county", "640000")
            self.one = a.an_organisation(session, Kind.COOPERATIVE, name="洛川果业合作社")
            two = a.an_organisation(session, Kind.COOPERATIVE, name="盐池合作社")
            office = a.an_organisation(session, Kind.PLATFORM, uscc=None)
            self.actors: dict[str, Actor] = {
                "seller": a.a_member(session, self.one),
                "shipper": a.a_member(session, self.one, roles={Role.SHIPPER}),
                "rival": a.a_member(session, two),
                "operator": a.a_member(session, office),
            }
        self.clients: dict[str, FlaskClient] = {name: client_of(actor) for name, actor in self.actors.items()}
        self.clients[""] = a_client()

    def organisation(self, session: Any) -> Organisation:
        return session.get_one(Organisation, self.one.id)

    def declare(self, product: str, grams: int) -> None:
        """The cooperative has declared so many grams a year of a product, and nothing else."""
        with unit_of_work() as session:
            application = Application(
                organisation_id=self.one.id, purpose=Purpose.ADMISSION, status="approved", round=1, linkage="x",
                steps=[], created_at=a.NOW,
            )  # fmt: skip
            session.add(application)
            session.flush()
            session.add(
                DeclaredCapacity(
                    application_id=application.id, organisation_id=self.one.id, product_name=product, category="fruit",
                    heads=1, yield_grams=grams, households=1, grams_per_year=grams, evidence="x", current=True,
                )
            )  # fmt: skip

    def get(self, path: str, name: str = "seller") -> Any:
        answer = self.clients[name].get(path)
        assert answer.status_code == 200, answer.text
        return answer.get_json()

    def upload(self, data: bytes, name: str = "seller") -> Any:
        answer = self.clients[name].post("/v1/cooperative/listing-imports?name=商品.xlsx", data=data)
        assert answer.status_code == 202, answer.text
        return answer.get_json()

    def tried(self, data: bytes) -> Any:
        """Upload a file and have the worker try it."""
        made = self.upload(data)
        assert work("jobs.") == ["jobs.run"]
        return self.get(f"/v1/cooperative/listing-imports/{made['id']}")

    def lose_after(self, made: Any, *, rows: int) -> None:
        """Some worker staged a few rows of an upload and was gone."""
        with unit_of_work() as session:
            session.add_all(
                ListingImportRow(
                    import_id=hexed(made["id"]), number=number, kind="error", code="", pack_name="", reviewed=False,
                    cells=[],
                )
                for number in range(2, 2 + rows)
            )  # fmt: skip

    def confirm(self, made: Any, mode: str = "all", name: str = "seller") -> Any:
        return self.clients[name].post(f"/v1/cooperative/listing-imports/{made['id']}/confirm", json={"mode": mode})

    def applied(self, made: Any, mode: str = "all") -> Any:
        """Confirm and have the worker do it."""
        answer = self.confirm(made, mode)
        assert answer.status_code == 202, answer.text
        assert work("jobs.") == ["jobs.run"]
        return self.get(f"/v1/cooperative/listing-imports/{made['id']}")

    def imported(self, rows: Rows) -> Any:
        return self.applied(self.tried(csv_of(table(rows))))

    def rows(self, made: Any, kind: str = "") -> list[Any]:
        query = f"?kind={kind}" if kind else ""
        items: list[Any] = self.get(f"/v1/cooperative/listing-imports/{made['id']}/rows{query}")["items"]
        return items

    def faults(self, made: Any) -> list[tuple[int, str, str, str]]:
        """Row, column, value and code of every error."""
        return [
            (one["row"], one["column"], one["value"], one["code"])
            for row in self.rows(made, "error")
            for one in row["errors"]
        ]

    def listings(self, name: str = "seller") -> list[Any]:
        items: list[Any] = self.get("/v1/cooperative/listings?limit=100", name)["items"]
        return items

    def approve(self) -> None:
        """Let everything through that waits for review."""
        for one in self.get("/v1/admin/listings?limit=100", "operator")["items"]:
            path = f"/v1/admin/listings/{one['id']}/review"
            assert self.clients["operator"].post(path, json={"decision": "approve"}).status_code == 200

    def patch(self, listing: Any, **what: Any) -> Any:
        answer = self.clients["seller"].patch(
            f"/v1/cooperative/listings/{listing['id']}", json=what, headers={"If-Match": str(listing["revision"])}
        )
        assert answer.status_code == 200, answer.text
        return answer.get_json()


def counts(made: Any) -> tuple[int, int, int, int]:
    """New, changed, unchanged, wrong."""
    diff = made["diff"]
    return diff["added"], diff["changed"], diff["unchanged"], diff["wrong"]


def hexed(public_id: str) -> UUID:
    return UUID(hex=public_id.partition("_")[2])
