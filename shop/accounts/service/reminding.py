"""Remind units of filings that are due: 30 and 7 days before the deadline and once it has passed, once each."""

from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from shop.accounts.models_quotas import COUNTED
from shop.clock import business_day
from shop.db import insert_rows
from shop.outbox import service as outbox
from shop.outbox.models import Event

BATCH = 500
REMIND = text(
    """
    WITH due AS (
        SELECT u.id, u.organisation_id, d.year, d.due_on,
               CASE WHEN :on > d.due_on THEN 'overdue' WHEN :on >= d.due_on - 7 THEN 'days_7' ELSE 'days_30' END AS mark
        FROM quota_deadline d
        JOIN budget_unit u ON u.finance_level = d.finance_level AND u.status = 'open' AND u.opened_on <= d.due_on
        JOIN organisation o ON o.id = u.organisation_id AND o.status = 'active'
            AND o.kind NOT IN ('enterprise', 'trade_union')
        WHERE :on >= d.due_on - 30 AND :on <= d.due_on + 365
          AND NOT EXISTS (
              SELECT FROM quota_filing f WHERE f.unit_id = u.id AND f.year = d.year AND f.status = ANY(:counted)
          )
    ), told AS (
        INSERT INTO quota_reminder (unit_id, year, mark, at)
        SELECT id, year, mark, :now FROM due
        WHERE NOT EXISTS (
            SELECT FROM quota_reminder r WHERE r.unit_id = due.id AND r.year = due.year AND r.mark = due.mark
        )
        ORDER BY due_on, id LIMIT :batch
        ON CONFLICT DO NOTHING
        RETURNING unit_id, year, mark
    )
    SELECT told.unit_id, told.year, told.mark, due.organisation_id, due.due_on
    FROM told JOIN due ON due.id = told.unit_id AND due.year = told.year
    """
)


def remind(session: Session, *, now: datetime) -> int:
    """Announce `quota.due` for units that have not filed, a batch at a time; gives how many.

    Asked of the database open-ended: a sweep that was missed tells at the next one the mark that then holds. A year
    after the deadline it is no longer asked for. Only institutions file, not the caterers and unions that buy for them.
    """
    today: date = business_day(now)
    rows = session.execute(
        REMIND, {"on": today, "now": now, "counted": [str(status) for status in COUNTED], "batch": BATCH}
    ).all()
    events = [
        outbox.row_of(
            "quota.due",
            now=now,
            seen_by=[row.organisation_id],
            unit_id=row.unit_id,
            year=row.year,
            mark=row.mark,
            due_on=row.due_on.isoformat(),
        )
        for row in rows
    ]
    insert_rows(session, (Event, events))
    return len(rows)
