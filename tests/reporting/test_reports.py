"""The procurement report, its drill and its runs."""

import csv
import random
from datetime import UTC, date, datetime
from io import StringIO
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from shop.db import engine, make_engine, unit_of_work
from shop.errors import Invalid
from shop.facts.models import Measure
from shop.reporting import drilling, queries, rollup, service
from shop.reporting.queries import Question, Reader
from shop.reporting.schemas import LinesOut, ReportOut
from tests.benchmarks.reports import seed
from tests.reporting.conftest import Desk
from tests.reporting.helpers import a_fact, break_it, number, roll
from tests.reporting.test_rollup import a_mixture

ALL = "east_province,west_province,pairing,bucket,month,category,purpose"


def recorded(facts: list[dict[str, Any]], *, rolled: bool = True) -> int:
    """Record, number and roll up facts in real commits; gives the last number."""
    with unit_of_work() as session:
        for fact in facts:
            a_fact(session, **fact)
    with unit_of_work() as session:
        last = number(session)
        if rolled:
            roll(session)
    return last


def cells(session: Session, as_of: int | None, group_by: str = ALL, **more: Any) -> list[Any]:
    return queries.answer(session, Question("accepted", tuple(group_by.split(",")), **more), Reader(), as_of).cells


def test_a_report_has_names_sums_and_a_total_that_is_the_sum_of_its_rows(desk: Desk) -> None:
    recorded([desk.paired, desk.paired | {"goods_fen": 500, "freight_fen": 0}, {"west_province": "530000"}])
    report = desk.get("/reports/procurement")
    ReportOut.model_validate(report, strict=False)
    drills = [row.pop("drill") for row in report["rows"]]
    assert len(set(drills)) == 2
    assert report == {
        "measure": "accepted",
        "rows": [
            {
                "east_province": "310000", "east_province_name": "上海市", "east_province_name_en": "上海市",
                "west_province": "530000", "west_province_name": "云南省", "west_province_name_en": "云南省",
                "goods_fen": 1000, "freight_fen": 100, "amount_fen": 1100, "packs": 2, "grams": 10_000, "facts": 1,
            },
            {
                "east_province": "310000", "east_province_name": "上海市", "east_province_name_en": "上海市",
                "west_province": "610000", "west_province_name": "陕西省", "west_province_name_en": "陕西省",
                "goods_fen": 1500, "freight_fen": 100, "amount_fen": 1600, "packs": 4, "grams": 20_000, "facts": 2,
            },
        ],
        "total_fen": 2700,
        "as_of": 3,
        "rule_version": 1,
    }  # fmt: skip
    (pair, none) = sorted(
        desk.get("/reports/procurement", group_by="pairing")["rows"], key=lambda row: row["pairing"] is None
    )
    assert (pair["pairing"], pair["pairing_name"]) == (f"pair_{desk.pairing.id.hex}", "上海市—陕西省")
    assert (none["pairing"], none["pairing_name"], none["amount_fen"]) == (None, "", 1100)


def test_months_are_half_open_and_the_parts_of_a_range_sum_to_it(desk: Desk) -> None:
    recorded([{"now": datetime(2024, month, 10, tzinfo=UTC)} for month in (1, 1, 2, 3)])

    def total(**months: str) -> int:
        return int(desk.get("/reports/procurement", group_by="month", **months)["total_fen"])

    parts = [total(end="2024-02"), total(start="2024-02", end="2024-03"), total(start="2024-03")]
    assert parts == [2200, 1100, 1100]
    assert total() == sum(parts)


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"measure": "sold"}, "/query/measure"),
        ({"group_by": "county"}, "/query/group_by"),
        ({"group_by": "month;DROP TABLE fact"}, "/query/group_by"),
        ({"start": "2024-13"}, "/query/from"),
        ({"start": "2024-03", "end": "2024-03"}, "/query/to"),
        ({"bucket": "west"}, "/query/bucket"),
        ({"as_of": 1}, "/query/as_of"),
        ({"as_of": -1}, "/query/as_of"),
        ({"from_": "2024-01"}, "/query/from_"),
    ],
)
def test_a_question_that_has_no_answer_is_refused_with_its_field(
    desk: Desk, query: dict[str, Any], pointer: str
) -> None:
    refused = desk.get("/reports/procurement", status=422, **query)
    assert pointer in [error["pointer"] for error in refused["errors"]]


