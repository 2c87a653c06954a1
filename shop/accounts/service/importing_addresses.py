"""Places of delivery by spreadsheet, known by their labels; a changed one is a new row and the old one retired."""

from datetime import datetime

from sqlalchemy import update
from sqlalchemy.orm import Session

from shop.accounts import queries_units
from shop.accounts.models import Address
from shop.accounts.service.bulk import Plan, SheetKind, audit_rows, fault, without
from shop.actor import Actor
from shop.audit.models import AuditEntry
from shop.clock import business_day
from shop.db import insert_rows
from shop.ids import new_id
from shop.sheets.changes import diff
from shop.sheets.mapping import Column, ParsedRow

COLUMNS = (
    Column("label", ("收货点", "Place"), required=True, min=1, max=100),
    Column("division_code", ("区划代码", "Division code"), "code", required=True, pattern=r"[0-9]{6}"),
    Column("line", ("详细地址", "Address"), required=True, min=1, max=300),
    Column("contact", ("收货人及电话", "Contact"), required=True, min=1, max=200),
)
NAMES = tuple(column.name for column in COLUMNS)


def plan(session: Session, by: Actor, rows: list[ParsedRow], now: datetime) -> Plan:
    """What the rows would do to the organisation's places of delivery."""
    codes = queries_units.known_divisions(session, [row.values["division_code"] for row in rows], business_day(now))
    faults = [
        fault(row, "division_code", "unknown_division") for row in rows if row.values["division_code"] not in codes
    ]
    good = without(rows, faults)
    labels = [row.values["label"] for row in good]
    known = {
        one.label: one for one in session.scalars(queries_units.own_addresses(by).where(Address.label.in_(labels)))
    }
    change = diff(
        {label: {name: getattr(one, name) for name in NAMES} for label, one in known.items()}, good, key=("label",)
    )
    by_label = {row.values["label"]: row.values for row in good}

    def write() -> None:
        old = [known[str(one.key)].id for one in change.changed]
        if old:
            session.execute(update(Address).where(Address.id.in_(old)).values(retired_at=now))
        wanted = [row.values for row in change.added] + [by_label[str(one.key)] for one in change.changed]
        made = [{"id": new_id(), "organisation_id": by.organisation_id} | values for values in wanted]
        said = {  # ids and codes: where people live stands in the rows that can be erased
            row["id"]: {"division_code": row["division_code"], "instead_of": known[row["label"]].id.hex}
            if row["label"] in known
            else {"division_code": row["division_code"]}
            for row in made
        }
        done = dict.fromkeys(old, "retire") | {row["id"]: "create" for row in made}
        insert_rows(session, (Address, made), (AuditEntry, audit_rows(by, "address", done, now, said)))

    return Plan(change, faults, write)


ADDRESSES = SheetKind(COLUMNS, ("label",), plan)
