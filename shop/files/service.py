"""Put, register, link, read and drop files. Whatever speaks to the store is never called inside a transaction."""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import IO, Any
from uuid import UUID

import structlog
from itsdangerous import BadSignature, URLSafeTimedSerializer
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url
from sqlalchemy import Interval, Select, cast, delete, func, literal, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from config.settings import settings
from shop.clock import business_now
from shop.db import in_unit_of_work, seeing_all
from shop.errors import Busy, NotFound
from shop.files.models import StoredFile
from shop.outbox import service as outbox

log = structlog.get_logger()
LINK_SECONDS = 24 * 3600


@cache
def store_at(place: str) -> ObjectStore:
    if "://" in place:
        return from_url(place)
    folder = Path(place)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return LocalStore(folder)


def store() -> ObjectStore:
    """The store of the settings: `s3://bucket/prefix` (credentials as S3 clients read them), else a folder."""
    return store_at(settings().files)


@contextmanager
def answering() -> Iterator[None]:
    """Busy when the store does not answer; a missing file is still a FileNotFoundError."""
    try:
        yield
    except BaseError as error:
        raise Busy("The store of files is not answering.") from error


def path_of(file_id: UUID) -> str:
    return f"{file_id.hex[-2:]}/{file_id.hex}"


def put(file_id: UUID, data: bytes) -> None:
    """Store bytes under an id; the same id again replaces them."""
    with answering():
        store().put(path_of(file_id), data)


def remove(file_id: UUID) -> None:
    """Take a file out of the store; one that is not there is out already."""
    with answering(), suppress(FileNotFoundError):
        store().delete(path_of(file_id))


def get(file_id: UUID) -> bytes:
    """The bytes of a file; NotFound when it is not in the store."""
    try:
        with answering():
            return bytes(store().get(path_of(file_id)).bytes())
    except FileNotFoundError as error:
        raise NotFound from error


def public_path(photo_id: UUID, size: str) -> str:
    """Where a rendition of a photo lies: apart from all that is somebody's, so that no id of a file leads there."""
    return f"public/{photo_id.hex[-2:]}/{photo_id.hex}-{size}"


def publish(photo_id: UUID, renditions: Mapping[str, bytes]) -> None:
    """Store the renditions of a photo for everybody to read; the same again replaces them."""
    with answering():
        for size, data in renditions.items():
            store().put(public_path(photo_id, size), data)


def withdraw(photo_id: UUID, sizes: Collection[str]) -> None:
    """Take the renditions of a photo out of the store; what is not there is out already."""
    for size in sizes:
        with answering(), suppress(FileNotFoundError):
            store().delete(public_path(photo_id, size))


def published(photo_id: UUID, size: str) -> bytes:
    """A rendition, or NotFound."""
    try:
        with answering():
            return bytes(store().get(public_path(photo_id, size)).bytes())
    except FileNotFoundError as error:
        raise NotFound from error


def register(
    session: Session,
    *,
    file_id: UUID,
    organisation_id: UUID,
    name: str,
    media_type: str,
    data: bytes,
    kept_for: timedelta | None = None,
) -> None:
    """Record whose file it is, after it was put; after the written period `kept_for`, `drop_expired` takes it."""
    session.add(
        StoredFile(
            id=file_id,
            organisation_id=organisation_id,
            name=name,
            media_type=media_type,
            size=len(data),
            sha256=hashlib.sha256(data).digest(),
            expires_at=func.clock_timestamp() + cast(literal(kept_for), Interval) if kept_for else None,
        )
    )
    session.flush()


