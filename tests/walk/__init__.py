"""Who may do what: every route, every role, both sides of a trade, and the second line behind them."""
