"""The font of the documents, Noto Sans CJK from its own package, and which characters it can draw."""

import importlib.resources
import struct
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typst

FAMILY = "Noto Sans CJK SC"


def font_file() -> Path:
    """The font collection that the package `noto-cjk-sans-otc` brings."""
    return Path(str(importlib.resources.files("noto_cjk_sans_otc"))) / "NotoSansCJK-Regular.ttc"


@cache
def fonts() -> "typst.Fonts":
    """The one collection, read once; no font of the system takes part, so a document looks the same everywhere."""
    import typst  # not before a document is made: it costs every process 7 MB

    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[font_file().parent])


@cache
def _ranges() -> list[tuple[int, int]]:
    """The code points that the font maps to a glyph, as ranges (OpenType cmap, format 12)."""
    with font_file().open("rb") as font:

        def at(offset: int, form: str) -> tuple[int, ...]:
            font.seek(offset)
            return struct.unpack(form, font.read(struct.calcsize(form)))

        (index,) = [info.index for info in fonts().fonts() if info.family == FAMILY]
        (face,) = at(12 + 4 * index, ">I")
        tables = [at(face + 12 + 16 * n, ">4sIII") for n in range(at(face + 4, ">H")[0])]
        cmap = next(offset for tag, _, offset, _ in tables if tag == b"cmap")  # type: ignore[comparison-overlap]
        for n in range(at(cmap + 2, ">H")[0]):
            platform, encoding, offset = at(cmap + 4 + 8 * n, ">HHI")
            if (platform, encoding) == (3, 10):
                (count,) = at(cmap + offset + 12, ">I")
                font.seek(cmap + offset + 16)
                data = font.read(12 * count)
                return [(first, last) for first, last, _ in struct.iter_unpack(">III", data)]
    raise ValueError(f"{font_file()} maps no characters")


@cache
def _covered() -> frozenset[int]:
    return frozenset(code for first, last in _ranges() for code in range(first, last + 1))


def uncovered(text: str) -> set[str]:
    """The characters of a text that the font cannot draw; line breaks count as drawn."""
    covered = _covered()
    return {char for char in text if ord(char) not in covered and char != "\n"}
