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
        WHERE s.status <> 'cancelled'
        GROUP BY l.id
        HAVING COALESCE(l.allocated_packs, l.packs) * l.pack_base_quantity <> COALESCE(sum(h.quantity), 0)
    """,
    "orders: a line gets what its allocations gave it, and they deal out no more than was there": """
        SELECT a.id, a.available, sum(s.given * s.pack) AS given FROM allocation a
        JOIN allocation_share s ON s.allocation_id = a.id GROUP BY a.id
        HAVING sum(s.given * s.pack) > a.available OR sum(s.wanted * s.pack) <> a.wanted
        UNION ALL
        SELECT l.id, l.packs - l.allocated_packs, sum(s.wanted - s.given) FROM order_line l
        LEFT JOIN allocation_share s ON s.line_id = l.id WHERE l.allocated_packs IS NOT NULL GROUP BY l.id
        HAVING l.packs - l.allocated_packs <> COALESCE(sum(s.wanted - s.given), 0)
    """,
    "orders: an acceptance note is the sum of its lines and what its supplier order says": """
        SELECT a.id, a.goods_fen, a.freight_fen, s.accepted_goods_fen, s.accepted_freight_fen
        FROM supplier_order s FULL JOIN acceptance a ON a.supplier_order_id = s.id
        LEFT JOIN (
            SELECT acceptance_id, sum(goods_fen) AS goods_fen FROM acceptance_line GROUP BY acceptance_id
        ) l ON l.acceptance_id = a.id
        WHERE a.goods_fen IS DISTINCT FROM s.accepted_goods_fen OR a.freight_fen IS DISTINCT FROM s.accepted_freight_fen
            OR a.goods_fen <> COALESCE(l.goods_fen, 0)
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
}
