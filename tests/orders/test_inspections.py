"""Who inspects what arrives: a receiver, two people where a unit demands them, a device that lost its signal."""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest
from PIL import Image
from sqlalchemy import select
from werkzeug.test import TestResponse

from config.settings import settings
from shop import clock
from shop.accounts.models import Organisation
from shop.accounts.service import logging_in
from shop.actor import Actor, Role
from shop.db import checker_engine, unit_of_work
from shop.ids import new_id
from shop.orders import queries_inspection_book as book
from shop.orders.models import Acceptance
from shop.orders.models_inspections import OrderPhoto
from shop.orders.service import photographing
from shop.outbox.models import Event
from shop.reporting.checks import run_checks
from tests import builders as a
from tests.application import a_client
from tests.files.test_images import a_photo
from tests.orders import journey
from tests.outbox.helpers import work
from workers.schedule import run
from workers.sweeps import drop_files

HOUR = timedelta(hours=1)
PATH = "/v1/buyer/supplier-orders"


class Canteen:
    """A served shop whose orderer, two receivers and manager of one institution inspect what a cooperative sent."""

    def __init__(self) -> None:
        self.client = a_client()
        self.keys = iter(range(10_000))
        with unit_of_work() as session:
            clock.move_to(session, a.NOW)
            self.world = a.World(session)
            listing = self.world.offer(1000, lots=1000)
            self.listing = listing.id
            seller = session.get_one(Organisation, listing.cooperative_id)
            self.people: dict[str, Actor] = {
                "orderer": self.world.actor,
                "receiver": a.a_member(session, self.world.buyer, roles={Role.RECEIVER}),
                "second": a.a_member(session, self.world.buyer, roles={Role.RECEIVER}),
                "manager": a.a_member(session, self.world.buyer, roles={Role.MANAGER}),
                "seller": a.a_member(session, seller),
                "stranger": a.a_member(session, a.an_organisation(session)),
            }
            self.tokens = {
                name: logging_in.issue_token(session, user_id=actor.user_id)[0] for name, actor in self.people.items()
            }
        self.at(journey.LATER)

    def at(self, instant: datetime) -> None:
        with unit_of_work() as session:
            clock.move_to(session, instant)
        for name in ("tell_order_times", "pass_order_times"):
            run(name)

    def delivered(self, packs: int = 10) -> str:
        with unit_of_work() as session:
            self.world.session = session
            (part,) = journey.confirmed(self.world, {self.listing: packs})
            journey.delivered(session, part)
            return f"so_{part.hex}"

    def ask(self, who: str, method: str, path: str, body: Any = None, **more: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.tokens[who]}", "Accept-Language": "en"}
        if method == "POST":
            headers["Idempotency-Key"] = more.pop("key", f"k{next(self.keys)}")
        return self.client.open(path, method=method, json=body, headers=headers, **more)

    def inspect(self, who: str, part: str, body: Any = None, **more: Any) -> TestResponse:
        return self.ask(who, "POST", f"{PATH}/{part}/inspection", body or {"accept_all": True}, **more)

    def counts(self, part: str, rejected: int, **more: Any) -> dict[str, Any]:
        with unit_of_work() as session:
            (share,) = journey.sent_of(session, UUID(hex=part[3:]))
        return {
            "line_id": f"line_{share.line_id.hex}", "lot_id": f"lot_{share.lot_id.hex}",
            "accepted": share.packs - rejected, "rejected": rejected, "short": 0,
            "reason": "冻伤" if rejected else None, **more,
        }  # fmt: skip

    def demand(self, *, two: bool = False, other: bool = False) -> None:
        body = {
            "budget_unit_id": f"unit_{self.world.unit.id.hex}", "two_signatures": two, "not_by_requester": other,
            "reason": "食堂食材验收制度",
        }  # fmt: skip
        answer = self.ask("manager", "PUT", "/v1/buyer/inspection-settings", body)
        assert answer.status_code == 200, answer.json

    def status(self, part: str) -> str:
        with unit_of_work() as session:
            return journey.part_of(session, UUID(hex=part[3:])).status

    def user(self, name: str) -> str:
        return f"usr_{self.people[name].user_id.hex}"


@pytest.fixture
def canteen(committed: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Canteen]:
    monkeypatch.setenv("SHOP_FILES", str(tmp_path / "files"))
    settings.cache_clear()
    yield Canteen()
    with checker_engine().connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        assert run_checks(connection) == []


