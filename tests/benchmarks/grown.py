"""Placing in a shop that is new and in one with 100,000 listings and a million orders: what an order costs in each."""

import json
import random
import uuid
from statistics import median
from typing import Any

from sqlalchemy import text

from tests.benchmarks import ground, load, orders

LISTED, ORDERED, STEP = 100_000, 1_000_000, 100_000
ROUNDS = 3
DICE = random.Random(832)

# ruff: noqa: E501 - statements are easier to read beside each other

PARTIES = """
    INSERT INTO organisation (id, kind, name, name_en, uscc, division_code, status, created_at, selling_until)
    SELECT gen_random_uuid(), k.kind, '（测试）单位', 'Test party', 'B' || left(k.kind, 1) || lpad(n::text, 16, '0'), '610629', 'active', now(), k.until
    FROM generate_series(1, 1000) n, (VALUES ('cooperative', '2999-01-01'::date), ('budget_unit', NULL)) k(kind, until)
"""
GOODS = (
    "CREATE TABLE bench_seller AS SELECT id, row_number() OVER () - 1 AS place FROM organisation WHERE kind = 'cooperative' AND name = '（测试）单位'",
    "CREATE TABLE bench_buyer AS SELECT id, row_number() OVER () - 1 AS place, gen_random_uuid() AS unit, gen_random_uuid() AS address, gen_random_uuid() AS member FROM organisation WHERE kind = 'budget_unit' AND name = '（测试）单位'",
    "INSERT INTO budget_unit (id, organisation_id, name, finance_level, funding_code) SELECT unit, id, '（测试）预算单位', 'county', '310101' FROM bench_buyer",
    """INSERT INTO product (id, cooperative_id, code, name, name_en, category, origin_code, storage, shelf_life_days, grade, spec, tags, created_at)
       SELECT gen_random_uuid(), s.id, 'g' || n, '洛川苹果' || n, 'Apple', 'fruit', '610629', 'ambient', 90, '一级', '80mm', '{}', now()
       FROM generate_series(1, :listed) n JOIN bench_seller s ON s.place = n % 1000""",
    """INSERT INTO listing (id, product_id, cooperative_id, status, revision, pack_name, base_unit, pack_base_quantity, pack_grams, min_packs, step_packs,
         max_packs, price_fen, tiers, season_from, season_to, category, storage, origin_code, province_code, card, listed_at)
       SELECT id, id, cooperative_id, 'listed', 1, '10斤箱', 'g', 5000, 5000, 1, 1, 100000, 4000, '[[1, 4000], [100, 3800]]', 1, 12, category, storage,
         origin_code, '610000', '{"id":"lst_x"', now() FROM product WHERE code LIKE 'g%'""",
    """INSERT INTO supply (id, listing_id, cooperative_id, ready_from, ready_to, promised, open, held, bound, withdrawn, closed, created_at)
       SELECT gen_random_uuid(), l.id, l.cooperative_id, current_date, current_date + 300, 50000000, 50000000, 0, 0, 0, false, now()
       FROM listing l JOIN product p ON p.id = l.product_id WHERE p.code LIKE 'g%'""",
    "CREATE TABLE bench_listing AS SELECT l.id, l.product_id, l.cooperative_id, s.id AS supply_id, row_number() OVER () - 1 AS place FROM listing l JOIN product p ON p.id = l.product_id JOIN supply s ON s.listing_id = l.id WHERE p.code LIKE 'g%'",
    "CREATE INDEX ON bench_listing (place)",
    "ANALYZE bench_listing, bench_buyer, bench_seller",
)
HISTORY = """
    WITH drawn AS MATERIALIZED (
        SELECT n, gen_random_uuid() AS id, gen_random_uuid() AS part, gen_random_uuid() AS line, b.id AS buyer, b.unit, b.address, b.member,
               l.id AS listing, l.product_id, l.cooperative_id, l.supply_id, now() - (n % 700) * interval '1 day' - interval '1 day' AS at
        FROM generate_series(CAST(:first AS int), CAST(:last AS int)) n
        JOIN bench_buyer b ON b.place = n % 1000 JOIN bench_listing l ON l.place = (n::bigint * 7919) % CAST(:listed AS bigint)
    ), o AS (
        INSERT INTO purchase_order (id, number, buyer_id, budget_unit_id, address_id, delivery_code, purpose, terms, goods_fen, freight_fen, total_fen, placed_by, placed_at)
        SELECT id, 'PO-' || n, buyer, unit, address, '310101', 'canteen', 'on_terms', 8000, 300, 8300, member, at FROM drawn
    ), s AS (
        INSERT INTO supplier_order (id, order_id, buyer_id, cooperative_id, status, goods_fen, freight_fen, accepted_goods_fen, accepted_freight_fen)
        SELECT part, id, buyer, cooperative_id, 'settled', 8000, 300, 8000, 300 FROM drawn
    ), i AS (
        INSERT INTO order_line (id, supplier_order_id, listing_id, listing_revision, product_id, packs, pack_base_quantity, pack_grams, unit_fen, goods_fen, freight_fen, snapshot, dimensions)
        SELECT line, part, listing, 1, product_id, 2, 5000, 5000, 4000, 8000, 300, '{"name":"x"}', '{"bucket":"paired"}' FROM drawn
    ), y AS (
        INSERT INTO order_history (id, supplier_order_id, step, status, by_user_id, at) SELECT gen_random_uuid(), part, 1, 'placed', member, at FROM drawn
    ), h AS (
        INSERT INTO hold (id, supply_id, line_id, buyer_id, quantity, status, at) SELECT gen_random_uuid(), supply_id, line, buyer, 10000, 'bound', at FROM drawn
    ), e AS (
        INSERT INTO event (id, kind, payload, seen_by, at, posted_no)
        SELECT gen_random_uuid(), 'order.placed', '{}', ARRAY[buyer], at, n FROM drawn
    )
    INSERT INTO fact (id, measure, class, grade, occurred_on, month, posted_no, source_id, goods_fen, freight_fen, amount_fen, packs, grams, scheme, bucket,
        east_province, west_province, funding_code, origin_code, buyer_id, budget_unit_id, cooperative_id, product_id, category, purpose, terms, order_id,
        supplier_order_id, line_id)
    SELECT gen_random_uuid(), 'ordered', 'procured', 'A', at::date, date_trunc('month', at)::date, n, line, 8000, 300, 8300, 2, 10000, 'east_west', 'paired', '310000',
        '610000', '310101', '610629', buyer, unit, cooperative_id, product_id, 'fruit', 'canteen', 'on_terms', id, part, line FROM drawn
"""


