"""Take in a paper or a photo: told by its bytes what it is, recorded, stored, and kept by what names it."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.errors import Invalid, Refusal
from shop.files import service as files
from shop.http.routes import work_of
from shop.ids import new_id

MAX_FILE = 5_000_000
NAMED_WITHIN = timedelta(days=1)
"""How long a file waits for something that names it, before it is dropped."""

MAGIC = (
    (b"%PDF-", "application/pdf"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
)


class UnsupportedFile(Refusal):
    code, status = "unsupported_file", 415
    title, title_zh = "Send a PDF, a JPEG or a PNG.", "仅支持 PDF、JPEG 或 PNG 文件。"


def media_type_of(data: bytes) -> str:
    """What the bytes are, whatever name or type was given with them; UnsupportedFile for all but three kinds."""
    for magic, media_type in MAGIC:
        if data.startswith(magic):
            return media_type
    raise UnsupportedFile(
        "Its first bytes are those of none of them.", pointer="", allowed=[media_type for _, media_type in MAGIC]
    )


def upload(*, by: Actor, name: str, data: bytes) -> UUID:
    """Store a file of the actor's organisation, in units of work of its own; gives its id.

    The row comes first, with a day to live, so that whatever breaks leaves nothing behind. The name is only ever shown.
    """
    if not data:
        raise Invalid("The file is empty.", pointer="")
    media_type = media_type_of(data)
    file_id = new_id()

    def register(session: Session) -> None:
        files.register(
            session,
            file_id=file_id,
            organisation_id=by.organisation_id,
            name=name,
            media_type=media_type,
            data=data,
            kept_for=NAMED_WITHIN,
        )

    work_of(by, register)
    files.put(file_id, data)
    return file_id
