"""The append-only record of procurement: what was ordered, accepted and paid, with every dimension as of then."""
