"""changes of a supplier order before it is accepted: proposed by one side, agreed to by the other, by a time"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_security import belongs, guard
from shop.ids import new_id

revision = "0050"
down_revision = "0049"
branch_labels = None
depends_on = None

INSTANT = postgresql.TIMESTAMP(timezone=True)
RULES_SINCE = "1996-01-01"
KINDS = "waits_for IN ('confirmation', 'shipment', 'acceptance', 'signature', 'claim', 'defence', 'change')"


def upgrade() -> None:
    op.create_table(
        "order_change",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("supplier_order_id", sa.Uuid(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("goods_fen_before", sa.BigInteger(), nullable=False),
        sa.Column("goods_fen", sa.BigInteger(), nullable=False),
        sa.Column("freight_fen_before", sa.BigInteger(), nullable=False),
        sa.Column("freight_fen", sa.BigInteger(), nullable=False),
        sa.Column("proposed_by", sa.Uuid(), nullable=False),
        sa.Column("proposed_at", INSTANT, nullable=False),
        sa.Column("answer_by", INSTANT, nullable=True),
        sa.Column("ended_by", sa.Uuid(), nullable=True),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.CheckConstraint("side IN ('buyer', 'cooperative')", name=op.f("ck_order_change_side")),
        sa.CheckConstraint(
            "status IN ('open', 'agreed', 'refused', 'withdrawn', 'lapsed', 'void')",
            name=op.f("ck_order_change_status"),
        ),
        sa.CheckConstraint("(status = 'open') = (ended_at IS NULL)", name=op.f("ck_order_change_ended")),
        sa.CheckConstraint(
            "goods_fen > 0 AND goods_fen <= goods_fen_before AND freight_fen >= 0"
            " AND goods_fen + freight_fen <= goods_fen_before + freight_fen_before",
            name=op.f("ck_order_change_never_dearer"),
        ),
        sa.ForeignKeyConstraint(
            ["supplier_order_id"], ["supplier_order.id"], name=op.f("fk_order_change_supplier_order_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_change")),
    )
    op.create_index(
        "ix_order_change_open", "order_change", ["supplier_order_id"], unique=True,
        postgresql_where=sa.text("status = 'open'"),
    )  # fmt: skip
    op.create_index("ix_order_change_order", "order_change", ["supplier_order_id", "id"])
    op.create_index("ix_order_change_due", "order_change", ["answer_by"], postgresql_where=sa.text("status = 'open'"))
    op.create_table(
        "order_change_line",
        sa.Column("change_id", sa.Uuid(), nullable=False),
        sa.Column("line_id", sa.Uuid(), nullable=False),
        sa.Column("packs_before", sa.BigInteger(), nullable=False),
        sa.Column("packs", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("packs >= 0 AND packs < packs_before", name=op.f("ck_order_change_line_fewer")),
        sa.ForeignKeyConstraint(["change_id"], ["order_change.id"], name=op.f("fk_order_change_line_change_id")),
        sa.ForeignKeyConstraint(["line_id"], ["order_line.id"], name=op.f("fk_order_change_line_line_id")),
        sa.PrimaryKeyConstraint("change_id", "line_id", name=op.f("pk_order_change_line")),
    )
    op.create_index("ix_order_change_line_line", "order_change_line", ["line_id"])
    op.execute("REVOKE DELETE, TRUNCATE ON order_change FROM shop_app")
    op.execute("REVOKE UPDATE, DELETE, TRUNCATE ON order_change_line FROM shop_app")
    guard("order_change", belongs("order_change", "supplier_order_id", "supplier_order"))
    guard("order_change_line", belongs("order_change_line", "change_id", "order_change"))
    op.add_column("supplier_order", sa.Column("agreed_freight_fen", sa.BigInteger(), nullable=True))
    op.create_check_constraint(
        op.f("ck_supplier_order_agreed_freight"),
        "supplier_order",
        "agreed_freight_fen >= 0 AND agreed_freight_fen <= goods_fen + freight_fen",
    )
    op.drop_constraint(op.f("ck_order_time_rule_waits_for"), "order_time_rule")
    op.create_check_constraint(op.f("ck_order_time_rule_waits_for"), "order_time_rule", KINDS)
    op.get_bind().execute(
        sa.text(
            "INSERT INTO order_time_rule (id, waits_for, storage, hours, source, valid)"
            " VALUES (:id, 'change', '', 48, '平台规则', daterange(CAST(:since AS date), NULL))"
        ),
        {"id": new_id(), "since": RULES_SINCE},
    )


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
