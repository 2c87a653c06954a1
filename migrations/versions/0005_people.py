"""people: a phone or an e-mail, invitations, confirmations, two-step log-in, memberships that end"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

INSTANT = postgresql.TIMESTAMP(timezone=True)
NOW = sa.text("clock_timestamp()")


def upgrade() -> None:
    op.alter_column("person", "email", nullable=True)
    op.add_column("person", sa.Column("phone", sa.Text(), nullable=True))
    op.add_column("person", sa.Column("pending_contact", sa.Text(), nullable=True))
    op.create_unique_constraint(op.f("uq_person_phone"), "person", ["phone"])
    op.create_check_constraint(op.f("ck_person_status"), "person", "status IN ('invited', 'active', 'closed')")
    op.create_check_constraint(
        op.f("ck_person_reachable"), "person", "email IS NOT NULL OR phone IS NOT NULL OR status = 'closed'"
    )
    op.add_column("membership", sa.Column("last_used_at", INSTANT, nullable=True))
    op.add_column("membership", sa.Column("ended_at", INSTANT, nullable=True))
    op.create_table(
        "invitation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("inviter_id", sa.Uuid(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("roles", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("regions", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("order_limit_fen", sa.BigInteger(), nullable=True),
        sa.Column("created_at", INSTANT, server_default=NOW, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("accepted_at", INSTANT, nullable=True),
        sa.Column("withdrawn_at", INSTANT, nullable=True),
        sa.CheckConstraint("channel IN ('mail', 'text')", name=op.f("ck_invitation_channel")),
        sa.CheckConstraint("accepted_at IS NULL OR withdrawn_at IS NULL", name=op.f("ck_invitation_one_end")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_invitation_organisation_id")),
        sa.ForeignKeyConstraint(["user_id"], ["person.id"], name=op.f("fk_invitation_user_id")),
        sa.ForeignKeyConstraint(["inviter_id"], ["membership.id"], name=op.f("fk_invitation_inviter_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitation")),
    )
    op.create_index(
        "ix_invitation_open",
        "invitation",
        ["organisation_id", "user_id"],
        unique=True,
        postgresql_where=sa.text("accepted_at IS NULL AND withdrawn_at IS NULL"),
    )
    op.create_index("ix_invitation_organisation", "invitation", ["organisation_id", "id"], unique=False)
    op.create_index(op.f("ix_invitation_user_id"), "invitation", ["user_id"], unique=False)
    op.create_index(op.f("ix_invitation_inviter_id"), "invitation", ["inviter_id"], unique=False)
    op.create_table(
        "confirmation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("drops_two_step", sa.Boolean(), nullable=False),
        sa.Column("created_at", INSTANT, server_default=NOW, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("tries", sa.BigInteger(), nullable=False),
        sa.Column("used_at", INSTANT, nullable=True),
        sa.CheckConstraint("channel IN ('mail', 'text', 'in_person')", name=op.f("ck_confirmation_channel")),
        sa.CheckConstraint("purpose IN ('reset', 'contact')", name=op.f("ck_confirmation_purpose")),
        sa.ForeignKeyConstraint(["user_id"], ["person.id"], name=op.f("fk_confirmation_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_confirmation")),
    )
    op.create_index(op.f("ix_confirmation_user_id"), "confirmation", ["user_id"], unique=False)
    op.create_table(
        "two_step",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("enrolment_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", INSTANT, server_default=NOW, nullable=False),
        sa.Column("confirmed_at", INSTANT, nullable=True),
        sa.Column("last_counter", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["person.id"], name=op.f("fk_two_step_user_id")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_two_step")),
    )
    op.create_table(
        "recovery_code",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("used_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["person.id"], name=op.f("fk_recovery_code_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_code")),
        sa.UniqueConstraint("code_hash", name=op.f("uq_recovery_code_code_hash")),
    )
    op.create_index(op.f("ix_recovery_code_user_id"), "recovery_code", ["user_id"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
