"""Members by spreadsheet: whoever is new is invited, members and those invited get other roles or another limit."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import case, func, or_, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from shop.accounts import contacts
from shop.accounts.models import Membership, User
from shop.accounts.models_people import Channel, Invitation
from shop.accounts.service import inviting, managing_members
from shop.accounts.service.bulk import Fault, Plan, SheetKind, audit_rows, fault, without
from shop.actor import BUYER_ROLES, Actor, Role
from shop.audit.models import AuditEntry
from shop.db import insert_rows
from shop.errors import Forbidden
from shop.ids import new_id
from shop.notices import sms
from shop.outbox import service as outbox
from shop.outbox.models import Event
from shop.sheets.changes import diff
from shop.sheets.mapping import Column, ParsedRow

COLUMNS = (
    Column("contact", ("手机或邮箱", "Phone or e-mail"), required=True, min=3, max=200),
    Column("roles", ("角色", "Roles"), required=True),
    Column("order_limit_fen", ("单笔下单限额(元)", "Order limit (yuan)"), "fen", min=0),
)
ROLES = {
    "经办": Role.REQUESTER, "采购": Role.REQUESTER, "审批": Role.APPROVER, "财务": Role.FINANCE,
    "收货": Role.RECEIVER, "验收": Role.RECEIVER, "管理员": Role.MANAGER,
}  # fmt: skip
ROLES |= {role.value: role for role in BUYER_ROLES}
CHANGE = """
    UPDATE {table} t SET roles = c.roles, order_limit_fen = COALESCE(c.order_limit_fen, t.order_limit_fen)
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS c(id uuid, roles text[], order_limit_fen bigint)
    WHERE t.id = c.id
"""


def roles_in(words: str) -> list[str] | None:
    """The roles that a cell names, sorted; None when one is unknown."""
    found = [ROLES.get(word.strip().lower()) for word in re.split(r"[,，、;；/\s]+", words) if word.strip()]
    return sorted({role.value for role in found if role}) if found and all(found) else None


@dataclass(frozen=True)
class Known:
    """A member, or somebody whose invitation is open, by the row that holds what they may do."""

    table: str
    id: UUID
    user_id: UUID
    powers: dict[str, Any]


def known_by_contact(session: Session, by: Actor, found: set[str]) -> dict[str, Known]:
    """Who of these is a member of the actor's organisation already, or invited to be."""
    contact = case((User.phone.in_(found), User.phone), else_=User.email)
    reached = or_(User.phone.in_(found), User.email.in_(found))
    mine = Membership.organisation_id == by.organisation_id, Membership.ended_at.is_(None)
    members = (
        select(contact, Membership.id, User.id, Membership.roles, Membership.order_limit_fen)
        .join(Membership, Membership.user_id == User.id)
        .where(reached, *mine)
    )
    invited = (
        select(contact, Invitation.id, User.id, Invitation.roles, Invitation.order_limit_fen)
        .join(Invitation, Invitation.user_id == User.id)
        .where(reached, Invitation.organisation_id == by.organisation_id, inviting.still_open())
    )
    return {
        row[0]: Known(table, row[1], row[2], {"roles": sorted(row[3]), "order_limit_fen": row[4] or 0})
        for table, wanted in (("invitation", invited), ("membership", members))
        for row in session.execute(wanted)
    }


