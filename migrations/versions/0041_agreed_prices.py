"""an order line names the framework agreement that priced it"""

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("order_line", sa.Column("agreement_id", sa.Uuid(), nullable=True))
    op.execute(
        "ALTER TABLE order_line ADD CONSTRAINT fk_order_line_agreement_line FOREIGN KEY (agreement_id, listing_id)"
        " REFERENCES agreement_line (agreement_id, listing_id) NOT VALID"
    )
    op.execute("ALTER TABLE order_line VALIDATE CONSTRAINT fk_order_line_agreement_line")


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
