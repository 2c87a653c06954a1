"""Photos: told by their bytes, measured by their headers, made anew without what they brought along."""

import io
import struct
import tracemalloc
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from shop.errors import Refusal
from shop.files import images
from shop.files.images import NotAPhoto, PhotoTooLarge, PhotoTooSmall, measure, renditions

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
HTML = b"<!doctype html><script>alert(1)</script>"


def a_photo(kind: str = "JPEG", size: tuple[int, int] = (800, 600), mode: str = "RGB", **more: Any) -> bytes:
    """A photo whose left half is red and whose right half is blue."""
    image = Image.new(mode, size, "red")
    image.paste(Image.new(mode, (size[0] // 2, size[1]), "blue"), (size[0] // 2, 0))
    into = io.BytesIO()
    image.save(into, kind, **more)
    return into.getvalue()


def a_png_header(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    header = (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    found = b"\x89PNG\r\n\x1a\n"
    for name, data in (header, *chunks):
        found += struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    return found


def shown(made: images.Renditions, size: str = "large") -> Image.Image:
    return Image.open(io.BytesIO(made.data[size]), formats=["WEBP"])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_photo_is_made_anew_in_its_sizes(kind: str) -> None:
    made = renditions(a_photo(kind, (2000, 1000)))
    assert (made.width, made.height) == (1600, 800)
    assert {size: shown(made, size).size for size in made.data} == {"large": (1600, 800), "thumb": (320, 160)}
    red, blue = (shown(made).convert("RGB").getpixel((x, 400)) for x in (100, 1500))
    assert red[0] > 200 > 60 > red[2]
    assert blue[2] > 200 > 60 > blue[0]


def test_a_small_photo_is_not_blown_up() -> None:
    made = renditions(a_photo(size=(200, 100)))
    assert {size: shown(made, size).size for size in made.data} == {"large": (200, 100), "thumb": (200, 100)}


@pytest.mark.parametrize(
    "data",
    [
        b"", SVG, HTML, b"<?xml version='1.0'?>" + SVG, b"\xef\xbb\xbf" + SVG, b"%PDF-1.7", b"MZ\x90\x00",
        b"GIF89a" + HTML, b"BM" + HTML, b"PK\x03\x04", b"\xff\xd8\xff" + HTML, b"\x89PNG\r\n\x1a\n" + SVG,
        b"RIFF\x00\x00\x00\x00WEBP" + HTML, b"\x00\x00\x00 ftypavif", b"II*\x00" + b"\x00" * 99,
    ],
)  # fmt: skip
def test_what_only_says_that_it_is_a_photo_is_refused_by_its_bytes(data: bytes) -> None:
    with pytest.raises(NotAPhoto):
        measure(data)


@pytest.mark.parametrize("size", [(10_000, 10_000), (2**31 - 1, 2**31 - 1), (100_000, 1_000)])
def test_a_hundred_megapixels_are_refused_by_the_header_alone(size: tuple[int, int]) -> None:
    bomb = a_png_header(*size, (b"IDAT", zlib.compress(b"\x00" * 1_000_000)), (b"IEND", b""))
    tracemalloc.start()
    with pytest.raises(PhotoTooLarge) as refused:
        renditions(bomb)
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()
    assert refused.value.facts == {"pixels": size[0] * size[1], "allowed": images.MOST_PIXELS}


def test_a_real_photo_of_a_hundred_megapixels_is_refused() -> None:
    into = io.BytesIO()
    Image.new("L", (10_000, 10_000)).save(into, "JPEG", quality=1)
    with pytest.raises(PhotoTooLarge):
        measure(into.getvalue())


def test_a_photo_too_small_to_show_anything_is_refused() -> None:
    with pytest.raises(PhotoTooSmall):
        measure(a_photo(size=(63, 400)))


def test_text_that_unpacks_without_end_is_refused() -> None:
    text = b"k\x00\x00" + zlib.compress(b"\x00" * 50_000_000)
    bomb = a_png_header(100, 100, (b"zTXt", text), (b"IDAT", b""), (b"IEND", b""))
    with pytest.raises(NotAPhoto):
        renditions(bomb)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_place_camera_comments_and_what_hangs_behind_are_gone(kind: str) -> None:
    exif = Image.Exif()
    exif[0x010F] = "SECRET-CAMERA"
    exif.get_ifd(0x8825)[1] = "N"
    more: dict[str, Any] = {"exif": exif.tobytes()}
    if kind == "JPEG":
        more |= {"comment": b"SECRET-COMMENT", "icc_profile": b"SECRET-PROFILE" * 20}
    if kind == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_text("Author", "SECRET-AUTHOR")
        more |= {"pnginfo": info}
    before = a_photo(kind, **more) + HTML + b"SECRET-TAIL"
    assert b"SECRET" in before
    for data in renditions(before).data.values():
        assert b"SECRET" not in data
        assert b"script" not in data
        chunks = {data[12:16]}
        assert chunks == {b"VP8 "}  # pixels, with no chunk for anything else
        assert dict(Image.open(io.BytesIO(data)).getexif()) == {}


def test_a_photo_taken_upright_is_shown_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter, clockwise
    made = renditions(a_photo(size=(800, 400), exif=exif.tobytes()))
    assert (made.width, made.height) == (400, 800)
    assert shown(made).convert("RGB").getpixel((200, 50))[0] > 200  # what was left is above


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16", "CMYK"])
def test_every_kind_of_pixel_comes_out_in_colour_on_white(mode: str) -> None:
    into = io.BytesIO()
    Image.new(mode, (100, 100)).save(into, "JPEG" if mode == "CMYK" else "PNG")
    made = shown(renditions(into.getvalue())).convert("RGB")
    clear = mode in ("LA", "RGBA")
    assert (min(made.getpixel((50, 50))) > 250) is clear or mode in ("CMYK",)


def test_of_what_moves_the_first_frame_is_kept() -> None:
    frames = [Image.new("RGB", (100, 100), colour) for colour in ("red", "blue", "blue")]
    into = io.BytesIO()
    frames[0].save(into, "WEBP", save_all=True, append_images=frames[1:], duration=50)
    made = shown(renditions(into.getvalue()))
    assert (getattr(made, "n_frames", 1), made.convert("RGB").getpixel((50, 50))[0] > 200) == (1, True)


@given(st.sampled_from(["JPEG", "PNG", "WEBP"]), st.data())
def test_damaged_photos_are_refused_or_made_and_nothing_else(kind: str, data: Any) -> None:
    whole = bytearray(a_photo(kind, (100, 80)))
    for _ in range(data.draw(st.integers(0, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    try:
        made = renditions(bytes(whole[:cut] if data.draw(st.booleans()) else whole))
    except Refusal:
        return
    assert max(made.width, made.height) <= 1600
