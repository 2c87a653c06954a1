"""Small spreadsheets made by hand, so that a test says exactly what stands in the file."""

import io
import zipfile
from typing import Any

import xlsxwriter

TYPES = b'<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
BOOK = b'<workbook xmlns="m" xmlns:r="r"><sheets><sheet name="Sheet1" sheetId="1" r:id="rId1"/></sheets></workbook>'
RELATIONS = (
    b'<Relationships><Relationship Id="rId1" Type="t/worksheet" Target="worksheets/sheet1.xml"/>'
    b'<Relationship Id="rId2" Type="t/sharedStrings" Target="sharedStrings.xml"/></Relationships>'
)


def xlsx(*rows: list[Any], merged: tuple[str, ...] = (), options: dict[str, Any] | None = None) -> bytes:
    """An xlsx file as a spreadsheet program would save it: a string is text, a date is a date, a number a number."""
    target = io.BytesIO()
    book = xlsxwriter.Workbook(target, {"default_date_format": "yyyy-mm-dd", **(options or {})})
    page = book.add_worksheet()
    for cells in merged:
        page.merge_range(cells, "")
    for number, row in enumerate(rows):
        for place, value in enumerate(row):
            if value is not None:
                page.write(number, place, value)
    book.close()
    return target.getvalue()


def packed(sheet: bytes, *, strings: bytes = b"<sst/>", more: dict[str, bytes] | None = None) -> bytes:
    """An xlsx file around the given worksheet XML."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        parts = {
            "[Content_Types].xml": TYPES,
            "xl/workbook.xml": BOOK,
            "xl/_rels/workbook.xml.rels": RELATIONS,
            "xl/sharedStrings.xml": strings,
            "xl/worksheets/sheet1.xml": sheet,
            **(more or {}),
        }
        for name, part in parts.items():
            archive.writestr(name, part)
    return target.getvalue()


def worksheet(data: bytes) -> bytes:
    return b"<worksheet><sheetData>" + data + b"</sheetData></worksheet>"
