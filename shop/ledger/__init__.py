"""Double entry: accounts per organisation and kind, transactions that sum to zero, kept balances, credit limits."""