def test_any_watermark_repeats_exactly_wherever_the_rollup_has_got_to(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[int, list[Any]] = {0: []}
    for _ in range(12):
        a_mixture(session, 10)
        last = number(session)
        seen[last] = cells(session, last)  # answered by the facts behind the rollup alone
    for batch in (30, 30, 60):
        assert {as_of: cells(session, as_of) for as_of in seen} == seen
        monkeypatch.setattr(rollup, "BATCH", batch)
        assert rollup.roll_up(session) == batch
    assert {as_of: cells(session, as_of) for as_of in seen} == seen
    for as_of, found in seen.items():
        expected = session.execute(
            text(
                "SELECT COALESCE(sum(amount_fen), 0), count(*) FROM fact WHERE measure = 'accepted' AND posted_no <= :n"
            ),
            {"n": as_of},
        ).one()
        assert (sum(cell.amount_fen for cell in found), sum(cell.facts for cell in found)) == tuple(expected)


def test_whatever_is_asked_the_answer_is_that_of_the_facts(session: Session) -> None:
    a_mixture(session, 150)
    last = number(session)
    roll(session)
    a_mixture(session, 30)
    last = number(session)
    chance = random.Random(3)
    for _ in range(25):
        names = chance.sample(list(queries.DIMENSIONS), chance.randint(1, 4))
        start = date(2024, chance.randint(1, 6), 1)
        reader = chance.choice([Reader(), Reader(regions=("620000",)), Reader(regions=("310000", "110000"))])
        asked = Question(chance.choice(list(Measure)), tuple(names), start, date(2024, 11, 1))
        as_of = chance.randint(0, last)
        found = queries.answer(session, asked, reader, as_of).cells
        columns = ", ".join(queries.DIMENSIONS[name][1] for name in names)
        scope = " AND (east_province = ANY(:r) OR west_province = ANY(:r))" if reader.regions else ""
        rows = session.execute(
            text(
                f"SELECT {columns}, sum(goods_fen), sum(freight_fen), sum(amount_fen), sum(packs), sum(grams), count(*)"
                f" FROM fact WHERE measure = :m AND month >= :s AND month < '2024-11-01' AND posted_no <= :n {scope}"
                f" GROUP BY {columns}"
            ),
            {"m": asked.measure, "s": start, "n": as_of, "r": list(reader.regions)},
        ).all()
        assert {(*cell.place, *(getattr(cell, name) for name in queries.SUMS)) for cell in found} == {
            tuple(int(value) if place >= len(names) else value for place, value in enumerate(row)) for row in rows
        }


def test_analysts_of_a_region_see_what_concerns_it_and_reviewers_of_no_county_nothing(desk: Desk) -> None:
    recorded([desk.paired, {"west_province": "530000"}, {"east_province": "320000", "west_province": "530000"}])

    def seen(who: str) -> set[tuple[str, str]]:
        rows = desk.get("/reports/procurement", who)["rows"]
        return {(row["east_province"], row["west_province"]) for row in rows}

    assert seen("auditor") == seen("analyst") == {("310000", "610000"), ("310000", "530000"), ("320000", "530000")}
    assert seen("of Yunnan") == {("310000", "530000"), ("320000", "530000")}
    assert seen("of Shanghai") == {("310000", "610000"), ("310000", "530000")}
    desk.get("/reports/procurement", "reviewer", status=403)
    desk.get("/reports/procurement", "buyer", status=404)
    desk.get("/reports/procurement", "nobody", status=401)


def test_a_prefecture_or_district_sees_what_it_pays_for_or_grows_and_a_reviewer_what_the_county_grows(
    desk: Desk,
) -> None:
    luochuan, ansai = {"origin_code": "610629"}, {"origin_code": "610603"}
    recorded(
        [
            luochuan | {"goods_fen": 1},
            ansai | {"goods_fen": 10, "funding_code": "310115"},
            {"goods_fen": 100, "origin_code": "610302", "funding_code": "610629"},
        ]
    )

    def seen(who: str) -> int:
        (row,) = desk.get("/reports/procurement", who, group_by="month")["rows"]
        lines = desk.get("/reports/lines", who, drill=row["drill"])
        assert lines["total_fen"] == row["amount_fen"]
        return int(row["goods_fen"])

    assert {who: seen(who) for who in ("analyst", "of Yan'an", "of Huangpu", "of Luochuan")} == {
        "analyst": 111, "of Yan'an": 111, "of Huangpu": 1, "of Luochuan": 1,
    }  # fmt: skip
    (row,) = desk.get("/reports/procurement", "of Luochuan", group_by="month")["rows"]
    for who in ("of Yan'an", "of Huangpu", "analyst"):
        desk.get("/reports/lines", who, drill=row["drill"], status=404)
    desk.get("/reports/lines", "reviewer", drill=row["drill"], status=403)


def test_buyers_and_cooperatives_ask_the_same_of_their_own(desk: Desk) -> None:
    recorded([desk.paired, desk.paired | {"buyer_id": desk.other_buyer.id}, {}], rolled=False)
    mine = desk.get("/buyer/reports/procurement", "buyer", group_by="month,category")
    assert [(row["month"], row["category"], row["amount_fen"]) for row in mine["rows"]] == [("2024-10", "fruit", 1100)]
    assert desk.get("/cooperative/reports/procurement", "seller")["total_fen"] == 2200
    desk.get("/cooperative/reports/procurement", "buyer", status=404)
    for who, path in (("buyer", "buyer"), ("seller", "cooperative")):
        (row,) = desk.get(f"/{path}/reports/procurement", who)["rows"]
        assert desk.get("/reports/lines", who, drill=row["drill"])["total_fen"] == row["amount_fen"]
        desk.get("/reports/lines", "other buyer", drill=row["drill"], status=404)
        desk.get("/reports/lines", "analyst", drill=row["drill"], status=404)


def test_every_figure_leads_to_the_lines_that_sum_to_it(desk: Desk) -> None:
    with unit_of_work() as session:
        a_mixture(session, 60)
    recorded([desk.paired])
    report = desk.get("/reports/procurement", group_by=ALL)
    assert len(report["rows"]) > 10
    for row in report["rows"]:
        lines = desk.get("/reports/lines", drill=row["drill"], limit=500)
        LinesOut.model_validate(lines, strict=False)
        assert lines["total_fen"] == lines["cell_fen"] == row["amount_fen"]
        assert sum(line["amount_fen"] for line in lines["items"]) == row["amount_fen"]
        assert len(lines["items"]) == row["facts"]


def test_lines_show_parties_goods_and_order_and_turn_pages_by_number(desk: Desk) -> None:
    recorded([desk.paired | {"goods_fen": 1000 + n} for n in range(5)])
    (row,) = desk.get("/reports/procurement")["rows"]
    recorded([desk.paired] * 3)  # later lines are not among the lines of an earlier figure
    seen: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = desk.get("/reports/lines", drill=row["drill"], limit=2, **cursor)
        assert page["total_fen"] == row["amount_fen"]
        seen += page["items"]
        if not page["next"]:
            break
        cursor = {"cursor": page["next"]}
    assert sorted(line["goods_fen"] for line in seen) == [1000, 1001, 1002, 1003, 1004]
    assert [line["posted_no"] for line in seen] == [1, 2, 3, 4, 5]
    line = seen[0]
    assert (line["buyer"], line["cooperative"], line["product"]) == ("（测试）第一食堂", "（测试）苹果社", "洛川苹果")
    assert (line["month"], line["occurred_on"], line["posted_no"]) == ("2024-10", "2024-10-15", 1)
    assert {line["id"][:5], line["order_id"][:4], line["line_id"][:5]} == {"fact_", "ord_", "line_"}


def test_lines_say_what_nobody_inspected(desk: Desk) -> None:
    recorded([desk.paired, desk.paired | {"silent": True}])
    (row,) = desk.get("/reports/procurement")["rows"]
    assert [line["silent"] for line in desk.get("/reports/lines", drill=row["drill"])["items"]] == [False, True]
    head, *lines = desk.raw("/reports/lines.csv", drill=row["drill"]).get_data(as_text=True).splitlines()
    place = head.split(",").index("默示验收")
    assert [line.split(",")[place] for line in lines] == ["", "是"]


def test_a_token_or_cursor_that_was_changed_or_given_to_another_is_worth_nothing(desk: Desk) -> None:
    recorded([desk.paired, {}, {}])
    report = desk.get("/reports/procurement", group_by="bucket")
    one, other = (row["drill"] for row in report["rows"])
    desk.get("/reports/lines", "of Shanghai", drill=one, status=404)
    desk.get("/reports/lines", "reviewer", drill=one, status=403)
    head, cell, signature = one.split(".")
    for forged in (one[:-1], f"{head}.{other.split('.')[1]}.{signature}", f"{head}.{cell}.{signature[::-1]}", "x" * 40):
        desk.get("/reports/lines", drill=forged, status=404)
        assert desk.raw("/reports/lines.csv", drill=forged).status_code == 404
    page = desk.get("/reports/lines", drill=one, limit=1)
    assert page["next"]
    desk.get("/reports/lines", drill=other, cursor=page["next"], status=422)
    desk.get("/reports/lines", drill=one, cursor="5" + page["next"], status=422)
    desk.get("/reports/lines", drill=one, cursor="nonsense", status=422)


def owner_executes(statement: str) -> None:
    """Change what no one but the owner, with the guards off, can change, and commit it."""
    from config.settings import settings

    owner = make_engine(settings().database_owner_url, pool_size=1)
    with owner.begin() as connection:
        break_it(connection, statement)
    owner.dispose()


def test_a_figure_whose_lines_do_not_sum_to_it_is_refused(desk: Desk) -> None:
    recorded([desk.paired, desk.paired])
    (row,) = desk.get("/reports/procurement")["rows"]
    owner_executes("UPDATE fact SET goods_fen = goods_fen + 1, amount_fen = amount_fen + 1 WHERE posted_no = 1")
    refused = desk.get("/reports/lines", drill=row["drill"], status=409)
    assert (refused["code"], refused["cell_fen"], refused["total_fen"]) == ("does_not_add_up", 2200, 2201)
    assert desk.raw("/reports/lines.csv", drill=row["drill"]).status_code == 409


def rows_of(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(data.decode("utf-8-sig"))))


