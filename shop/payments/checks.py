"""What must hold of payments: each statement gives the rows that break its rule."""

CHECKS = {
    "payments: every successful charge is posted once, to the fen": """
        SELECT c.id, c.amount_fen, sum(e.amount_fen) FROM charge c
        LEFT JOIN ledger_transaction t ON t.kind = 'payment' AND t.source_id = c.id
        LEFT JOIN ledger_entry e ON e.transaction_id = t.id AND e.amount_fen > 0
        WHERE c.status = 'succeeded'
        GROUP BY c.id, c.amount_fen HAVING c.amount_fen IS DISTINCT FROM sum(e.amount_fen)
    """,
    "payments: every finished refund is posted once, to the fen": """
        SELECT r.id, r.amount_fen, sum(e.amount_fen) FROM refund r
        LEFT JOIN ledger_transaction t ON t.kind = 'refund' AND t.source_id = r.id
        LEFT JOIN ledger_entry e ON e.transaction_id = t.id AND e.amount_fen > 0
        WHERE r.status = 'succeeded'
        GROUP BY r.id, r.amount_fen HAVING r.amount_fen IS DISTINCT FROM sum(e.amount_fen)
    """,
    "payments: a charge's refunds are what it says, and never more than it": """
        SELECT c.id, c.amount_fen, c.refunded_fen, COALESCE(sum(r.amount_fen), 0) FROM charge c
        LEFT JOIN refund r ON r.charge_id = c.id AND r.status <> 'failed'
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
        GROUP BY s.id HAVING COALESCE(sum(e.amount_fen), 0) <>
            COALESCE(max(s.accepted_goods_fen), 0) + COALESCE(max(s.accepted_freight_fen), 0)
    """,
    "payments: the credit in use is what is open on terms": """
        SELECT l.organisation_id, l.used_fen, COALESCE(sum(
            CASE WHEN s.status = 'cancelled' THEN 0
                 WHEN s.accepted_goods_fen IS NULL THEN s.goods_fen + s.freight_fen
                 WHEN EXISTS (SELECT 1 FROM charge c WHERE c.status = 'succeeded' AND s.id = ANY(c.parts)) THEN 0
                 ELSE s.accepted_goods_fen + s.accepted_freight_fen END), 0)
        FROM credit_limit l
        LEFT JOIN purchase_order o ON o.buyer_id = l.organisation_id AND o.terms = 'on_terms'
        LEFT JOIN supplier_order s ON s.order_id = o.id
        GROUP BY l.organisation_id HAVING l.used_fen <> COALESCE(sum(
            CASE WHEN s.status = 'cancelled' THEN 0
                 WHEN s.accepted_goods_fen IS NULL THEN s.goods_fen + s.freight_fen
                 WHEN EXISTS (SELECT 1 FROM charge c WHERE c.status = 'succeeded' AND s.id = ANY(c.parts)) THEN 0
                 ELSE s.accepted_goods_fen + s.accepted_freight_fen END), 0)
    """,
}
