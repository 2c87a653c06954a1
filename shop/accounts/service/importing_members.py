"""Members by spreadsheet: new people get a membership and no password, known members other roles or another limit."""

import re
import secrets
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import and_, select, text
from sqlalchemy.orm import Session

from shop.accounts.models import Membership, User
from shop.accounts.service.bulk import Fault, Plan, SheetKind, audit_rows, fault, without
from shop.accounts.service.logging_in import hasher
from shop.actor import BUYER_ROLES, Actor, Role
from shop.audit.models import AuditEntry
from shop.db import insert_rows
from shop.ids import new_id
from shop.sheets.changes import diff
from shop.sheets.mapping import Column, ParsedRow

COLUMNS = (
    Column("name", ("姓名", "Name"), required=True, min=1, max=100),
    Column("email", ("邮箱", "E-mail"), "code", required=True, pattern=r"[^@\s]{1,100}@[^@\s]+\.[^@\s]{1,60}"),
    Column("roles", ("角色", "Roles"), required=True),
    Column("order_limit_fen", ("单笔下单限额(元)", "Order limit (yuan)"), "fen", min=0),
)
ROLES = {
    "经办": Role.REQUESTER, "采购": Role.REQUESTER, "审批": Role.APPROVER, "财务": Role.FINANCE,
    "收货": Role.RECEIVER, "验收": Role.RECEIVER, "管理员": Role.MANAGER,
}  # fmt: skip
ROLES |= {role.value: role for role in BUYER_ROLES}
CHANGE = text(
    """
    UPDATE membership m SET roles = c.roles, order_limit_fen = c.order_limit_fen
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS c(id uuid, roles text[], order_limit_fen bigint)
    WHERE m.id = c.id
    """
)


def roles_in(words: str) -> list[str] | None:
    """The roles that a cell names, sorted; None when one is unknown."""
    found = [ROLES.get(word.strip().lower()) for word in re.split(r"[,，、;；/\s]+", words) if word.strip()]
    return sorted({role.value for role in found if role}) if found and all(found) else None


def plan(session: Session, by: Actor, rows: list[ParsedRow], now: datetime) -> Plan:
    """What the rows would do to the organisation's members; a name is taken for new people only, who own it then."""
    faults: list[Fault] = []
    good: list[ParsedRow] = []
    seen: set[str] = set()
    for row in rows:
        email, roles = row.values["email"].lower(), roles_in(row.values["roles"])
        if roles is None:
            faults.append(fault(row, "roles", "unknown_role"))
        if email in seen:
            faults.append(fault(row, "email", "email_repeated"))
        seen.add(email)
        values = row.values | {"email": email, "roles": roles}
        good.append(ParsedRow(row.number, values | {"order_limit_fen": row.values.get("order_limit_fen") or 0}))
    known = {
        row.email: row
        for row in session.execute(
            select(User.email, Membership.id, Membership.user_id, Membership.roles, Membership.order_limit_fen)
            .outerjoin(
                Membership,
                and_(Membership.user_id == User.id, Membership.organisation_id == by.organisation_id),
            )
            .where(User.email.in_(sorted(seen)))
        )
    }
    for row in good:
        member = known.get(row.values["email"])
        if member is not None and member.id is None:
            faults.append(fault(row, "email", "email_taken"))
        elif member is not None and member.user_id == by.user_id and Role.MANAGER not in (row.values["roles"] or ()):
            faults.append(fault(row, "roles", "own_manager_role"))
    good = without(good, faults)
    existing = {
        row.values["email"]: {
            "name": row.values["name"],
            "roles": sorted(known[row.values["email"]].roles),
            "order_limit_fen": known[row.values["email"]].order_limit_fen or 0,
        }
        for row in good
        if row.values["email"] in known
    }
    change = diff(existing, good, key=("email",))
    by_email = {row.values["email"]: row.values for row in good}

    def write() -> None:
        unusable = hasher().hash(secrets.token_urlsafe(32)) if change.added else ""  # nobody knows this password
        people: list[dict[str, Any]] = []
        memberships: list[dict[str, Any]] = []
        for row in change.added:
            person = {"id": new_id(), "email": row.values["email"], "name": row.values["name"]}
            people.append(person | {"password_hash": unusable, "status": "active"})
            memberships.append(
                {
                    "id": new_id(),
                    "user_id": person["id"],
                    "organisation_id": by.organisation_id,
                    "roles": row.values["roles"],
                    "regions": [],
                    "order_limit_fen": row.values["order_limit_fen"],
                }
            )
        changed = [
            {
                "id": known[one.key].id,
                "roles": by_email[one.key]["roles"],
                "order_limit_fen": by_email[one.key]["order_limit_fen"],
            }
            for one in change.changed
        ]
        done = {row["id"]: "create" for row in memberships} | {row["id"]: "change" for row in changed}
        audits = audit_rows(by, "membership", done, now)
        insert_rows(session, (User, people), (Membership, memberships), (AuditEntry, audits))
        if changed:
            session.execute(CHANGE, {"rows": msgspec.json.encode(changed).decode()})

    return Plan(change, faults, write)


MEMBERS = SheetKind(COLUMNS, ("email",), plan)
