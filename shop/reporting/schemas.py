"""Questions and answers of reports as JSON."""

from typing import Annotated, Any, Literal

from pydantic import Field

from shop.facts.models import Measure
from shop.http.routes import In, Out, Query
from shop.ids import FactId, LineId, OrderId, PairingId, RunId
from shop.regions.models import Bucket
from shop.reporting.queries import DIMENSIONS

ONE = "|".join(DIMENSIONS)
GroupBy = Annotated[str, Field(max_length=200, pattern=rf"^({ONE})(,({ONE}))*$")]
Month = Annotated[str, Field(pattern=r"^(19|20)[0-9]{2}-(0[1-9]|1[0-2])$", description="A month, YYYY-MM.")]
BY_DEFAULT = "east_province,west_province"
Token = Annotated[str, Field(min_length=20, max_length=3000)]


class Asked(Query):
    """A question: a measure over months from `from` up to, not with, `to`, split by `group_by`."""

    measure: Measure = Measure.ACCEPTED
    group_by: GroupBy = BY_DEFAULT
    start: Annotated[Month | None, Field(alias="from")] = None
    end: Annotated[Month | None, Field(alias="to")] = None
    bucket: Bucket | None = None


class AskedAsOf(Asked):
    as_of: Annotated[int, Field(ge=0, lt=2**63)] | None = None


class AskRun(In):
    """A question whose answer is to be kept."""

    measure: Literal["ordered", "accepted", "paid", "refunded"] = "accepted"
    group_by: GroupBy = BY_DEFAULT
    start: Annotated[Month | None, Field(alias="from")] = None
    end: Annotated[Month | None, Field(alias="to")] = None
    bucket: Literal["paired", "other_east", "other", "unknown"] | None = None


class ReportRow(Out):
    """One cell: the dimensions that were asked for, with the names of divisions, its sums and its drill token."""

    east_province: str = ""
    east_province_name: str = ""
    east_province_name_en: str = ""
    west_province: str = ""
    west_province_name: str = ""
    west_province_name_en: str = ""
    pairing: PairingId | None = None
    pairing_name: str = ""
    pairing_name_en: str = ""
    bucket: str = ""
    month: str = ""
    category: str = ""
    purpose: str = ""
    goods_fen: int
    freight_fen: int
    amount_fen: int
    packs: int
    grams: int
    facts: int
    drill: str


class ReportOut(Out):
    """The cells in the order of their dimensions, their total, and the fact number that they hold for."""

    measure: str
    rows: list[ReportRow]
    total_fen: int
    as_of: int
    rule_version: int


class LinesAsked(Query):
    drill: Token
    cursor: Annotated[str, Field(max_length=200)] | None = None
    limit: Annotated[int, Field(ge=1, le=500)] = 100


class LinesFileAsked(Query):
    drill: Token


class LineOut(Out):
    """A fact behind a figure; `silent` where nobody inspected in time, so that what was shipped counts as accepted."""

    id: FactId
    measure: str
    occurred_on: str
    month: str
    buyer: str | None
    cooperative: str | None
    product: str | None
    category: str
    origin_code: str
    bucket: str
    goods_fen: int
    freight_fen: int
    amount_fen: int
    packs: int
    grams: int
    order_id: OrderId
    line_id: LineId
    silent: bool
    posted_no: int


class LinesOut(Out):
    """A page of the lines; `total_fen` sums all of them, `cell_fen` is the figure they were asked for by."""

    items: list[LineOut]
    next: str | None
    total_fen: int
    cell_fen: int


class RunOut(Out):
    """A report that was kept: the watermark it holds for and the hash of its cells."""

    id: RunId
    as_of: int
    total_fen: int
    content_hash: str
    rule_version: int
    question: dict[str, Any]


class RunRepeated(RunOut):
    """A kept report, asked again just now as of its watermark."""

    repeated_hash: str
    same: bool
