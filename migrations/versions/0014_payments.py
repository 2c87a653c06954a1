"""payments: what completes a payment at the gateway"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("charge", sa.Column("client_secret", sa.Text(), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
