"""time rules of orders: how long whoever's turn it is may take, what is due, and acceptance by silence

What waits already gets its time from today on. The column of facts has a constant default, so no row is rewritten.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_security import belongs, guard
from shop.ids import new_id

revision = "0038"
down_revision = "0034"
branch_labels = None
depends_on = None

INSTANT = postgresql.TIMESTAMP(timezone=True)
RULES_SINCE = "1996-01-01"
RULES = (  # what the platform begins with: hours, reminded so long before, over after so long
    ("confirmation", "", 48, 24, 120),
    ("shipment", "", 168, None, None),
    ("acceptance", "ambient", 168, 24, 168),
    ("acceptance", "chilled", 48, 24, 48),
    ("acceptance", "frozen", 48, 24, 48),
)
WAITING = {"confirmation": "'confirmed'", "shipment": "'accepted', 'packed'", "acceptance": "'delivered'"}


def upgrade() -> None:
    op.create_table(
        "order_time_rule",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("waits_for", sa.Text(), nullable=False),
        sa.Column("storage", sa.Text(), server_default="", nullable=False),
        sa.Column("hours", sa.BigInteger(), nullable=False),
        sa.Column("remind_hours", sa.BigInteger(), nullable=True),
        sa.Column("lapse_hours", sa.BigInteger(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("valid", postgresql.DATERANGE(), nullable=False),
        postgresql.ExcludeConstraint(
            (sa.column("waits_for"), "="),
            (sa.column("storage"), "="),
            (sa.column("valid"), "&&"),
            using="gist",
            name="ex_order_time_rule_one_at_a_time",
        ),
        sa.CheckConstraint(
            "waits_for IN ('confirmation', 'shipment', 'acceptance')", name=op.f("ck_order_time_rule_waits_for")
        ),
        sa.CheckConstraint("storage IN ('', 'ambient', 'chilled', 'frozen')", name=op.f("ck_order_time_rule_storage")),
        sa.CheckConstraint(
            "hours BETWEEN 1 AND 8760 AND remind_hours BETWEEN 1 AND hours - 1 AND lapse_hours BETWEEN hours AND 8760",
            name=op.f("ck_order_time_rule_hours"),
        ),
        sa.CheckConstraint("waits_for <> 'shipment' OR lapse_hours IS NULL", name=op.f("ck_order_time_rule_shipment")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_time_rule")),
    )
    op.create_table(
        "order_due",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("supplier_order_id", sa.Uuid(), nullable=False),
        sa.Column("waits_for", sa.Text(), nullable=False),
        sa.Column("began_at", INSTANT, nullable=False),
        sa.Column("due_at", INSTANT, nullable=False),
        sa.Column("lapse_at", INSTANT, nullable=True),
        sa.Column("next_step", sa.Text(), nullable=True),
        sa.Column("next_at", INSTANT, nullable=True),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.CheckConstraint(
            "waits_for IN ('confirmation', 'shipment', 'acceptance')", name=op.f("ck_order_due_waits_for")
        ),
        sa.CheckConstraint("next_step IN ('remind', 'overdue', 'lapse')", name=op.f("ck_order_due_next_step")),
        sa.CheckConstraint("(next_step IS NULL) = (next_at IS NULL)", name=op.f("ck_order_due_next")),
        sa.CheckConstraint("ended_at IS NULL OR next_step IS NULL", name=op.f("ck_order_due_ended")),
        sa.ForeignKeyConstraint(
            ["supplier_order_id"], ["supplier_order.id"], name=op.f("fk_order_due_supplier_order_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_due")),
        sa.UniqueConstraint("supplier_order_id", "waits_for", name=op.f("uq_order_due_supplier_order_id_waits_for")),
    )
    op.create_index(
        "ix_order_due_told", "order_due", ["next_at"], unique=False,
        postgresql_where=sa.text("next_step IN ('remind', 'overdue')"),
    )  # fmt: skip
    op.create_index(
        "ix_order_due_lapse", "order_due", ["next_at", "id"], unique=False,
        postgresql_where=sa.text("next_step = 'lapse'"),
    )  # fmt: skip
    op.execute("REVOKE DELETE, TRUNCATE ON order_due FROM shop_app")
    guard("order_due", belongs("order_due", "supplier_order_id", "supplier_order"))
    for table in ("acceptance", "acceptance_line", "fact"):
        op.add_column(table, sa.Column("silent", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    fill()


def fill() -> None:
    """The first rules, and by them the times of what waits already."""
    connection = op.get_bind()
    for waits_for, storage, hours, remind, lapse in RULES:
        connection.execute(
            sa.text(
                "INSERT INTO order_time_rule (id, waits_for, storage, hours, remind_hours, lapse_hours, source, valid)"
                " VALUES (:id, :waits_for, :storage, :hours, :remind, :lapse, :source,"
                " daterange(CAST(:since AS date), NULL))"
            ),
            {
                "id": new_id(), "waits_for": waits_for, "storage": storage, "hours": hours, "remind": remind,
                "lapse": lapse, "source": "平台规则", "since": RULES_SINCE,
            },
        )  # fmt: skip
    for waits_for, statuses in WAITING.items():
        connection.execute(
            sa.text(
                f"""
                INSERT INTO order_due (id, supplier_order_id, waits_for, began_at, due_at, lapse_at, next_step, next_at)
                SELECT gen_random_uuid(), s.id, r.waits_for, c.at, c.at + r.hours * interval '1 hour',
                       c.at + r.lapse_hours * interval '1 hour',
                       CASE WHEN r.remind_hours IS NULL THEN 'overdue' ELSE 'remind' END,
                       c.at + (r.hours - COALESCE(r.remind_hours, 0)) * interval '1 hour'
                FROM supplier_order s
                CROSS JOIN (SELECT clock_timestamp() + offset_us * interval '1 microsecond' AS at FROM business_clock) c
                JOIN LATERAL (
                    SELECT * FROM order_time_rule r WHERE r.waits_for = :waits_for AND (r.storage = '' OR r.storage IN (
                        SELECT p.storage FROM order_line l JOIN product p ON p.id = l.product_id
                        WHERE l.supplier_order_id = s.id))
                    ORDER BY r.hours LIMIT 1
                ) r ON true
                WHERE s.status IN ({statuses})
                """  # noqa: S608 - words that stand above
            ),
            {"waits_for": waits_for},
        )


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
