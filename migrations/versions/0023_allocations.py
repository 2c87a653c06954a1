"""allocations: the declared rule for scarce goods, what was dealt by it, and what an order line still gets"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_security import guard, owned

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

INSTANT = postgresql.TIMESTAMP(timezone=True)
RULES = "rule IN ('pro_rata', 'paired_first', 'small_first')"
APPEND_ONLY = ("allocation", "allocation_share")


def upgrade() -> None:
    op.add_column("order_line", sa.Column("allocated_packs", sa.BigInteger(), nullable=True))
    op.execute(
        "ALTER TABLE order_line ADD CONSTRAINT ck_order_line_allocated"
        " CHECK (allocated_packs >= 0 AND allocated_packs < packs)"
    )
    make_tables()
    guard("allocation_rule", owned("cooperative_id"))
    guard("allocation_share", owned("buyer_id"), owned("cooperative_id"))
    mine = "EXISTS (SELECT 1 FROM allocation_share s WHERE s.allocation_id = allocation.id)"
    guard("allocation", owned("cooperative_id"), mine)
    for table in APPEND_ONLY:
        op.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM shop_app")
        for name, moment in (("append_only", "UPDATE OR DELETE"), ("no_truncate", "TRUNCATE")):
            each = "STATEMENT" if moment == "TRUNCATE" else "ROW"
            op.execute(
                f"CREATE TRIGGER {name} BEFORE {moment} ON {table} FOR EACH {each} EXECUTE FUNCTION refuse_change()"
            )


def make_tables() -> None:
    op.create_table(
        "allocation_rule",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("cooperative_id", sa.Uuid(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("valid", postgresql.DATERANGE(), nullable=False),
        sa.Column("declared_at", INSTANT, nullable=False),
        postgresql.ExcludeConstraint(
            (sa.column("cooperative_id"), "="),
            (sa.column("valid"), "&&"),
            using="gist",
            name="ex_allocation_rule_one_at_a_time",
        ),
        sa.CheckConstraint(RULES, name=op.f("ck_allocation_rule_rule")),
        sa.ForeignKeyConstraint(
            ["cooperative_id"], ["organisation.id"], name=op.f("fk_allocation_rule_cooperative_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_allocation_rule")),
    )
    op.create_table(
        "allocation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("supply_id", sa.Uuid(), nullable=False),
        sa.Column("cooperative_id", sa.Uuid(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("declared", sa.Boolean(), nullable=False),
        sa.Column("wanted", sa.BigInteger(), nullable=False),
        sa.Column("available", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by_user_id", sa.Uuid(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.CheckConstraint(RULES, name=op.f("ck_allocation_rule")),
        sa.CheckConstraint("available >= 0 AND available < wanted", name=op.f("ck_allocation_short")),
        sa.ForeignKeyConstraint(["cooperative_id"], ["organisation.id"], name=op.f("fk_allocation_cooperative_id")),
        sa.ForeignKeyConstraint(["supply_id"], ["supply.id"], name=op.f("fk_allocation_supply_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_allocation")),
    )
    op.create_index("ix_allocation_cooperative", "allocation", ["cooperative_id", "id"], unique=False)
    op.create_table(
        "allocation_share",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("allocation_id", sa.Uuid(), nullable=False),
        sa.Column("cooperative_id", sa.Uuid(), nullable=False),
        sa.Column("line_id", sa.Uuid(), nullable=False),
        sa.Column("buyer_id", sa.Uuid(), nullable=False),
        sa.Column("pack", sa.BigInteger(), nullable=False),
        sa.Column("wanted", sa.BigInteger(), nullable=False),
        sa.Column("given", sa.BigInteger(), nullable=False),
        sa.Column("explanation", postgresql.JSONB(), nullable=False),
        sa.CheckConstraint("given BETWEEN 0 AND wanted AND pack > 0", name=op.f("ck_allocation_share_given")),
        sa.ForeignKeyConstraint(["allocation_id"], ["allocation.id"], name=op.f("fk_allocation_share_allocation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_allocation_share")),
        sa.UniqueConstraint("allocation_id", "line_id", name=op.f("uq_allocation_share_allocation_id_line_id")),
    )
    op.create_index("ix_allocation_share_buyer", "allocation_share", ["buyer_id", "allocation_id"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
