"""payment times: how long money may take by dated rules, an extension asked for once, vouchers of transfers"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_security import guard, owned
from shop.ids import new_id

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None

INSTANT = postgresql.TIMESTAMP(timezone=True)
RULES_SINCE = "1996-01-01"
DAY = 24 * 60
RULES = (("payment", 30 * DAY), ("extension", 15 * DAY), ("notice", 30 * DAY), ("voucher", 3 * DAY))
KINDS = "kind IN ('bank_transfer', 'stripe', 'choice', 'wait', 'payment', 'extension', 'notice', 'voucher')"


def upgrade() -> None:
    op.drop_constraint(op.f("ck_hold_rule_kind"), "hold_rule")
    op.create_check_constraint(op.f("ck_hold_rule_kind"), "hold_rule", KINDS)
    for kind, minutes in RULES:
        op.get_bind().execute(
            sa.text(
                "INSERT INTO hold_rule (id, kind, minutes, source, valid)"
                " VALUES (:id, :kind, :minutes, '平台规则', daterange(CAST(:since AS date), NULL))"
            ),
            {"id": new_id(), "kind": kind, "minutes": minutes, "since": RULES_SINCE},
        )
    op.alter_column("supplier_order", "pay_before", nullable=True)
    op.create_table(
        "payment_extension",
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("buyer_id", sa.Uuid(), nullable=False),
        sa.Column("by_user_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("minutes", sa.BigInteger(), nullable=False),
        sa.Column("pay_before", INSTANT, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["purchase_order.id"], name=op.f("fk_payment_extension_order_id")),
        sa.PrimaryKeyConstraint("order_id", name=op.f("pk_payment_extension")),
    )
    op.create_table(
        "transfer_voucher",
        sa.Column("charge_id", sa.Uuid(), nullable=False),
        sa.Column("buyer_id", sa.Uuid(), nullable=False),
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.Column("by_user_id", sa.Uuid(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["charge_id"], ["charge.id"], name=op.f("fk_transfer_voucher_charge_id")),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_transfer_voucher_file_id")),
        sa.PrimaryKeyConstraint("charge_id", name=op.f("pk_transfer_voucher")),
    )
    op.create_index("ix_transfer_voucher_file", "transfer_voucher", ["file_id"])
    for table in ("payment_extension", "transfer_voucher"):
        op.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM shop_app")
        guard(table, owned("buyer_id"))


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
