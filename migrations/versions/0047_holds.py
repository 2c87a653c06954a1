"""holds that lapse: dated rules, until when each part holds its supply, the buyer's choice when it is gone

What is placed to be paid first and waits for its money holds its supply as for a transfer, from today on.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_security import belongs, guard
from shop.ids import new_id

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None

INSTANT = postgresql.TIMESTAMP(timezone=True)
RULES_SINCE = "1996-01-01"
RULES = (("bank_transfer", 72 * 60), ("stripe", 30), ("choice", 72 * 60), ("wait", 30 * 24 * 60))


def upgrade() -> None:
    op.create_table(
        "hold_rule",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("minutes", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("valid", postgresql.DATERANGE(), nullable=False),
        postgresql.ExcludeConstraint(
            (sa.column("kind"), "="), (sa.column("valid"), "&&"), using="gist", name="ex_hold_rule_one_at_a_time"
        ),
        sa.CheckConstraint("kind IN ('bank_transfer', 'stripe', 'choice', 'wait')", name=op.f("ck_hold_rule_kind")),
        sa.CheckConstraint("minutes BETWEEN 5 AND 129600", name=op.f("ck_hold_rule_minutes")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hold_rule")),
    )
    op.create_table(
        "supply_choice",
        sa.Column("supplier_order_id", sa.Uuid(), nullable=False),
        sa.Column("opened_at", INSTANT, nullable=False),
        sa.Column("decide_by", INSTANT, nullable=False),
        sa.Column("chosen", sa.Text(), nullable=True),
        sa.Column("chosen_by", sa.Uuid(), nullable=True),
        sa.Column("chosen_at", INSTANT, nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.CheckConstraint("chosen IN ('wait', 'refund')", name=op.f("ck_supply_choice_chosen")),
        sa.CheckConstraint("outcome IN ('filled', 'refunded')", name=op.f("ck_supply_choice_outcome")),
        sa.CheckConstraint("(ended_at IS NULL) = (outcome IS NULL)", name=op.f("ck_supply_choice_ended")),
        sa.ForeignKeyConstraint(
            ["supplier_order_id"], ["supplier_order.id"], name=op.f("fk_supply_choice_supplier_order_id")
        ),
        sa.PrimaryKeyConstraint("supplier_order_id", name=op.f("pk_supply_choice")),
    )
    op.create_index(
        "ix_supply_choice_due",
        "supply_choice",
        ["decide_by"],
        unique=False,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index(
        "ix_supply_choice_waiting", "supply_choice", ["opened_at", "supplier_order_id"], unique=False,
        postgresql_where=sa.text("ended_at IS NULL AND chosen = 'wait'"),
    )  # fmt: skip
    op.execute("REVOKE DELETE, TRUNCATE ON supply_choice FROM shop_app")
    guard("supply_choice", belongs("supply_choice", "supplier_order_id", "supplier_order"))
    op.add_column("supplier_order", sa.Column("held_until", INSTANT, nullable=True))
    op.add_column(
        "supplier_order", sa.Column("supply_held", sa.Boolean(), server_default=sa.text("true"), nullable=False)
    )
    op.create_check_constraint(
        op.f("ck_supplier_order_supply_held"),
        "supplier_order",
        "supply_held OR status IN ('placed', 'cancelled')",
    )
    op.create_index(
        "ix_supplier_order_held", "supplier_order", ["held_until"], unique=False,
        postgresql_where=sa.text("status = 'placed' AND supply_held AND held_until IS NOT NULL"),
    )  # fmt: skip
    fill()


def fill() -> None:
    """The first rules, and by them the holds of what waits for its money."""
    connection = op.get_bind()
    for kind, minutes in RULES:
        connection.execute(
            sa.text(
                "INSERT INTO hold_rule (id, kind, minutes, source, valid)"
                " VALUES (:id, :kind, :minutes, '平台规则', daterange(CAST(:since AS date), NULL))"
            ),
            {"id": new_id(), "kind": kind, "minutes": minutes, "since": RULES_SINCE},
        )
    connection.execute(
        sa.text(
            "UPDATE supplier_order s SET held_until = c.at + interval '72 hours' FROM purchase_order o,"
            " (SELECT clock_timestamp() + offset_us * interval '1 microsecond' AS at FROM business_clock) c"
            " WHERE o.id = s.order_id AND o.terms = 'prepaid' AND s.status = 'placed'"
        )
    )


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
