"""Whole orders: three lines over three cooperatives in one idempotent call, beside the same writes in plain SQL."""

import json
import re
import subprocess
import tempfile
import uuid
from statistics import median

from sqlalchemy import text

from tests.benchmarks import ground, load

CLIENTS = 8
ROUNDS = 3
HISTORY_SECONDS = 6  # of orders by the script: plans that were made for empty tables are not what is measured
LISTINGS = 60


# ruff: noqa: E501 - statements are easier to read beside each other


def sql_script() -> str:
    """The logged writes of one order, set-based: what any program must at least write for the same promises."""
    return """
\\set a random(0, 19)
BEGIN;
WITH wanted AS (
  SELECT l.id AS listing_id, l.cooperative_id, l.product_id, b.n, gen_random_uuid() AS part, gen_random_uuid() AS line,
         b.supply_id, b.buyer, b.unit, b.address
  FROM bench_pick b JOIN listing l ON l.id = b.listing_id WHERE b.pick = :a
), root AS (SELECT gen_random_uuid() AS id
), k AS (INSERT INTO idempotency_key (organisation_id, operation, key, fingerprint, status, body)
  SELECT buyer, 'POST /v1/buyer/orders', gen_random_uuid()::text, 'x', 201, repeat('x', 1500) FROM wanted LIMIT 1
), c AS (INSERT INTO document_counter (organisation_id, kind, year, last) SELECT buyer, 'PB', 2024, 1 FROM wanted LIMIT 1
  ON CONFLICT (organisation_id, kind, year) DO UPDATE SET last = document_counter.last + 1
), cr AS (UPDATE credit_limit SET used_fen = used_fen + 3 WHERE organisation_id = (SELECT buyer FROM wanted LIMIT 1)
), o AS (INSERT INTO purchase_order (id, number, buyer_id, budget_unit_id, address_id, delivery_code, purpose, terms,
  goods_fen, freight_fen, total_fen, placed_by, placed_at)
  SELECT root.id, root.id::text, w.buyer, w.unit, w.address, '310101', 'canteen', 'on_terms', 3, 0, 3, w.buyer, now()
  FROM root, (SELECT * FROM wanted LIMIT 1) w
), so AS (INSERT INTO supplier_order (id, order_id, buyer_id, cooperative_id, status, goods_fen, freight_fen, pay_before)
  SELECT part, root.id, buyer, cooperative_id, 'placed', 1, 0, now() FROM wanted, root
), li AS (INSERT INTO order_line (id, supplier_order_id, listing_id, listing_revision, product_id, packs,
  pack_base_quantity, pack_grams, unit_fen, goods_fen, freight_fen, snapshot, dimensions)
  SELECT line, part, listing_id, 1, product_id, 1, 5000, 5000, 1, 1, 0,
  '{"name":"x","spec":"x","grade":"x","name_en":"x","pack_name":"x","cooperative":"x"}'::jsonb,
  jsonb_build_object('funding_code','310101','buyer_id',buyer,'budget_unit_id',unit,'line_id',line,'bucket','paired')
  FROM wanted
), h AS (INSERT INTO order_history (id, supplier_order_id, step, status, by_user_id, at)
  SELECT gen_random_uuid(), part, 1, 'placed', buyer, now() FROM wanted
), ho AS (INSERT INTO hold (id, supply_id, line_id, buyer_id, quantity, status, at)
  SELECT gen_random_uuid(), supply_id, line, buyer, 5000, 'active', now() FROM wanted
), f AS (INSERT INTO fact (id, measure, class, grade, occurred_on, month, source_id, goods_fen, freight_fen, amount_fen,
  packs, grams, scheme, bucket, east_province, west_province, funding_code, origin_code, buyer_id, budget_unit_id,
  cooperative_id, product_id, category, purpose, terms, order_id, supplier_order_id, line_id)
  SELECT gen_random_uuid(), 'ordered', 'procured', 'A', '2024-10-15', '2024-10-01', line, 1, 0, 1, 1, 5000, 'east_west',
  'paired', '310000', '610000', '310101', '610629', buyer, unit, cooperative_id, product_id, 'fruit', 'canteen',
  'on_terms', root.id, part, line FROM wanted, root
), e AS (INSERT INTO event (id, kind, payload, seen_by, at)
  SELECT root.id, 'order.placed', jsonb_build_object('order_id', root.id), ARRAY[w.buyer], now()
  FROM root, (SELECT * FROM wanted LIMIT 1) w
)
UPDATE supply s SET open = s.open - 5000, held = s.held + 5000 FROM wanted w WHERE s.id = w.supply_id AND s.open >= 5000;
END;
"""


