"""Attribution: which pairing, and which bucket, a purchase counts in."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from shop.regions.models import (
    Bucket,
    Division,
    EligibilityMember,
    Level,
    Scheme,
    ancestors,
    province_of,
)

SPECIFIC = {Level.COUNTY: 0, Level.PREFECTURE: 1, Level.PROVINCE: 2}


@dataclass(frozen=True)
class Attribution:
    """One purchase in one scheme: its bucket, the pairing when paired, the provinces of both sides as of the day."""

    scheme: str
    bucket: Bucket
    pairing_id: UUID | None
    east_province: str
    west_province: str


IN_FORCE = text(
    """
    SELECT p.id, p.level, p.east_code, p.west_code, p.shared, m.county_code
    FROM pairing p
    LEFT JOIN pairing_member m
        ON m.pairing_id = p.id AND m.valid @> CAST(:on AS date) AND m.county_code = ANY(:wests)
    WHERE p.scheme = :scheme AND p.valid @> CAST(:on AS date)
      AND (p.west_code = ANY(:wests) OR p.east_code = ANY(:easts))
    """
)


def attribute(
    session: Session, *, funding_code: str, origins: Iterable[str], on: date, scheme: str = Scheme.EAST_WEST
) -> dict[str, Attribution]:
    """The attribution of a purchase paid by `funding_code` for each origin county, in one statement.

    It looks at whose budget pays, never at where the goods go. The most specific pairing in force on the day wins; a
    pairing that shares its west with others counts only for its member counties, and where a county is in none of the
    shares the answer is `unknown`, not a guess.
    """
    wanted = sorted(set(origins))
    easts = ancestors(funding_code)
    wests = sorted({code for origin in wanted for code in ancestors(origin)})
    rows = session.execute(IN_FORCE, {"scheme": scheme, "on": on, "easts": easts, "wests": wests}).all()
    in_force = {row.id: row for row in rows}
    members = {(row.id, row.county_code) for row in rows if row.county_code}
    is_eastern = any(pairing.east_code in easts for pairing in in_force.values())
    return {
        origin: attribute_one(scheme, funding_code, easts, origin, list(in_force.values()), members, is_eastern)
        for origin in wanted
    }


def attribute_one(
    scheme: str,
    funding_code: str,
    easts: Sequence[str],
    origin: str,
    in_force: Sequence[Any],
    members: set[tuple[UUID, str]],
    is_eastern: bool,
) -> Attribution:
    above = ancestors(origin)
    found: list[Any] = []
    undecided = False
    for pairing in in_force:
        if pairing.east_code not in easts or pairing.west_code not in above:
            continue
        if not pairing.shared or (pairing.id, origin) in members:
            found.append(pairing)
        elif not any((other.id, origin) in members for other in in_force if other.shared):
            undecided = True
    found.sort(key=lambda p: (SPECIFIC[Level(p.level)], easts.index(p.east_code), above.index(p.west_code), p.id))
    if found:
        bucket, pairing_id = Bucket.PAIRED, found[0].id
    else:
        bucket = Bucket.UNKNOWN if undecided else Bucket.OTHER_EAST if is_eastern else Bucket.OTHER
        pairing_id = None
    return Attribution(scheme, bucket, pairing_id, province_of(funding_code), province_of(origin))


def lists_of(session: Session, county_code: str, on: date) -> list[str]:
    """The eligibility lists that a county is on, on that day."""
    return sorted(
        session.scalars(
            select(EligibilityMember.list).where(
                EligibilityMember.county_code == county_code, EligibilityMember.valid.contains(on)
            )
        )
    )


def lists_of_counties(session: Session, codes: Collection[str], on: date) -> dict[str, list[str]]:
    """The eligibility lists that each of these counties is on, on that day; in one statement for any number."""
    found: dict[str, list[str]] = {code: [] for code in codes}
    for code, name in session.execute(
        select(EligibilityMember.county_code, EligibilityMember.list)
        .where(EligibilityMember.county_code.in_(list(found)), EligibilityMember.valid.contains(on))
        .order_by(EligibilityMember.list)
    ):
        found[code].append(name)
    return found


def counties_on(session: Session, on: date) -> Sequence[tuple[str, str]]:
    """Code and name of every county of a day."""
    counties = select(Division.code, Division.name).where(Division.level == Level.COUNTY, Division.in_force(on))
    return [(code, name) for code, name in session.execute(counties)]


RULES = text(
    """
    SELECT 1 FROM list_rule r
    JOIN eligibility_member m ON m.list = r.list AND m.valid @> CAST(:on AS date)
    WHERE r.use = :use AND r.indicator = :indicator AND r.valid @> CAST(:on AS date) AND m.county_code = :county
    LIMIT 1
    """
)


def admits(session: Session, county_code: str, on: date) -> bool:
    """Whether a list that admits sellers on that day has the county on it.

    By the rules that a shop starts with, the 832 former poverty counties admit from 2020, when the national platform
    began, and the 160 key counties from their announcement; neither has an end.
    """
    return (
        session.execute(RULES, {"use": "admits", "indicator": "", "county": county_code, "on": on}).first() is not None
    )


ADMITTED = text(
    """
    SELECT DISTINCT m.county_code FROM list_rule r
    JOIN eligibility_member m ON m.list = r.list AND m.valid @> CAST(:on AS date)
    WHERE r.use = 'admits' AND r.valid @> CAST(:on AS date)
    """
)


def admitted_counties(session: Session, on: date) -> frozenset[str]:
    """Every county that `admits` says yes of on that day."""
    return frozenset(session.scalars(ADMITTED, {"on": on}))


def counts(session: Session, county_code: str, on: date, indicator: str) -> bool:
    """Whether goods of the county count for an indicator on that day, whoever may sell them.

    The reserved share of budget units (`reserved_share`) counts the 832 from 2021; whether it does so after 2025 is not
    decided, so the rule has no end until one is loaded (`shop import list-rules FILE`).
    """
    asked = {"use": "counts", "indicator": indicator, "county": county_code, "on": on}
    return session.execute(RULES, asked).first() is not None


def is_county(session: Session, code: str, on: date) -> bool:
    """Whether a code names a county on a day."""
    return (
        session.execute(
            select(Division.code).where(
                Division.code == code,
                Division.level == Level.COUNTY,
                Division.in_force(on),
            )
        ).first()
        is not None
    )
