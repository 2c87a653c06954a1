"""What must hold of payments: each statement gives the rows that break its rule."""

OPEN_ON_TERMS = """
    CASE WHEN s.status = 'cancelled' THEN 0
         WHEN s.accepted_goods_fen IS NULL THEN s.goods_fen + s.freight_fen
         WHEN EXISTS (SELECT 1 FROM charge c WHERE c.order_id = s.order_id AND c.status = 'succeeded'
                      AND s.id = ANY(c.parts)) THEN 0
         ELSE s.accepted_goods_fen + s.accepted_freight_fen END
"""

CHECKS = {
    "payments: every successful charge is posted once, to the fen": """
        SELECT c.id, c.amount_fen, sum(e.amount_fen) FROM charge c
        LEFT JOIN ledger_transaction t ON t.kind = 'payment' AND t.source_id = c.id
        LEFT JOIN ledger_entry e ON e.transaction_id = t.id AND e.amount_fen > 0
        WHERE c.status = 'succeeded' OR t.id IS NOT NULL
        GROUP BY c.id HAVING c.amount_fen IS DISTINCT FROM sum(e.amount_fen) OR c.status <> 'succeeded'
    """,
    "payments: every finished refund is posted once, to the fen": """
        SELECT r.id, r.amount_fen, sum(e.amount_fen) FROM refund r
        LEFT JOIN ledger_transaction t ON t.kind = 'refund' AND t.source_id = r.id
        LEFT JOIN ledger_entry e ON e.transaction_id = t.id AND e.amount_fen > 0
        WHERE r.status = 'succeeded' OR t.id IS NOT NULL
        GROUP BY r.id HAVING r.amount_fen IS DISTINCT FROM sum(e.amount_fen) OR r.status <> 'succeeded'
    """,
    "payments: every acceptance is posted once, to the fen": """
        SELECT a.id, a.goods_fen + a.freight_fen, sum(e.amount_fen) FROM acceptance a
        LEFT JOIN ledger_transaction t ON t.kind = 'acceptance' AND t.source_id = a.id
        LEFT JOIN ledger_entry e ON e.transaction_id = t.id AND e.amount_fen > 0
        GROUP BY a.id HAVING a.goods_fen + a.freight_fen <> COALESCE(sum(e.amount_fen), 0)
    """,
    "payments: a charge's refunds are what it says, and never more than it": """
        SELECT c.id, c.amount_fen, c.refunded_fen, COALESCE(sum(r.amount_fen), 0) FROM charge c
        LEFT JOIN refund r ON r.charge_id = c.id
        GROUP BY c.id HAVING c.refunded_fen <> COALESCE(sum(r.amount_fen), 0) OR c.refunded_fen > c.amount_fen
    """,
    "payments: paid facts equal the charges, refunded facts the refunds": """
        SELECT order_id, sum(paid), sum(charged), sum(fact_back), sum(back) FROM (
            SELECT order_id, amount_fen AS paid, 0 AS charged, 0 AS fact_back, 0 AS back FROM fact
                WHERE measure = 'paid'
            UNION ALL SELECT order_id, 0, 0, amount_fen, 0 FROM fact WHERE measure = 'refunded'
            UNION ALL SELECT order_id, 0, amount_fen, 0, 0 FROM charge WHERE status = 'succeeded'
            UNION ALL SELECT c.order_id, 0, 0, 0, r.amount_fen FROM refund r JOIN charge c ON c.id = r.charge_id
                      WHERE r.status = 'succeeded'
        ) sides GROUP BY order_id HAVING sum(paid) <> sum(charged) OR sum(fact_back) <> sum(back)
    """,
    "payments: a settled supplier order was settled once, for what was accepted": """
        SELECT s.id FROM supplier_order s
        LEFT JOIN ledger_transaction t ON t.kind = 'settlement' AND t.source_id = s.id
        LEFT JOIN ledger_entry e ON e.transaction_id = t.id AND e.amount_fen > 0
        WHERE (s.status = 'settled' OR t.id IS NOT NULL)
        GROUP BY s.id HAVING s.status <> 'settled' OR COALESCE(sum(e.amount_fen), 0) <>
            COALESCE(s.accepted_goods_fen, 0) + COALESCE(s.accepted_freight_fen, 0)
            + COALESCE((SELECT sum(r.amount_fen) FROM receivable r WHERE r.supplier_order_id = s.id), 0)
    """,
    "payments: what was kept from settlements is posted once, and is what the receivables say": """
        SELECT r.correction_id, r.recovered_fen, k.kept_fen, k.posted_fen
        FROM receivable r LEFT JOIN (
            SELECT k.correction_id, sum(k.amount_fen) AS kept_fen, sum(e.amount_fen) AS posted_fen FROM recovery k
            LEFT JOIN ledger_transaction t ON t.kind = 'recovery' AND t.source_id = k.id
            LEFT JOIN ledger_entry e ON e.transaction_id = t.id AND e.amount_fen > 0
            GROUP BY k.correction_id
        ) k ON k.correction_id = r.correction_id
        WHERE r.recovered_fen <> COALESCE(k.kept_fen, 0) OR COALESCE(k.kept_fen, 0) <> COALESCE(k.posted_fen, 0)
    """,
    "payments: what a cooperative owes back is what was corrected after it was paid": """
        SELECT r.correction_id, s.status, r.amount_fen, c.goods_fen + c.freight_fen AS corrected_fen
        FROM receivable r JOIN correction c ON c.id = r.correction_id
        JOIN supplier_order s ON s.id = r.supplier_order_id
        WHERE s.status <> 'settled' OR r.amount_fen <> c.goods_fen + c.freight_fen
            OR r.supplier_order_id <> c.supplier_order_id OR r.cooperative_id <> s.cooperative_id
    """,
    "payments: an order that is wholly settled or cancelled, and refunded, leaves nothing on anybody's account": """
        SELECT t.order_id, e.account_id, sum(e.amount_fen) FROM ledger_transaction t
        JOIN ledger_entry e ON e.transaction_id = t.id
        WHERE t.order_id IS NOT NULL
          AND NOT EXISTS (SELECT 1 FROM supplier_order s WHERE s.order_id = t.order_id
                          AND s.status NOT IN ('settled', 'cancelled'))
          AND NOT EXISTS (SELECT 1 FROM refund r JOIN charge c ON c.id = r.charge_id
                          WHERE c.order_id = t.order_id AND r.status <> 'succeeded')
          AND NOT EXISTS (SELECT 1 FROM receivable r WHERE r.order_id = t.order_id AND r.recovered_fen < r.amount_fen)
          AND NOT EXISTS (SELECT 1 FROM event v LEFT JOIN delivery d ON d.event_id = v.id
                          WHERE v.kind IN ('supplier_order.inspected', 'supplier_order.cancelled', 'claim.closed')
                            AND v.payload ->> 'order_id' = replace(CAST(t.order_id AS text), '-', '')
                            AND (v.posted_no IS NULL OR d.status IN ('waiting', 'sent', 'claimed')))
        GROUP BY t.order_id, e.account_id
        HAVING sum(e.amount_fen) <> 0
    """,
    "payments: what was paid for a cancelled part is on its way back": """
        SELECT c.id, s.id FROM charge c JOIN supplier_order s ON s.order_id = c.order_id AND s.id = ANY(c.parts)
        WHERE c.status = 'succeeded' AND s.status = 'cancelled'
          AND NOT EXISTS (SELECT 1 FROM refund r WHERE r.charge_id = c.id AND r.supplier_order_id = s.id)
          AND NOT EXISTS (SELECT 1 FROM order_history h WHERE h.supplier_order_id = s.id AND h.status = 'cancelled'
                          AND h.recorded_at > clock_timestamp() - interval '10 minutes')
    """,
    "payments: what is paid and waits without supply is for its buyer to choose": """
        SELECT s.id, c.id AS charge_id FROM charge c
        JOIN supplier_order s ON s.order_id = c.order_id AND s.id = ANY(c.parts)
        JOIN purchase_order o ON o.id = s.order_id
        WHERE c.status = 'succeeded' AND s.status = 'placed' AND o.terms = 'prepaid'
          AND NOT EXISTS (SELECT 1 FROM supply_choice x WHERE x.supplier_order_id = s.id AND x.ended_at IS NULL)
    """,
    "payments: the credit in use is what is open on terms": f"""
        SELECT l.organisation_id, l.used_fen, COALESCE(sum({OPEN_ON_TERMS}), 0)
        FROM credit_limit l
        LEFT JOIN purchase_order o ON o.buyer_id = l.organisation_id AND o.terms = 'on_terms'
        LEFT JOIN supplier_order s ON s.order_id = o.id
        GROUP BY l.organisation_id HAVING l.used_fen <> COALESCE(sum({OPEN_ON_TERMS}), 0)
    """,  # noqa: S608 - both parts stand above
}
