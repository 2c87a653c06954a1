"""Listings by spreadsheet: tried, confirmed, applied; what each changes and what it leaves alone."""

from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import Range

from config.settings import settings
from shop.accounts.models import Organisation
from shop.accounts.models_mandates import AgentMandate
from shop.audit.models import AuditEntry
from shop.catalogue.models import Listing, ListingRevision, OriginGrant, Product
from shop.db import unit_of_work
from shop.files.models import StoredFile
from shop.outbox.models import Event
from shop.regions.models import EligibilityMember
from tests import builders as a
from tests.catalogue.intake import Coop, counts, csv_of, goods, hexed, table, xlsx_of


@pytest.fixture
def coop(committed: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Coop:
    monkeypatch.setenv("SHOP_FILES", str(tmp_path))
    settings.cache_clear()
    return Coop(tmp_path)


THREE = [goods(), goods(pack_name="20斤箱", pack_grams="10.4kg"), goods(code="B1", name="洛川梨", name_en="Pears")]


@pytest.mark.parametrize("made_as", [csv_of, xlsx_of])
def test_a_file_is_tried_confirmed_and_in_review_and_again_changes_nothing(coop: Coop, made_as: Any) -> None:
    data = made_as(table(THREE))
    made = coop.tried(data)
    assert (made["status"], made["rows"], counts(made), made["errors"]) == ("tried", 3, (3, 0, 0, 0), [])
    assert made["job"]["status"] == "done"
    assert coop.listings() == []
    done = coop.applied(made)
    assert (done["status"], done["applied"], done["refused"]) == ("applied", 3, 0)
    found = {(one["product"]["code"], one["pack_name"]): one for one in coop.listings()}
    assert set(found) == {("A1", "10斤箱"), ("A1", "20斤箱"), ("B1", "10斤箱")}
    one = found["A1", "20斤箱"]
    assert (one["status"], one["revision"], one["base_unit"]) == ("in_review", 1, "g")
    assert (one["pack_base_quantity"], one["pack_grams"], one["season_from"]) == (10_000, 10_400, 9)
    assert one["tiers"] == [{"min_packs": 1, "price_fen": 4000}, {"min_packs": 100, "price_fen": 3800}]
    assert one["product"]["origin_code"] == a.LUOCHUAN
    assert {row["listing_id"] for row in coop.rows(made)} == {one["id"] for one in coop.listings()}
    before = leavings()
    again = coop.tried(data)
    assert counts(again) == (0, 0, 3, 0)
    assert coop.applied(again)["applied"] == 0
    assert leavings() == before
    coop.approve()
    public = coop.get("/v1/public/listings?q=洛川苹果", "")["items"]
    assert {item["pack_name"] for item in public} == {"10斤箱", "20斤箱"}
    assert counts(coop.tried(data)) == (0, 0, 3, 0)


def leavings() -> Counter[str]:
    """What imports leave behind, by kind."""
    with unit_of_work() as session:
        found = Counter(session.scalars(select(Event.kind).where(Event.kind.like("listing.%"))))
        found["products"] = session.scalar(select(func.count()).select_from(Product)) or 0
        found["revisions"] = session.scalar(select(func.count()).select_from(ListingRevision)) or 0
        found["entries"] = (
            session.scalar(
                select(func.count()).select_from(AuditEntry).where(AuditEntry.subject_kind.in_(("listing", "product")))
            )
            or 0
        )
    return found


def test_every_imported_listing_leaves_a_revision_an_entry_and_an_event_like_a_single_one(coop: Coop) -> None:
    coop.imported(THREE)
    assert leavings() == {"listing.submitted": 3, "products": 2, "revisions": 3, "entries": 3}
    with unit_of_work() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.subject_kind == "listing")).first()
        assert entry is not None
        assert entry.user_id == coop.actors["seller"].user_id
        content = session.scalars(select(ListingRevision.content)).first()
        assert content is not None
        assert content["product"]["name"].startswith("洛川")
        deeds = session.scalars(
            select(AuditEntry.action).where(AuditEntry.subject_kind == "listing_import").order_by(AuditEntry.id)
        ).all()
    assert deeds == ["upload", "confirm", "apply"]


