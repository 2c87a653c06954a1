"""retention: indexes for what is dropped after its written period, and whom a delivery is done for already

The indexes are built beside the running shop, outside of a transaction; what a broken build left is dropped first.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

INDEXES = (
    ("ix_delivery_done", "delivery", "done_at", "status = 'done'"),
    ("ix_delivery_parked_webhook", "delivery", "due_at", "status = 'parked' AND consumer LIKE 'webhook:%'"),
    ("ix_job_ended_at", "job", "ended_at", "ended_at IS NOT NULL"),
    ("ix_notice_recorded_at", "notice", "recorded_at", None),
    ("ix_api_token_expires_at", "api_token", "expires_at", None),
    ("ix_api_token_revoked_at", "api_token", "revoked_at", "revoked_at IS NOT NULL"),
    ("ix_login_failure_at", "login_failure", "at", None),
    ("ix_confirmation_expires_at", "confirmation", "expires_at", None),
    ("ix_invitation_expires_at", "invitation", "expires_at", None),
    ("ix_recovery_code_used_at", "recovery_code", "used_at", "used_at IS NOT NULL"),
    ("ix_person_invited", "person", "id", "status = 'invited'"),
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")  # a build waits for old transactions, and nobody waits for the build
        for name, table, column, only in INDEXES:
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.create_index(
                name,
                table,
                [column],
                unique=False,
                postgresql_where=sa.text(only) if only else None,
                postgresql_concurrently=True,
            )
        op.execute("SET lock_timeout = '1s'")
    op.add_column(
        "delivery", sa.Column("done_for", postgresql.ARRAY(sa.Uuid()), server_default=sa.text("'{}'"), nullable=False)
    )


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