def code(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, answer.json["code"]


def told() -> list[str]:
    with unit_of_work() as session:
        return list(session.scalars(select(Event.kind).where(Event.kind.like("inspection.%")).order_by(Event.id)))


def test_a_receiver_who_did_not_order_inspects(canteen: Canteen) -> None:
    part = canteen.delivered()
    answer = canteen.inspect("receiver", part)
    assert (answer.status_code, answer.json["signed_by"]) == (201, [canteen.user("receiver")])
    assert canteen.status(part) == "inspected"


def test_a_unit_may_bar_whoever_ordered_from_inspecting(canteen: Canteen) -> None:
    canteen.demand(other=True)
    part = canteen.delivered()
    assert code(canteen.inspect("orderer", part)) == (409, "inspector_ordered")
    assert canteen.status(part) == "delivered"
    assert canteen.inspect("receiver", part).status_code == 201


def test_two_people_sign_where_the_unit_demands_it_and_the_second_signature_records_what_the_first_found(
    canteen: Canteen,
) -> None:
    canteen.demand(two=True, other=True)
    part = canteen.delivered()
    body = {"lines": [canteen.counts(part, 3)], "note": "三件冻伤"}
    first = canteen.inspect("receiver", part, body)
    assert (first.status_code, first.json["status"], first.json["first_signer"]) == (
        202, "waiting", canteen.user("receiver"),
    )  # fmt: skip
    assert first.json["lapses_at"] == (journey.LATER + 24 * HOUR).isoformat()[:19] + first.json["lapses_at"][19:]
    assert canteen.status(part) == "delivered"
    assert code(canteen.inspect("second", part)) == (409, "signature_waits")
    assert code(canteen.ask("receiver", "POST", f"{PATH}/{part}/countersign")) == (409, "same_signer")
    assert code(canteen.ask("orderer", "POST", f"{PATH}/{part}/countersign")) == (409, "inspector_ordered")
    assert code(canteen.ask("stranger", "POST", f"{PATH}/{part}/countersign"))[0] == 404
    second = canteen.ask("second", "POST", f"{PATH}/{part}/countersign")
    assert second.status_code == 201, second.json
    assert second.json["signed_by"] == [canteen.user("receiver"), canteen.user("second")]
    assert (second.json["note"], second.json["lines"][0]["rejected"], second.json["goods_fen"]) == (
        "三件冻伤", 3, 28_000,
    )  # fmt: skip
    assert code(canteen.ask("manager", "POST", f"{PATH}/{part}/countersign")) == (409, "no_signature_waits")
    (signing,) = canteen.ask("manager", "GET", f"{PATH}/{part}/signatures").json["items"]
    assert (signing["status"], signing["second_signer"]) == ("signed", canteen.user("second"))
    assert told() == ["inspection.signed"]


def test_a_first_signature_that_nobody_joins_falls_after_its_hours_and_silence_waits_for_it(canteen: Canteen) -> None:
    canteen.demand(two=True)
    part = canteen.delivered()
    canteen.at(journey.LATER + 160 * HOUR)
    assert canteen.inspect("receiver", part, {"lines": [canteen.counts(part, 10)]}).status_code == 202
    canteen.at(journey.LATER + 170 * HOUR)  # the time to inspect is over, and it was inspected in time
    assert (canteen.status(part), told()) == ("delivered", ["inspection.signed"])
    canteen.at(journey.LATER + 185 * HOUR)
    assert told() == ["inspection.signed", "inspection.lapsed"]
    assert code(canteen.ask("second", "POST", f"{PATH}/{part}/countersign")) == (409, "no_signature_waits")
    assert canteen.status(part) == "inspected"  # by silence: nobody inspected it in time after all
    with unit_of_work() as session:
        assert session.scalars(select(Acceptance)).one().silent


def test_what_the_second_person_does_not_sign_is_inspected_anew(canteen: Canteen) -> None:
    canteen.demand(two=True)
    part = canteen.delivered()
    assert canteen.inspect("receiver", part).status_code == 202
    back = canteen.ask("second", "POST", f"{PATH}/{part}/signatures/return", {"reason": "数量不符"})
    assert (back.status_code, back.json["status"], back.json["reason"]) == (200, "returned", "数量不符")
    assert canteen.inspect("second", part, {"lines": [canteen.counts(part, 1)]}).status_code == 202
    answer = canteen.ask("receiver", "POST", f"{PATH}/{part}/countersign")
    assert answer.json["signed_by"] == [canteen.user("second"), canteen.user("receiver")]
    assert told() == ["inspection.signed", "inspection.returned", "inspection.signed"]


def test_drafts_come_late_twice_and_out_of_order_and_the_newest_stays(canteen: Canteen) -> None:
    part = canteen.delivered()
    draft = f"idr_{new_id().hex}"
    path = f"{PATH}/{part}/inspection-drafts"
    for version, rejected in ((2, 2), (1, 1), (2, 7), (3, 3), (2, 2)):
        body = {"version": version, "lines": [canteen.counts(part, rejected)], "note": "写到一半"}
        assert canteen.ask("receiver", "PUT", f"{path}/{draft}", body).status_code == 200
    (kept,) = canteen.ask("second", "GET", path).json["items"]
    assert (kept["id"], kept["version"], kept["lines"][0]["rejected"], kept["sent"]) == (draft, 3, 3, False)
    assert canteen.ask("stranger", "GET", path).status_code == 404
    canteen.inspect("receiver", part, {"lines": kept["lines"], "draft_id": draft})
    (kept,) = canteen.ask("second", "GET", path).json["items"]
    assert kept["sent"]


@pytest.mark.parametrize("two", [False, True])
def test_a_draft_that_is_sent_many_times_at_once_is_one_inspection(canteen: Canteen, two: bool) -> None:
    canteen.demand(two=two)
    part = canteen.delivered()
    body = {"lines": [canteen.counts(part, 4)], "draft_id": f"idr_{new_id().hex}"}
    start = Barrier(6)

    def send(_: int) -> TestResponse:
        start.wait()
        client = a_client()
        headers = {"Authorization": f"Bearer {canteen.tokens['receiver']}", "Idempotency-Key": new_id().hex}
        return client.post(f"{PATH}/{part}/inspection", json=body, headers=headers)

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(send, range(6)))
    assert {answer.status_code for answer in answers} == {202 if two else 201}
    assert len({answer.json["id"] for answer in answers}) == 1
    other = body | {"draft_id": f"idr_{new_id().hex}"}
    assert code(canteen.inspect("receiver", part, other)) == (
        (409, "signature_waits") if two else (409, "wrong_order_status")
    )


