"""Downloads by signed link, and the photos of goods for everybody."""

from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import Field

from shop.errors import NotFound
from shop.files import images, service
from shop.http.routes import PUBLIC, Raw, Routes
from shop.ids import PhotoId

routes = Routes("/v1", tag="Files")
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
IMAGES = f"image/jpeg image/png {images.MEDIA_TYPE}"
MEDIA_TYPES = f"application/octet-stream application/pdf application/zip {IMAGES} text/csv {XLSX}"
Token = Annotated[str, Field(min_length=10, max_length=1000)]


@routes.get("/downloads/<token>", allow=PUBLIC, answers={200: MEDIA_TYPES}, refusals=(NotFound,))
def download(token: Token) -> Raw:
    """The file behind a signed link, always as an attachment."""
    name, media_type, data = service.read(token)
    disposition = f"attachment; filename*=UTF-8''{quote(name)}"
    return Raw(data, media_type, {"Content-Disposition": disposition, "Cache-Control": "private, no-store"})


@routes.get("/public/photos/<photo_id>/<size>", allow=PUBLIC, answers={200: images.MEDIA_TYPE}, refusals=(NotFound,))
def read_photo(photo_id: PhotoId, size: Literal["large", "thumb"]) -> Raw:
    """A photo of goods as it was made anew here; what an id shows never changes, so it may be kept for a year."""
    data = service.published(photo_id, size)
    return Raw(data, images.MEDIA_TYPE, {"Cache-Control": "public, max-age=31536000, immutable"})
