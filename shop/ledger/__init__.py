"""Double entry: accounts per organisation and kind, transactions whose entries sum to zero, kept balances, credit limits."""
