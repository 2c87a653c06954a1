"""The use cases of payments: `charging` (ask for money), `refunding`, `settling` (pay cooperatives), `gateway_work`
(what speaks to Stripe, each call between two units of work), `webhooks` (what Stripe says by itself)."""
