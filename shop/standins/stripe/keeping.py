"""The account in a file, so that what a shop keeps still means something to the stand-in after a restart."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from shop.standins.stripe.account import Account
from shop.standins.stripe.keys import Keys
from shop.standins.stripe.methods import Outcome, TestMethod

Json = dict[str, Any]


class Keeper:
    """Writes the account and the answers that idempotency keys hold, whenever they changed, one file over the other.

    One thread writes: changes that come while it does are written together the next time.
    """

    def __init__(self, file: Path, account: Account, keys: Keys) -> None:
        self.file, self.account, self.keys = file, account, keys
        self._changed = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="stripe-stand-in-keeper", daemon=True)

    def start(self) -> None:
        """Take up what the file holds, under the address that the stand-in has now, and keep what comes."""
        if self.file.exists():
            self._load(self.file.read_text(encoding="utf-8"))
        self._thread.start()

    def changed(self) -> None:
        self._changed.set()

    def stop(self) -> None:
        self._ended = True
        self._changed.set()
        if self._thread.is_alive():
            self._thread.join()
        self.save()

    def save(self) -> None:
        """Write the whole to a new file beside the old one, then put it in its place."""
        with self.account.lock:
            account = self.account
            told = json.dumps(
                {
                    "base_url": account.base_url,
                    "held": account.held,
                    "fates": {name: asdict(fate) for name, fate in account.fates.items()},
                    "effects": account.effects,
                    "keys": self.keys.answered(),
                },
                ensure_ascii=False,
            )
        self.file.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=self.file.parent, prefix=f".{self.file.name}-")
        try:
            with open(handle, "w", encoding="utf-8") as new:
                new.write(told)
                new.flush()
                os.fsync(new.fileno())
            os.replace(beside, self.file)
        except BaseException:
            os.unlink(beside)
            raise

    def _load(self, text: str) -> None:
        told: Json = json.loads(text)
        told = json.loads(text.replace(told["base_url"], self.account.base_url))
        with self.account.lock:
            self.account.held |= told["held"]
            self.account.fates = {
                name: TestMethod(**{**fate, "outcome": Outcome(fate["outcome"])})
                for name, fate in told["fates"].items()
            }
            self.account.effects = told["effects"]
        self.keys.take_up(told["keys"])

    def _run(self) -> None:
        while not self._ended:
            self._changed.wait()
            self._changed.clear()
            try:
                self.save()
            except OSError as error:  # a full disk; the next change, or the stop, writes all of it
                sys.stderr.write(f"The account of the Stripe stand-in could not be kept: {error}\n")
