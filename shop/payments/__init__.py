"""How orders are paid: charges by bank transfer, on terms or by Stripe; refunds; webhooks stored first, worked on later.

Announces `charge.requested`, `charge.succeeded`, `refund.requested`, `webhook.stored`.
"""
