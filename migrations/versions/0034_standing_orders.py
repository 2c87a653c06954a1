"""standing orders: a saved list that is ordered again and again, and what became of each time"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_security import belongs, guard, owned

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

INSTANT = postgresql.TIMESTAMP(timezone=True)


def refers(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=op.f(f"fk_{table}_{column}"))


def upgrade() -> None:
    op.create_table(
        "standing_order",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("list_id", sa.Uuid(), nullable=False),
        sa.Column("membership_id", sa.Uuid(), nullable=False),
        sa.Column("budget_unit_id", sa.Uuid(), nullable=False),
        sa.Column("address_id", sa.Uuid(), nullable=False),
        sa.Column("headcount", sa.BigInteger(), nullable=False),
        sa.Column("meals", sa.BigInteger(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("every_days", sa.BigInteger(), nullable=False),
        sa.Column("lead_days", sa.BigInteger(), nullable=False),
        sa.Column("run_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("paused_because", sa.Text(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("made_at", INSTANT, nullable=False),
        sa.CheckConstraint("status IN ('active', 'paused', 'ended')", name=op.f("ck_standing_order_status")),
        sa.CheckConstraint("purpose IN ('canteen', 'union_welfare', 'other')", name=op.f("ck_standing_order_purpose")),
        sa.CheckConstraint("terms IN ('prepaid', 'on_terms')", name=op.f("ck_standing_order_terms")),
        sa.CheckConstraint("headcount > 0 AND meals > 0", name=op.f("ck_standing_order_heads")),
        sa.CheckConstraint(
            "every_days BETWEEN 1 AND 366 AND lead_days BETWEEN 0 AND 60", name=op.f("ck_standing_order_rhythm")
        ),
        sa.CheckConstraint("paused_because IS NULL OR status = 'paused'", name=op.f("ck_standing_order_paused")),
        refers("standing_order", "organisation_id", "organisation"),
        refers("standing_order", "list_id", "requisition_list"),
        refers("standing_order", "membership_id", "membership"),
        refers("standing_order", "budget_unit_id", "budget_unit"),
        refers("standing_order", "address_id", "address"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_standing_order")),
    )
    op.create_index(
        "ix_standing_order_due", "standing_order", ["run_on", "id"], unique=False,
        postgresql_where=sa.text("status = 'active'"),
    )  # fmt: skip
    op.create_index("ix_standing_order_organisation", "standing_order", ["organisation_id", "id"], unique=False)
    op.create_table(
        "standing_run",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("standing_order_id", sa.Uuid(), nullable=False),
        sa.Column("cycle", sa.Date(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("requisition_id", sa.Uuid(), nullable=True),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "result IN ('placed', 'submitted', 'refused', 'missed')", name=op.f("ck_standing_run_result")
        ),
        sa.CheckConstraint(
            "(result IN ('placed', 'submitted')) = (requisition_id IS NOT NULL)",
            name=op.f("ck_standing_run_requisition"),
        ),
        refers("standing_run", "standing_order_id", "standing_order"),
        refers("standing_run", "requisition_id", "requisition"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_standing_run")),
        sa.UniqueConstraint("standing_order_id", "cycle", name=op.f("uq_standing_run_standing_order_id_cycle")),
    )
    op.create_table(
        "standing_run_line",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("wanted_listing_id", sa.Uuid(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("listing_id", sa.Uuid(), nullable=True),
        sa.Column("packs", sa.BigInteger(), nullable=True),
        sa.Column("needed_grams", sa.BigInteger(), nullable=True),
        sa.Column("passed_over", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint(
            "outcome IN ('as_listed', 'substituted', 'left_out')", name=op.f("ck_standing_run_line_outcome")
        ),
        sa.CheckConstraint("(outcome = 'left_out') = (listing_id IS NULL)", name=op.f("ck_standing_run_line_listing")),
        sa.CheckConstraint("(listing_id IS NULL) = (packs IS NULL)", name=op.f("ck_standing_run_line_packs")),
        refers("standing_run_line", "run_id", "standing_run"),
        refers("standing_run_line", "wanted_listing_id", "listing"),
        refers("standing_run_line", "listing_id", "listing"),
        sa.PrimaryKeyConstraint("run_id", "place", name=op.f("pk_standing_run_line")),
    )
    guard("standing_order", owned("organisation_id"))
    guard("standing_run", belongs("standing_run", "standing_order_id", "standing_order"))
    guard("standing_run_line", belongs("standing_run_line", "run_id", "standing_run"))
    for table in ("standing_run", "standing_run_line"):
        op.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM shop_app")


def downgrade() -> None:
    op.drop_table("standing_run_line")
    op.drop_table("standing_run")
    op.drop_table("standing_order")
