"""requisitions: what an institution means to buy, who approves it, who stands in for whom"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_security import belongs, guard, owned

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

INSTANT = postgresql.TIMESTAMP(timezone=True)
MOVES = (
    ("draft", "submitted"), ("draft", "placed"), ("draft", "withdrawn"), ("submitted", "draft"),
    ("submitted", "approved"), ("submitted", "returned"), ("submitted", "withdrawn"), ("approved", "draft"),
    ("approved", "placed"), ("approved", "withdrawn"), ("returned", "draft"), ("returned", "submitted"),
    ("returned", "withdrawn"),
)  # fmt: skip


def upgrade() -> None:
    op.create_table(
        "approval_delegation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("from_user_id", sa.Uuid(), nullable=False),
        sa.Column("to_user_id", sa.Uuid(), nullable=False),
        sa.Column("valid", postgresql.DATERANGE(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Uuid(), nullable=False),
        sa.Column("made_at", INSTANT, nullable=False),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.CheckConstraint("NOT isempty(valid) AND NOT upper_inf(valid)", name=op.f("ck_approval_delegation_valid")),
        sa.CheckConstraint("from_user_id <> to_user_id", name=op.f("ck_approval_delegation_not_oneself")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_approval_delegation_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval_delegation")),
    )
    op.create_index(
        "ix_approval_delegation_organisation", "approval_delegation", ["organisation_id", "id"], unique=False
    )
    op.create_table(
        "approval_rule",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("budget_unit_id", sa.Uuid(), nullable=True),
        sa.Column("purpose", sa.Text(), nullable=True),
        sa.Column("from_fen", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=True),
        sa.Column("valid", postgresql.DATERANGE(), nullable=False),
        sa.Column("made_by", sa.Uuid(), nullable=False),
        sa.Column("made_at", INSTANT, nullable=False),
        sa.CheckConstraint("purpose IN ('canteen', 'union_welfare', 'other')", name=op.f("ck_approval_rule_purpose")),
        sa.CheckConstraint("role IN ('approver', 'finance', 'manager')", name=op.f("ck_approval_rule_role")),
        sa.CheckConstraint("NOT isempty(valid)", name=op.f("ck_approval_rule_valid")),
        sa.CheckConstraint("from_fen >= 0 AND step BETWEEN 1 AND 9", name=op.f("ck_approval_rule_step")),
        sa.ForeignKeyConstraint(["budget_unit_id"], ["budget_unit.id"], name=op.f("fk_approval_rule_budget_unit_id")),
        sa.ForeignKeyConstraint(["member_id"], ["membership.id"], name=op.f("fk_approval_rule_member_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_approval_rule_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval_rule")),
    )
    op.create_index("ix_approval_rule_organisation", "approval_rule", ["organisation_id", "id"], unique=False)
    op.create_table(
        "requisition",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("buyer_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Text(), nullable=True),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("budget_unit_id", sa.Uuid(), nullable=False),
        sa.Column("address_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.Column("deliver_on", sa.Date(), nullable=True),
        sa.Column("deliver_from", sa.Text(), nullable=True),
        sa.Column("deliver_to", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("made_by", sa.Uuid(), nullable=False),
        sa.Column("changed_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("submitted_by", sa.Uuid(), nullable=True),
        sa.Column("submitted_at", INSTANT, nullable=True),
        sa.Column("chain", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("total_fen", sa.BigInteger(), nullable=True),
        sa.Column("order_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("(status = 'placed') = (order_id IS NOT NULL)", name=op.f("ck_requisition_placed")),
        sa.CheckConstraint("purpose IN ('canteen', 'union_welfare', 'other')", name=op.f("ck_requisition_purpose")),
        sa.CheckConstraint(
            "status IN ('draft', 'submitted', 'approved', 'returned', 'placed', 'withdrawn')",
            name=op.f("ck_requisition_status"),
        ),
        sa.CheckConstraint(
            "status NOT IN ('submitted', 'approved', 'placed') OR total_fen IS NOT NULL",
            name=op.f("ck_requisition_quoted"),
        ),
        sa.CheckConstraint("terms IN ('prepaid', 'on_terms')", name=op.f("ck_requisition_terms")),
        sa.ForeignKeyConstraint(["address_id"], ["address.id"], name=op.f("fk_requisition_address_id")),
        sa.ForeignKeyConstraint(["budget_unit_id"], ["budget_unit.id"], name=op.f("fk_requisition_budget_unit_id")),
        sa.ForeignKeyConstraint(["buyer_id"], ["organisation.id"], name=op.f("fk_requisition_buyer_id")),
        sa.ForeignKeyConstraint(["order_id"], ["purchase_order.id"], name=op.f("fk_requisition_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_requisition")),
        sa.UniqueConstraint("buyer_id", "number", name=op.f("uq_requisition_buyer_id_number")),
        sa.UniqueConstraint("order_id", name=op.f("uq_requisition_order_id")),
    )
    op.create_index("ix_requisition_buyer", "requisition", ["buyer_id", "id"], unique=False)
    op.create_index(
        "ix_requisition_waiting",
        "requisition",
        ["buyer_id", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'submitted'"),
    )
    op.create_table(
        "requisition_decision",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("requisition_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("by_user_id", sa.Uuid(), nullable=False),
        sa.Column("for_user_id", sa.Uuid(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("file_id", sa.Uuid(), nullable=True),
        sa.Column("signed_on", sa.Date(), nullable=True),
        sa.Column("at", INSTANT, nullable=False),
        sa.CheckConstraint("decision IN ('approved', 'returned')", name=op.f("ck_requisition_decision_decision")),
        sa.CheckConstraint("(file_id IS NULL) = (signed_on IS NULL)", name=op.f("ck_requisition_decision_paper")),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_requisition_decision_file_id")),
        sa.ForeignKeyConstraint(
            ["requisition_id"], ["requisition.id"], name=op.f("fk_requisition_decision_requisition_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_requisition_decision")),
    )
    op.create_index(
        "ix_requisition_decision_approved",
        "requisition_decision",
        ["requisition_id", "version", "step"],
        unique=True,
        postgresql_where=sa.text("decision = 'approved'"),
    )
    op.create_table(
        "requisition_line",
        sa.Column("requisition_id", sa.Uuid(), nullable=False),
        sa.Column("place", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("listing_id", sa.Uuid(), nullable=False),
        sa.Column("packs", sa.BigInteger(), nullable=False),
        sa.Column("unit_fen", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("packs > 0", name=op.f("ck_requisition_line_packs")),
        sa.ForeignKeyConstraint(["listing_id"], ["listing.id"], name=op.f("fk_requisition_line_listing_id")),
        sa.ForeignKeyConstraint(
            ["requisition_id"], ["requisition.id"], name=op.f("fk_requisition_line_requisition_id")
        ),
        sa.PrimaryKeyConstraint("requisition_id", "place", name=op.f("pk_requisition_line")),
    )
    guards()


def guards() -> None:
    """Decisions are only added, a requisition makes the moves of its table only, and whose rows are whose."""
    op.execute("REVOKE UPDATE, DELETE, TRUNCATE ON requisition_decision FROM shop_app")
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON requisition_decision"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER no_truncate BEFORE TRUNCATE ON requisition_decision"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    moves = ", ".join(f"('{start}', '{end}')" for start, end in MOVES)
    op.execute(
        f"""
        CREATE FUNCTION requisition_moves() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'INSERT' THEN
                IF NEW.status <> 'draft' THEN
                    RAISE EXCEPTION 'a requisition begins as a draft' USING ERRCODE = 'restrict_violation';
                END IF;
            ELSIF NEW.status <> OLD.status AND (OLD.status, NEW.status) NOT IN ({moves}) THEN
                RAISE EXCEPTION 'a requisition cannot go from % to %', OLD.status, NEW.status
                    USING ERRCODE = 'restrict_violation';
            END IF;
            RETURN NEW;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER moves BEFORE INSERT OR UPDATE OF status ON requisition"
        " FOR EACH ROW EXECUTE FUNCTION requisition_moves()"
    )
    guard("requisition", owned("buyer_id"))
    for table in ("requisition_line", "requisition_decision"):
        guard(table, belongs(table, "requisition_id", "requisition"))
    for table in ("approval_rule", "approval_delegation"):
        guard(table, owned("organisation_id"))


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
