"""what a correction takes back of accepted goods is given back to their framework agreement, once each"""

import sqlalchemy as sa
from alembic import op

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("agreement_drawing", sa.Column("correction_id", sa.Uuid(), nullable=True))
    op.drop_constraint(op.f("ck_agreement_drawing_kind"), "agreement_drawing")
    op.create_check_constraint(
        op.f("ck_agreement_drawing_kind"),
        "agreement_drawing",
        "kind IN ('placed', 'cancelled', 'not_accepted', 'corrected')",
    )
    op.create_check_constraint(
        op.f("ck_agreement_drawing_correction"),
        "agreement_drawing",
        "(kind = 'corrected') = (correction_id IS NOT NULL)",
    )
    op.drop_constraint(op.f("uq_agreement_drawing_order_line_id_kind"), "agreement_drawing")
    op.create_index(
        "ix_agreement_drawing_once", "agreement_drawing", ["order_line_id", "kind"], unique=True,
        postgresql_where=sa.text("correction_id IS NULL"),
    )  # fmt: skip
    op.create_index(
        "ix_agreement_drawing_correction", "agreement_drawing", ["correction_id", "order_line_id"], unique=True
    )


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
