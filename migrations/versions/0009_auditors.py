"""auditors read by mandate; the audit trail says from where and in which request, and what was acknowledged"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_check_constraint("auditor_alone", "membership", "NOT 'auditor' = ANY (roles) OR cardinality(roles) = 1")
    op.add_column("audit_entry", sa.Column("address", sa.Text(), nullable=True))
    op.add_column("audit_entry", sa.Column("request_id", sa.Text(), nullable=True))
    op.create_index("ix_audit_entry_organisation", "audit_entry", ["organisation_id", "id"], unique=False)
    op.create_index("ix_audit_entry_user", "audit_entry", ["user_id", "id"], unique=False)
    op.create_table(
        "audit_acknowledgement",
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("by_user_id", sa.Uuid(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["entry_id"], ["audit_entry.id"], name=op.f("fk_audit_acknowledgement_entry_id")),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_audit_acknowledgement")),
    )
    op.execute("REVOKE UPDATE, DELETE, TRUNCATE ON audit_acknowledgement FROM shop_app")
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_acknowledgement"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audit_acknowledgement"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.create_table(
        "audit_mandate",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("membership_id", sa.Uuid(), nullable=False),
        sa.Column("regions", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("valid", postgresql.DATERANGE(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("granted_by", sa.Uuid(), nullable=False),
        sa.Column("granted_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("revoked_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint("NOT isempty(valid) AND NOT upper_inf(valid)", name=op.f("ck_audit_mandate_ends")),
        sa.ForeignKeyConstraint(["membership_id"], ["membership.id"], name=op.f("fk_audit_mandate_membership_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_mandate")),
    )
    op.create_index("ix_audit_mandate_membership_id", "audit_mandate", ["membership_id"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
