"""How an institution buys: the group order, one supplier order per cooperative, their life, and acceptance.

Announces `order.placed`, `order.cancelled`, `supplier_order.<status>` for every move.
"""
