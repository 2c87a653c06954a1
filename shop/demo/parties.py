"""The invented people of the demo: cooperatives, buyers, the platform's admins. All share one demo password."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop.accounts.models import Kind, Membership, Organisation, User
from shop.accounts.service import auditing, logging_in, passwords, registering
from shop.actor import BUYER_ROLES, COOPERATIVE_ROLES, SYSTEM, Role
from shop.clock import business_now
from shop.db import in_unit_of_work
from shop.factfile import rows
from shop.ledger import service as ledger
from shop.ledger.service import PLATFORM_ID

ORDER_LIMIT_FEN = 5_000_000
CREDIT_FEN = 500_000_000
AUDITED_FROM, AUDITED_TO = date(2020, 1, 1), date(2100, 1, 1)
REVIEWER = "county@example.com"
ADMINS = (
    ("operator", "operator@example.com", (Role.OPERATOR,)),
    ("analyst", "analyst@example.com", (Role.ANALYST,)),
    ("auditor", "auditor@example.com", (Role.AUDITOR,)),
)


def make(password: str) -> list[dict[str, Any]]:
    """Register everybody, once; gives one log-in per role to show, `{role, email, password}` each."""
    in_unit_of_work(lambda session: register_all(session, password))
    buyers, cooperatives = rows("shop.demo", "buyers.csv"), rows("shop.demo", "cooperatives.csv")
    on_terms = next(row for row in buyers if row["pays"] == "on_terms")
    prepaid = next(row for row in buyers if row["pays"] == "prepaid")
    shown = [
        ("buyer", email_of(on_terms)),
        ("buyer (prepaid)", email_of(prepaid)),
        ("cooperative", email_of(cooperatives[0])),
        (Role.COUNTY_REVIEWER.value, REVIEWER),
        *((role, email) for role, email, _ in ADMINS),
    ]
    return [{"role": role, "email": email, "password": password} for role, email in shown]


def email_of(row: dict[str, str]) -> str:
    return (row.get("email") or row.get("contact_email") or f"{row['code']}@example.com").lower()


def token_of(email: str) -> str:
    """A session of one of the demo's people, opened without a password."""

    def issue(session: Session) -> str:
        person = session.scalars(select(User.id).where(User.email == email)).one()
        return logging_in.issue_token(session, user_id=person, words="demo")[0]

    return in_unit_of_work(issue)


def register_all(session: Session, password: str) -> None:
    if session.scalars(select(User.id).where(User.email == ADMINS[0][1])).first():
        return
    now = business_now(session)
    hashed = passwords.hash_of(password)
    platform = session.get_one(Organisation, PLATFORM_ID)
    for role, email, roles in ADMINS:
        person = registering.register_user(
            session, organisation=platform, email=email, name=f"（演示）{role}", password_hash=hashed, roles=list(roles)
        )
        if Role.AUDITOR in roles:
            membership = session.scalars(select(Membership.id).where(Membership.user_id == person.id)).one()
            auditing.grant_mandate(
                session, by=SYSTEM, membership_id=membership, regions=[], start=AUDITED_FROM, end=AUDITED_TO,
                document="（演示）审计通知书", now=now,
            )  # fmt: skip
    first = rows("shop.demo", "cooperatives.csv")[0]["county_code"]
    office = registering.register(
        session, kind=Kind.COUNTY_REVIEWER, name="（演示）县审核办公室", name_en="County review office (demo)",
        division_code=first, uscc=None, parent_id=None, by=SYSTEM, now=now,
    )  # fmt: skip
    registering.register_user(
        session, organisation=office, email=REVIEWER, name="（演示）县审核员", password_hash=hashed,
        roles=[Role.COUNTY_REVIEWER], regions=[first],
    )  # fmt: skip
    for row in rows("shop.demo", "cooperatives.csv"):
        made = register_one(session, row, row["county_code"], None, now)
        registering.register_user(
            session,
            organisation=made,
            email=email_of(row),
            name="（演示）社员",
            password_hash=hashed,
            roles=sorted(COOPERATIVE_ROLES),
        )
    known: dict[str, UUID] = {}
    waiting = rows("shop.demo", "buyers.csv")
    while waiting:
        later = []
        for row in waiting:
            if row["parent"] and row["parent"] not in known:
                later.append(row)
                continue
            made = register_one(session, row, row["division_code"], known.get(row["parent"]), now)
            known[row["code"]] = made.id
            equip_buyer(session, made, row, hashed)
        if len(later) == len(waiting):
            raise ValueError(f"buyers.csv names parents that do not exist: {[row['parent'] for row in later]}")
        waiting = later


def register_one(
    session: Session, row: dict[str, str], division: str, parent: UUID | None, now: datetime
) -> Organisation:
    return registering.register(
        session,
        kind=Kind(row["kind"]),
        name=row["name"],
        name_en=row["name_en"],
        division_code=division,
        uscc=row["uscc"] or None,
        parent_id=parent,
        by=SYSTEM,
        now=now,
        terms=2,  # who looks around when the played year is over finds sellers that may sell
    )


def equip_buyer(session: Session, made: Organisation, row: dict[str, str], hashed: str) -> None:
    registering.register_user(
        session,
        organisation=made,
        email=email_of(row),
        name="（演示）采购员",
        password_hash=hashed,
        roles=sorted(BUYER_ROLES),
        order_limit_fen=ORDER_LIMIT_FEN,
    )
    registering.add_budget_unit(
        session,
        organisation_id=made.id,
        name=row["name"],
        finance_level=row["finance_level"],
        funding_code=row["funding_code"],
    )
    registering.add_address(
        session,
        organisation_id=made.id,
        division_code=row["division_code"],
        line=row["delivery_address"],
        contact="（演示）收货人",
    )
    if row["pays"] == "on_terms":
        ledger.set_credit_limit(session, made.id, CREDIT_FEN)
