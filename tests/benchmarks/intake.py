"""Listings by spreadsheet: from the upload to the review queue with everything that search needs, over the served shop.

The worker is a process of its own as in production; its memory is measured while it reads 100,000 rows.
"""

import io
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import text

from tests.benchmarks import ground
from tests.benchmarks.catalogue import OTHERS, PLACES, WORDS, settle

SMALL, LARGE = 10_000, 100_000
TITLES = (
    "商品编码", "商品名称", "英文名称", "品类", "产地", "储存条件", "保质期(天)", "等级", "规格说明", "包装规格",
    "每件毛重", "单价(元)", "起订量", "增订量", "最大订购量", "阶梯2起订量", "阶梯2单价(元)", "上市月份", "下市月份",
)  # fmt: skip
CATEGORIES = ("水果", "蔬菜", "粮油", "肉类", "菌菇", "茶叶")


def sheet(size: int, county: list[str], *, cheaper: int = 0, packs: int = 2) -> list[list[str]]:
    """So many rows, two packs a product; `cheaper` in fen lowers every price."""
    dice = random.Random(7)
    rows = []
    name = ""
    for n in range(size):
        product, pack = divmod(n, packs)
        name = f"{dice.choice(PLACES)}{dice.choice(WORDS)}{dice.choice(OTHERS)}{product % 97}号" if not pack else name
        fen = 4000 + product * 7919 % 20_000 - cheaper
        weight = (pack + 1) * 10
        rows.append(
            [
                f"SKU-{product:06d}", name, f"Product {product}", CATEGORIES[product % 6],
                county[product % len(county)], "冷藏", "180", "一级", f"单果 {60 + product % 30} 毫米以上，色泽均匀",
                f"{weight}斤箱", f"{weight // 2}.{dice.randint(1, 9)}公斤", f"{fen * (pack + 1) / 100:.2f}", "1", "1",
                "1000", "100", f"{(fen - 100) * (pack + 1) / 100:.2f}", "9", "4",
            ]
        )  # fmt: skip
    return rows


def csv_bytes(rows: list[list[str]]) -> bytes:
    return "\r\n".join(",".join(row) for row in [list(TITLES), *rows]).encode("gb18030")


def xlsx_bytes(rows: list[list[str]]) -> bytes:
    import xlsxwriter

    target = io.BytesIO()
    book = xlsxwriter.Workbook(target)
    page = book.add_worksheet()
    for number, row in enumerate([list(TITLES), *rows]):
        for place, value in enumerate(row):
            if place in (6, 11, 12, 13, 14, 15, 16, 17, 18) and number:
                page.write_number(number, place, float(value))
            else:
                page.write_string(number, place, value)
    book.close()
    return target.getvalue()


@contextmanager
def processes() -> Iterator[int]:
    """The relay and one worker for everything, as `python3 run.py` starts them; gives the worker's process id."""
    log = Path(os.environ["SHOP_VAR"]) / "workers.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "workers"], cwd=ground.ROOT, stdout=out, stderr=out, start_new_session=True
        )
        try:
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