def upload(canteen: Canteen, part: str, data: bytes, who: str = "receiver", side: str = "buyer") -> TestResponse:
    headers = {"Authorization": f"Bearer {canteen.tokens[who]}"}
    return canteen.client.post(f"/v1/{side}/supplier-orders/{part}/photos", data=data, headers=headers)


def test_photos_of_what_was_rejected_are_made_anew_without_metadata_and_shown_to_both_sides(canteen: Canteen) -> None:
    part = canteen.delivered()
    place = Image.Exif()
    place[0x010F] = "a camera that knows where it is"
    photo = a_photo(size=(2000, 1000), exif=place)
    assert b"a camera that knows" in photo
    answers = [upload(canteen, part, photo) for _ in range(2)]  # the same is kept once
    assert [len(answer.json["items"]) for answer in answers] == [1, 1]
    photo_id = answers[0].json["items"][0]["id"]
    note = canteen.inspect("receiver", part, {"lines": [canteen.counts(part, 2, photo_ids=[photo_id])]})
    (shown,) = note.json["lines"][0]["photos"]
    assert (shown["id"], shown["status"], shown["link"]) == (photo_id, "waiting", None)
    assert work("orders.make_photo") == ["orders.make_photo"]
    filled = canteen.ask("seller", "GET", f"/v1/cooperative/supplier-orders/{part}").json
    (shown,) = filled["acceptance"]["lines"][0]["photos"]
    served = canteen.client.get(shown["link"])
    assert (served.status_code, served.mimetype) == (200, "image/webp")
    made = Image.open(io.BytesIO(served.data), formats=["WEBP"])
    assert (made.size, dict(made.getexif()), b"a camera that knows" in served.data) == ((1600, 800), {}, False)
    assert canteen.client.get(f"/v1/public/photos/pht_{photo_id[5:]}/large").status_code == 404
    drop_files()
    work("files.")
    assert canteen.client.get(shown["link"]).status_code == 200


@pytest.mark.parametrize("tenths", [-1000, -185, 0, 38, 1000])
def test_the_temperature_measured_on_arrival_stands_in_the_note_for_both_sides(canteen: Canteen, tenths: int) -> None:
    part = canteen.delivered()
    note = canteen.inspect("receiver", part, {"lines": [canteen.counts(part, 2, temperature_tenths=tenths)]})
    filled = canteen.ask("seller", "GET", f"/v1/cooperative/supplier-orders/{part}").json
    for shown in (note.json, filled["acceptance"]):
        assert [line["temperature_tenths"] for line in shown["lines"]] == [tenths]