def keep(
    session: Session, *, organisation_id: UUID, file_ids: Collection[UUID], pointer: str = "/file_id"
) -> dict[UUID, StoredFile]:
    """Keep files of an organisation without an end, because something refers to them now; NotFound for any other."""
    kept = session.scalars(
        update(StoredFile)
        .where(
            StoredFile.id.in_(file_ids),
            StoredFile.organisation_id == organisation_id,
            or_(StoredFile.expires_at.is_(None), StoredFile.expires_at > func.clock_timestamp()),
        )
        .values(expires_at=None)
        .returning(StoredFile)
        .execution_options(synchronize_session=False, populate_existing=True)
    ).all()
    found = {file.id: file for file in kept}
    if set(file_ids) - set(found):
        raise NotFound("No such file of yours.", pointer=pointer)
    return found


def let_go(session: Session, *file_ids: UUID) -> None:
    """Let files be dropped with the next sweep, unless something names them still.

    Their rows are locked first: whoever names one at the same time either did so before and is seen, or comes to a file
    that is no more. Call it when the row that named it is gone.
    """
    session.flush()
    session.execute(select(StoredFile.id).where(StoredFile.id.in_(file_ids)).order_by(StoredFile.id).with_for_update())
    with seeing_all(session):  # a paper may be named by rows of others
        session.execute(
            update(StoredFile)
            .where(StoredFile.id.in_(file_ids), ~or_(*(named.exists() for named in naming())))
            .values(expires_at=func.clock_timestamp())
            .execution_options(synchronize_session=False)
        )


def naming() -> Iterator[Select[Any]]:
    """For every table that holds files by a foreign key (one that does not let go by itself), its rows of a file."""
    for table in StoredFile.metadata.sorted_tables:
        for column in table.columns:
            for key in column.foreign_keys:
                if key.target_fullname == "stored_file.id" and key.ondelete is None:
                    yield select(literal(1)).select_from(table).where(column == StoredFile.id)


def signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        settings().secret_key, salt="download", signer_kwargs={"digest_method": hashlib.sha256}
    )


def link(file: StoredFile) -> str:
    """A path that hands the file to whoever holds it, for a day."""
    return f"/v1/downloads/{signer().dumps([file.id.hex, file.name, file.media_type])}"


def read(token: str) -> tuple[str, str, bytes]:
    """Name, media type and bytes behind a link; NotFound for a link that is not ours, expired, or without its file."""
    try:
        file_id, name, media_type = signer().loads(token, max_age=LINK_SECONDS)
        with answering():
            return name, media_type, bytes(store().get(path_of(UUID(hex=file_id))).bytes())
    except (BadSignature, FileNotFoundError) as error:
        raise NotFound from error


def fetch(file_id: UUID, into: IO[bytes]) -> None:
    """Copy a file's bytes into an open file, piece by piece; NotFound when the store has none."""
    try:
        with answering():
            for piece in store().get(path_of(file_id)).stream():
                into.write(piece)
    except FileNotFoundError as error:
        raise NotFound("The file is no longer there.") from error


def drop_expired(*, limit: int = 500) -> int:
    """Drop the rows of files past their period, one by one, and tell of each by `file.dropped`; gives how many.

    Its consumer takes the bytes out of the store, so that none are gone while a row stays, and none stay when a process
    is killed. A file that something names after all is kept without an end, and said in the log.
    """

    def drop(session: Session) -> int:
        over = session.scalars(
            select(StoredFile.id)
            .where(StoredFile.expires_at <= func.clock_timestamp())
            .order_by(StoredFile.expires_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        ).all()
        now = business_now(session)
        for file_id in over:
            try:
                with session.begin_nested():
                    session.execute(delete(StoredFile).where(StoredFile.id == file_id))
            except IntegrityError as error:
                log.error("file_is_named", file=file_id.hex, constraint=constraint_of(error))
                session.execute(update(StoredFile).where(StoredFile.id == file_id).values(expires_at=None))
            else:
                outbox.announce(session, "file.dropped", now=now, file_id=file_id)
        return len(over)

    return in_unit_of_work(drop)


def constraint_of(error: IntegrityError) -> str | None:
    """Which constraint said no."""
    return getattr(getattr(error.orig, "diag", None), "constraint_name", None)
