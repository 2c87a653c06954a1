"""The reference data that every shop starts with: divisions, pairings, lists, lanes, the platform itself."""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from shop.accounts.models import Kind, Organisation
from shop.catalogue import references
from shop.clock import business_now
from shop.db import in_unit_of_work
from shop.factfile import rows
from shop.freight import service as freight
from shop.ledger.service import PLATFORM_ID
from shop.regions import importing


def load() -> Iterator[tuple[str, str]]:
    """Load everything, each part in a transaction of its own; again changes nothing. Gives what was done."""
    yield "platform", in_unit_of_work(load_platform)
    divisions = rows("shop.regions", "divisions.csv")
    yield "divisions", in_unit_of_work(lambda session: str(importing.load_divisions(session, divisions)))
    pairings, members = rows("shop.regions", "pairings.csv"), rows("shop.regions", "pairing_members.csv")
    yield "pairings", in_unit_of_work(lambda session: str(importing.load_pairings(session, pairings, members)))
    lists = rows("shop.regions", "eligibility.csv")
    yield "eligibility", in_unit_of_work(lambda session: str(importing.load_eligibility(session, lists)))


def load_demo_freight() -> None:
    """The assumed roads and rates of the demo; a real shop imports its own (`shop import lanes FILE`)."""
    hubs, lanes = rows("shop.demo", "hubs.csv"), rows("shop.demo", "lanes.csv")
    in_unit_of_work(lambda session: (freight.load_hubs(session, hubs), freight.load_lanes(session, lanes)))


def load_platform(session: Session) -> str:
    """The organisation that holds the money in between and runs the shop."""
    if session.get(Organisation, PLATFORM_ID) is not None:
        return "there already"
    session.add(
        Organisation(
            id=PLATFORM_ID,
            kind=Kind.PLATFORM,
            name="消费协作购销平台",
            name_en="Produce exchange",
            division_code="110000",
            created_at=datetime.now(UTC),
        )
    )
    return "added"


def load_prices(
    session: Session, file: Path, market: str, place: str, only_valid: bool
) -> tuple[str, list[dict[str, Any]]]:
    """Load the reference prices of a file; gives what was done and the faults of the rows that were left out."""
    done, left_out = references.load_reference_prices(
        session, rows_of(file), market=market, place_code=place, now=business_now(session), only_valid=only_valid
    )
    return str(done), left_out


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8-sig", newline="") as opened:
        return list(csv.DictReader(opened))


def load_file(session: Session, kind: str, file: Path, members: Path | None) -> str:
    """Load one file that the caller has."""
    rows = rows_of(file)
    if kind == "divisions":
        return str(importing.load_divisions(session, rows))
    if kind == "eligibility":
        return str(importing.load_eligibility(session, rows))
    if kind == "list-rules":
        return str(importing.load_list_rules(session, rows))
    if kind in ("hubs", "lanes"):
        return str((freight.load_hubs if kind == "hubs" else freight.load_lanes)(session, rows))
    return str(importing.load_pairings(session, rows, rows_of(members) if members else []))
