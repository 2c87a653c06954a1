"""Who trades: organisations, budget units, people, memberships, tokens. Owns log-in and the Actor of a request."""