def grow() -> list[str]:
    """Make the shop a large one, without asking each row for its parents; gives the listings that may be ordered."""
    from config.settings import settings
    from shop.db import LONG_OPTIONS, make_engine

    # as the superuser of the benchmark's own engine: the triggers of a million rows would take an hour
    url = settings().database_owner_url.replace("shop_owner", "postgres", 1)
    owner = make_engine(url, pool_size=1, options=f"{LONG_OPTIONS} -c session_replication_role=replica")
    with owner.begin() as connection:
        connection.execute(text(PARTIES))
        for statement in GOODS:
            connection.execute(text(statement), {"listed": LISTED} if ":listed" in statement else {})
    for first in range(1, ORDERED + 1, STEP):
        with owner.begin() as connection:
            said: dict[str, Any] = {"first": first, "last": first + STEP - 1, "listed": LISTED}
            connection.execute(text(HISTORY), said)
    with owner.begin() as connection:
        grown = connection.scalars(text("SELECT id FROM bench_listing ORDER BY place")).all()
    owner.dispose()
    return [f"lst_{key.hex}" for key in grown]


def run() -> list[str]:
    """CPU ms of an order and its share of the same writes in SQL, before and after, in one run."""
    with ground.engine() as engine, ground.shop() as (port, pid):
        world: dict[str, Any] = orders.prepare()
        buyers, listings = world["buyers"], world["listings"]

        def order(number: int) -> bytes:
            buyer = buyers[number % orders.CLIENTS]
            body = {
                "lines": [{"listing_id": key, "quantity": 2} for key in DICE.sample(listings, 3)],
                "delivery_address_id": buyer["address"], "budget_unit_id": buyer["unit"], "purpose": "canteen",
                "payment_terms": "on_terms",
            }  # fmt: skip
            headers = f"Authorization: Bearer {buyer['token']}\r\nIdempotency-Key: {uuid.uuid4().hex}\r\n"
            return load.post("/v1/buyer/orders", json.dumps(body).encode(), headers)

        def measured() -> tuple[float, float, float]:
            cpus, rates, sqls = [], [], []
            load.burst(port, order, connections=orders.CLIENTS, seconds=2)
            for _ in range(ROUNDS):
                sqls.append(orders.pgbench(orders.sql_script(), 3))
                orders.tidy()
                before = ground.cpu_ms(pid) + ground.cpu_ms(int(engine["postgres"]))
                done = load.burst(port, order, connections=orders.CLIENTS, seconds=5)
                spent = ground.cpu_ms(pid) + ground.cpu_ms(int(engine["postgres"])) - before
                if set(done.statuses) != {201}:
                    raise RuntimeError(f"{done.statuses} {done.last_body.decode()[:500]}")
                cpus.append(spent / len(done.latencies))
                rates.append(done.rate)
            return median(cpus), median(rates), median(sqls)

        orders.pgbench(orders.sql_script(), orders.HISTORY_SECONDS)
        orders.tidy()
        new = measured()
        listings = grow()
        orders.tidy()
        old = measured()
    return [
        f"an order in a new shop: {new[0]:.2f} CPU ms, {new[1]:.0f}/s, {new[1] / new[2]:.1%} of sql",
        f"  with {LISTED:,} listings and {ORDERED:,} orders: {old[0]:.2f} CPU ms, {old[1]:.0f}/s, {old[1] / old[2]:.1%} of sql",
        f"  costs {old[0] / new[0]:.2f} times as much CPU (at most 1.15)",
    ]
