"""Jobs, from the request to the file."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from config.settings import settings
from shop.actor import Actor
from shop.db import in_unit_of_work, unit_of_work
from shop.errors import NotFound
from shop.jobs import service as jobs
from shop.jobs.models import Job
from shop.outbox import service as outbox
from tests.builders import NOW, World, a_division, a_member, an_organisation
from tests.documents.pdf_text import compact
from tests.outbox.helpers import client_of, relay, work
from workers import jobs as worker
from workers.deliveries import run
from workers.jobs import Made, Report
from workers.sweeps import drop_files, forget_old

pytestmark = pytest.mark.usefixtures("committed")


@dataclass
class Shop:
    folder: Path
    actor: Actor
    client: FlaskClient
    order: str
    number: str

    def files(self) -> list[bytes]:
        return [path.read_bytes() for path in self.folder.rglob("*") if path.is_file()]

    def ask(self) -> dict[str, Any]:
        answer = self.client.post(f"/v1/buyer/orders/{self.order}/documents", json={"kind": "order_confirmation"})
        assert answer.status_code == 202
        return answer.json["job"]

    def job(self, job_id: str) -> dict[str, Any]:
        return self.client.get(f"/v1/jobs/{job_id}").json


@pytest.fixture
def shop(committed: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shop:
    monkeypatch.setenv("SHOP_FILES", str(tmp_path))
    settings.cache_clear()
    with unit_of_work() as session:
        world = World(session)
        a_division(session, "610000", "陕西省", "province")
        a_division(session, "610629", "洛川县", "county", "610000")
        apples, pears = world.offer(), world.offer(pack_name="20斤筐")
        placed = world.place({apples.id: 7, pears.id: 100})
    return Shop(tmp_path, world.actor, client_of(world.actor), f"ord_{placed.id.hex}", placed.number)


def one(statement: str) -> Any:
    with unit_of_work() as session:
        return session.execute(text(statement)).one()


def again() -> None:
    with unit_of_work() as session:
        session.execute(text("UPDATE delivery SET due_at = clock_timestamp()"))


def event_of(job_id: str) -> UUID:
    return one(f"SELECT id FROM event WHERE payload->>'job_id' = '{job_id.removeprefix('job_')}'")[0]


def doing(monkeypatch: pytest.MonkeyPatch, function: Callable[[Job, datetime, Report], Made]) -> None:
    monkeypatch.setitem(worker.KINDS, "order_confirmation", function)


def small(job: Job, at: datetime, report: Report) -> Made:
    return Made("one.csv", "text/csv", b"one")


def test_an_order_confirmation_is_asked_made_and_fetched(shop: Shop) -> None:
    asked = shop.ask()
    assert (asked["status"], asked["progress"], asked["result"]) == ("queued", 0, None)
    assert work("jobs.") == ["jobs.run"]
    done = shop.job(asked["id"])
    assert (done["status"], done["progress"], done["error"]) == ("done", 100, None)
    answer = shop.client.get(done["result"])
    assert (answer.status_code, answer.mimetype) == (200, "application/pdf")
    shown = compact(answer.data)
    # 7 x 40.00 + 100 x 38.00 (the second tier) = 4,080.00
    for word in (shop.number, "陕西省洛川县", "280.00", "3,800.00", "4,080.00", "10斤箱", "20斤筐", "账期"):
        assert word in shown, word
    assert shown.count("洛川苹果") == 2


def test_the_file_of_a_job_is_the_same_however_often_it_is_done(shop: Shop) -> None:
    first, second = shop.ask(), shop.ask()
    work("jobs.")
    assert shop.job(first["id"])["status"] == shop.job(second["id"])["status"] == "done"
    for job in (first, second):
        assert run(event_of(job["id"]), "jobs.run") is False
    assert len(shop.files()) == 2


def test_nobody_else_can_follow_cancel_or_ask(shop: Shop) -> None:
    asked = shop.ask()
    stranger = client_of(in_unit_of_work(lambda session: a_member(session, an_organisation(session))))
    answers = [
        stranger.get(f"/v1/jobs/{asked['id']}"),
        stranger.post(f"/v1/jobs/{asked['id']}/cancel"),
        stranger.post(f"/v1/buyer/orders/{shop.order}/documents", json={"kind": "order_confirmation"}),
    ]
    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert shop.job(asked["id"])["status"] == "queued"


def test_a_job_for_the_order_of_another_fails_in_the_worker_too(shop: Shop) -> None:
    def ask(session: Any) -> UUID:
        stranger = a_member(session, an_organisation(session))
        order_id = shop.order.removeprefix("ord_")
        return jobs.start(session, actor=stranger, kind="order_confirmation", asked={"order_id": order_id}, now=NOW).id

    job_id = in_unit_of_work(ask)
    work("jobs.")
    row = one(f"SELECT status, file_id, error FROM job WHERE id = '{job_id}'")
    assert tuple(row) == ("failed", None, NotFound.title)
    assert shop.files() == []


def test_a_job_cancelled_before_it_began_is_not_done(shop: Shop) -> None:
    asked = shop.ask()
    assert shop.client.post(f"/v1/jobs/{asked['id']}/cancel").json["status"] == "cancelled"
    work("jobs.")
    assert shop.job(asked["id"])["status"] == "cancelled"
    assert shop.files() == []
    refused = shop.client.post(f"/v1/jobs/{asked['id']}/cancel")
    assert (refused.status_code, refused.json["code"]) == (409, "job_ended")


def test_a_job_cancelled_under_way_stops_at_its_next_report(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = shop.ask()
    reached = []

    def cancelled_meanwhile(job: Job, at: datetime, report: Report) -> Made:
        report(30)
        assert shop.job(asked["id"])["progress"] == 30
        shop.client.post(f"/v1/jobs/{asked['id']}/cancel")
        report(60)
        reached.append("the end")
        return small(job, at, report)

    doing(monkeypatch, cancelled_meanwhile)
    work("jobs.")
    found = shop.job(asked["id"])
    assert (found["status"], found["result"], reached, shop.files()) == ("cancelled", None, [], [])
    assert one("SELECT status FROM delivery WHERE consumer = 'jobs.run'")[0] == "done"


def test_a_job_cancelled_while_its_file_is_put_leaves_no_file(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = shop.ask()
    put = worker.files.put

    def put_and_cancel(file_id: UUID, data: bytes) -> None:
        put(file_id, data)
        shop.client.post(f"/v1/jobs/{asked['id']}/cancel")

    monkeypatch.setattr(worker.files, "put", put_and_cancel)
    work("jobs.")
    found = shop.job(asked["id"])
    assert (found["status"], found["result"], shop.files()) == ("cancelled", None, [])
    assert one("SELECT count(*) FROM stored_file")[0] == 0


def test_a_job_that_breaks_is_tried_three_times_and_says_so(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = shop.ask()
    tries = []

    def breaks(job: Job, at: datetime, report: Report) -> Made:
        tries.append(job.id)
        raise ValueError("a secret of the house")

    doing(monkeypatch, breaks)
    for _ in range(5):
        work("jobs.")
        again()
    found = shop.job(asked["id"])
    assert (len(tries), found["status"], found["result"]) == (3, "failed", None)
    assert "secret" not in found["error"]
    assert one("SELECT status FROM delivery WHERE consumer = 'jobs.run'")[0] == "done"


def test_a_job_whose_worker_was_killed_is_done_by_the_next(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = shop.ask()
    job_id = UUID(hex=asked["id"].removeprefix("job_"))
    relay()
    killed = outbox.claim(event_of(asked["id"]), "jobs.run", lease=timedelta(seconds=-1))
    assert killed is not None
    worker.files.put(worker.file_of(job_id, killed.token), b"half of it")  # and then it was killed
    doing(monkeypatch, small)
    assert run(event_of(asked["id"]), "jobs.run")
    assert shop.job(asked["id"])["status"] == "done"
    assert shop.files() == [b"one"]


def test_a_worker_that_wakes_too_late_changes_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = shop.ask()
    relay()
    event_id = event_of(asked["id"])

    def slow(job: Job, at: datetime, report: Report) -> Made:
        with unit_of_work() as session:  # its lease passes and another does the work
            session.execute(text("UPDATE delivery SET due_at = clock_timestamp() WHERE consumer = 'jobs.run'"))
        doing(monkeypatch, small)
        assert run(event_id, "jobs.run")
        return Made("late.csv", "text/csv", b"late")

    doing(monkeypatch, slow)
    assert run(event_id, "jobs.run") is False
    done = shop.job(asked["id"])
    assert shop.client.get(done["result"]).data == b"one"
    assert shop.files() == [b"one"]


def test_a_job_that_kills_its_worker_every_time_fails(shop: Shop) -> None:
    asked = shop.ask()
    relay()
    event_id = event_of(asked["id"])
    for _ in range(worker.ATTEMPTS):
        assert outbox.claim(event_id, "jobs.run", lease=timedelta(seconds=-1)) is not None
    run(event_id, "jobs.run")
    assert shop.job(asked["id"])["status"] == "failed"
    assert one("SELECT status FROM delivery WHERE consumer = 'jobs.run'")[0] == "done"


def test_a_job_at_work_keeps_its_claim(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = shop.ask()
    relay()
    event_id = event_of(asked["id"])
    others = []

    def long(job: Job, at: datetime, report: Report) -> Made:
        with unit_of_work() as session:
            session.execute(text("UPDATE delivery SET due_at = clock_timestamp() WHERE consumer = 'jobs.run'"))
        report(50)
        others.append(outbox.claim(event_id, "jobs.run"))
        return small(job, at, report)

    doing(monkeypatch, long)
    assert run(event_id, "jobs.run")
    assert others == [None]


def test_a_result_is_dropped_after_its_period_and_the_job_is_still_known(shop: Shop) -> None:
    asked = shop.ask()
    work("jobs.")
    link = shop.job(asked["id"])["result"]
    left = one("SELECT extract(epoch FROM expires_at - clock_timestamp()) FROM stored_file")[0]
    assert abs(float(left) - 7 * 86400) < 60
    drop_files()
    assert shop.client.get(link).status_code == 200
    with unit_of_work() as session:
        session.execute(text("UPDATE stored_file SET expires_at = clock_timestamp()"))
    drop_files()
    work("files.")
    assert shop.client.get(link).status_code == 404
    found = shop.job(asked["id"])
    assert (found["status"], found["result"], shop.files()) == ("done", None, [])
    with unit_of_work() as session:
        session.execute(text("UPDATE job SET ended_at = clock_timestamp() - interval '91 days'"))
    forget_old()
    assert shop.client.get(f"/v1/jobs/{asked['id']}").status_code == 404


def test_a_link_of_a_result_expires(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = shop.ask()
    work("jobs.")
    link = shop.job(asked["id"])["result"]
    monkeypatch.setattr(worker.files, "LINK_SECONDS", -1)
    assert shop.client.get(link).status_code == 404