def test_a_file_of_codes_and_prices_alone_changes_prices_and_what_needs_review_follows_the_rule(coop: Coop) -> None:
    coop.imported(THREE)
    coop.approve()
    names = ("code", "pack_name", "price_fen")
    prices = [
        goods(price_fen="39.00"),
        goods(pack_name="20斤箱", price_fen="44.00"),
        goods(code="B1", price_fen="44.01"),
    ]
    made = coop.tried(csv_of(table([{name: row[name] for name in names} for row in prices])))
    assert (counts(made), made["diff"]["to_review"]) == ((0, 3, 0, 0), 1)
    first, second, third = coop.rows(made, "changed")
    assert first["changes"] == [
        {"field": "tiers", "before": [[1, 4000], [100, 3800]], "after": [[1, 3900], [100, 3800]]}
    ]
    assert [row["to_review"] for row in (first, second, third)] == [False, False, True]
    coop.applied(made)
    found = {(one["product"]["code"], one["pack_name"]): one for one in coop.listings()}
    assert [(one["status"], one["revision"], one["price_fen"]) for one in map(found.get, sorted(found))] == [
        ("listed", 3, 3900),
        ("listed", 3, 4400),
        ("in_review", 3, 4401),
    ]
    shown = coop.get("/v1/public/listings?q=苹果&sort=price", "")["items"]
    assert [item["price_fen"] for item in shown] == [3900, 4400]
    assert leavings() == {
        "listing.submitted": 4, "listing.published": 3, "listing.changed": 2, "products": 2, "revisions": 9,
        "entries": 9,
    }  # fmt: skip


def test_a_product_fact_that_changes_sends_all_of_its_listings_to_review(coop: Coop) -> None:
    coop.imported(THREE)
    coop.approve()
    made = coop.tried(csv_of(table([{"code": "A1", "pack_name": "10斤箱", "grade": "特级"}])))
    assert coop.rows(made)[0]["changes"] == [{"field": "grade", "before": "一级", "after": "特级"}]
    coop.applied(made)
    found = {(one["product"]["code"], one["pack_name"]): one for one in coop.listings()}
    assert [found[key]["status"] for key in sorted(found)] == ["in_review", "in_review", "listed"]
    assert {one["product"]["grade"] for key, one in found.items() if key[0] == "A1"} == {"特级"}


def test_rows_whose_listing_changed_since_the_trial_are_refused_and_the_others_done(coop: Coop) -> None:
    coop.imported(THREE)
    coop.approve()
    rows = [
        goods(price_fen="39.00"),
        goods(code="B1", name="洛川梨", name_en="Pears", price_fen="39.00"),
        goods(code="C1"),
    ]
    made = coop.tried(csv_of(table(rows)))
    pears = next(one for one in coop.listings() if one["product"]["code"] == "B1")
    coop.patch(pears, max_packs=999)
    done = coop.applied(made)
    assert (done["applied"], done["refused"]) == (2, 1)
    assert coop.faults(made) == [(3, "code", "B1", "changed_meanwhile")]
    prices = {one["product"]["code"]: one["price_fen"] for one in coop.listings() if one["pack_name"] == "10斤箱"}
    assert prices == {"A1": 3900, "B1": 4000, "C1": 4000}


def test_a_new_product_that_was_listed_by_hand_meanwhile_is_refused(coop: Coop) -> None:
    made = coop.tried(csv_of(table([goods()])))
    coop.imported([goods(pack_name="20斤箱", pack_grams="11kg")])
    done = coop.applied(made)
    assert (done["applied"], done["refused"]) == (0, 1)


def test_only_valid_rows_or_none(coop: Coop) -> None:
    made = coop.tried(csv_of(table([goods(), goods(code="B1", price_fen="四十")])))
    assert counts(made) == (1, 0, 0, 1)
    refused = coop.confirm(made, "all")
    assert (refused.status_code, refused.get_json()["code"]) == (409, "import_has_errors")
    assert coop.applied(made, "valid_rows")["applied"] == 1
    again = coop.confirm(made, "valid_rows")
    assert (again.status_code, again.get_json()["status"], again.get_json()["applied"]) == (202, "applied", 1)


