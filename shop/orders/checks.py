"""What must hold of orders: each statement gives the rows that break its rule."""

CHECKS = {
    "orders: an order is the sum of its parts": """
        SELECT o.id, o.goods_fen, o.freight_fen, o.total_fen, sum(s.goods_fen) AS parts_goods_fen,
               sum(s.freight_fen) AS parts_freight_fen
        FROM purchase_order o LEFT JOIN supplier_order s ON s.order_id = o.id GROUP BY o.id
        HAVING o.goods_fen IS DISTINCT FROM sum(s.goods_fen) OR o.freight_fen IS DISTINCT FROM sum(s.freight_fen)
            OR o.total_fen <> o.goods_fen + o.freight_fen
    """,
    "orders: a supplier order is the sum of its lines": """
        SELECT s.id, s.goods_fen, s.freight_fen, sum(l.goods_fen) AS lines_goods_fen,
               sum(l.freight_fen) AS lines_freight_fen
        FROM supplier_order s LEFT JOIN order_line l ON l.supplier_order_id = s.id GROUP BY s.id
        HAVING s.goods_fen IS DISTINCT FROM sum(l.goods_fen) OR s.freight_fen IS DISTINCT FROM sum(l.freight_fen)
    """,
    "orders: the last step of the history is the status": """
        SELECT s.id, s.status, h.status AS last FROM supplier_order s
        LEFT JOIN (
            SELECT DISTINCT ON (supplier_order_id) supplier_order_id, status FROM order_history
            ORDER BY supplier_order_id, step DESC
        ) h ON h.supplier_order_id = s.id
        WHERE s.status IS DISTINCT FROM h.status
    """,
    "orders: the steps of a history have no hole and each begins where the one before ended": """
        SELECT supplier_order_id, step, was, before FROM (
            SELECT supplier_order_id, step, was, row_number() OVER w AS place, lag(status) OVER w AS before
            FROM order_history WINDOW w AS (PARTITION BY supplier_order_id ORDER BY step)
        ) steps WHERE step <> place OR was IS DISTINCT FROM before
    """,
    "orders: ordered facts are the lines of living supplier orders": """
        SELECT line_id, sum(fact_fen) AS fact_fen, sum(line_fen) AS line_fen, sum(fact_packs) AS fact_packs,
               sum(line_packs) AS line_packs
        FROM (
            SELECT line_id, amount_fen AS fact_fen, 0 AS line_fen, packs AS fact_packs, 0 AS line_packs
            FROM fact WHERE measure = 'ordered'
            UNION ALL
            SELECT l.id, 0, l.goods_fen + l.freight_fen, 0, l.packs
            FROM order_line l JOIN supplier_order s ON s.id = l.supplier_order_id WHERE s.status <> 'cancelled'
        ) sides GROUP BY line_id HAVING sum(fact_fen) <> sum(line_fen) OR sum(fact_packs) <> sum(line_packs)
    """,
    "orders: no hold stands without its line": """
        SELECT h.id, h.line_id FROM hold h LEFT JOIN order_line l ON l.id = h.line_id WHERE l.id IS NULL
    """,
    "orders: only what is neither packed nor cancelled has active holds": """
        SELECT h.id, h.line_id, s.status FROM hold h JOIN order_line l ON l.id = h.line_id
        JOIN supplier_order s ON s.id = l.supplier_order_id
        WHERE h.status = 'active' AND s.status NOT IN ('placed', 'confirmed', 'accepted')
    """,
    "orders: a living line holds exactly what it ordered": """
        SELECT l.id, COALESCE(l.allocated_packs, l.packs) * l.pack_base_quantity AS ordered,
               COALESCE(sum(h.quantity), 0) AS held
        FROM order_line l JOIN supplier_order s ON s.id = l.supplier_order_id
        LEFT JOIN hold h ON h.line_id = l.id AND h.status <> 'released'
        WHERE s.status <> 'cancelled' AND s.supply_held
        GROUP BY l.id
        HAVING COALESCE(l.allocated_packs, l.packs) * l.pack_base_quantity <> COALESCE(sum(h.quantity), 0)
    """,
    "orders: what lapsed holds nothing": """
        SELECT s.id, h.id AS hold_id FROM supplier_order s JOIN order_line l ON l.supplier_order_id = s.id
        JOIN hold h ON h.line_id = l.id AND h.status <> 'released' WHERE NOT s.supply_held
    """,
    "orders: a buyer chooses for what is placed without supply, and a choice ends as its order did": """
        SELECT c.supplier_order_id, c.outcome, s.status, s.supply_held
        FROM supply_choice c JOIN supplier_order s ON s.id = c.supplier_order_id
        WHERE NOT CASE WHEN c.ended_at IS NULL THEN s.status = 'placed' AND NOT s.supply_held
                       WHEN c.outcome = 'filled' THEN s.supply_held AND s.status <> 'placed'
                       ELSE s.status = 'cancelled' END
    """,
    "orders: a line gets what its allocations gave it, and they deal out no more than was there": """
        SELECT a.id, a.available, sum(s.given * s.pack) AS given FROM allocation a
        JOIN allocation_share s ON s.allocation_id = a.id GROUP BY a.id
        HAVING sum(s.given * s.pack) > a.available OR sum(s.wanted * s.pack) <> a.wanted
        UNION ALL
        SELECT l.id, l.packs - l.allocated_packs, s.packs FROM order_line l
        CROSS JOIN LATERAL (
            SELECT COALESCE(sum(wanted - given), 0) AS packs FROM allocation_share WHERE line_id = l.id
        ) s
        CROSS JOIN LATERAL (
            SELECT COALESCE(sum(c.packs_before - c.packs), 0) AS packs FROM order_change_line c
            JOIN order_change h ON h.id = c.change_id AND h.status = 'agreed' WHERE c.line_id = l.id
        ) c
        WHERE l.packs - COALESCE(l.allocated_packs, l.packs) <> s.packs + c.packs
    """,
    "orders: freight that is billed is what was ordered or agreed on last; only what is confirmed is being changed": """
        SELECT s.id, s.agreed_freight_fen, c.freight_fen FROM supplier_order s
        LEFT JOIN LATERAL (
            SELECT freight_fen FROM order_change
            WHERE supplier_order_id = s.id AND status = 'agreed' AND freight_fen <> freight_fen_before
            ORDER BY ended_at DESC, id DESC LIMIT 1
        ) c ON true
        WHERE s.agreed_freight_fen IS DISTINCT FROM c.freight_fen
        UNION ALL
        SELECT s.id, c.freight_fen, NULL FROM order_change c JOIN supplier_order s ON s.id = c.supplier_order_id
        WHERE c.status = 'open' AND s.status <> 'confirmed'
    """,
    "orders: an acceptance note is the sum of its lines and, less its corrections, what its supplier order says": """
        SELECT a.id, a.goods_fen, a.freight_fen, s.accepted_goods_fen, s.accepted_freight_fen
        FROM supplier_order s FULL JOIN acceptance a ON a.supplier_order_id = s.id
        LEFT JOIN (
            SELECT acceptance_id, sum(goods_fen) AS goods_fen FROM acceptance_line GROUP BY acceptance_id
        ) l ON l.acceptance_id = a.id
        LEFT JOIN (
            SELECT supplier_order_id, sum(goods_fen) AS goods_fen, sum(freight_fen) AS freight_fen
            FROM correction GROUP BY supplier_order_id
        ) c ON c.supplier_order_id = s.id
        WHERE a.goods_fen - COALESCE(c.goods_fen, 0) IS DISTINCT FROM s.accepted_goods_fen
            OR a.freight_fen - COALESCE(c.freight_fen, 0) IS DISTINCT FROM s.accepted_freight_fen
            OR a.goods_fen <> COALESCE(l.goods_fen, 0)
    """,
    "orders: a correction is the sum of its lines, and all of them take back no more than was accepted and claimed": """
        SELECT c.id, c.goods_fen, COALESCE(sum(l.goods_fen), 0) AS lines_fen, 0 AS packs, 0 AS most
        FROM correction c LEFT JOIN correction_line l ON l.correction_id = c.id
        GROUP BY c.id HAVING c.goods_fen <> COALESCE(sum(l.goods_fen), 0)
        UNION ALL
        SELECT a.id, 0, 0, sum(l.packs), a.accepted FROM correction_line l
        JOIN correction c ON c.id = l.correction_id JOIN acceptance n ON n.supplier_order_id = c.supplier_order_id
        JOIN acceptance_line a ON a.acceptance_id = n.id AND a.line_id = l.line_id AND a.lot_id = l.lot_id
        GROUP BY a.id HAVING sum(l.packs) > a.accepted
        UNION ALL
        SELECT l.id, 0, 0, l.packs, COALESCE(m.packs, 0) FROM correction_line l
        JOIN correction c ON c.id = l.correction_id
        LEFT JOIN claim_line m ON m.claim_id = c.claim_id AND m.line_id = l.line_id AND m.lot_id = l.lot_id
        WHERE l.packs > COALESCE(m.packs, 0)
    """,
    "orders: what is disputed has an open claim, and what has one is disputed or settled": """
        SELECT s.id, s.status, c.id AS claim_id FROM supplier_order s
        LEFT JOIN claim c ON c.supplier_order_id = s.id AND c.closed_at IS NULL
        WHERE s.status = 'disputed' AND c.id IS NULL
        UNION ALL
        SELECT s.id, s.status, c.id FROM claim c JOIN supplier_order s ON s.id = c.supplier_order_id
        WHERE c.closed_at IS NULL AND s.status NOT IN ('disputed', 'settled')
    """,
    "orders: what is due ends with the move that answers it": """
        SELECT d.id, d.waits_for, s.status FROM order_due d JOIN supplier_order s ON s.id = d.supplier_order_id
        WHERE d.ended_at IS NULL AND NOT CASE d.waits_for WHEN 'confirmation' THEN s.status = 'confirmed'
            WHEN 'shipment' THEN s.status IN ('accepted', 'packed') ELSE s.status = 'delivered' END
    """,
    "orders: what nobody inspected is marked so on its lines and facts, and nothing else is": """
        SELECT f.id FROM fact f JOIN acceptance a ON a.supplier_order_id = f.supplier_order_id
        WHERE f.measure = 'accepted' AND f.silent <> a.silent
        UNION ALL
        SELECT l.id FROM acceptance_line l JOIN acceptance a ON a.id = l.acceptance_id WHERE l.silent <> a.silent
    """,
    "orders: a budget's drawn sum is that of its entries": """
        SELECT b.id, b.drawn_fen, coalesce(sum(e.amount_fen), 0) AS entries_fen
        FROM budget b LEFT JOIN budget_entry e ON e.budget_id = b.id
        GROUP BY b.id HAVING b.drawn_fen <> coalesce(sum(e.amount_fen), 0)
    """,
    "orders: what an order draws on its budget is what its parts still cost": """
        SELECT o.id, sum(e.amount_fen) AS drawn_fen, p.fen
        FROM purchase_order o JOIN budget_entry e ON e.order_id = o.id
        JOIN LATERAL (
            SELECT coalesce(sum(coalesce(s.accepted_goods_fen, s.goods_fen)
                                + coalesce(s.accepted_freight_fen, s.freight_fen)), 0) AS fen
            FROM supplier_order s WHERE s.order_id = o.id AND s.status <> 'cancelled'
        ) p ON true
        GROUP BY o.id, p.fen HAVING sum(e.amount_fen) <> p.fen
    """,
    "orders: what a line draws on its agreement is what is still bought of it": """
        SELECT l.id, coalesce(d.packs, 0) AS drawn, b.packs AS bought
        FROM order_line l JOIN supplier_order s ON s.id = l.supplier_order_id
        LEFT JOIN LATERAL (SELECT sum(packs) AS packs FROM agreement_drawing WHERE order_line_id = l.id) d ON true
        CROSS JOIN LATERAL (
            SELECT CASE WHEN s.status = 'cancelled' THEN 0 WHEN s.accepted_goods_fen IS NULL THEN l.packs
                        ELSE (SELECT coalesce(sum(accepted), 0) FROM acceptance_line WHERE line_id = l.id)
                             - (SELECT coalesce(sum(packs), 0) FROM correction_line WHERE line_id = l.id) END AS packs
        ) b
        WHERE l.agreement_id IS NOT NULL AND coalesce(d.packs, 0) <> b.packs
        UNION ALL
        SELECT d.order_line_id, d.packs, 0 FROM agreement_drawing d LEFT JOIN order_line l ON l.id = d.order_line_id
        WHERE l.agreement_id IS DISTINCT FROM d.agreement_id
    """,
    "orders: a quote prices one line, at its price and for no more than was quoted": """
        SELECT u.quote_id, u.order_line_id, u.packs, l.packs AS ordered
        FROM negotiated_quote_use u JOIN negotiated_quote q ON q.id = u.quote_id
        LEFT JOIN order_line l ON l.id = u.order_line_id
        WHERE l.quote_id IS DISTINCT FROM q.id OR l.packs <> u.packs OR l.packs > q.packs OR l.unit_fen <> q.unit_fen
            OR l.listing_id <> q.listing_id
        UNION ALL
        SELECT l.quote_id, l.id, 0, l.packs FROM order_line l
        WHERE l.quote_id IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM negotiated_quote_use u WHERE u.order_line_id = l.id)
    """,
}
