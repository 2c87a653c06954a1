"""lots: places, transfers, write-offs and stock takes as typed movements; how long goods have to keep on delivery"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_security import belongs, guard, owned

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

INSTANT = postgresql.TIMESTAMP(timezone=True)
KINDS = (
    "received", "bound", "unbound", "shipped", "lost", "written_off", "transferred_out", "transferred_in",
    "counted_more", "counted_less",
)  # fmt: skip
CHECKS = (
    ("lot", "adds_up", "received + gained = in_store + bound + shipped + lost + transferred"),
    (
        "lot",
        "not_negative",
        "received >= 0 AND gained >= 0 AND in_store >= 0 AND bound >= 0 AND shipped >= 0 AND lost >= 0",
    ),
    ("lot", "elsewhere", "origin_id IS NULL OR received = 0"),
    ("movement", "kind", f"kind IN ({', '.join(repr(kind) for kind in KINDS)})"),
    ("order_line", "min_shelf_life", "min_shelf_life_days > 0"),
)
APPEND_ONLY = ("stock_take", "stock_take_line")


def upgrade() -> None:
    make_tables()
    for column in ("gained", "transferred"):
        op.add_column("lot", sa.Column(column, sa.BigInteger(), server_default="0", nullable=False))
    for column, of in (("location_id", "location"), ("origin_id", "lot")):
        op.add_column("lot", sa.Column(column, sa.Uuid(), nullable=True))
        op.create_foreign_key(op.f(f"fk_lot_{column}"), "lot", of, [column], ["id"])
    op.drop_constraint(op.f("uq_lot_cooperative_id_code"), "lot", type_="unique")
    op.create_index(
        "uq_lot_cooperative_id_code",
        "lot",
        ["cooperative_id", "code"],
        unique=True,
        postgresql_where=sa.text("origin_id IS NULL"),
    )
    op.create_unique_constraint(op.f("uq_lot_origin_id_location_id"), "lot", ["origin_id", "location_id"])
    for column in ("other_lot_id", "stock_take_id", "by_user_id"):
        op.add_column("movement", sa.Column(column, sa.Uuid(), nullable=True))
    for column in ("reason", "note"):
        op.add_column("movement", sa.Column(column, sa.Text(), nullable=True))
    op.add_column("order_line", sa.Column("min_shelf_life_days", sa.BigInteger(), nullable=True))
    for table, name, rule in CHECKS:
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS ck_{table}_{name}")
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT ck_{table}_{name} CHECK ({rule})")
    guard("stock_take", owned("cooperative_id"))
    guard("stock_take_line", belongs("stock_take_line", "stock_take_id", "stock_take"))
    for table in APPEND_ONLY:
        op.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM shop_app")
        for name, moment in (("append_only", "UPDATE OR DELETE"), ("no_truncate", "TRUNCATE")):
            each = "STATEMENT" if moment == "TRUNCATE" else "ROW"
            op.execute(
                f"CREATE TRIGGER {name} BEFORE {moment} ON {table} FOR EACH {each} EXECUTE FUNCTION refuse_change()"
            )


def make_tables() -> None:
    op.create_table(
        "location",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("cooperative_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("division_code", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("closed_at", INSTANT, nullable=True),
        sa.CheckConstraint("kind IN ('county_store', 'eastern_warehouse')", name=op.f("ck_location_kind")),
        sa.ForeignKeyConstraint(["cooperative_id"], ["organisation.id"], name=op.f("fk_location_cooperative_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_location")),
        sa.UniqueConstraint("cooperative_id", "name", name=op.f("uq_location_cooperative_id_name")),
    )
    op.create_table(
        "stock_take",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("cooperative_id", sa.Uuid(), nullable=False),
        sa.Column("by_user_id", sa.Uuid(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["cooperative_id"], ["organisation.id"], name=op.f("fk_stock_take_cooperative_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_take")),
    )
    op.create_index("ix_stock_take_cooperative", "stock_take", ["cooperative_id", "id"], unique=False)
    op.create_table(
        "stock_take_line",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("stock_take_id", sa.Uuid(), nullable=False),
        sa.Column("lot_id", sa.Uuid(), nullable=False),
        sa.Column("expected", sa.BigInteger(), nullable=False),
        sa.Column("counted", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.CheckConstraint("expected >= 0 AND counted >= 0", name=op.f("ck_stock_take_line_not_negative")),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name=op.f("fk_stock_take_line_lot_id")),
        sa.ForeignKeyConstraint(["stock_take_id"], ["stock_take.id"], name=op.f("fk_stock_take_line_stock_take_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_take_line")),
        sa.UniqueConstraint("stock_take_id", "lot_id", name=op.f("uq_stock_take_line_stock_take_id_lot_id")),
    )


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
