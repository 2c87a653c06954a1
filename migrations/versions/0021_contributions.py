"""contributions: what households brought to a lot and were paid, under codes of their cooperative"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_security import guard, owned

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "contribution",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("lot_id", sa.Uuid(), nullable=False),
        sa.Column("cooperative_id", sa.Uuid(), nullable=False),
        sa.Column("household", sa.Text(), nullable=False),
        sa.Column("brought_on", sa.Date(), nullable=False),
        sa.Column("grams", sa.BigInteger(), nullable=False),
        sa.Column("paid_fen", sa.BigInteger(), nullable=False),
        sa.Column("certificate", sa.Text(), nullable=True),
        sa.Column("recorded_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint("grams > 0 AND paid_fen >= 0", name=op.f("ck_contribution_amount")),
        sa.ForeignKeyConstraint(["cooperative_id"], ["organisation.id"], name=op.f("fk_contribution_cooperative_id")),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name=op.f("fk_contribution_lot_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contribution")),
        sa.UniqueConstraint(
            "lot_id", "household", "brought_on", name=op.f("uq_contribution_lot_id_household_brought_on")
        ),
    )
    op.create_index("ix_contribution_month", "contribution", ["cooperative_id", "brought_on"], unique=False)
    guard("contribution", owned("cooperative_id"))


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
