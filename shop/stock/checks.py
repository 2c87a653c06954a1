"""What must hold of stock: each statement gives the rows that break its rule."""

CHECKS = {
    "stock: what a supply says is held and bound is what holds say": """
        SELECT supply_id, sum(held) AS held, sum(active) AS active, sum(bound) AS bound, sum(used) AS used FROM (
            SELECT id AS supply_id, held, 0 AS active, bound, 0 AS used FROM supply
            UNION ALL SELECT supply_id, 0, quantity, 0, 0 FROM hold WHERE status = 'active'
            UNION ALL SELECT supply_id, 0, 0, 0, quantity FROM hold WHERE status = 'bound'
        ) sides GROUP BY supply_id HAVING sum(held) <> sum(active) OR sum(bound) <> sum(used)
    """,
    "stock: a supply's parts sum to what was promised, none below zero": """
        SELECT id, promised, open, stopped, held, bound, withdrawn FROM supply
        WHERE promised <> open + stopped + held + bound + withdrawn
            OR LEAST(open, stopped, held, bound, withdrawn) < 0
    """,
    "stock: what a lot says is what its movements say": """
        SELECT lot_id, sum(received) AS received, sum(gained) AS gained, sum(bound) AS bound, sum(shipped) AS shipped,
               sum(lost) AS lost, sum(transferred) AS transferred
        FROM (
            SELECT id AS lot_id, received, gained, bound, shipped, lost, transferred FROM lot
            UNION ALL SELECT lot_id,
                CASE WHEN kind = 'received' THEN -quantity ELSE 0 END,
                CASE WHEN kind = 'counted_more' THEN -quantity ELSE 0 END,
                CASE kind WHEN 'bound' THEN -quantity WHEN 'unbound' THEN quantity WHEN 'shipped' THEN quantity
                          ELSE 0 END,
                CASE WHEN kind = 'shipped' THEN -quantity ELSE 0 END,
                CASE WHEN kind IN ('lost', 'written_off', 'counted_less') THEN -quantity ELSE 0 END,
                CASE kind WHEN 'transferred_out' THEN -quantity WHEN 'transferred_in' THEN quantity ELSE 0 END
            FROM movement
        ) sides GROUP BY lot_id
        HAVING sum(received) <> 0 OR sum(gained) <> 0 OR sum(bound) <> 0 OR sum(shipped) <> 0 OR sum(lost) <> 0
            OR sum(transferred) <> 0
    """,
    "stock: a lot's parts sum to what was received and gained, none below zero": """
        SELECT id, received, gained, in_store, bound, shipped, lost, transferred FROM lot
        WHERE received + gained <> in_store + bound + shipped + lost + transferred
            OR LEAST(received, gained, in_store, bound, shipped, lost) < 0
    """,
    "stock: what leaves one place of a lot arrives at another": """
        SELECT COALESCE(origin_id, id) AS lot_id, sum(transferred) AS transferred FROM lot
        GROUP BY COALESCE(origin_id, id) HAVING sum(transferred) <> 0
    """,
    "stock: a lot is of one product, harvest and date wherever it lies": """
        SELECT l.id, o.id AS origin_id FROM lot l JOIN lot o ON o.id = l.origin_id
        WHERE (l.product_id, l.cooperative_id, l.code, l.harvested_on, l.best_before)
            IS DISTINCT FROM (o.product_id, o.cooperative_id, o.code, o.harvested_on, o.best_before)
            OR o.origin_id IS NOT NULL
    """,
    "stock: a count that differs is booked, and nothing else is": """
        SELECT stock_take_id, lot_id, sum(counted) AS counted, sum(booked) AS booked FROM (
            SELECT stock_take_id, lot_id, counted - expected AS counted, 0 AS booked FROM stock_take_line
            UNION ALL
            SELECT stock_take_id, lot_id, 0, CASE kind WHEN 'counted_more' THEN quantity ELSE -quantity END
            FROM movement WHERE kind IN ('counted_more', 'counted_less')
        ) sides GROUP BY stock_take_id, lot_id HAVING sum(counted) <> sum(booked)
    """,
    "stock: what a line has bound of supply it has bound of lots": """
        SELECT line_id, sum(supply) AS supply, sum(lots) AS lots FROM (
            SELECT line_id, quantity AS supply, 0 AS lots FROM hold WHERE status = 'bound'
            UNION ALL
            SELECT line_id, 0, CASE kind WHEN 'bound' THEN quantity ELSE -quantity END
            FROM movement WHERE kind IN ('bound', 'unbound')
        ) sides GROUP BY line_id HAVING sum(supply) <> sum(lots)
    """,
    "stock: what is held and stopped is what open recalls hold and stop": """
        SELECT kind, id, sum(says) AS says, sum(recalls) AS recalls FROM (
            SELECT 'lot' AS kind, id, recalls AS says, 0 AS recalls FROM lot WHERE recalls <> 0
            UNION ALL SELECT 'lot', l.lot_id, 0, 1 FROM recall_lot l
                JOIN recall r ON r.id = l.recall_id WHERE r.status = 'open'
            UNION ALL SELECT 'supply', id, recalls, 0 FROM supply WHERE recalls <> 0
            UNION ALL SELECT 'supply', s.supply_id, 0, 1 FROM recall_supply s
                JOIN recall r ON r.id = s.recall_id WHERE r.status = 'open'
        ) sides GROUP BY kind, id HAVING sum(says) <> sum(recalls)
    """,
    "stock: an open recall names every line that has goods of its lots": """
        SELECT r.id, m.lot_id, m.line_id
        FROM recall r JOIN recall_lot k ON k.recall_id = r.id JOIN movement m ON m.lot_id = k.lot_id
        WHERE r.status = 'open' AND m.line_id IS NOT NULL AND m.kind IN ('bound', 'unbound')
            AND NOT EXISTS (
                SELECT 1 FROM recall_line l
                WHERE l.recall_id = r.id AND l.lot_id = m.lot_id AND l.line_id = m.line_id
            )
        GROUP BY r.id, m.lot_id, m.line_id
        HAVING sum(CASE m.kind WHEN 'bound' THEN m.quantity ELSE -m.quantity END) > 0
    """,
    "stock: households bring no more to a lot than it weighs": """
        SELECT l.id, c.grams AS brought, l.received + COALESCE(f.gained, 0) AS harvested
        FROM (SELECT lot_id, sum(grams) AS grams FROM contribution GROUP BY lot_id) c
        JOIN lot l ON l.id = c.lot_id
        CROSS JOIN LATERAL (
            SELECT base_unit, pack_grams, pack_base_quantity FROM listing WHERE product_id = l.product_id LIMIT 1
        ) u
        CROSS JOIN LATERAL (SELECT sum(gained) AS gained FROM lot WHERE id = l.id OR origin_id = l.id) f
        WHERE l.origin_id IS NOT NULL OR c.grams > (l.received + f.gained)
            * CASE u.base_unit WHEN 'g' THEN 1 ELSE u.pack_grams::numeric / u.pack_base_quantity END
    """,
}
