"""The procurement report at ten thousand, a hundred thousand and a million facts, over HTTP, one reader."""

import json
import math
import time

from sqlalchemy import Connection, text

from tests.benchmarks import ground, load

SIZES = (10_000, 100_000, 1_000_000)
ASKED = 40
LIMIT_MS = 50
REPORT = "/v1/reports/procurement?group_by=pairing,month,category&from=2024-01&to=2025-01"
PAIRINGS = "/v1/reports/procurement?group_by=pairing,month&from=2024-01&to=2025-01"
PROVINCES = "/v1/reports/procurement"
NAMES = {REPORT: "by pairing, month, category", PAIRINGS: "by pairing, month", PROVINCES: "by province"}

SEED = text(
    """
    WITH east AS (
        SELECT code, row_number() OVER (ORDER BY code) - 1 AS place FROM (
            SELECT DISTINCT east_code AS code FROM pairing WHERE level = 'province' AND upper_inf(valid)
        ) codes
    ), west AS (
        SELECT code, row_number() OVER (ORDER BY code) - 1 AS place FROM (
            SELECT DISTINCT west_code AS code FROM pairing WHERE level = 'province' AND upper_inf(valid)
        ) codes
    ), drawn AS (  -- a fact of the number n, its dimensions drawn from the digits of a mixed n
        SELECT n, ('x' || substr(md5(n::text), 1, 7))::bit(28)::int AS r,
               ('x' || substr(md5(n::text), 8, 7))::bit(28)::int AS q
        FROM generate_series(CAST(:first AS int), CAST(:last AS int)) AS n
    )
    INSERT INTO fact (id, measure, class, grade, occurred_on, month, posted_no, source_id, goods_fen, freight_fen,
        amount_fen, packs, grams, scheme, bucket, pairing_id, east_province, west_province, funding_code, origin_code,
        buyer_id, budget_unit_id, cooperative_id, product_id, category, purpose, terms, order_id, supplier_order_id,
        line_id)
    SELECT gen_random_uuid(), CASE WHEN d.n % 2 = 0 THEN 'accepted' ELSE 'ordered' END, 'procured', 'A',
           make_date(2024, 1 + q % 12, 1 + q % 28), make_date(2024, 1 + q % 12, 1), d.n, gen_random_uuid(),
           r % 100000, r % 1000, r % 100000 + r % 1000, 1 + r % 50, 5000 * (1 + r % 50), 'east_west',
           CASE WHEN p.id IS NULL THEN 'other_east' ELSE 'paired' END, p.id, east.code, west.code,
           left(east.code, 2) || '01' || 10 + r % 20, left(west.code, 2) || '06' || 20 + q % 25,
           lpad(to_hex(r % 40), 32, '0')::uuid, lpad(to_hex(r % 40), 32, '0')::uuid,
           lpad(to_hex(64 + q % 60), 32, '0')::uuid, lpad(to_hex(256 + q % 150), 32, '0')::uuid,
           (ARRAY['fruit', 'vegetables', 'meat', 'grain', 'mushrooms', 'herbs', 'tea', 'dairy'])[1 + (q / 12) % 8],
           (ARRAY['canteen', 'union_welfare', 'other'])[1 + r % 3], 'prepaid', gen_random_uuid(), gen_random_uuid(),
           gen_random_uuid()
    FROM drawn d
    JOIN east ON east.place = (r / 7) % (SELECT count(*) FROM east)
    JOIN west ON west.place = (r / 101) % (SELECT count(*) FROM west)
    LEFT JOIN pairing p ON p.level = 'province' AND upper_inf(p.valid) AND p.east_code = east.code
        AND p.west_code = west.code
    """
)


def seed(connection: Connection, first: int, last: int) -> None:
    """Insert numbered facts `first` to `last`, spread over a year, all province pairs, eight categories."""
    connection.execute(SEED, {"first": first, "last": last})
    connection.execute(
        text(
            "INSERT INTO numbering (name, last) VALUES ('fact', :last)"
            " ON CONFLICT (name) DO UPDATE SET last = excluded.last"
        ),
        {"last": last},
    )


def an_analyst() -> str:
    """The token of somebody who may read every report."""
    from shop.accounts.models import Kind
    from shop.accounts.service import logging_in
    from shop.actor import Role
    from shop.db import unit_of_work
    from tests import builders

    with unit_of_work() as session:
        platform = builders.an_organisation(session, Kind.PLATFORM, uscc=None)
        actor = builders.a_member(session, platform, roles={Role.ANALYST})
        return logging_in.issue_token(session, user_id=actor.user_id)[0]


def run() -> list[str]:
    """Median milliseconds at each size, the rows of the answer, and the exponent by which time grows with facts."""
    said: list[str] = []
    with ground.engine(), ground.shop() as (port, _):
        from config.settings import settings
        from shop.db import LONG_OPTIONS, in_unit_of_work, make_engine
        from shop.reporting import rollup

        headers = f"Authorization: Bearer {an_analyst()}\r\n"
        owner = make_engine(settings().database_owner_url, pool_size=1, options=LONG_OPTIONS)
        there = 0
        medians: dict[str, list[float]] = {path: [] for path in NAMES}
        for size in SIZES:
            while there < size:
                with owner.begin() as connection:
                    seed(connection, there + 1, min(size, there + 100_000))
                there = min(size, there + 100_000)
            began = time.perf_counter()
            rolled = 0
            while added := in_unit_of_work(rollup.roll_up):
                rolled += added
            spent = time.perf_counter() - began
            with owner.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("VACUUM ANALYZE fact, rollup"))
                sums = connection.execute(text("SELECT count(*) FROM rollup")).scalar_one()
            for path, found in medians.items():
                load.burst(port, lambda _, path=path: load.get(path, headers), connections=1, seconds=30, limit=20)
                done = load.burst(
                    port, lambda _, path=path: load.get(path, headers), connections=1, seconds=60, limit=ASKED
                )
                if set(done.statuses) != {200}:
                    raise RuntimeError(f"{done.statuses} {done.last_body.decode()[:300]}")
                found.append(done.ms(0.5))
                if path == REPORT:
                    rows = len(json.loads(done.last_body)["rows"])
                    said.append(
                        f"report {NAMES[path]} at {size:,} facts: {done.ms(0.5):.1f} ms,"
                        f" p99 {done.ms(0.99):.1f} ms, {rows} rows (must {LIMIT_MS} ms);"
                        f" {sums} sums, {rolled / spent:,.0f} facts/s rolled up"
                    )
                else:
                    said.append(f"  {NAMES[path]}: {done.ms(0.5):.1f} ms")
        owner.dispose()
    for path, name in NAMES.items():
        exponent = math.log(medians[path][-1] / medians[path][0]) / math.log(SIZES[-1] / SIZES[0])
        said.append(f"  {name}: time grows with facts to the power of {exponent:.2f} (0 is flat, 1 is linear)")
    return said
