"""How orders are paid: charges by transfer, on terms or by Stripe; refunds; webhooks stored first, then worked on.

Locks are taken in one order: the charges of an order, its supplier orders, the ledger's balances, the credit limit.
Announces `charge.requested`, `charge.succeeded`, `charge.withdrawn`, `charge.paid_twice`, `refund.requested`,
`refund.succeeded`, `refund.failed` and `webhook.stored`.
"""
