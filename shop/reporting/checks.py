"""Prove that money, stock, facts and rollups add up: every check of every room, on one snapshot.

A check is a name and a statement that gives the rows which break it. The caller's connection is the snapshot
(REPEATABLE READ), so a check of two tables is not misled by what is committed between its statements.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from shop.agreements.checks import CHECKS as AGREEMENTS
from shop.ledger.checks import CHECKS as LEDGER
from shop.orders.checks import CHECKS as ORDERS
from shop.payments.checks import CHECKS as PAYMENTS
from shop.stock.checks import CHECKS as STOCK

OWN = {
    "reporting: the rollup is the sum of the numbered facts up to its mark": """
        SELECT grain, measure, month, scheme, bucket, east_province, west_province, pairing_key, category, purpose,
               sum(goods_fen) AS goods_fen, sum(freight_fen) AS freight_fen, sum(amount_fen) AS amount_fen,
               sum(packs) AS packs, sum(grams) AS grams, sum(facts) AS facts
        FROM (
            SELECT grain, measure, month, scheme, bucket, east_province, west_province, pairing_key, category, purpose,
                   goods_fen, freight_fen, amount_fen, packs, grams, facts
            FROM rollup
            UNION ALL
            SELECT GROUPING(category) + GROUPING(purpose), measure, month, scheme, bucket, east_province,
                   west_province, COALESCE(replace(pairing_id::text, '-', ''), ''), COALESCE(category, ''),
                   COALESCE(purpose, ''), -sum(goods_fen), -sum(freight_fen), -sum(amount_fen), -sum(packs),
                   -sum(grams), -count(*)
            FROM fact
            WHERE posted_no <= COALESCE((SELECT upto_no FROM rollup_mark WHERE name = 'procurement'), 0)
            GROUP BY measure, month, scheme, bucket, east_province, west_province, pairing_id,
                     GROUPING SETS ((category, purpose), (category), ())
        ) sides GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
        HAVING sum(goods_fen) <> 0 OR sum(freight_fen) <> 0 OR sum(amount_fen) <> 0 OR sum(packs) <> 0
            OR sum(grams) <> 0 OR sum(facts) <> 0
    """,
    "reporting: fact numbers run from one without a hole, and the rollup's mark is one of them": """
        SELECT * FROM (
            SELECT COALESCE((SELECT last FROM numbering WHERE name = 'fact'), 0) AS last,
                   (SELECT count(posted_no) FROM fact) AS numbered,
                   COALESCE((SELECT max(posted_no) FROM fact), 0) AS greatest,
                   COALESCE((SELECT upto_no FROM rollup_mark WHERE name = 'procurement'), 0) AS mark
        ) numbers WHERE last <> numbered OR last <> greatest OR mark > last
    """,
    "reporting: accepted facts are the acceptance note less its corrections, and their postings to the buyer": """
        SELECT supplier_order_id, sum(fact_fen) AS fact_fen, sum(note_fen) AS note_fen, sum(posted_fen) AS posted_fen
        FROM (
            SELECT supplier_order_id, amount_fen AS fact_fen, 0 AS note_fen, 0 AS posted_fen
            FROM fact WHERE measure = 'accepted'
            UNION ALL
            SELECT supplier_order_id, 0, goods_fen + freight_fen, 0 FROM acceptance
            UNION ALL
            SELECT supplier_order_id, 0, - goods_fen - freight_fen, 0 FROM correction
            UNION ALL
            SELECT n.supplier_order_id, 0, 0, e.amount_fen FROM correction n
            JOIN supplier_order s ON s.id = n.supplier_order_id
            JOIN ledger_transaction t ON t.kind = 'correction' AND t.source_id = n.id
            JOIN ledger_entry e ON e.transaction_id = t.id
            JOIN ledger_account a ON a.id = e.account_id AND a.kind = 'buyer' AND a.organisation_id = s.buyer_id
            UNION ALL
            SELECT n.supplier_order_id, 0, 0, e.amount_fen FROM acceptance n
            JOIN supplier_order s ON s.id = n.supplier_order_id
            JOIN ledger_transaction t ON t.kind = 'acceptance' AND t.source_id = n.id
            JOIN ledger_entry e ON e.transaction_id = t.id
            JOIN ledger_account a ON a.id = e.account_id AND a.kind = 'buyer' AND a.organisation_id = s.buyer_id
        ) sides GROUP BY supplier_order_id HAVING sum(fact_fen) <> sum(note_fen) OR sum(note_fen) <> sum(posted_fen)
    """,
    "reporting: every posting of an acceptance or correction has its row": """
        SELECT t.id, t.source_id FROM ledger_transaction t LEFT JOIN acceptance n ON n.id = t.source_id
        WHERE t.kind = 'acceptance' AND n.id IS NULL
        UNION ALL
        SELECT t.id, t.source_id FROM ledger_transaction t LEFT JOIN correction n ON n.id = t.source_id
        WHERE t.kind = 'correction' AND n.id IS NULL
    """,
    "reporting: corrected facts are the corrections": """
        SELECT supplier_order_id, sum(fact_fen) AS fact_fen, sum(correction_fen) AS correction_fen FROM (
            SELECT supplier_order_id, - amount_fen AS fact_fen, 0 AS correction_fen FROM fact
            WHERE measure = 'corrected'
            UNION ALL SELECT supplier_order_id, 0, goods_fen + freight_fen FROM correction
        ) sides GROUP BY supplier_order_id HAVING sum(fact_fen) <> sum(correction_fen)
    """,
    "reporting: every fact has an order line behind it": """
        SELECT f.id, f.measure, f.line_id FROM fact f LEFT JOIN order_line l ON l.id = f.line_id WHERE l.id IS NULL
    """,
}
CHECKS = {**LEDGER, **PAYMENTS, **STOCK, **AGREEMENTS, **ORDERS, **OWN}

RECENT = {
    "ledger: the entries of every transaction sum to zero": "transaction_id",
    "ledger: every transaction has entries": "id",
    "orders: an order is the sum of its parts": "id",
    "orders: a supplier order is the sum of its lines": "id",
    "orders: the steps of a history have no hole and each begins where the one before ended": "supplier_order_id",
    "orders: a living line holds exactly what it ordered": "id",
    "payments: every successful charge is posted once, to the fen": "id",
    "payments: every finished refund is posted once, to the fen": "id",
    "payments: every acceptance is posted once, to the fen": "id",
}
"""The checks that can be asked of new rows alone, and the column whose ids say when a row was made (UUIDv7)."""


@dataclass(frozen=True)
class Finding:
    """A broken rule: how many rows break it, and one of them."""

    name: str
    rows: int
    sample: dict[str, Any]


def run_checks(connection: Connection, *, since: UUID | None = None) -> list[Finding]:
    """Run every check; gives a finding for each that is broken, and nothing when everything adds up.

    With `since`, the first id of a period, only the checks of RECENT, of what was made in it: their cost does not grow
    with history.
    """
    findings = []
    for name, statement in CHECKS.items():
        if since is not None and name not in RECENT:
            continue
        only = f"WHERE found.{RECENT[name]} >= :since" if since is not None else ""
        asked = f"SELECT count(*) OVER () AS broken, to_jsonb(found) FROM ({statement}) AS found {only} LIMIT 1"  # noqa: S608
        row = connection.execute(text(asked), {"since": since} if since is not None else {}).first()
        if row is not None:
            findings.append(Finding(name, row[0], row[1]))
    return findings
