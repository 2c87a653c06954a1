"""What an uploaded spreadsheet would do, or did, as JSON."""

from typing import Literal

from shop.http.routes import In, Out
from shop.ids import ImportId


class ConfirmImport(In):
    """`all` applies only a file without errors; `valid_rows` leaves the rows with errors out."""

    mode: Literal["all", "valid_rows"] = "all"


class CellError(Out):
    """What is wrong with a cell: row and title as the person sees them, a stable code and the words."""

    row: int
    column: str
    title: str
    value: str
    code: str
    message: str
    message_en: str


class ChangedRow(Out):
    row: int
    fields: list[str]


class Difference(Out):
    """How many rows are new, differ (the first hundred are named) or are as they were."""

    added: int
    changed: int
    unchanged: int
    changed_rows: list[ChangedRow]


class ImportOut(Out):
    """`errors` names the first thousand, `error_count` counts all."""

    id: ImportId
    kind: str
    status: str
    mode: str | None
    rows: int
    error_count: int
    errors: list[CellError]
    diff: Difference
