"""What must hold of money in the ledger: each statement gives the rows that break its rule."""

CHECKS = {
    "ledger: the entries of every transaction sum to zero": """
        SELECT transaction_id, sum(amount_fen) FROM ledger_entry GROUP BY transaction_id HAVING sum(amount_fen) <> 0
    """,
    "ledger: every transaction has entries": """
        SELECT t.id FROM ledger_transaction t
        WHERE NOT EXISTS (SELECT 1 FROM ledger_entry e WHERE e.transaction_id = t.id)
    """,
    "ledger: kept balances equal their entries": """
        SELECT account_id, sum(kept), sum(entered) FROM (
            SELECT account_id, amount_fen AS kept, 0 AS entered FROM ledger_balance
            UNION ALL SELECT account_id, 0, amount_fen FROM ledger_entry
        ) both_sides GROUP BY account_id HAVING sum(kept) <> sum(entered)
    """,
}
