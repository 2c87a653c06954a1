"""the temperature that was measured in goods on arrival"""

import sqlalchemy as sa
from alembic import op

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("acceptance_line", sa.Column("temperature_tenths", sa.BigInteger(), nullable=True))
    op.create_check_constraint(
        op.f("ck_acceptance_line_temperature"), "acceptance_line", "temperature_tenths BETWEEN -1000 AND 1000"
    )


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
