"""What must hold of agreements: each statement gives the rows that break its rule."""

CHECKS = {
    "agreements: what an agreement has drawn is the sum of its drawings": """
        SELECT a.id, a.drawn_fen, coalesce(sum(d.fen), 0) AS drawings_fen
        FROM framework_agreement a LEFT JOIN agreement_drawing d ON d.agreement_id = a.id
        GROUP BY a.id HAVING a.drawn_fen <> coalesce(sum(d.fen), 0)
    """,
    "agreements: what a line has drawn is the sum of its drawings": """
        SELECT l.id, l.drawn_packs, coalesce(sum(d.packs), 0) AS drawings_packs
        FROM agreement_line l LEFT JOIN agreement_drawing d ON d.agreement_line_id = l.id
        GROUP BY l.id HAVING l.drawn_packs <> coalesce(sum(d.packs), 0)
    """,
    "agreements: drawings are at the price of their line, of its agreement, and give back no more than was drawn": """
        SELECT d.order_line_id, sum(d.packs) AS packs FROM agreement_drawing d
        JOIN agreement_line l ON l.id = d.agreement_line_id
        GROUP BY d.order_line_id
        HAVING sum(d.packs) < 0 OR bool_or(d.fen <> d.packs * l.unit_fen OR d.agreement_id <> l.agreement_id)
    """,
}
