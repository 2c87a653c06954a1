"""What it costs to know who asks: a token among a hundred thousand, and a password."""

import secrets
import time
from statistics import median

from sqlalchemy import text

from tests.benchmarks import ground

TOKENS = 100_000
CHECKS = 2_000


def run() -> list[str]:
    """Checks in one process, each in a transaction of its own as at the edge, beside an empty statement."""
    with ground.engine():
        from shop.accounts.service import logging_in, passwords
        from shop.db import in_unit_of_work, unit_of_work
        from tests import builders

        with unit_of_work() as session:
            actor = builders.a_member(session, builders.an_organisation(session))
            tokens = [logging_in.issue_token(session, user_id=actor.user_id)[0] for _ in range(20)]
            session.execute(
                text(
                    "INSERT INTO api_token (id, token_hash, membership_id, expires_at)"
                    " SELECT gen_random_uuid(), sha256(n::text::bytea), :membership, now() + interval '1 day'"
                    " FROM generate_series(1, :tokens) n"
                ),
                {"membership": actor.membership_id, "tokens": TOKENS},
            )
        spent: dict[str, list[float]] = {"right": [], "wrong": [], "empty": []}
        for number in range(CHECKS):
            for name, token in (("right", tokens[number % len(tokens)]), ("wrong", secrets.token_urlsafe(32))):
                began = time.perf_counter()
                found = in_unit_of_work(lambda session, t=token: logging_in.authenticate(session, t), at_edge=True)
                spent[name].append(time.perf_counter() - began)
                assert (found is not None) == (name == "right")
            began = time.perf_counter()
            in_unit_of_work(lambda session: session.execute(text("SELECT 1")), at_edge=True)
            spent["empty"].append(time.perf_counter() - began)
        hashes = []
        for _ in range(10):
            began = time.perf_counter()
            passwords.hasher().hash("correct horse battery staple")
            hashes.append(time.perf_counter() - began)
        ms = {name: median(values) * 1000 for name, values in spent.items()}
        itself = ms["right"] - ms["empty"]
        return [
            f"a token among {TOKENS:,}: {ms['right']:.2f} ms with its transaction, an unknown {ms['wrong']:.2f} ms;"
            f" an empty statement {ms['empty']:.2f} ms: the check itself {itself:.2f} ms (must 1 ms)",
            f"a password: {median(hashes) * 1000:.0f} ms of argon2id (must at least 50 ms)",
        ]
