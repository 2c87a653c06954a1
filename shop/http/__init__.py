"""The HTTP edge: routes that say who may call them, one strict parser, idempotency, problems, cursors, OpenAPI.

A route owns the unit of work. It knows no room of the shop; `shop.app` hands it the function that turns a credential
into an Actor.
"""
