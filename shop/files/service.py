"""Put, register, link and read files. Putting and reading speak to the store: never inside a transaction."""

import hashlib
from functools import cache
from pathlib import Path
from uuid import UUID

from itsdangerous import BadSignature, URLSafeTimedSerializer
from obstore.store import LocalStore, ObjectStore, from_url
from sqlalchemy.orm import Session

from config.settings import settings
from shop.errors import NotFound
from shop.files.models import StoredFile

LINK_SECONDS = 24 * 3600


@cache
def store() -> ObjectStore:
    """The store of the settings: `s3://bucket/prefix` (credentials as S3 clients read them), else a folder."""
    place = settings().files
    if "://" in place:
        return from_url(place)
    folder = Path(place)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return LocalStore(folder)


def path_of(file_id: UUID) -> str:
    return f"{file_id.hex[-2:]}/{file_id.hex}"


def put(file_id: UUID, data: bytes) -> None:
    """Store bytes under an id; the same id again replaces them, so a repeated task leaves one file."""
    store().put(path_of(file_id), data)


def register(
    session: Session, *, file_id: UUID, organisation_id: UUID, name: str, media_type: str, data: bytes
) -> None:
    """Record whose file it is, after it was put; again changes nothing."""
    if session.get(StoredFile, file_id) is None:
        session.add(
            StoredFile(
                id=file_id,
                organisation_id=organisation_id,
                name=name,
                media_type=media_type,
                size=len(data),
                sha256=hashlib.sha256(data).digest(),
            )
        )
        session.flush()


def signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(settings().secret_key, salt="download")


def link(file: StoredFile) -> str:
    """A path that hands the file to whoever holds it, for a day."""
    return f"/v1/downloads/{signer().dumps([file.id.hex, file.name, file.media_type])}"


def read(token: str) -> tuple[str, str, bytes]:
    """Name, media type and bytes behind a link; NotFound for a link that is not ours, expired, or without its file."""
    try:
        file_id, name, media_type = signer().loads(token, max_age=LINK_SECONDS)
        return name, media_type, bytes(store().get(path_of(UUID(hex=file_id))).bytes())
    except (BadSignature, FileNotFoundError) as error:
        raise NotFound from error
