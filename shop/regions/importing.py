"""Load divisions, pairings and lists from rows of text; the same rows again change nothing.

Rows are mappings from column to text, as `csv.DictReader` gives them. `valid_to` is the first day no longer valid and
empty while in force; in rows with a `confidence` or `source` column, which are published lists, it is the last valid
day. A column that a layout does not have leaves what is stored alone. Each loader costs a constant number of
statements, and refuses the whole with Invalid that names every bad row and column.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from shop.errors import Invalid
from shop.http.parsing import fault
from shop.ids import new_id
from shop.regions.models import Division, EligibilityMember, Level, ListRule, Pairing, PairingMember, Scheme, ancestors

Row = Mapping[str, str]
Value = TypeVar("Value")

SINCE = date(2000, 1, 1)
"""From when a division is known whose row does not say it."""

LIST_832_SINCE = date(2012, 6, 14)
"""The day after which the 832 counties were poverty counties in law, for rows that carry only their exit year."""

LISTS = ("poverty_832", "key_160")
USES = ("admits", "counts")
ROUNDS = ("1996", "2016", "2021")
LOADER = 7_207_002  # the advisory lock that lets one loader work at a time
DEPTH = {Level.PROVINCE: 0, Level.PREFECTURE: 1, Level.COUNTY: 2}


@dataclass(frozen=True)
class Loaded:
    """What a loader did, in rows."""

    added: int
    changed: int
    unchanged: int

    def __str__(self) -> str:
        return f"{self.added} added, {self.changed} changed, {self.unchanged} unchanged"

    def __add__(self, other: "Loaded") -> "Loaded":
        return Loaded(self.added + other.added, self.changed + other.changed, self.unchanged + other.unchanged)


@dataclass
class Reader:
    """Reads the columns of rows and collects what is wrong with them; `bad` are the places of those rows."""

    name: str = "rows"
    faults: list[dict[str, Any]] = field(default_factory=list)
    bad: set[int] = field(default_factory=set)

    def wrong(self, place: int, column: str, code: str, detail: str) -> None:
        self.bad.add(place)
        said = f"{self.name}, row {place + 1}, {column}: {detail}"
        self.faults.append(fault(f"/{self.name}/{place}/{column}", code, said))

    def value(self, place: int, row: Row, column: str, shape: Callable[[str], Value], default: Value) -> Value:
        text = (row.get(column) or "").strip()
        try:
            return shape(text)
        except ValueError as error:
            self.wrong(place, column, "bad_value", str(error))
            return default

    def text(self, place: int, row: Row, column: str) -> str:
        return self.value(place, row, column, present, "")

    def code(self, place: int, row: Row, column: str) -> str:
        return self.value(place, row, column, division_code, "000000")

    def word(self, place: int, row: Row, column: str, words: Iterable[str]) -> str:
        allowed = tuple(words)

        def one_of(text: str) -> str:
            text = text.rpartition("-")[2]  # a pair across levels is named after both; the western one counts
            if text not in allowed:
                raise ValueError(f"is {text!r}, not one of {', '.join(allowed)}")
            return text

        return self.value(place, row, column, one_of, allowed[0])

    def valid(self, place: int, row: Row, *, since: date | None = None) -> Range[date]:
        """The half-open range of a row; `since` where the layout has no `valid_from`."""
        begins = since if since and "valid_from" not in row else self.value(place, row, "valid_from", day, date.min)
        ends = self.value(place, row, "valid_to", lambda text: day(text) if text else None, None)
        if ends is not None and ("confidence" in row or "source" in row):
            ends += timedelta(days=1)
        if ends is not None and ends <= begins:
            self.wrong(place, "valid_to", "ends_before_it_begins", f"{ends} is not after {begins}")
            ends = None
        return Range(begins, ends)

    def done(self) -> None:
        """Invalid when anything was wrong; its text is the first fault and how many more there are."""
        if self.faults:
            more = f" ({len(self.faults) - 1} more)" if len(self.faults) > 1 else ""
            raise Invalid(self.faults[0]["detail"] + more, errors=self.faults)


def present(text: str) -> str:
    if not text:
        raise ValueError("is empty")
    return text


def division_code(text: str) -> str:
    if len(text) != 6 or not text.isascii() or not text.isdigit():
        raise ValueError(f"{text!r} is not a division code of six digits")
    return text


def day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a day of the form YYYY-MM-DD") from None


def truth(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"is {text!r}, not true or false")
    return text == "true"


def one_at_a_time(reader: Reader, column: str, held: Iterable[tuple[Any, Range[date], int | None]]) -> None:
    """Tell of rows whose time overlaps that of another with the same key; a place of None is what was stored before."""
    groups: dict[Any, list[tuple[Range[date], int | None]]] = {}
    for key, valid, place in held:
        groups.setdefault(key, []).append((valid, place))
    for key, times in groups.items():
        times.sort(key=lambda time: time[0].lower or date.min)
        for (early, first), (late, second) in pairwise(times):
            if early.overlaps(late):
                place = second if second is not None else first
                shown = " ".join(str(part) for part in (key if isinstance(key, tuple) else (key,)))
                detail = f"the times of {shown} overlap: {said(early)} and {said(late)}"
                reader.wrong(place or 0, column, "overlaps", detail)


def said(valid: Range[date]) -> str:
    return f"{valid.lower} to {valid.upper or 'now'}"


def write(
    session: Session,
    model: type[Any],
    stored: Mapping[Any, Mapping[str, Any]],
    wanted: Mapping[Any, dict[str, Any]],
) -> Loaded:
    """Bring the rows of `wanted` into the table: what differs is updated first, then what is missing is added."""
    new = [row for key, row in wanted.items() if key not in stored]
    changed = [
        row
        for key, row in wanted.items()
        if key in stored and any(stored[key][name] != value for name, value in row.items())
    ]
    if changed:
        session.execute(update(model), changed, execution_options={"synchronize_session": None})
    if new:
        session.execute(insert(model.__table__), new)
    return Loaded(len(new), len(changed), len(wanted) - len(new) - len(changed))


def begin(session: Session) -> None:
    session.execute(select(func.pg_advisory_xact_lock(LOADER)))


def load_divisions(session: Session, rows: Sequence[Row]) -> Loaded:
    """Load divisions by code and first valid day.

    Columns: code, name, level, parent_code and, where the layout has them, name_en, valid_from, valid_to,
    successor_code. Without dates a row is the division as it is today: the stored one in force, or one since 2000.
    """
    begin(session)
    reader = Reader("divisions")
    codes = sorted({reader.code(place, row, "code") for place, row in enumerate(rows)})
    stored: dict[tuple[str, date], dict[str, Any]] = {}
    for found in session.execute(select(Division.__table__).where(Division.code.in_(codes))).mappings():
        stored[found["code"], found["valid_from"]] = dict(found)
    in_force = {code: begins for (code, begins), found in stored.items() if found["valid_to"] is None}
    wanted: dict[tuple[str, date], dict[str, Any]] = {}
    places: dict[tuple[str, date], int] = {}
    for place, row in enumerate(rows):
        code = (row.get("code") or "").strip()
        dated = "valid_from" in row
        valid = reader.valid(place, row, since=in_force.get(code, SINCE))
        key = code, valid.lower or SINCE
        before = stored.get(key, {})
        name = reader.text(place, row, "name")
        parent = (row.get("parent_code") or "").strip()
        if key in wanted:
            reader.wrong(place, "code", "repeated", f"{code} of {key[1]} is on row {places[key] + 1} already")
        places[key] = place
        wanted[key] = {
            "code": code,
            "valid_from": key[1],
            "valid_to": valid.upper if dated else before.get("valid_to"),
            "name": name,
            "name_en": (row.get("name_en") or "").strip() or before.get("name_en", name),
            "level": reader.word(place, row, "level", list(Level)),
            "parent_code": reader.code(place, row, "parent_code") if parent else None,
            "successor_code": (
                (row["successor_code"] or "").strip() or None
                if "successor_code" in row
                else before.get("successor_code")
            ),
        }
    merged = {**stored, **wanted}
    one_at_a_time(
        reader,
        "valid_from",
        (
            (code, Range(begins, found["valid_to"]), places.get((code, begins)))
            for (code, begins), found in merged.items()
        ),
    )
    reader.done()
    return write(session, Division, stored, wanted)


def load_pairings(session: Session, rows: Sequence[Row], members: Sequence[Row]) -> Loaded:
    """Load pairings by scheme, codes and first valid day, and the member counties of shared ones.

    Columns: level, east_code, west_code, valid_from, valid_to, round and, where the layout has them, scheme, shared,
    parent_east, parent_west. The parent is the pairing of those codes whose time contains the row's. Without a
    `shared` column a western division with two partners of one level at once is shared between them. Members:
    east_code, west_code, pairing_from, county_code, valid_from, valid_to, within the time of their pairing.
    """
    begin(session)
    reader = Reader("pairings")
    stored: dict[tuple[str, str, str, date], dict[str, Any]] = {}
    for found in session.execute(select(Pairing.__table__)).mappings():
        key = found["scheme"], found["east_code"], found["west_code"], found["valid"].lower
        stored[key] = dict(found)
    wanted: dict[tuple[str, str, str, date], dict[str, Any]] = {}
    places: dict[tuple[str, str, str, date], int] = {}
    for place, row in enumerate(rows):
        valid = reader.valid(place, row)
        scheme = reader.word(place, row, "scheme", list(Scheme)) if "scheme" in row else str(Scheme.EAST_WEST)
        key = scheme, reader.code(place, row, "east_code"), reader.code(place, row, "west_code"), valid.lower or SINCE
        if key in wanted:
            reader.wrong(place, "valid_from", "repeated", f"this pair is on row {places[key] + 1} already")
        places[key] = place
        before = stored.get(key, {})
        wanted[key] = {
            "id": before.get("id") or new_id(),
            "scheme": scheme,
            "level": reader.word(place, row, "level", list(Level)),
            "round": reader.word(place, row, "round", ROUNDS),
            "parent_id": before.get("parent_id"),
            "east_code": key[1],
            "west_code": key[2],
            "valid": valid,
            "shared": (
                reader.value(place, row, "shared", truth, False) if "shared" in row else before.get("shared", False)
            ),
        }
    merged = {**stored, **wanted}
    one_at_a_time(reader, "valid_from", ((key[:3], row["valid"], places.get(key)) for key, row in merged.items()))
    undeclared = {key for key, place in places.items() if "shared" not in rows[place] and key not in stored}
    for key in shared_wests(merged) & undeclared:
        wanted[key]["shared"] = True
    by_codes: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for key, held in merged.items():
        by_codes.setdefault(key[:3], []).append(held)
    for key, place in places.items():
        row = rows[place]
        if "parent_east" not in row:
            continue
        codes = key[0], (row["parent_east"] or "").strip(), (row.get("parent_west") or "").strip()
        if not codes[1] and not codes[2]:
            wanted[key]["parent_id"] = None
            continue
        parents = [found for found in by_codes.get(codes, ()) if found["valid"].contains(wanted[key]["valid"])]
        if parents:
            wanted[key]["parent_id"] = parents[0]["id"]
        else:
            detail = f"no pairing {codes[1]} with {codes[2]} is in force all the time {said(wanted[key]['valid'])}"
            reader.wrong(place, "parent_east", "no_parent", detail)
    reader.done()
    parents_first = dict(sorted(wanted.items(), key=lambda item: DEPTH[Level(item[1]["level"])]))
    loaded = write(session, Pairing, stored, parents_first)
    return loaded + load_members(session, {**stored, **wanted}, members) if members else loaded


def shared_wests(pairings: Mapping[tuple[str, str, str, date], Mapping[str, Any]]) -> set[tuple[str, str, str, date]]:
    """The pairings whose western division has another partner of the same scheme and level at the same time."""
    by_west: dict[tuple[str, str, str], list[tuple[str, str, str, date]]] = {}
    for key, row in pairings.items():
        by_west.setdefault((key[0], key[2], row["level"]), []).append(key)
    return {
        one
        for keys in by_west.values()
        for one in keys
        if any(one[1] != other[1] and pairings[one]["valid"].overlaps(pairings[other]["valid"]) for other in keys)
    }


def load_members(
    session: Session, pairings: Mapping[tuple[str, str, str, date], Mapping[str, Any]], rows: Sequence[Row]
) -> Loaded:
    """Load the member counties of shared pairings, which are loaded already."""
    reader = Reader("members")
    stored: dict[tuple[UUID, str, date], dict[str, Any]] = {}
    for found in session.execute(select(PairingMember.__table__)).mappings():
        stored[found["pairing_id"], found["county_code"], found["valid"].lower] = dict(found)
    wanted: dict[tuple[UUID, str, date], dict[str, Any]] = {}
    places: dict[tuple[UUID, str, date], int] = {}
    for place, row in enumerate(rows):
        scheme = (row.get("scheme") or "").strip() or str(Scheme.EAST_WEST)
        valid = reader.valid(place, row)
        county = reader.code(place, row, "county_code")
        since = reader.value(place, row, "pairing_from", day, SINCE)
        codes = scheme, reader.code(place, row, "east_code"), reader.code(place, row, "west_code")
        pairing = pairings.get((*codes, since))
        if pairing is None:
            reader.wrong(place, "pairing_from", "no_pairing", f"no pairing {codes[1]} with {codes[2]} began on {since}")
            continue
        if codes[2] not in ancestors(county):
            reader.wrong(place, "county_code", "not_inside", f"{county} does not lie in {codes[2]}")
        if not pairing["valid"].contains(valid):
            reader.wrong(place, "valid_from", "outside", f"the pairing is in force {said(pairing['valid'])}")
        key = pairing["id"], county, valid.lower or SINCE
        if key in wanted:
            reader.wrong(place, "county_code", "repeated", f"{county} is on row {places[key] + 1} already")
        places[key] = place
        wanted[key] = {
            "id": stored[key]["id"] if key in stored else new_id(),
            "pairing_id": pairing["id"],
            "county_code": county,
            "valid": valid,
        }
    merged = {**stored, **wanted}
    one_at_a_time(reader, "county_code", ((key[:2], row["valid"], places.get(key)) for key, row in merged.items()))
    reader.done()
    return write(session, PairingMember, stored, wanted)


def load_eligibility(session: Session, rows: Sequence[Row]) -> Loaded:
    """Load members of the lists by list, county, name at the time and first valid day.

    Columns: list, county_code, name_as_designated, valid_from, valid_to; or those of the published lists: code and
    name_as_designated with exit_year (the 832), or code and county with announced (the 160). Two rows of one county
    under two names are two members: counties were merged since.
    """
    begin(session)
    reader = Reader("eligibility")
    stored: dict[tuple[str, str, str, date], dict[str, Any]] = {}
    for found in session.execute(select(EligibilityMember.__table__)).mappings():
        key = found["list"], found["county_code"], found["name_as_designated"], found["valid"].lower
        stored[key] = dict(found)
    wanted: dict[tuple[str, str, str, date], dict[str, Any]] = {}
    places: dict[tuple[str, str, str, date], int] = {}
    for place, row in enumerate(rows):
        if "announced" in row:
            begins = reader.value(place, row, "announced", day, SINCE)
            code, name = reader.code(place, row, "code"), reader.text(place, row, "county")
            listed, valid = "key_160", Range(begins, None)
        elif "exit_year" in row:
            code, name = reader.code(place, row, "code"), reader.text(place, row, "name_as_designated")
            listed, valid = "poverty_832", Range(LIST_832_SINCE, None)
        else:
            code, name = reader.code(place, row, "county_code"), reader.text(place, row, "name_as_designated")
            listed, valid = reader.word(place, row, "list", LISTS), reader.valid(place, row)
        key = listed, code, name, valid.lower or SINCE
        if key in wanted:
            reader.wrong(place, "county_code", "repeated", f"{code} {name} is on row {places[key] + 1} already")
        places[key] = place
        wanted[key] = {
            "id": stored[key]["id"] if key in stored else new_id(),
            "list": listed,
            "county_code": code,
            "name_as_designated": name,
            "valid": valid,
        }
    merged = {**stored, **wanted}
    one_at_a_time(reader, "valid_from", ((key[:3], row["valid"], places.get(key)) for key, row in merged.items()))
    reader.done()
    return write(session, EligibilityMember, stored, wanted)


def load_list_rules(session: Session, rows: Sequence[Row]) -> Loaded:
    """Load what lists are for by use, indicator, list and first valid day; a rule that is there ends by its row.

    Columns: use (admits, counts), indicator (of counts), list, valid_from, valid_to.
    """
    begin(session)
    reader = Reader("list-rules")
    stored: dict[tuple[str, str, str, date], dict[str, Any]] = {}
    for found in session.execute(select(ListRule.__table__)).mappings():
        stored[found["use"], found["indicator"], found["list"], found["valid"].lower] = dict(found)
    wanted: dict[tuple[str, str, str, date], dict[str, Any]] = {}
    places: dict[tuple[str, str, str, date], int] = {}
    for place, row in enumerate(rows):
        use, listed = reader.word(place, row, "use", USES), reader.word(place, row, "list", LISTS)
        indicator, valid = (row.get("indicator") or "").strip(), reader.valid(place, row)
        if (use == "counts") != bool(indicator):
            reader.wrong(place, "indicator", "bad_value", "is named where a list counts, and only there")
        key = use, indicator, listed, valid.lower or SINCE
        if key in wanted:
            reader.wrong(place, "valid_from", "repeated", f"this rule is on row {places[key] + 1} already")
        places[key] = place
        wanted[key] = {
            "id": stored[key]["id"] if key in stored else new_id(),
            "use": use,
            "indicator": indicator,
            "list": listed,
            "valid": valid,
        }
    merged = {**stored, **wanted}
    one_at_a_time(reader, "valid_from", ((key[:3], row["valid"], places.get(key)) for key, row in merged.items()))
    reader.done()
    return write(session, ListRule, stored, wanted)
