"""Downloads by signed link."""

from typing import Annotated
from urllib.parse import quote

from pydantic import Field

from shop.errors import NotFound
from shop.files import service
from shop.http.routes import PUBLIC, Raw, Routes

routes = Routes("/v1", tag="Files")
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MEDIA_TYPES = f"application/octet-stream application/pdf image/jpeg image/png text/csv {XLSX}"
Token = Annotated[str, Field(min_length=10, max_length=1000)]


@routes.get("/downloads/<token>", allow=PUBLIC, answers={200: MEDIA_TYPES}, refusals=(NotFound,))
def download(token: Token) -> Raw:
    """The file behind a signed link, always as an attachment."""
    name, media_type, data = service.read(token)
    disposition = f"attachment; filename*=UTF-8''{quote(name)}"
    return Raw(data, media_type, {"Content-Disposition": disposition, "Cache-Control": "private, no-store"})
