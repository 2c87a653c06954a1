"""Turns data into a PDF by one of the shop's own templates."""

import importlib.resources
import json
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from shop.clock import BEIJING
from shop.documents.fonts import FAMILY, fonts, uncovered

PDF_TYPE = "application/pdf"
MAX_LINES = 5_000  # some hundred pages; a longer table belongs in a spreadsheet


class Template(StrEnum):
    """The papers that the shop prints; the file of each says what data it takes."""

    ORDER = "order"
    ACCEPTANCE = "acceptance"
    PICKING = "picking"
    REPORT = "report"


class DocumentError(ValueError):
    """The data does not suit the template; a mistake of the caller."""


def render(template: Template | str, data: Mapping[str, Any], *, at: datetime) -> bytes:
    """The PDF/A-2u of a template filled with `data`, dated `at`; the same data and instant give the same bytes.

    The data holds texts, whole numbers, lists of at most 5,000 entries and mappings. It reaches the template as JSON
    and is never read as markup. Amounts come as text that is ready to print. A character that the font cannot draw is
    shown as its code, `[U+1F34E]`.
    """
    import typst  # not before a document is made: it costs every process 7 MB

    folder = Path(str(importlib.resources.files("shop.documents"))) / "templates"
    shown = {**_shown(data), "printed_at": at.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M")}
    inputs = {"data": json.dumps(shown, ensure_ascii=False), "font": FAMILY}
    compiler = typst.Compiler(
        input=folder / f"{Template(template)}.typ",
        root=folder,
        font_paths=fonts(),
        ignore_system_fonts=True,
        sys_inputs=inputs,
    )
    try:
        pdf = compiler.compile(format="pdf", pdf_standards="a-2u", timestamp=int(at.timestamp()))
    except typst.TypstError as error:
        raise DocumentError(f"{template}: {error.message}") from error
    assert isinstance(pdf, bytes)
    return pdf


def _shown(value: Any) -> Any:
    """The value with every text drawable; a float is refused, since no amount here is one."""
    if isinstance(value, str):
        return _drawable(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): _shown(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        if len(value) > MAX_LINES:
            raise DocumentError(f"more than {MAX_LINES} lines; give them as a spreadsheet")
        return [_shown(each) for each in value]
    raise DocumentError(f"a {type(value).__name__} cannot be printed; give it as text")


def _drawable(text: str) -> str:
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\t", " "))
    missing = uncovered(text) | {char for char in set(text) if unicodedata.category(char) in ("Cf", "Co")}
    for char in missing:
        text = text.replace(char, f"[U+{ord(char):04X}]")
    return text
