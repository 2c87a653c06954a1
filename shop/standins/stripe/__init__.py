"""Stripe without Stripe: payments, refunds, events and signed webhooks, kept by a local server.

`python -m shop.standins.stripe --port N --webhook-url URL --webhook-secret S [--api-key K] [--file F]` serves it; a
test uses `shop.standins.stripe.server.StandIn` as a context manager. Its answers follow the API version in
`objects.VERSION`. A parameter that it does not act on is refused, never silently ignored. `api` lists the calls,
`controls` the ways to make it misbehave and to read what it did.
"""
