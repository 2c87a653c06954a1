"""What is due of a supplier order begins and ends with its moves, in their commit."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from shop.clock import business_day
from shop.ids import new_id
from shop.orders.models import Status
from shop.orders.models_times import WAITING, Waits

FOLLOW = text(
    """
    WITH ended AS (
        UPDATE order_due SET next_step = NULL, next_at = NULL, ended_at = :now
        WHERE supplier_order_id = :part AND waits_for = ANY(CAST(:ends AS text[])) AND ended_at IS NULL
    ), rule AS (
        SELECT CAST(:now AS timestamptz) + r.hours * interval '1 hour' AS due_at,
               CAST(:now AS timestamptz) + r.lapse_hours * interval '1 hour' AS lapse_at,
               CAST(:now AS timestamptz) + (r.hours - r.remind_hours) * interval '1 hour' AS remind_at
        FROM order_time_rule r
        WHERE r.waits_for = CAST(:begins AS text) AND r.valid @> CAST(:day AS date)
          AND (r.storage = '' OR r.storage IN (
            SELECT p.storage FROM order_line l JOIN product p ON p.id = l.product_id WHERE l.supplier_order_id = :part))
        ORDER BY r.hours, r.lapse_hours LIMIT 1
    )
    INSERT INTO order_due (id, supplier_order_id, waits_for, began_at, due_at, lapse_at, next_step, next_at)
    SELECT :id, :part, :begins, :now, due_at, lapse_at,
           CASE WHEN remind_at IS NOT NULL THEN 'remind'
                WHEN due_at IS DISTINCT FROM lapse_at THEN 'overdue' ELSE 'lapse' END,
           COALESCE(remind_at, due_at)
    FROM rule
    ON CONFLICT (supplier_order_id, waits_for) DO NOTHING
    """
)


def follow(session: Session, *, supplier_order_id: UUID, was: str, to: Status, now: datetime) -> None:
    """End what the move answers, and begin what is waited for from here on, by the rule of today; one statement."""
    ends = [waits for waits, statuses in WAITING.items() if was in statuses and to not in statuses]
    begins = [waits for waits, statuses in WAITING.items() if to in statuses and was not in statuses]
    if ends or begins:
        session.execute(
            FOLLOW,
            {
                "id": new_id(), "part": supplier_order_id, "ends": ends, "begins": begins[0] if begins else None,
                "now": now, "day": business_day(now),
            },
        )  # fmt: skip


HOURS = text(
    """
    SELECT r.hours FROM order_time_rule r
    WHERE r.waits_for = :waits AND r.valid @> CAST(:day AS date)
      AND (r.storage = '' OR r.storage IN (
        SELECT p.storage FROM order_line l JOIN product p ON p.id = l.product_id WHERE l.supplier_order_id = :part))
    ORDER BY r.hours LIMIT 1
    """
)


def hours_for(session: Session, waits: Waits, *, supplier_order_id: UUID, now: datetime) -> int | None:
    """The hours that the rule of today gives for goods of a supplier order; None without one."""
    said = {"waits": waits, "part": supplier_order_id, "day": business_day(now)}
    hours: int | None = session.scalar(HOURS, said)
    return hours
