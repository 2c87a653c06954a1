"""Photos of goods: uploaded, made anew by the worker, reviewed, shown to everybody and taken away."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from config.settings import settings
from shop.catalogue.api_photos import routes
from shop.catalogue.models import ProductPhoto
from shop.db import unit_of_work
from shop.files import images
from shop.files.api import routes as file_routes
from shop.http.routes import mount
from shop.outbox.models import Event
from tests.catalogue.market import Market
from tests.catalogue.test_listings import public
from tests.files.test_images import HTML, SVG, a_photo, a_png_header
from tests.outbox.helpers import work
from workers import catalogue
from workers.sweeps import drop_files

OWN = "/v1/cooperative"


@pytest.fixture
def folder(committed: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("SHOP_FILES", str(tmp_path / "files"))
    settings.cache_clear()
    return tmp_path / "files"


@pytest.fixture
def market(folder: Path) -> Market:
    made = Market()
    for more in (routes, file_routes):
        mount(made.client.application, more, made.who)
    return made


def upload(market: Market, listing: Any, data: bytes, name: str = "seller") -> Any:
    path = f"{OWN}/products/{listing['product_id']}/photos"
    return market.client.post(path, data=data, headers={"Authorization": name})


def photos(market: Market, listing: Any) -> list[tuple[str, str]]:
    items = market.get(f"{OWN}/products/{listing['product_id']}/photos", "seller")["items"]
    return [(item["id"], item["status"]) for item in items]


def made(folder: Path) -> int:
    return sum(path.is_file() for path in (folder / "public").rglob("*"))


def stored(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


def kinds() -> list[str]:
    with unit_of_work() as session:
        return list(session.scalars(select(Event.kind).where(Event.kind.like("photo.%")).order_by(Event.id)))


def test_a_photo_is_made_by_the_worker_reviewed_and_shown_to_everybody(market: Market, folder: Path) -> None:
    listing = market.listed()
    answer = upload(market, listing, a_photo(size=(2000, 1000)))
    assert (answer.status_code, [item["status"] for item in answer.json["items"]]) == (201, ["waiting"])
    assert public(market)[0]["photo"] is None
    assert work("catalogue.") == ["catalogue.make_renditions"]
    ((photo_id, status),) = photos(market, listing)
    now = market.get(f"{OWN}/listings/{listing['id']}", "seller")
    assert (status, now["status"], now["revision"]) == ("ready", "in_review", 3)
    market.approved(now)
    card = public(market)[0]
    assert card["photo"] == f"/v1/public/photos/{photo_id}/thumb"
    detail = market.get(f"/v1/public/listings/{listing['id']}")
    path = f"/v1/public/photos/{photo_id}"
    assert detail["photos"] == [
        {"id": photo_id, "thumb": f"{path}/thumb", "large": f"{path}/large", "width": 1600, "height": 800}
    ]
    served = market.client.get(card["photo"])
    assert (served.status_code, served.mimetype) == (200, "image/webp")
    assert served.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert served.data[:4] + served.data[8:12] == b"RIFFWEBP"
    drop_files()
    work("files.")  # what was uploaded is gone, with whatever it knew
    assert (stored(folder), made(folder)) == (2, 2)


def test_a_photo_of_what_is_not_on_sale_yet_is_looked_at_with_it(market: Market) -> None:
    listing = market.submitted()
    upload(market, listing, a_photo())
    work("catalogue.")
    path = f"/v1/admin/listings/{listing['id']}/review"
    late = market.ask("operator", "POST", path, {"decision": "approve", "revision": 1})
    assert late.status_code == 412  # what was looked at had no photo
    assert market.post("operator", path, {"decision": "approve", "revision": 2})["status"] == "listed"
    assert public(market)[0]["photo"]


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", 415, "not_a_photo"), (SVG, 415, "not_a_photo"), (HTML, 415, "not_a_photo"),
        (b"\xff\xd8\xff" + HTML, 415, "not_a_photo"),
        (a_png_header(10_000, 10_000, (b"IDAT", b"")), 422, "photo_too_large"),
        (a_photo(size=(20, 20)), 422, "photo_too_small"), (b"\xff\xd8\xff" + b"x" * images.MAX_PHOTO, 413, None),
    ],
    ids=["nothing", "svg", "html", "html with a mark", "a hundred megapixels", "tiny", "ten megabytes"],
)  # fmt: skip
def test_what_is_no_photo_to_be_shown_is_refused_and_leaves_nothing(
    market: Market, folder: Path, data: bytes, status: int, code: str | None
) -> None:
    answer = upload(market, market.submitted(), data)
    assert answer.status_code == status
    assert code in (answer.json["code"], None)
    assert (stored(folder), kinds()) == (0, [])


def test_a_photo_that_cannot_be_unpacked_is_refused_by_the_worker_and_told(market: Market, folder: Path) -> None:
    listing = market.listed()
    cut = a_photo(size=(400, 400))
    answer = upload(market, listing, cut[: len(cut) // 3])
    assert answer.status_code == 201
    work("catalogue.")
    assert [status for _, status in photos(market, listing)] == ["refused"]
    assert kinds() == ["photo.uploaded", "photo.refused"]
    drop_files()
    work("files.")
    assert stored(folder) == 0
    assert market.get(f"{OWN}/listings/{listing['id']}", "seller") == listing


def test_the_same_photo_is_kept_once_however_often_it_is_sent_and_made(market: Market, folder: Path) -> None:
    listing = market.submitted()
    for _ in range(2):
        assert upload(market, listing, a_photo()).status_code == 201
    work("catalogue.")
    with unit_of_work() as session:
        session.execute(text("UPDATE delivery SET status = 'waiting', due_at = clock_timestamp()"))
    assert work("catalogue.") == ["catalogue.make_renditions"]
    assert (len(photos(market, listing)), made(folder)) == (1, 2)
    assert len(market.get(f"{OWN}/listings/{listing['id']}", "seller")["product"]["photos"]) == 1


def test_a_photo_that_is_taken_away_is_shown_nowhere_and_leaves_the_store(market: Market, folder: Path) -> None:
    listing = market.submitted()
    for size in ((400, 300), (300, 400)):
        upload(market, listing, a_photo(size=size))
        work("catalogue.")
    listed = market.approved(listing)
    (first, _), (second, _) = photos(market, listing)
    path = f"{OWN}/products/{listing['product_id']}/photos/{first}"
    assert market.ask("rival", "DELETE", path).status_code == 404
    left = market.ask("seller", "DELETE", path)
    assert [item["id"] for item in left.json["items"]] == [second]
    assert market.ask("seller", "DELETE", path).status_code == 404
    now = market.get(f"{OWN}/listings/{listing['id']}", "seller")
    assert (now["status"], [photo["id"] for photo in now["product"]["photos"]]) == ("in_review", [second])
    assert now["revision"] > listed["revision"]
    work("catalogue.")
    drop_files()
    work("files.")
    assert (made(folder), stored(folder)) == (2, 2)
    assert market.client.get(f"/v1/public/photos/{first}/thumb").status_code == 404
    assert market.client.get(f"/v1/public/photos/{second}/thumb").status_code == 200


def test_photos_are_put_into_another_order_without_a_review(market: Market, folder: Path) -> None:
    listing = market.submitted()
    for size in ((400, 300), (300, 400), (500, 300)):
        upload(market, listing, a_photo(size=size))
        work("catalogue.")
    listed = market.approved(listing)
    first, second, third = (photo_id for photo_id, _ in photos(market, listing))
    path = f"{OWN}/products/{listing['product_id']}/photos"
    for wrong, pointer in (
        ([second, first], "/photo_ids"),
        ([second, second, first], "/photo_ids/1"),
        ([second, first, "pho_" + "0" * 32], "/photo_ids/2"),
    ):
        refused = market.ask("seller", "PUT", path, {"photo_ids": wrong})
        assert (refused.status_code, refused.json["errors"][0]["pointer"]) == (422, pointer)
    assert market.ask("rival", "PUT", path, {"photo_ids": [second, first, third]}).status_code == 404
    done = market.ask("seller", "PUT", path, {"photo_ids": [third, first, second]})
    assert [item["id"] for item in done.json["items"]] == [third, first, second]
    now = market.get(f"{OWN}/listings/{listing['id']}", "seller")
    assert (now["status"], now["revision"]) == ("listed", listed["revision"] + 1)
    assert public(market)[0]["photo"] == f"/v1/public/photos/{third}/thumb"


def test_a_photo_that_is_taken_away_while_it_is_made_leaves_nothing(
    market: Market, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = market.submitted()
    upload(market, listing, a_photo())
    ((photo_id, _),) = photos(market, listing)
    make = images.renditions

    def meanwhile(data: bytes) -> images.Renditions:
        market.ask("seller", "DELETE", f"{OWN}/products/{listing['product_id']}/photos/{photo_id}")
        return make(data)

    monkeypatch.setattr(catalogue.images, "renditions", meanwhile)
    assert "catalogue.make_renditions" in work("catalogue.")
    drop_files()
    work("files.")
    assert (photos(market, listing), stored(folder)) == ([], 0)


def test_a_product_has_at_most_eight_photos(market: Market) -> None:
    listing = market.submitted()
    for side in range(8):
        assert upload(market, listing, a_photo(size=(100 + side, 100))).status_code == 201
    answer = upload(market, listing, a_photo(size=(200, 100)))
    assert (answer.status_code, answer.json["code"], answer.json["allowed"]) == (409, "too_many_photos", 8)


@pytest.mark.parametrize(("name", "status"), [("", 401), ("rival", 404), ("buyer", 404), ("shipper", 403)])
def test_only_a_lister_of_its_own_cooperative_uploads(market: Market, folder: Path, name: str, status: int) -> None:
    assert upload(market, market.submitted(), a_photo(), name).status_code == status
    assert stored(folder) == 0


@pytest.mark.parametrize(
    "path",
    [
        "../../etc/passwd/thumb", "..%2f..%2fetc%2fpasswd/thumb", "pht_%00/thumb", "{id}/../thumb", "{id}/..%2flarge",
        "{id}/original", "{id}/thumb%00", "{file}/thumb", "{upload}/large", "PHT_{hex}/thumb",
    ],
)  # fmt: skip
def test_no_path_leads_out_of_the_photos(market: Market, path: str) -> None:
    listing = market.submitted()
    upload(market, listing, a_photo())
    with unit_of_work() as session:
        photo = session.scalars(select(ProductPhoto)).one()
    named = path.format(
        id=f"pht_{photo.id.hex}", hex=photo.id.hex, file=f"file_{photo.file_id.hex}", upload=f"pht_{photo.file_id.hex}"
    )
    work("catalogue.")
    assert market.client.get(f"/v1/public/photos/{named}").status_code == 404


def test_a_name_that_climbs_is_only_ever_shown(market: Market, folder: Path) -> None:
    from shop.accounts.service import uploading

    seller = market.actors["seller"]
    for name in ("../../../etc/passwd", "/etc/passwd", "a\\..\\b", "x" * 200):
        uploading.upload(by=seller, name=name, data=b"%PDF-1.7 x")
    inside = [path.relative_to(folder).parts for path in folder.rglob("*") if path.is_file()]
    assert len(inside) == 4
    assert all(len(part) == 2 and set("".join(part)) <= set("0123456789abcdef") for part in inside)
