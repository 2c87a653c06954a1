"""recalls: what is held, whom it reached, what was done; packed orders may be unpacked, shipments halted"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_security import belongs, guard, owned

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

INSTANT = postgresql.TIMESTAMP(timezone=True)
CHECKS = (
    ("supply", "adds_up", "promised = open + stopped + held + bound + withdrawn"),
    ("supply", "not_negative", "open >= 0 AND stopped >= 0 AND held >= 0 AND bound >= 0 AND withdrawn >= 0"),
    ("supply", "recalls", "recalls >= 0 AND CASE recalls WHEN 0 THEN stopped = 0 ELSE open = 0 END"),
    ("lot", "recalls", "recalls >= 0"),
    ("shipment", "status", "status IN ('in_transit', 'delivered', 'halted')"),
)
UNPACKING = """
DO $$
DECLARE
    was text := pg_get_functiondef('supplier_order_moves'::regproc);
    known text := '(''packed'', ''shipped'')';
BEGIN
    IF strpos(was, known) = 0 THEN
        RAISE EXCEPTION 'supplier_order_moves lists no move from packed to shipped';
    END IF;
    EXECUTE replace(was, known, known || ', (''packed'', ''accepted'')');
END $$
"""
"""One more move in whatever table of moves the database keeps: the others stay as they are."""


def upgrade() -> None:
    for table, column in (("lot", "recalls"), ("supply", "stopped"), ("supply", "recalls")):
        op.add_column(table, sa.Column(column, sa.BigInteger(), server_default="0", nullable=False))
    for table, name, rule in CHECKS:
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS ck_{table}_{name}")
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT ck_{table}_{name} CHECK ({rule})")
    op.create_index("ix_lot_harvest", "lot", ["product_id", "harvested_on"], unique=False)
    make_tables()
    op.execute(UNPACKING)
    reached = "EXISTS (SELECT 1 FROM recall_line l WHERE l.recall_id = recall.id)"
    guard("recall_line", owned("buyer_id"), owned("cooperative_id"))
    guard("recall", owned("cooperative_id"), owned("ordered_by_id"), reached)
    for table in ("recall_lot", "recall_supply"):
        guard(table, belongs(table, "recall_id", "recall"))


def make_tables() -> None:
    op.create_table(
        "recall",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("cooperative_id", sa.Uuid(), nullable=False),
        sa.Column("ordered_by_id", sa.Uuid(), nullable=False),
        sa.Column("by_user_id", sa.Uuid(), nullable=False),
        sa.Column("harvested_from", sa.Date(), nullable=True),
        sa.Column("harvested_to", sa.Date(), nullable=True),
        sa.Column("supply_from", sa.Date(), nullable=True),
        sa.Column("supply_to", sa.Date(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("ordered_at", INSTANT, nullable=False),
        sa.Column("released_at", INSTANT, nullable=True),
        sa.Column("release_reason", sa.Text(), nullable=True),
        sa.CheckConstraint("(status = 'released') = (released_at IS NOT NULL)", name=op.f("ck_recall_released")),
        sa.CheckConstraint("status IN ('open', 'released')", name=op.f("ck_recall_status")),
        sa.CheckConstraint(
            "(harvested_from IS NULL) = (harvested_to IS NULL) AND harvested_to > harvested_from",
            name=op.f("ck_recall_harvest"),
        ),
        sa.CheckConstraint("(supply_from IS NULL) = (supply_to IS NULL)", name=op.f("ck_recall_supply")),
        sa.ForeignKeyConstraint(["cooperative_id"], ["organisation.id"], name=op.f("fk_recall_cooperative_id")),
        sa.ForeignKeyConstraint(["ordered_by_id"], ["organisation.id"], name=op.f("fk_recall_ordered_by_id")),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("fk_recall_product_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recall")),
    )
    op.create_index("ix_recall_cooperative", "recall", ["cooperative_id", "id"], unique=False)
    op.create_index(op.f("ix_recall_ordered_by_id"), "recall", ["ordered_by_id"], unique=False)
    op.create_index(
        "ix_recall_product_open", "recall", ["product_id"], unique=False, postgresql_where=sa.text("status = 'open'")
    )
    op.create_table(
        "recall_line",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recall_id", sa.Uuid(), nullable=False),
        sa.Column("lot_id", sa.Uuid(), nullable=False),
        sa.Column("line_id", sa.Uuid(), nullable=False),
        sa.Column("buyer_id", sa.Uuid(), nullable=False),
        sa.Column("cooperative_id", sa.Uuid(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("shipped", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("outcome_at", INSTANT, nullable=True),
        sa.Column("told_at", INSTANT, nullable=True),
        sa.CheckConstraint("outcome IN ('unpacked', 'halted', 'delivered')", name=op.f("ck_recall_line_outcome")),
        sa.CheckConstraint("(outcome IS NULL) = (outcome_at IS NULL)", name=op.f("ck_recall_line_outcome_at")),
        sa.CheckConstraint("quantity > 0 AND shipped BETWEEN 0 AND quantity", name=op.f("ck_recall_line_quantity")),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name=op.f("fk_recall_line_lot_id")),
        sa.ForeignKeyConstraint(["recall_id"], ["recall.id"], name=op.f("fk_recall_line_recall_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recall_line")),
        sa.UniqueConstraint("recall_id", "lot_id", "line_id", name=op.f("uq_recall_line_recall_id_lot_id_line_id")),
    )
    op.create_index("ix_recall_line_buyer", "recall_line", ["buyer_id", "recall_id"], unique=False)
    op.create_index("ix_recall_line_line", "recall_line", ["line_id"], unique=False)
    op.create_index(
        "ix_recall_line_waiting",
        "recall_line",
        ["recall_id", "line_id"],
        unique=False,
        postgresql_where=sa.text("outcome IS NULL"),
    )
    for table, of in (("recall_lot", "lot"), ("recall_supply", "supply")):
        op.create_table(
            table,
            sa.Column("recall_id", sa.Uuid(), nullable=False),
            sa.Column(f"{of}_id", sa.Uuid(), nullable=False),
            sa.Column("at", INSTANT, nullable=False),
            sa.ForeignKeyConstraint([f"{of}_id"], [f"{of}.id"], name=op.f(f"fk_{table}_{of}_id")),
            sa.ForeignKeyConstraint(["recall_id"], ["recall.id"], name=op.f(f"fk_{table}_recall_id")),
            sa.PrimaryKeyConstraint("recall_id", f"{of}_id", name=op.f(f"pk_{table}")),
        )
        op.create_index(op.f(f"ix_{table}_{of}_id"), table, [f"{of}_id"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