def test_the_files_have_the_rows_of_the_screen(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "FILE_BATCH", 2)
    recorded([desk.paired | {"goods_fen": 1000 + n} for n in range(5)] + [{"west_province": "530000"}])
    report = desk.get("/reports/procurement", group_by="west_province,month")
    file = desk.raw("/reports/procurement.csv", group_by="west_province,month")
    assert (file.headers["X-Total-Fen"], file.headers["X-As-Of"]) == (str(report["total_fen"]), "6")
    assert [(row["西部省份"], row["月份"], row["金额（元）"]) for row in rows_of(file.data)] == [
        ("云南省", "2024-10", "11.00"),
        ("陕西省", "2024-10", "55.10"),
    ]
    lines = rows_of(desk.raw("/reports/lines.csv", drill=report["rows"][1]["drill"]).data)
    assert sorted(line["货款（元）"] for line in lines) == ["10.00", "10.01", "10.02", "10.03", "10.04"]
    empty = desk.raw("/reports/procurement.csv", measure="paid")
    assert rows_of(empty.data) == []
    assert "金额（元）" in empty.get_data(as_text=True)


def test_a_kept_report_repeats_its_hash_and_a_transaction_open_across_it_is_in_the_next(desk: Desk) -> None:
    recorded([desk.paired])
    ask = {"measure": "accepted", "group_by": "east_province,west_province,month", "from": "2024-01", "to": "2025-01"}
    slow = engine().connect()
    begun = slow.begin()
    with Session(slow) as held:  # recorded first, committed last
        a_fact(held, **desk.paired | {"goods_fen": 7})
        held.flush()
        recorded([desk.paired])
        first = desk.post("/reports/runs", ask)
        assert (first["as_of"], first["total_fen"]) == (2, 2200)
        begun.commit()
    slow.close()
    recorded([])
    second = desk.post("/reports/runs", ask)
    assert (second["as_of"], second["total_fen"]) == (3, 2307)
    assert second["content_hash"] != first["content_hash"]
    for run in (first, second):
        again = desk.get(f"/reports/runs/{run['id']}")
        assert again == run | {"repeated_hash": run["content_hash"], "same": True}


