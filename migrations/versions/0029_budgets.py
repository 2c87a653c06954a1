"""budgets: what a unit may order in a year, what a member may spend alone, orders that look like one that was split

The indexes on orders are built beside the running shop, outside of a transaction; what a broken build left is dropped.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_security import belongs, guard, owned

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

INSTANT = postgresql.TIMESTAMP(timezone=True)
INDEXES = (
    ("ix_purchase_order_placed_by", ["placed_by", "placed_at"], "NOT approved"),
    ("ix_purchase_order_split", ["buyer_id", "id"], "split_suspected"),
)
UNDER_MANDATE = (
    "EXISTS (SELECT 1 FROM buying_mandate m WHERE m.unit_id = budget.budget_unit_id AND m.status = 'active'"
    " AND m.organisation_id = (SELECT seen_organisation()))"
)
"""Whoever orders for a unit under a mandate draws on its budget."""


def upgrade() -> None:
    for name in ("approved", "split_suspected"):
        op.add_column("purchase_order", sa.Column(name, sa.Boolean(), server_default=sa.text("false"), nullable=False))
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        for name, columns, only in INDEXES:
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.create_index(
                name,
                "purchase_order",
                columns,
                unique=False,
                postgresql_where=sa.text(only),
                postgresql_concurrently=True,
            )
        op.execute("SET lock_timeout = '1s'")
    op.create_table(
        "budget",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("budget_unit_id", sa.Uuid(), nullable=False),
        sa.Column("year", sa.BigInteger(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("drawn_fen", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("purpose IN ('canteen', 'union_welfare', 'other')", name=op.f("ck_budget_purpose")),
        sa.CheckConstraint("drawn_fen BETWEEN 0 AND amount_fen", name=op.f("ck_budget_drawn")),
        sa.ForeignKeyConstraint(["budget_unit_id"], ["budget_unit.id"], name=op.f("fk_budget_budget_unit_id")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_budget_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budget")),
        sa.UniqueConstraint("budget_unit_id", "year", "purpose", name=op.f("uq_budget_budget_unit_id_year_purpose")),
    )
    op.create_index("ix_budget_organisation", "budget", ["organisation_id", "id"], unique=False)
    op.create_table(
        "spending_limit",
        sa.Column("membership_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("window_kind", sa.Text(), nullable=False),
        sa.Column("limit_fen", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("window_kind IN ('day', 'week', 'month')", name=op.f("ck_spending_limit_window")),
        sa.CheckConstraint("limit_fen >= 0", name=op.f("ck_spending_limit_limit")),
        sa.ForeignKeyConstraint(["membership_id"], ["membership.id"], name=op.f("fk_spending_limit_membership_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_spending_limit_organisation_id")
        ),
        sa.PrimaryKeyConstraint("membership_id", name=op.f("pk_spending_limit")),
    )
    op.create_index(op.f("ix_spending_limit_organisation_id"), "spending_limit", ["organisation_id"], unique=False)
    op.create_table(
        "budget_entry",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("budget_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("supplier_order_id", sa.Uuid(), nullable=True),
        sa.Column("at", INSTANT, nullable=False),
        sa.CheckConstraint("(kind = 'placed') = (amount_fen >= 0)", name=op.f("ck_budget_entry_sign")),
        sa.CheckConstraint("(kind = 'placed') = (supplier_order_id IS NULL)", name=op.f("ck_budget_entry_part")),
        sa.CheckConstraint("kind IN ('placed', 'cancelled', 'not_accepted')", name=op.f("ck_budget_entry_kind")),
        sa.ForeignKeyConstraint(["budget_id"], ["budget.id"], name=op.f("fk_budget_entry_budget_id")),
        sa.ForeignKeyConstraint(["order_id"], ["purchase_order.id"], name=op.f("fk_budget_entry_order_id")),
        sa.ForeignKeyConstraint(
            ["supplier_order_id"], ["supplier_order.id"], name=op.f("fk_budget_entry_supplier_order_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budget_entry")),
    )
    op.create_index("ix_budget_entry_budget", "budget_entry", ["budget_id", "id"], unique=False)
    op.create_index("ix_budget_entry_part", "budget_entry", ["supplier_order_id", "kind"], unique=True)
    op.create_index(
        "ix_budget_entry_placed", "budget_entry", ["order_id"], unique=True, postgresql_where=sa.text("kind = 'placed'")
    )
    op.execute("REVOKE UPDATE, DELETE, TRUNCATE ON budget_entry FROM shop_app")
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON budget_entry"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER no_truncate BEFORE TRUNCATE ON budget_entry FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    guard("budget", owned("organisation_id"), UNDER_MANDATE)
    guard("budget_entry", belongs("budget_entry", "budget_id", "budget"))
    guard("spending_limit", owned("organisation_id"))


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
