"""Photos: told by their bytes, measured before a pixel is unpacked, and made anew without what they brought along."""

import io
from dataclasses import dataclass

from PIL import Image, ImageOps

from shop.errors import Refusal

MAX_PHOTO = 10_000_000
MOST_PIXELS = 40_000_000
"""More pixels are refused by the header alone; a photo of so many takes some 300 MB while it is unpacked."""
LEAST_SIDE = 64
SIZES = {"large": 1600, "thumb": 320}
"""The renditions, by name: the longer side has at most so many pixels."""
MEDIA_TYPE = "image/webp"
QUALITY = 80
Image.MAX_IMAGE_PIXELS = None  # the limit is asked of every header here, and is lower than the library's


class NotAPhoto(Refusal):
    """The bytes are no JPEG, PNG or WebP that can be read, whatever their name or type says."""

    code, status = "not_a_photo", 415
    title, title_zh = "Send a photo: a JPEG, a PNG or a WebP.", "请上传 JPEG、PNG 或 WebP 格式的照片。"


class PhotoTooLarge(Refusal):
    """More pixels than are unpacked here; `pixels` has it, `allowed` is the most."""

    code, status = "photo_too_large", 422
    title, title_zh = "The photo has too many pixels.", "照片像素过大。"


class PhotoTooSmall(Refusal):
    code, status = "photo_too_small", 422
    title, title_zh = "The photo is too small to show anything.", "照片尺寸过小。"


@dataclass(frozen=True)
class Renditions:
    """A photo made anew in every size, and how large the largest came out."""

    width: int
    height: int
    data: dict[str, bytes]


def kind_of(data: bytes) -> str:
    """JPEG, PNG or WEBP by the first bytes; NotAPhoto for all else, such as SVG, HTML or GIF."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    raise NotAPhoto


def opened(data: bytes) -> Image.Image:
    """The photo with its header read and nothing unpacked; NotAPhoto, PhotoTooLarge or PhotoTooSmall."""
    kind = kind_of(data)
    try:
        image = Image.open(io.BytesIO(data), formats=[kind])
    except Exception as error:  # whatever a decoder makes of bytes that strangers wrote
        raise NotAPhoto("The header of the photo cannot be read.") from error
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise PhotoTooLarge(pixels=width * height, allowed=MOST_PIXELS)
    if min(width, height) < LEAST_SIDE:
        raise PhotoTooSmall(allowed=LEAST_SIDE)
    return image


def measure(data: bytes) -> tuple[int, int]:
    """Width and height by the header alone, or a refusal of `opened`."""
    return opened(data).size


def renditions(data: bytes) -> Renditions:
    """The photo in every size as WebP: upright, on white where it was transparent, the first frame where it moves.

    Only pixels are taken over; place, camera, comments, profiles and whatever hangs behind the photo are not.
    """
    image = opened(data)
    most = max(SIZES.values())
    try:
        image.draft("RGB", (most, most))  # a JPEG is unpacked no larger than needed
        upright = ImageOps.exif_transpose(image)
        upright.thumbnail((most, most), Image.Resampling.LANCZOS)
        plain = flattened(upright)
    except Exception as error:  # as above: cut off, damaged or made to break a decoder
        raise NotAPhoto("The photo cannot be unpacked.") from error
    made = {}
    for name, side in SIZES.items():
        sized = plain.copy()
        sized.thumbnail((side, side), Image.Resampling.LANCZOS)
        into = io.BytesIO()
        sized.save(into, "WEBP", quality=QUALITY, method=4)
        made[name] = into.getvalue()
    return Renditions(plain.width, plain.height, made)


def flattened(image: Image.Image) -> Image.Image:
    """Its pixels alone, in RGB on white: a new image that knows nothing of the one it was."""
    image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    ground = Image.new("RGB", image.size, "white")
    ground.paste(image, mask=image.getchannel("A") if image.mode == "RGBA" else None)
    return ground
