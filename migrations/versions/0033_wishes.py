"""wishes: an order keeps the institution's own number, the day and hours of delivery, and a note"""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

WISHES = (
    ("reference", sa.Text()), ("deliver_on", sa.Date()), ("deliver_from", sa.Text()), ("deliver_to", sa.Text()),
    ("note", sa.Text()),
)  # fmt: skip


def upgrade() -> None:
    for name, kind in WISHES:
        op.add_column("purchase_order", sa.Column(name, kind, nullable=True))
    op.add_column("requisition_line", sa.Column("min_shelf_life_days", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("requisition_line", "min_shelf_life_days")
    for name, _ in WISHES:
        op.drop_column("purchase_order", name)