def test_the_temperature_that_the_first_of_two_people_measured_is_the_one_recorded(canteen: Canteen) -> None:
    canteen.demand(two=True)
    part = canteen.delivered()
    body = {"lines": [canteen.counts(part, 0, temperature_tenths=-185)]}
    assert canteen.inspect("receiver", part, body).status_code == 202
    assert canteen.ask("second", "POST", f"{PATH}/{part}/countersign").status_code == 201
    filled = canteen.ask("seller", "GET", f"/v1/cooperative/supplier-orders/{part}").json
    assert [line["temperature_tenths"] for line in filled["acceptance"]["lines"]] == [-185]


def test_where_nobody_measured_no_temperature_is_shown(canteen: Canteen) -> None:
    note = canteen.inspect("receiver", canteen.delivered())
    assert [line["temperature_tenths"] for line in note.json["lines"]] == [None]


@pytest.mark.parametrize(("tenths", "celsius"), [(-185, "-18.5"), (40, "4.0"), (None, None)])
def test_the_inspection_book_has_the_temperature_in_degrees(
    canteen: Canteen, tenths: int | None, celsius: str | None
) -> None:
    part = canteen.delivered()
    canteen.inspect("receiver", part, {"lines": [canteen.counts(part, 0, temperature_tenths=tenths)]})
    day = journey.LATER.date()
    with unit_of_work() as session:
        found = book.rows(session, canteen.world.buyer.id, day - timedelta(days=30), day + timedelta(days=30))
    (row,) = book.sheet(found, {})
    at = [column.title for column in book.COLUMNS].index("到货温度(℃)")
    assert (len(row), row[at]) == (len(book.COLUMNS), celsius)


@pytest.mark.parametrize("tenths", [-1001, 1001, 3.5])
def test_a_temperature_that_no_food_has_is_refused_at_its_place(canteen: Canteen, tenths: float) -> None:
    part = canteen.delivered()
    refused = canteen.inspect("receiver", part, {"lines": [canteen.counts(part, 0, temperature_tenths=tenths)]})
    assert refused.status_code == 422
    assert [error["pointer"] for error in refused.json["errors"]] == ["/lines/0/temperature_tenths"]
    assert canteen.status(part) == "delivered"


def test_a_note_names_photos_of_its_own_buyer_and_delivery_only(canteen: Canteen) -> None:
    part, other = canteen.delivered(), canteen.delivered()
    elsewhere = upload(canteen, other, a_photo()).json["items"][0]["id"]
    theirs = upload(canteen, part, a_photo(), "seller", "cooperative").json["items"][0]["id"]
    for photo_id in (elsewhere, theirs, f"opht_{'f' * 32}"):
        body = {"lines": [canteen.counts(part, 1, photo_ids=[photo_id])]}
        refused = canteen.inspect("receiver", part, body)
        assert code(refused) == (422, "wrong_counts")
        assert [error["code"] for error in refused.json["errors"]] == ["no_such_photo"]
    assert upload(canteen, part, a_photo(), "stranger").status_code == 404
    assert canteen.ask("seller", "GET", f"/v1/cooperative/supplier-orders/{part}/photos").json["items"]


def test_a_photo_that_cannot_be_unpacked_is_refused_and_told(canteen: Canteen) -> None:
    part = canteen.delivered()
    cut = a_photo(size=(400, 400))
    upload(canteen, part, cut[: len(cut) // 3])
    work("orders.make_photo")
    (shown,) = canteen.ask("receiver", "GET", f"{PATH}/{part}/photos").json["items"]
    assert (shown["status"], shown["link"]) == ("refused", None)
    with unit_of_work() as session:
        assert session.scalars(select(Event).where(Event.kind == "order_photo.refused")).one()
        assert session.scalars(select(OrderPhoto.file_id)).one() is None


def test_each_side_adds_so_many_photos_and_no_more(canteen: Canteen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photographing, "MOST_PHOTOS", 1)
    part = canteen.delivered()
    assert upload(canteen, part, a_photo()).status_code == 201
    assert code(upload(canteen, part, a_photo(size=(300, 300)))) == (409, "too_many_order_photos")
    assert upload(canteen, part, a_photo(size=(300, 300)), "seller", "cooperative").status_code == 201