FIXED = """
\\set a random(1, 1000)
\\set b random(1, 1000)
\\set c random(1, 1000)
\\set low least(:a, :b, :c)
\\set high greatest(:a, :b, :c)
\\set mid :a + :b + :c - :low - :high
BEGIN;
INSERT INTO bench_order (total) VALUES (3);
INSERT INTO bench_line (order_no, item, n) VALUES (currval('bench_order_no_seq'), :a, 1),
 (currval('bench_order_no_seq'), :b, 1), (currval('bench_order_no_seq'), :c, 1);
UPDATE bench_stock SET n = n - 1 WHERE item = :low AND n >= 1;
UPDATE bench_stock SET n = n - 1 WHERE item = :mid AND n >= 1;
UPDATE bench_stock SET n = n - 1 WHERE item = :high AND n >= 1;
INSERT INTO bench_entry (order_no, amount) SELECT currval('bench_order_no_seq'), x FROM unnest(ARRAY[1, -1, 2, -2]) x;
INSERT INTO bench_outbox (order_no) VALUES (currval('bench_order_no_seq'));
END;
"""


def prepare() -> dict[str, object]:
    """A buyer with a token, a lane, sixty listings of sixty cooperatives with plenty of supply; and pgbench's tables."""
    from shop.accounts.models import Kind
    from shop.accounts.service import logging_in
    from shop.clock import business_now
    from shop.db import make_engine, unit_of_work
    from shop.ledger.models import CreditLimit
    from tests import builders

    buyers = []
    with unit_of_work() as session:
        now = business_now(session)
        supplies = []
        builders.a_lane(session)
        builders.a_pairing(session, "310101", builders.LUOCHUAN)
        for _ in range(LISTINGS):
            cooperative = builders.an_organisation(session, Kind.COOPERATIVE)
            listing = builders.a_listing(session, builders.a_product(session, cooperative))
            supply = builders.a_supply(
                session, listing, 10**7, ready_from=now.date(), ready_to=now.date().replace(year=now.year + 1)
            )
            supplies.append((listing.id, supply.id))
        for _ in range(CLIENTS):
            buyer = builders.an_organisation(session)
            actor = builders.a_member(session, buyer, order_limit_fen=10**12)
            session.add(CreditLimit(organisation_id=buyer.id, limit_fen=10**15))
            unit, address = builders.a_budget_unit(session, buyer), builders.an_address(session, buyer)
            token, _ = logging_in.issue_token(session, user_id=actor.user_id)
            buyers.append({"token": token, "unit": f"unit_{unit.id.hex}", "address": f"addr_{address.id.hex}",
                           "ids": (buyer.id, unit.id, address.id)})  # fmt: skip
    from config.settings import settings

    owner = make_engine(settings().database_owner_url, pool_size=1)
    with owner.begin() as connection:
        connection.execute(text("CREATE TABLE bench_pick (pick int, n int, listing_id uuid, supply_id uuid, buyer uuid,"
                                " unit uuid, address uuid)"))  # fmt: skip
        connection.execute(
            text("INSERT INTO bench_pick VALUES (:p, :n, :l, :s, :b, :u, :a)"),
            [
                {"p": pick, "n": n, "l": supplies[pick * 3 + n][0], "s": supplies[pick * 3 + n][1],
                 "b": buyers[pick % CLIENTS]["ids"][0], "u": buyers[pick % CLIENTS]["ids"][1],
                 "a": buyers[pick % CLIENTS]["ids"][2]}
                for pick in range(LISTINGS // 3) for n in range(3)
            ],
        )  # fmt: skip
        for statement in (
            "CREATE INDEX ON bench_pick (pick)",
            "CREATE TABLE bench_order (no bigserial PRIMARY KEY, total bigint)",
            "CREATE TABLE bench_line (id bigserial PRIMARY KEY, order_no bigint, item int, n int)",
            "CREATE TABLE bench_stock (item int PRIMARY KEY, n bigint)",
            "INSERT INTO bench_stock SELECT i, 1000000000 FROM generate_series(1, 1000) i",
            "CREATE TABLE bench_entry (id bigserial PRIMARY KEY, order_no bigint, amount bigint)",
            "CREATE TABLE bench_outbox (id bigserial PRIMARY KEY, order_no bigint)",
            "ANALYZE",
        ):
            connection.execute(text(statement))
    owner.dispose()
    return {"buyers": buyers, "listings": [f"lst_{listing.hex}" for listing, _ in supplies]}


def pgbench(script: str, seconds: int) -> float:
    """Transactions a second of a script, 8 clients, prepared statements, on the engine of the benchmark."""
    from config.settings import settings
    from shop.cli.data import client, postgresql_program

    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        url = settings().database_owner_url
        address, environment = client(url)
        done = subprocess.run(
            [postgresql_program("pgbench", url), "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "2", "-T", str(seconds),
             "-f", file.name, address],
            capture_output=True, text=True, check=True, env=environment,
        )  # fmt: skip
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    assert found, done.stdout
    return float(found[1])


def tidy() -> None:
    """What autovacuum does within a minute, now: the script leaves in seconds what a shop leaves in hours."""
    from config.settings import settings
    from shop.db import make_engine

    owner = make_engine(settings().database_owner_url, pool_size=1)
    with owner.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    owner.dispose()


def guard(on: bool) -> None:
    """Row level security on every table that has policies, on or off."""
    from config.settings import settings
    from shop.db import make_engine

    owner = make_engine(settings().database_owner_url, pool_size=1)
    with owner.begin() as connection:
        for table in connection.scalars(text("SELECT DISTINCT tablename FROM pg_policies ORDER BY 1")).all():
            connection.execute(text(f"ALTER TABLE {table} {'ENABLE' if on else 'DISABLE'} ROW LEVEL SECURITY"))
    owner.dispose()


def run() -> list[str]:
    """Orders/s as a share of the same writes in SQL, rounds alternating."""
    with ground.engine() as engine, ground.shop() as (port, pid):
        world = prepare()
        buyers, listings = world["buyers"], world["listings"]
        assert isinstance(buyers, list)
        assert isinstance(listings, list)

        def order(number: int) -> bytes:
            buyer = buyers[number % CLIENTS]
            first = number * 3 % LISTINGS
            body = {
                "lines": [{"listing_id": listings[(first + n) % LISTINGS], "quantity": 2} for n in range(3)],
                "delivery_address_id": buyer["address"],
                "budget_unit_id": buyer["unit"],
                "purpose": "canteen",
                "payment_terms": "on_terms",
            }
            headers = f"Authorization: Bearer {buyer['token']}\r\nIdempotency-Key: {uuid.uuid4().hex}\r\n"
            return load.post("/v1/buyer/orders", json.dumps(body).encode(), headers)

        pgbench(sql_script(), HISTORY_SECONDS)
        tidy()
        load.burst(port, order, connections=CLIENTS, seconds=2)
        shares, rates, sqls, fixed, cpus, p50s, p99s = [], [], [], [], [], [], []
        for _ in range(ROUNDS):
            sql = pgbench(sql_script(), 4)
            fixed.append(pgbench(FIXED, 3))
            tidy()
            before = ground.cpu_ms(pid) + ground.cpu_ms(int(engine["postgres"]))
            done = load.burst(port, order, connections=CLIENTS, seconds=5)
            spent = ground.cpu_ms(pid) + ground.cpu_ms(int(engine["postgres"])) - before
            if set(done.statuses) != {201}:
                raise RuntimeError(f"{done.statuses} {done.last_body.decode()[:500]}")
            rates.append(done.rate)
            sqls.append(sql)
            shares.append(done.rate / sql)
            cpus.append(spent / len(done.latencies))
            p50s.append(done.ms(0.5))
            p99s.append(done.ms(0.99))
        with_guards, without = [], []
        for _ in range(ROUNDS):
            for guarded, taken in ((False, without), (True, with_guards)):
                guard(guarded)
                load.burst(port, order, connections=CLIENTS, seconds=1)
                taken.append(load.burst(port, order, connections=CLIENTS, seconds=3).rate)
        guards = 1 - median(b / w for b, w in zip(with_guards, without, strict=True))
        return [
            f"orders, 3 lines over 3 cooperatives, {CLIENTS} clients: {median(rates):.0f}/s,"
            f" p50 {median(p50s):.1f} ms, p99 {median(p99s):.1f} ms, {median(cpus):.2f} CPU ms an order",
            f"  the same writes in SQL (pgbench): {median(sqls):.0f}/s; share {median(shares):.1%} (must 15 %)",
            f"  the fixed script: {median(fixed):.0f}/s; share {median(rates) / median(fixed):.1%}",
            f"  row level security: {median(with_guards):.0f}/s with it, {median(without):.0f}/s without; it costs {guards:.1%}",
        ]
