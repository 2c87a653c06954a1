"""How orders are paid: charges by transfer, on terms or by Stripe; refunds; webhooks stored first, then worked on.

Announces `charge.requested`, `charge.succeeded`, `refund.requested`, `webhook.stored`.
"""
