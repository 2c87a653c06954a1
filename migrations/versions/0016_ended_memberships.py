"""people: what was held by a membership that has ended, and would come back with the person, is revoked"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

LEFT_OVER = (
    "UPDATE api_token t SET revoked_at = m.ended_at FROM membership m"
    " WHERE m.id = t.membership_id AND m.ended_at IS NOT NULL AND t.revoked_at IS NULL",
    "UPDATE audit_mandate t SET revoked_at = m.ended_at FROM membership m"
    " WHERE m.id = t.membership_id AND m.ended_at IS NOT NULL AND t.revoked_at IS NULL",
    "UPDATE assist_mandate t SET revoked_at = m.ended_at FROM membership m"
    " WHERE m.user_id = t.helper_user_id AND m.organisation_id = t.helper_organisation_id"
    " AND m.ended_at IS NOT NULL AND t.revoked_at IS NULL",
)


def upgrade() -> None:
    op.execute("SELECT set_config('app.sees', 'all', true)")
    for statement in LEFT_OVER:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