def plan(session: Session, by: Actor, rows: list[ParsedRow], now: datetime) -> Plan:
    """What the rows would do; it never tells whether somebody has an account who is no member here.

    Forbidden for a manager who is none any more when the managers, held from here on, are looked at.
    """
    if by.membership_id not in {one.id for one in managing_members.managers(session, [by.organisation_id])}:
        raise Forbidden
    faults: list[Fault] = []
    good: list[ParsedRow] = []
    seen: set[str] = set()
    for row in rows:
        contact, roles = contacts.contact_of(row.values["contact"]), roles_in(row.values["roles"])
        if contact is None:
            faults.append(fault(row, "contact", "not_a_contact"))
        if roles is None:
            faults.append(fault(row, "roles", "unknown_role"))
        if contact in seen:
            faults.append(fault(row, "contact", "contact_repeated"))
        seen.add(contact or "")
        powers: dict[str, Any] = {"roles": roles}
        if "order_limit_fen" in row.values:  # a file without the column says nothing of limits
            powers["order_limit_fen"] = row.values["order_limit_fen"] or 0
        good.append(ParsedRow(row.number, {"contact": contact, **powers}))
    good = without(good, faults)
    known = known_by_contact(session, by, {row.values["contact"] for row in good})
    no_regions: dict[str, Any] = {"regions": []}
    for row in good:
        found = known.get(row.values["contact"])
        if found is not None and found.user_id == by.user_id:
            if Role.MANAGER not in row.values["roles"]:
                faults.append(fault(row, "roles", "own_manager_role"))
            elif managing_members.raises(found.powers | no_regions, found.powers | row.values | no_regions):
                faults.append(fault(row, "roles", "own_powers"))
    if not sms.are_sent():
        faults += [
            fault(row, "contact", "no_text_messages")
            for row in without(good, faults)
            if row.values["contact"] not in known and contacts.is_phone(row.values["contact"])
        ]
    room = inviting.MOST_OPEN - inviting.open_in(session, by.organisation_id)
    strangers = [row for row in without(good, faults) if row.values["contact"] not in known]
    faults += [fault(row, "contact", "too_many_invitations") for row in strangers[max(room, 0) :]]
    good = without(good, faults)
    existing = {
        row.values["contact"]: known[row.values["contact"]].powers for row in good if row.values["contact"] in known
    }
    change = diff(existing, good, key=("contact",))
    wanted = {row.values["contact"]: row.values for row in good}

    def write() -> None:
        invite(session, by, [row.values for row in change.added], now)
        changed = [(known[str(one.key)], wanted[str(one.key)]) for one in change.changed]
        for table in ("membership", "invitation"):
            values = [
                {"id": found.id, "roles": row["roles"], "order_limit_fen": row.get("order_limit_fen")}
                for found, row in changed
                if found.table == table
            ]
            if values:
                session.execute(text(CHANGE.format(table=table)), {"rows": msgspec.json.encode(values).decode()})
                said = {
                    found.id: {
                        "before": {name: found.powers[name] for name in row if name in found.powers},
                        "after": {name: row[name] for name in row if name in found.powers},
                    }
                    for found, row in changed
                    if found.table == table
                }
                audits = audit_rows(by, table, {row["id"]: "change" for row in values}, now, said)
                insert_rows(session, (AuditEntry, audits))

    return Plan(change, faults, write)


def invite(session: Session, by: Actor, wanted: Sequence[Mapping[str, Any]], now: datetime) -> None:
    """Invite many at once; whoever was invited meanwhile is left as they are."""
    if not wanted:
        return
    inviting.withdraw_expired(session, by.organisation_id)
    people = inviting.people_with(session, [row["contact"] for row in wanted])
    made = session.scalars(
        upsert(Invitation)
        .values(
            [
                {
                    "id": new_id(),
                    "organisation_id": by.organisation_id,
                    "user_id": people[row["contact"]],
                    "inviter_id": by.membership_id,
                    "channel": Channel.TEXT if contacts.is_phone(row["contact"]) else Channel.MAIL,
                    "roles": row["roles"],
                    "regions": [],
                    "order_limit_fen": row.get("order_limit_fen"),
                    "expires_at": func.clock_timestamp() + inviting.INVITATION_LIFE,
                }
                for row in wanted
            ]
        )
        .on_conflict_do_nothing()
        .returning(Invitation.id)
    ).all()
    audits = audit_rows(by, "invitation", dict.fromkeys(made, "invite"), now)
    events = [outbox.row_of("person.invited", now=now, invitation_id=invitation_id) for invitation_id in made]
    insert_rows(session, (AuditEntry, audits), (Event, events))


MEMBERS = SheetKind(COLUMNS, ("contact",), plan)
