"""What the kinds of spreadsheets share: a plan of what a file would do, its errors by cell, and how it is written."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from shop.actor import Actor
from shop.audit import service as audit
from shop.outbox import service as outbox
from shop.sheets.changes import Change
from shop.sheets.mapping import Column, ParsedRow

Word = tuple[str, str]

WORDS: dict[str, Word] = {
    "not_a_contact": ("不是手机号码或邮箱", "This is neither a mobile phone nor an e-mail"),
    "contact_repeated": ("同一文件中手机或邮箱重复", "This phone or e-mail is on another row"),
    "no_text_messages": ("本平台未开通短信，请改用邮箱", "No text messages are sent here; give an e-mail"),
    "too_many_invitations": ("未接受的邀请过多", "Too many invitations are open"),
    "own_powers": ("不能提升自己的角色或额度", "Nobody raises the own roles or limit"),
    "unknown_role": ("不认识的角色", "An unknown role"),
    "own_manager_role": ("不能取消自己的管理员角色", "You cannot take your own manager's role away"),
    "unknown_division": ("没有该区划代码", "No division has this code"),
    "unknown_unit": ("没有该编码的预算单位", "No unit of yours has this code"),
    "ambiguous_unit": ("有多个预算单位使用该编码", "Several units have this code"),
    "year_too_far": ("最多可填报下一年度", "Quotas are filed for this year and the next at most"),
    "level_differs": ("财政级次与预算区划不符", "The finance level is not that of the funding division"),
    "unit_closed": ("该预算单位已停用", "This unit is closed"),
    "unit_cycle": ("上级单位不能是自己的下级", "A unit cannot stand below itself"),
    "unit_too_deep": ("层级过深", "The tree would be too deep"),
    "other_tree": ("其他单位的预算单位只能在本树内调整", "A unit of another organisation moves within its tree only"),
    "parent_wrong": ("上级单位所在行有误", "The row of the unit above is wrong"),
}
"""The words of the errors that only the shop can see, in Chinese and English; a refusal brings its own."""


@dataclass(frozen=True)
class Fault:
    """What is wrong with a row that could be read: its column, a stable code, and the words."""

    row: int
    column: str
    code: str
    zh: str
    en: str


def fault(row: ParsedRow, column: str, code: str) -> Fault:
    return Fault(row.number, column, code, *WORDS[code])


@dataclass
class Plan:
    """What the good rows would do; `write` does it. A row with a fault is in none of the changes."""

    change: Change
    faults: list[Fault] = field(default_factory=list)
    write: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class SheetKind:
    """One kind of spreadsheet: its columns, what may not repeat, and how its rows become a plan."""

    columns: Sequence[Column]
    key: Sequence[str]
    plan: Callable[[Session, Actor, list[ParsedRow], datetime], Plan]


def audit_rows(
    by: Actor,
    kind: str,
    done: Mapping[UUID, str],
    now: datetime,
    said: Mapping[UUID, Mapping[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    """The audit entries of many rows, for one insert; `done` says for each id what was done, `said` what it changed."""
    return [
        audit.row_of(
            by=by, action=action, kind=kind, subject=subject, now=now, bulk=True, **(said or {}).get(subject, {})
        )
        for subject, action in done.items()
    ]


def before_and_after(fields: Mapping[str, tuple[Any, Any]]) -> dict[str, dict[str, Any]]:
    """What a row's change says in the audit trail."""
    return {
        "before": {name: outbox.plain(was) for name, (was, _) in fields.items()},
        "after": {name: outbox.plain(then) for name, (_, then) in fields.items()},
    }


def without(rows: list[ParsedRow], faults: list[Fault]) -> list[ParsedRow]:
    """The rows that have no fault."""
    bad = {one.row for one in faults}
    return [row for row in rows if row.number not in bad]