class Peak(threading.Thread):
    """The most memory (PSS, in MB) that a process and everything below it had."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.most, self.over = pid, 0.0, threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.2):
            self.most = max(self.most, ground.memory_mb(self.pid))


class Uploader:
    def __init__(self, port: int, token: str) -> None:
        self.port, self.token = port, token

    def call(self, method: str, path: str, data: bytes | None = None, kind: str = "application/json") -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            method=method,
            data=data,
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": kind},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def wait(self, made: Any, status: str) -> Any:
        while made["status"] != status:
            if made["job"]["status"] == "failed" or made["status"] == "failed":
                raise RuntimeError(made)
            time.sleep(0.02)
            made = self.call("GET", f"/v1/cooperative/listing-imports/{made['id']}")
        return made

    def tried(self, data: bytes) -> tuple[Any, float]:
        began = time.monotonic()
        made = self.call("POST", "/v1/cooperative/listing-imports?name=x", data, "application/octet-stream")
        return self.wait(made, "tried"), time.monotonic() - began

    def applied(self, made: Any) -> tuple[Any, float]:
        began = time.monotonic()
        body = json.dumps({"mode": "all"}).encode()
        made = self.call("POST", f"/v1/cooperative/listing-imports/{made['id']}/confirm", body)
        return self.wait(made, "applied"), time.monotonic() - began


def run() -> Iterator[str]:
    """10,000 rows from upload to review queue, again, and as a change of listed prices; memory of 100,000 rows."""
    with ground.engine(), ground.shop() as (port, _), processes() as worker:
        from shop.accounts.models import Kind
        from shop.accounts.service import logging_in
        from shop.db import unit_of_work
        from tests import builders as a

        def newcomer() -> Uploader:
            with unit_of_work() as session:
                actor = a.a_member(session, a.an_organisation(session, Kind.COOPERATIVE))
                token, _ = logging_in.issue_token(session, user_id=actor.user_id)
            return Uploader(port, token)

        counties = [a.LUOCHUAN]  # where a builder's cooperative is
        rows = sheet(SMALL, counties)
        newcomer().tried(csv_bytes(rows[:200]))
        for name, made_as in (("csv", csv_bytes), ("xlsx", xlsx_bytes)):
            seller = newcomer()
            data = made_as(rows)
            made, trying = seller.tried(data)
            assert made["diff"] == {"added": SMALL, "changed": 0, "unchanged": 0, "wrong": 0, "to_review": SMALL}, made
            made, applying = seller.applied(made)
            assert made["applied"] == SMALL, made
            with unit_of_work() as session:
                left = session.execute(
                    text(
                        "SELECT count(*), count(*) FILTER (WHERE card <> ''), (SELECT count(*) FROM listing_revision r"
                        " WHERE r.listing_id IN (SELECT id FROM listing WHERE cooperative_id = :c))"
                        " FROM listing WHERE cooperative_id = :c AND status = 'in_review'"
                    ),
                    {"c": cooperative_of(session, made)},
                ).one()
            assert tuple(left) == (SMALL, SMALL, SMALL), left
            yield (
                f"{SMALL:,} new listings by {name}: {SMALL / (trying + applying):,.0f} rows/s from upload to review,"
                f" revisioned and with their search words (trial {trying:.2f} s, applied {applying:.2f} s;"
                " must 3,000/s, aim 6,000/s)"
            )
        again, trying = seller.tried(data)
        assert again["diff"]["unchanged"] == SMALL, again
        yield (f"the same file again: {SMALL / trying:,.0f} rows/s, nothing changes")
        with unit_of_work() as session:
            session.execute(
                text(
                    "UPDATE listing SET status = 'listed', listed_at = now(), reviewed_tiers = tiers"
                    " WHERE cooperative_id = :c"
                ),
                {"c": cooperative_of(session, made)},
            )
        settle()
        made, trying = seller.tried(csv_bytes(sheet(SMALL, counties, cheaper=5)))
        assert (made["diff"]["changed"], made["diff"]["to_review"]) == (SMALL, 0), made
        made, applying = seller.applied(made)
        yield (
            f"{SMALL:,} prices of listings on sale: {SMALL / (trying + applying):,.0f} rows/s from upload to the list"
            f" (trial {trying:.2f} s, applied {applying:.2f} s)"
        )
        rows = sheet(LARGE, counties)
        for name, made_as, most in (("csv", csv_bytes, 40), ("xlsx", xlsx_bytes, 120)):
            data = made_as(rows)
            idle = ground.memory_mb(worker)
            peak = Peak(worker)
            peak.start()
            seller = newcomer()
            made, trying = seller.tried(data)
            assert made["diff"]["added"] == LARGE, made
            tried_at = peak.most
            made, applying = seller.applied(made)
            peak.over.set()
            peak.join()
            yield (
                f"{LARGE:,} rows by {name} ({len(data) / 2**20:.1f} MiB): {LARGE / (trying + applying):,.0f} rows/s;"
                f" the worker grew from {idle:.0f} MB by {tried_at - idle:.0f} MB in the trial,"
                f" {peak.most - idle:.0f} MB in all (must {most} MB)"
            )


def cooperative_of(session: Any, made: Any) -> Any:
    return session.scalar(
        text("SELECT organisation_id FROM listing_import WHERE id = CAST(:id AS uuid)"), {"id": made["id"][5:]}
    )