def test_a_changed_fact_changes_the_repeated_hash(desk: Desk) -> None:
    recorded([desk.paired], rolled=False)
    run = desk.post("/reports/runs", {})
    owner_executes("UPDATE fact SET category = 'meat'")
    assert desk.get(f"/reports/runs/{run['id']}")["same"] is True  # the question does not split by category
    owner_executes("UPDATE fact SET packs = packs + 1")
    again = desk.get(f"/reports/runs/{run['id']}")
    assert (again["same"], again["content_hash"]) == (False, run["content_hash"])


def test_a_run_belongs_to_the_organisation_and_scope_it_was_made_in(desk: Desk) -> None:
    recorded([desk.paired])
    run = desk.post("/reports/runs", {})
    desk.get(f"/reports/runs/{run['id']}", "auditor")
    desk.get(f"/reports/runs/{run['id']}", "of Yunnan", status=404)
    desk.get(f"/reports/runs/{run['id']}", "buyer", status=404)
    desk.post("/reports/runs", {}, "auditor", status=403)
    refused = desk.post("/reports/runs", {"from": "2024-05", "to": "2024-04"}, status=422)
    assert refused["errors"][0]["pointer"] == "/to"


def test_the_terminal_gets_names_and_the_total(desk: Desk) -> None:
    recorded([desk.paired])
    with unit_of_work() as session:
        found = service.summary(
            session, measure="accepted", group_by="east_province,pairing,month", start="2024-10", end=None
        )
        assert found.rows == [
            {
                "east_province": "上海市", "pairing": "上海市—陕西省", "month": "2024-10", "facts": 1,
                "amount_fen": 1100,
            }
        ]  # fmt: skip
        assert found.total_fen == 1100
        with pytest.raises(Invalid):
            service.summary(session, measure="sold", group_by="month", start=None, end=None)


