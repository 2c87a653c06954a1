"""requisition lists: what an institution buys again and again, in packs or by the head; an index for pasted codes"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_security import belongs, guard, owned

revision = "0032"
down_revision = "0030"
branch_labels = None
depends_on = None

INSTANT = postgresql.TIMESTAMP(timezone=True)


def upgrade() -> None:
    op.create_table(
        "requisition_list",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.Uuid(), nullable=False),
        sa.Column("made_at", INSTANT, nullable=False),
        sa.Column("changed_at", INSTANT, nullable=False),
        sa.Column("retired_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_requisition_list_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_requisition_list")),
    )
    op.create_index(
        "ix_requisition_list_name",
        "requisition_list",
        ["organisation_id", "name"],
        unique=True,
        postgresql_where=sa.text("retired_at IS NULL"),
    )
    op.create_table(
        "requisition_list_line",
        sa.Column("list_id", sa.Uuid(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("listing_id", sa.Uuid(), nullable=False),
        sa.Column("packs", sa.BigInteger(), nullable=True),
        sa.Column("grams_per_meal", sa.BigInteger(), nullable=True),
        sa.Column("yield_percent", sa.BigInteger(), nullable=True),
        sa.Column("substitutes", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.CheckConstraint("packs > 0 AND grams_per_meal > 0", name=op.f("ck_requisition_list_line_positive")),
        sa.CheckConstraint(
            "(packs IS NULL) <> (grams_per_meal IS NULL)", name=op.f("ck_requisition_list_line_measure")
        ),
        sa.CheckConstraint(
            "(yield_percent IS NULL) = (grams_per_meal IS NULL) AND yield_percent BETWEEN 1 AND 100",
            name=op.f("ck_requisition_list_line_yield"),
        ),
        sa.ForeignKeyConstraint(["list_id"], ["requisition_list.id"], name=op.f("fk_requisition_list_line_list_id")),
        sa.ForeignKeyConstraint(["listing_id"], ["listing.id"], name=op.f("fk_requisition_list_line_listing_id")),
        sa.PrimaryKeyConstraint("list_id", "place", name=op.f("pk_requisition_list_line")),
    )
    op.create_index("ix_product_code", "product", ["code"], unique=False)
    guard("requisition_list", owned("organisation_id"))
    guard("requisition_list_line", belongs("requisition_list_line", "list_id", "requisition_list"))


def downgrade() -> None:
    op.drop_index("ix_product_code", "product")
    op.drop_table("requisition_list_line")
    op.drop_table("requisition_list")
