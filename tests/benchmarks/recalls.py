"""A recall drill over a million movements: every buyer named, everything held, in how many milliseconds."""

import time
from datetime import date

from sqlalchemy import Connection, text

from tests.benchmarks import ground

LOTS, LINES = 1_000, 500  # each line is bound and shipped: a million movements, and a received one for each lot
BUYERS = 2_000
LIMIT_MS = 1_000

SEED = (
    """
    INSERT INTO organisation (id, kind, name, name_en, uscc, division_code, status, created_at)
    SELECT lpad(to_hex(n), 32, '0')::uuid, 'budget_unit', '买方' || n, 'Buyer ' || n, lpad(n::text, 18, '0'), '310101',
           'active', now() FROM generate_series(1, CAST(:buyers AS bigint)) n
    """,
    """
    INSERT INTO lot (id, product_id, cooperative_id, code, harvested_on, best_before, received, in_store, bound,
                     shipped, lost, created_at)
    SELECT ('a' || lpad(to_hex(n), 31, '0'))::uuid, :product, :cooperative, 'L' || n,
           date '2024-01-01' + (n % 300)::int, date '2025-06-01', 1000 * CAST(:lines AS bigint), 0, 0,
           1000 * CAST(:lines AS bigint), 0, now()
    FROM generate_series(1, CAST(:lots AS bigint)) n
    """,
    """
    INSERT INTO movement (id, lot_id, kind, quantity, at)
    SELECT gen_random_uuid(), id, 'received', received, now() FROM lot
    """,
    """
    INSERT INTO movement (id, lot_id, kind, quantity, line_id, buyer_id, at)
    SELECT gen_random_uuid(), ('a' || lpad(to_hex(1 + (n * 7919) % CAST(:lots AS bigint)), 31, '0'))::uuid, k.kind,
           1000, ('b' || lpad(to_hex(n), 31, '0'))::uuid,
           lpad(to_hex(1 + (n + 7 * (n / CAST(:lots AS bigint))) % CAST(:buyers AS bigint)), 32, '0')::uuid, now()
    FROM generate_series(0, CAST(:lots AS bigint) * CAST(:lines AS bigint) - 1) n,
         (VALUES ('bound'), ('shipped')) k(kind)
    """,
)


def seed(connection: Connection, product: str, cooperative: str) -> int:
    """Lots whose movements lie mixed over the whole table; gives how many movements there are."""
    given = {"lots": LOTS, "lines": LINES, "buyers": BUYERS, "product": product, "cooperative": cooperative}
    for statement in SEED:
        connection.execute(text(statement), {name: given[name] for name in given if f":{name}" in statement})
    return int(connection.execute(text("SELECT count(*) FROM movement")).scalar_one())


def run() -> list[str]:
    """Milliseconds to order a recall and read all it names: of one lot, of a week's harvest, of all lots."""
    said: list[str] = []
    with ground.engine():
        from config.settings import settings
        from shop.accounts.models import Kind
        from shop.db import LONG_OPTIONS, in_unit_of_work, make_engine, sees, unit_of_work
        from shop.stock import queries_recalls as queries
        from shop.stock.schemas_recalls import OrderRecall
        from shop.stock.service import recalling
        from tests import builders as a

        with unit_of_work() as session:
            cooperative = a.an_organisation(session, Kind.COOPERATIVE)
            product = a.a_product(session, cooperative)
            a.a_supply(session, a.a_listing(session, product))
            seller = a.a_member(session, cooperative)
        owner = make_engine(settings().database_owner_url, pool_size=1, options=LONG_OPTIONS)
        with owner.begin() as connection:
            movements = seed(connection, str(product.id), str(cooperative.id))
        with owner.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
        lot = a.UUID(hex="a" + f"{1:031x}")
        days = {"product_id": product.id, "reason": "演练"}
        drills = {
            "one lot": OrderRecall(lot_ids=[lot], reason="演练"),
            "a week's harvest": OrderRecall(harvested_from=date(2024, 3, 1), harvested_to=date(2024, 3, 8), **days),
        }
        for name, wanted in drills.items():

            def drill(session: a.Session, wanted: OrderRecall = wanted) -> tuple[int, int, int]:
                sees(session, seller.organisation_id)
                recall_id = recalling.order(session, by=seller, wanted=wanted, now=a.NOW)
                reached = queries.reached(session, seller, recall_id)
                lots = queries.lots_of(session, recall_id)
                return len(reached), sum(buyer.lines for buyer in reached), len(lots)

            began = time.perf_counter()
            buyers, lines, lots = in_unit_of_work(drill, at_edge=True)
            spent = (time.perf_counter() - began) * 1000
            said.append(
                f"recall of {name} over {movements:,} movements: {spent:.0f} ms to hold {lots} lots and name"
                f" {buyers:,} buyers of {lines:,} lines (must {LIMIT_MS} ms)"
            )
        week = text("SELECT id FROM lot WHERE harvested_on >= '2024-03-01' AND harvested_on < '2024-03-08'")
        for name, asked in (("one lot", text("SELECT id FROM lot LIMIT 1")), ("a week's harvest", week)):
            with unit_of_work() as session:
                chosen = list(session.scalars(asked))
            began = time.perf_counter()
            with unit_of_work(at_edge=True) as session:
                sees(session, seller.organisation_id)
                found = queries.trace(session, chosen)
            spent = (time.perf_counter() - began) * 1000
            said.append(f"  trace of {name} to {len(found):,} lines, one query: {spent:.0f} ms")
        owner.dispose()
    return said