def test_the_figures_of_an_answer_come_from_one_statement(session: Session) -> None:
    seen: list[str] = []

    def listener(*args: Any) -> None:
        seen.append(args[2])

    event.listen(engine(), "before_cursor_execute", listener)
    cells(session, None)
    event.remove(engine(), "before_cursor_execute", listener)
    assert len([statement for statement in seen if not statement.startswith("SAVEPOINT")]) == 1


def test_lines_are_found_by_index(desk: Desk) -> None:
    from config.settings import settings

    owner = make_engine(settings().database_owner_url, pool_size=1)
    with owner.begin() as connection:
        seed(connection, 1, 20_000)
        connection.execute(text("ANALYZE fact"))

    def plan(asked: Question, place: tuple[Any, ...], reader: Reader, statement: str) -> str:
        conditions, values = queries.cell_conditions(asked, place, reader, 20_000)
        with owner.connect() as connection:
            lines = connection.execute(
                text("EXPLAIN " + statement.format(conditions=conditions)), values | {"after": 0, "limit": 50}
            )
            return "\n".join(line for (line,) in lines)

    october = date(2024, 10, 1)
    by_cell = Question("accepted", ("east_province", "west_province", "month", "category"))
    cell = ("310000", "610000", october, "fruit")
    assert "ix_fact_drill" in plan(by_cell, cell, Reader(), queries.LINES)
    own, total = Question("accepted", ("month",)), "SELECT sum(amount_fen) FROM fact WHERE {conditions}"
    with owner.connect() as connection:
        buyer, seller = connection.execute(text("SELECT buyer_id, cooperative_id FROM fact LIMIT 1")).one()
    assert "ix_fact_buyer" in plan(own, (october,), Reader(buyer_id=buyer), total)
    assert "ix_fact_cooperative" in plan(own, (october,), Reader(cooperative_id=seller), total)
    assert "ix_fact_origin" in plan(own, (october,), Reader(counties=("610629",)), total)
    district = plan(own, (october,), Reader(regions=("310115",)), total)
    assert "ix_fact_origin" in district
    assert "ix_fact_funding" in district
    owner.dispose()


def test_the_signature_of_a_drill_token_is_the_one_itsdangerous_would_make() -> None:
    asked = Question("accepted", ("month",))
    token = drilling.writer(asked, Reader(), 5)(queries.Cell((date(2024, 10, 1),), 1, 2, 3, 4, 5, 6))
    value = token.rpartition(".")[0]
    assert drilling.signer("drill").sign(value).decode() == token
    assert drilling.read(token, Reader()).place == (date(2024, 10, 1),)
