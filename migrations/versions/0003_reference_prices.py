"""reference prices: what markets quoted, month by month"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "reference_price",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("market", sa.Text(), nullable=False),
        sa.Column("place_code", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("grade", sa.Text(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("per", sa.Text(), nullable=False),
        sa.Column("low_fen", sa.BigInteger(), nullable=False),
        sa.Column("mean_fen", sa.BigInteger(), nullable=False),
        sa.Column("high_fen", sa.BigInteger(), nullable=False),
        sa.Column("quotes", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("per IN ('tonne', 'thousand_pieces')", name=op.f("ck_reference_price_per")),
        sa.CheckConstraint(
            "0 < low_fen AND low_fen <= mean_fen AND mean_fen <= high_fen", name=op.f("ck_reference_price_prices")
        ),
        sa.CheckConstraint("quotes > 0", name=op.f("ck_reference_price_quotes")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reference_price")),
        sa.UniqueConstraint(
            "market", "kind", "name", "grade", "month", name=op.f("uq_reference_price_market_kind_name_grade_month")
        ),
    )
    op.create_index("ix_reference_price_name", "reference_price", ["name", "month"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
