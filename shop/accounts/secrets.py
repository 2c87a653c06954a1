"""Secrets that are made from a row's id with the shop's secret key and kept nowhere.

A link, a code or an authenticator's key is a keyed hash (HMAC-SHA-256) of the id: who lacks the key cannot make it from
the row, and events, logs and the trail hold the id only. A new `SHOP_SECRET_KEY` ends all of them at once.
"""

import base64
import hashlib
import hmac
from datetime import timedelta
from uuid import UUID

from itsdangerous import BadSignature, Signer, URLSafeTimedSerializer

from config.settings import settings
from shop.ids import new_id

DEVICE_LIFE = timedelta(days=365)
"""How long a browser that logged in keeps its own allowance of guesses; since 2024."""


def made(purpose: str, row_id: UUID) -> bytes:
    """32 bytes for one purpose and row."""
    key = hmac.digest(settings().secret_key.encode(), f"shop accounts {purpose}".encode(), "sha256")
    return hmac.digest(key, row_id.bytes, "sha256")


def _signer(purpose: str) -> Signer:
    return Signer(settings().secret_key, salt=f"shop accounts {purpose}", digest_method=hashlib.sha256)


def link_token(purpose: str, row_id: UUID) -> str:
    """The token that stands in a link about a row."""
    return _signer(purpose).sign(row_id.hex).decode()


def row_of(purpose: str, token: str) -> UUID | None:
    """The row that a token of ours is about; None for any other token."""
    try:
        return UUID(hex=_signer(purpose).unsign(token).decode())
    except (BadSignature, ValueError):
        return None


def digits_of(row_id: UUID) -> str:
    """The six digits that are sent by text message."""
    return f"{int.from_bytes(made('text code', row_id)) % 1_000_000:06}"


def letters_of(row_id: UUID) -> str:
    """The eight letters and digits that are handed over in person (40 bits)."""
    return base64.b32encode(made("code in person", row_id)[:5]).decode()


def keyed_hash(purpose: str, text: str) -> bytes:
    """The hash under which a short code is kept, worth nothing without the key."""
    key = hmac.digest(settings().secret_key.encode(), f"shop accounts {purpose}".encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256")


def authenticator_key(enrolment_id: UUID) -> str:
    """The key of an authenticator (160 bits, base32), as RFC 4226 asks."""
    return base64.b32encode(made("authenticator", enrolment_id)[:20]).decode()


def _devices() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        settings().secret_key, salt="shop accounts device", signer_kwargs={"digest_method": hashlib.sha256}
    )


def device_for(user_id: UUID) -> str:
    """What a browser keeps after a log-in, for that person only."""
    made_now: str = _devices().dumps([user_id.hex, new_id().hex])
    return made_now


def device_of(device: str | None, user_id: UUID) -> str | None:
    """The name of a device that this person logged in with before; None for anything else."""
    if not device:
        return None
    try:
        owner, name = _devices().loads(device, max_age=int(DEVICE_LIFE.total_seconds()))
    except (BadSignature, ValueError, TypeError):
        return None
    return str(name) if owner == user_id.hex else None
