"""tokens: of a person's session or of a machine with scopes, with their last use"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_token", sa.Column("kind", sa.Text(), server_default="session", nullable=False))
    op.add_column("api_token", sa.Column("name", sa.Text(), server_default="", nullable=False))
    op.add_column("api_token", sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=True))
    op.add_column("api_token", sa.Column("last_used_at", postgresql.TIMESTAMP(timezone=True), nullable=True))
    op.create_check_constraint("kind", "api_token", "kind IN ('session', 'machine')")
    op.create_check_constraint("scopes", "api_token", "(kind = 'machine') = (scopes IS NOT NULL)")


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
