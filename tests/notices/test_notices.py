"""Who is told what, on the page and by mail."""

import email
import email.policy
import re
import socket
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text

from config.settings import settings
from shop.accounts.models import Organisation, User
from shop.actor import SYSTEM, Actor
from shop.db import in_unit_of_work, unit_of_work
from shop.notices import service as notices
from shop.orders.models import Status, SupplierOrder
from shop.orders.service import cancelling, moving
from shop.outbox import service as outbox
from tests.builders import NOW, World, a_member
from tests.outbox.helpers import client_of, relay, work
from workers import notices as worker
from workers.deliveries import run
from workers.subscriptions import SUBSCRIPTIONS

pytestmark = pytest.mark.usefixtures("committed")


class Shop:
    """An order at two cooperatives with a member each."""

    def __init__(self) -> None:
        with unit_of_work() as session:
            world = World(session)
            listings = [world.offer(), world.offer()]
            self.buyer = world.actor
            self.sellers = [
                a_member(session, session.get_one(Organisation, listing.cooperative_id)) for listing in listings
            ]
            self.order_id: UUID = world.place({listing.id: 1 for listing in listings}).id
        with unit_of_work() as session:
            parts = session.scalars(select(SupplierOrder).where(SupplierOrder.order_id == self.order_id))
            self.parts = {part.cooperative_id: part.id for part in parts}

    def part(self, seller: int = 0) -> UUID:
        return self.parts[self.sellers[seller].organisation_id]

    def move(self, *statuses: Status) -> None:
        for status in statuses:
            in_unit_of_work(
                lambda session, to=status: moving.move(
                    session, supplier_order_id=self.part(), to=to, by=SYSTEM, now=NOW
                )
            )


