"""`python -m shop.standins.stripe`: serve the stand-in until the process is ended."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from shop.standins.stripe.server import StandIn


def main(arguments: list[str] | None = None) -> int:
    """Serve, say where, and stop cleanly on SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m shop.standins.stripe", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--webhook-url", help="where events are sent")
    parser.add_argument(
        "--webhook-secret",
        default=os.environ.get("SHOP_STRIPE_WEBHOOK_SECRET"),
        help="what events are signed with (else SHOP_STRIPE_WEBHOOK_SECRET)",
    )
    parser.add_argument(
        "--api-key",
        default=os.environ.get("SHOP_STRIPE_SECRET_KEY"),
        help="the only key accepted (else SHOP_STRIPE_SECRET_KEY; none: any test key)",
    )
    parser.add_argument("--file", type=Path, help="where the account is kept (none: it is gone at the end)")
    told = parser.parse_args(arguments)
    if told.webhook_url and not told.webhook_secret:
        parser.error("--webhook-url needs --webhook-secret")
    stand_in = StandIn(
        webhook_url=told.webhook_url, webhook_secret=told.webhook_secret, api_key=told.api_key or None, file=told.file
    )
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    url = stand_in.start(told.port)
    sys.stdout.write(f"Stripe stand-in: {url}\n")
    sys.stdout.flush()
    ended.wait()
    stand_in.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