def test_an_import_belongs_to_its_cooperative_and_wants_a_lister(coop: Coop) -> None:
    made = coop.tried(csv_of(table([goods()])))
    path = f"/v1/cooperative/listing-imports/{made['id']}"
    for end in ("", "/rows", "/failed-rows"):
        assert coop.clients["rival"].get(path + end).status_code == 404
    assert coop.confirm(made, name="rival").status_code == 404
    assert coop.confirm(made, name="shipper").status_code == 403
    assert coop.clients["shipper"].post("/v1/cooperative/listing-imports", data=b"x").status_code == 403
    assert coop.get("/v1/cooperative/listing-imports", "rival")["items"] == []
    assert [one["id"] for one in coop.get("/v1/cooperative/listing-imports")["items"]] == [made["id"]]


def test_a_trial_that_is_not_finished_cannot_be_confirmed(coop: Coop) -> None:
    made = coop.upload(csv_of(table([goods()])))
    refused = coop.confirm(made)
    assert (refused.status_code, refused.get_json()["code"]) == (409, "import_not_tried")


def test_more_than_the_declared_capacity_is_told_to_the_reviewer(coop: Coop) -> None:
    coop.declare("洛川苹果", 1_000_000)
    coop.imported([goods(max_packs="190"), goods(pack_name="20斤箱", pack_grams="11kg", max_packs="191")])
    notes = {one["pack_name"]: one["review_note"] for one in coop.listings()}
    assert notes["10斤箱"] is None
    assert "1000000" in notes["20斤箱"]


def test_who_may_not_sell_has_every_row_refused_and_may_still_lower_prices(coop: Coop) -> None:
    coop.imported([goods()])
    coop.approve()
    with unit_of_work() as session:
        coop.organisation(session).selling_until = None
    rows = [goods(price_fen="39.00"), goods(code="B1")]
    made = coop.tried(csv_of(table(rows)))
    assert coop.faults(made) == [(3, "code", "B1", "no_selling_right")]
    assert counts(made) == (0, 1, 0, 1)
    assert hexed(coop.rows(made)[0]["listing_id"])
    with unit_of_work() as session:
        assert session.scalar(select(func.count()).select_from(Listing)) == 1


def on_the_list(county: str) -> EligibilityMember:
    since = Range(date(2020, 1, 1), None)
    return EligibilityMember(list="poverty_832", county_code=county, name_as_designated=county, valid=since)


def test_goods_of_another_county_are_refused_as_a_single_listing_is(coop: Coop) -> None:
    data = csv_of(table([goods(origin="盐池县"), goods(code="B1")]))
    assert coop.faults(coop.tried(data)) == [(2, "origin", "盐池县", "county_not_admitted")]
    with unit_of_work() as session:
        session.add(on_the_list(a.YANCHI))
    assert coop.faults(coop.tried(data)) == [(2, "origin", "盐池县", "origin_not_yours")]
    with unit_of_work() as session:
        session.add(
            OriginGrant(
                organisation_id=coop.one.id, county_code=a.YANCHI, valid=Range(date(2024, 1, 1), None), document="x",
                granted_by=coop.actors["operator"].user_id, granted_at=a.NOW,
            )
        )  # fmt: skip
    assert counts(coop.tried(data)) == (2, 0, 0, 0)


def test_an_agent_imports_what_its_mandates_name(coop: Coop) -> None:
    with unit_of_work() as session:
        session.execute(update(Organisation).where(Organisation.id == coop.one.id).values(kind="agent"))
        paper = StoredFile(organisation_id=coop.one.id, name="x", media_type="application/pdf", size=1, sha256=b"x")
        session.add(paper)
        session.flush()
        mandate = AgentMandate(
            agent_id=coop.one.id, principal_name="某社", products=["洛川梨"], valid=Range(date(2024, 1, 1), None),
            file_id=paper.id, created_at=a.NOW,
        )  # fmt: skip
        session.add(mandate)
        session.add(on_the_list(a.LUOCHUAN))
    made = coop.tried(csv_of(table(THREE)))
    assert coop.faults(made) == [
        (2, "name", "洛川苹果", "mandate_expired"),
        (3, "name", "洛川苹果", "mandate_expired"),
    ]
    assert coop.applied(made, "valid_rows")["applied"] == 1
    with unit_of_work() as session:
        assert session.scalars(select(Product.mandate_id)).all() == [mandate.id]