@pytest.fixture
def shop(committed: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shop:
    monkeypatch.setenv("SHOP_VAR", str(tmp_path))
    monkeypatch.delenv("SHOP_SMTP_URL", raising=False)
    settings.cache_clear()
    return Shop()


def told(actor: Actor) -> list[tuple[str, str]]:
    items = client_of(actor).get("/v1/me/notices").json["items"]
    return [(item["kind"], item["subject"]) for item in reversed(items)]


def so(key: UUID) -> str:
    return f"so_{key.hex}"


def address(actor: Actor) -> str:
    with unit_of_work() as session:
        return session.get_one(User, actor.user_id).email


def mails(folder: Path) -> list[Any]:
    return [
        email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        for path in sorted((folder / "mail").glob("*.eml"))
    ]


def test_each_cooperative_is_told_of_its_own_part_of_an_order(shop: Shop) -> None:
    work("notices.tell")
    assert [told(seller) for seller in shop.sellers] == [[("order.placed", so(shop.part(place)))] for place in range(2)]
    assert told(shop.buyer) == []


def test_the_buyer_is_told_how_its_order_goes(shop: Shop) -> None:
    shop.move(Status.CONFIRMED, Status.ACCEPTED, Status.PACKED, Status.SHIPPED, Status.DELIVERED)
    work("notices.tell")
    assert sorted(told(shop.buyer)) == [
        ("supplier_order.accepted", so(shop.part())),
        ("supplier_order.delivered", so(shop.part())),
        ("supplier_order.shipped", so(shop.part())),
    ]
    assert told(shop.sellers[0]) == [("order.placed", so(shop.part()))]


def test_both_sides_are_told_of_a_cancelled_part_and_nobody_else(shop: Shop) -> None:
    in_unit_of_work(
        lambda session: cancelling.cancel_supplier_order(
            session, supplier_order_id=shop.part(), by=SYSTEM, reason="test", now=NOW
        )
    )
    work("notices.tell")
    cancelled = ("supplier_order.cancelled", so(shop.part()))
    assert [cancelled in told(actor) for actor in (shop.buyer, *shop.sellers)] == [True, True, False]


def test_an_event_is_told_once_however_often_it_is_delivered(shop: Shop) -> None:
    ((event_id, consumer),) = [each for each in relay() if each[1] == "notices.tell"]
    assert [run(event_id, consumer) for _ in range(2)] == [True, False]
    with unit_of_work() as session:  # as if the mark had been lost
        session.execute(text("UPDATE delivery SET status = 'waiting', attempts = 0 WHERE consumer = 'notices.tell'"))
    assert run(event_id, consumer)
    assert [len(told(seller)) for seller in shop.sellers] == [1, 1]


def test_what_is_told_and_mailed_is_what_the_table_says() -> None:
    heard = {
        use_case: {kind for kind, heard in SUBSCRIPTIONS.items() if use_case in heard}
        for use_case in (worker.tell, worker.tell_of_recall, worker.mail)
    }
    assert heard[worker.tell] | heard[worker.tell_of_recall] == set(notices.TEXTS) == set(notices.TOLD)
    assert heard[worker.mail] == notices.MAILED


def test_notices_are_marked_as_read_by_their_own_organisation_only(shop: Shop) -> None:
    work("notices.tell")
    mine, other = (client_of(seller) for seller in shop.sellers)
    (notice,) = mine.get("/v1/me/notices").json["items"]
    assert notice["read"] is False
    assert other.post("/v1/me/notices/read", json={"ids": [notice["id"]]}).json == {"marked": 0}
    answers = [mine.post("/v1/me/notices/read", json={"ids": [notice["id"]]}).json for _ in range(2)]
    assert answers == [{"marked": 1}, {"marked": 0}]
    assert mine.get("/v1/me/notices").json["items"][0]["read"] is True


def test_notices_come_page_by_page_newest_first(shop: Shop) -> None:
    shop.move(Status.CONFIRMED, Status.ACCEPTED, Status.PACKED, Status.SHIPPED, Status.DELIVERED)
    work("notices.tell")
    client, found, cursor = client_of(shop.buyer), [], None
    for _ in range(3):
        page = client.get("/v1/me/notices", query_string={"limit": 1} | ({"cursor": cursor} if cursor else {})).json
        found += [item["id"] for item in page["items"]]
        cursor = page["next"]
    assert (len(found), found, cursor) == (3, sorted(found, reverse=True), None)


def test_without_smtp_a_mail_is_a_file_and_a_second_sending_is_the_same_file(shop: Shop, tmp_path: Path) -> None:
    ((event_id, consumer),) = [each for each in relay() if each[1] == "notices.mail"]
    run(event_id, consumer)
    with unit_of_work() as session:
        session.execute(text("UPDATE delivery SET status = 'waiting', attempts = 0 WHERE consumer = 'notices.mail'"))
    run(event_id, consumer)
    found = mails(tmp_path)
    assert sorted(mail["To"] for mail in found) == sorted(address(seller) for seller in shop.sellers)
    for mail in found:
        body = mail.get_content()
        assert "有新订单" in mail["Subject"]
        assert "A new order is waiting" in body
        assert any(so(part) in body for part in shop.parts.values())


def test_people_who_left_get_no_mail(shop: Shop, tmp_path: Path) -> None:
    with unit_of_work() as session:
        session.get_one(User, shop.sellers[0].user_id).status = "closed"
    work("notices.mail")
    assert [mail["To"] for mail in mails(tmp_path)] == [address(shop.sellers[1])]


class SmtpServer:
    """The few commands of RFC 5321 that sending a mail takes; refuses the recipients it is told to."""

    def __init__(self, refused: dict[str, int]) -> None:
        self.refused = refused
        self.mails: list[tuple[str, list[str], bytes]] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb") as stream:
                connection.settimeout(10)
                self._talk(stream)

    def _talk(self, stream: Any) -> None:
        sender, recipients = "", list[str]()

        def say(line: str) -> None:
            stream.write(line.encode() + b"\r\n")
            stream.flush()

        say("220 test")
        while line := stream.readline().decode().strip():
            verb = line[:4].upper()
            found = re.search(r"<(.*)>", line)
            who = found[1] if found else ""
            if verb == "MAIL":
                sender = who
                say("250 ok")
            elif verb == "RCPT":
                code = self.refused.get(who, 250)
                recipients += [who] if code == 250 else []
                say(f"{code} so")
            elif verb == "DATA":
                say("354 go on")
                data = b""
                while (piece := stream.readline()) != b".\r\n":
                    data += piece.removeprefix(b".")
                self.mails.append((sender, recipients, data))
                say("250 ok")
            elif verb == "QUIT":
                say("221 bye")
                return
            else:
                say("250 ok")

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


@pytest.fixture
def smtp(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmtpServer]:
    server = SmtpServer({})
    monkeypatch.setenv("SHOP_SMTP_URL", f"smtp://127.0.0.1:{server.port}")
    monkeypatch.setenv("SHOP_MAIL_FROM", "shop@exchange.example")
    settings.cache_clear()
    yield server
    server.close()


def test_mails_go_out_by_smtp(shop: Shop, smtp: SmtpServer, tmp_path: Path) -> None:
    work("notices.mail")
    assert sorted(to for _, to, _ in smtp.mails) == sorted([address(seller)] for seller in shop.sellers)
    sender, _, data = smtp.mails[0]
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert sender == message["From"] == "shop@exchange.example"
    assert re.fullmatch(r"<[0-9a-f]{32}\.[0-9a-f]{32}\.[0-9a-f]{32}@exchange\.example>", message["Message-ID"])
    assert "有新订单" in message.get_content()
    assert abs(datetime.now().astimezone() - message["Date"].datetime) < timedelta(minutes=1)
    assert mails(tmp_path) == []


def test_a_recipient_refused_for_good_does_not_keep_the_others_waiting(shop: Shop, smtp: SmtpServer) -> None:
    smtp.refused = {address(shop.sellers[0]): 550}
    work("notices.mail")
    assert [to for _, to, _ in smtp.mails] == [[address(shop.sellers[1])]]
    assert delivery() == "done"


def test_a_recipient_refused_for_now_is_asked_again_with_the_same_mail(shop: Shop, smtp: SmtpServer) -> None:
    smtp.refused = {address(seller): 451 for seller in shop.sellers}
    work("notices.mail")
    assert delivery() == "waiting"
    smtp.refused = {}
    with unit_of_work() as session:
        session.execute(text("UPDATE delivery SET due_at = clock_timestamp()"))
    work("notices.mail")
    assert (delivery(), len(smtp.mails)) == ("done", 2)


def test_one_who_is_put_off_costs_the_others_no_second_mail(shop: Shop, smtp: SmtpServer) -> None:
    with unit_of_work() as session:
        cooperative = session.get_one(Organisation, shop.sellers[0].organisation_id)
        people = sorted([shop.sellers[0], *(a_member(session, cooperative) for _ in range(3))], key=lambda p: p.user_id)
    late, last = address(people[1]), address(people[3])
    smtp.refused = {late: 451}
    errors = []
    for _ in range(3):
        work("notices.mail")
        with unit_of_work() as session:
            session.execute(text("UPDATE delivery SET due_at = clock_timestamp()"))
            errors.append(session.scalar(text("SELECT error FROM delivery WHERE consumer = 'notices.mail'")))
    assert errors == [f"NotSent: the mail server put off 1 of {asked}: [451]" for asked in (5, 1, 1)]  # and not whom
    smtp.refused = {}
    work("notices.mail")
    sent = [to for _, (to,), _ in smtp.mails]
    assert (delivery(), len(sent), len(set(sent))) == ("done", 5, 5)
    assert sent[-1] == late
    assert last in sent[:-1]


def test_a_sleeper_mails_nobody_after_another_did(shop: Shop, smtp: SmtpServer) -> None:
    ((event_id, consumer),) = [each for each in relay() if each[1] == "notices.mail"]
    sleeper = outbox.claim(event_id, consumer, lease=timedelta(seconds=-1))
    assert sleeper is not None
    run(event_id, consumer)
    with pytest.raises(outbox.Fenced):
        worker.mail(sleeper, order_id=shop.order_id)
    assert len(smtp.mails) == 2


def test_a_password_is_never_sent_in_the_open(shop: Shop, smtp: SmtpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_SMTP_URL", f"smtp://user:word@127.0.0.1:{smtp.port}")  # a server that offers no TLS
    settings.cache_clear()
    work("notices.mail")
    assert (delivery(), smtp.mails) == ("waiting", [])


def delivery() -> str:
    with unit_of_work() as session:
        return session.scalar(text("SELECT status FROM delivery WHERE consumer = 'notices.mail'"))
