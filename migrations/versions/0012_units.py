"""units and quotas: trees of budget units, mandates, registrations, quota rules and filings, spreadsheets"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_security import belongs, change_ways, guard, owned

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

APPEND_ONLY = ("quota_filing_history",)
OF_THE_UNIT = (
    "EXISTS (SELECT 1 FROM budget_unit u WHERE u.id = buying_mandate.unit_id"
    " AND u.organisation_id = (SELECT seen_organisation()))"
)
IN_SIGHT = "unit_id IN (SELECT seen_units())"
"""Of a unit whose filings the organisation reads: asked once a statement, not once a row."""

ORDERED_TO = "EXISTS (SELECT 1 FROM purchase_order o WHERE o.address_id = address.id)"
MAY_ORDER_TO = (
    "EXISTS (SELECT 1 FROM buying_mandate m JOIN budget_unit u ON u.id = m.unit_id"
    " WHERE u.organisation_id = address.organisation_id AND m.status = 'active'"
    " AND m.organisation_id = (SELECT seen_organisation()))"
)
"""Whoever holds a mandate orders to the places of the unit's organisation; on which days, its query asks."""

INSTANT = postgresql.TIMESTAMP(timezone=True)
RULES = (
    (
        "0190a000-0000-7000-8000-000000000001", "national", 1000, False, "[2021-01-01,)", "年度食堂食材采购份额",
        "财库〔2021〕19号",
    ),
    (
        "0190a000-0000-7000-8000-000000000002", "620000", 1500, True, "[2023-01-01,2024-01-01)",
        "年度食堂食材及工会采购需求", "甘肃省2023年度预留份额填报要求（张掖市转发）",
    ),
)  # fmt: skip


def upgrade() -> None:
    op.drop_constraint("status", "organisation", type_="check")
    op.create_check_constraint("status", "organisation", "status IN ('applying', 'active', 'suspended', 'closed')")
    op.add_column("organisation", sa.Column("successor_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f("fk_organisation_successor_id"), "organisation", "organisation", ["successor_id"], ["id"]
    )
    op.create_index(op.f("ix_organisation_successor_id"), "organisation", ["successor_id"], unique=False)
    units()
    registrations()
    mandates()
    quotas()
    imports()
    policies()
    for table in APPEND_ONLY:
        op.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM shop_app")
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )


def units() -> None:
    op.add_column("budget_unit", sa.Column("code", sa.Text(), nullable=True))
    op.add_column("budget_unit", sa.Column("status", sa.Text(), server_default="open", nullable=False))
    op.add_column("budget_unit", sa.Column("successor_id", sa.Uuid(), nullable=True))
    op.add_column("budget_unit", sa.Column("opened_on", sa.Date(), server_default="1996-01-01", nullable=False))
    op.create_foreign_key(op.f("fk_budget_unit_successor_id"), "budget_unit", "budget_unit", ["successor_id"], ["id"])
    op.create_index(op.f("ix_budget_unit_parent_id"), "budget_unit", ["parent_id"], unique=False)
    op.create_index(op.f("ix_budget_unit_successor_id"), "budget_unit", ["successor_id"], unique=False)
    op.create_index(
        "ix_budget_unit_code",
        "budget_unit",
        ["organisation_id", "code"],
        unique=True,
        postgresql_where=sa.text("code IS NOT NULL"),
    )
    op.create_check_constraint(
        "finance_level",
        "budget_unit",
        "finance_level IN ('central', 'province', 'prefecture', 'county', 'township')",
    )
    op.create_check_constraint("status", "budget_unit", "status IN ('open', 'closed')")
    op.create_check_constraint("not_itself", "budget_unit", "parent_id <> id AND successor_id <> id")
    op.execute(
        """
        CREATE FUNCTION budget_unit_tree() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            above uuid := NEW.parent_id;
            depth integer := 1;
        BEGIN
            WHILE above IS NOT NULL LOOP
                depth := depth + 1;
                IF above = NEW.id OR depth > 8 THEN
                    RAISE EXCEPTION 'budget unit % would stand below itself or deeper than 8', NEW.id
                        USING ERRCODE = 'restrict_violation';
                END IF;
                SELECT parent_id INTO above FROM budget_unit WHERE id = above;
            END LOOP;
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER tree AFTER INSERT OR UPDATE OF parent_id ON budget_unit"
        " FOR EACH ROW WHEN (NEW.parent_id IS NOT NULL) EXECUTE FUNCTION budget_unit_tree()"
    )
    op.add_column("address", sa.Column("label", sa.Text(), server_default="", nullable=False))
    op.add_column("address", sa.Column("retired_at", INSTANT, nullable=True))
    op.create_index(
        "ix_address_label",
        "address",
        ["organisation_id", "label"],
        unique=True,
        postgresql_where=sa.text("retired_at IS NULL AND label <> ''"),
    )


def registrations() -> None:
    op.create_table(
        "registration",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("submitted_at", INSTANT, nullable=False),
        sa.Column("decided_at", INSTANT, nullable=True),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint("status IN ('submitted', 'returned', 'approved')", name=op.f("ck_registration_status")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_registration_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registration")),
        sa.UniqueConstraint("organisation_id", name=op.f("uq_registration_organisation_id")),
    )
    op.create_index("ix_registration_status", "registration", ["status", "id"], unique=False)
    op.create_table(
        "invoice_profile",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("tax_number", sa.Text(), nullable=False),
        sa.Column("bank", sa.Text(), nullable=False),
        sa.Column("account_number", sa.Text(), nullable=False),
        sa.Column("retired_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_invoice_profile_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice_profile")),
    )
    op.create_index(op.f("ix_invoice_profile_organisation_id"), "invoice_profile", ["organisation_id"], unique=False)


def mandates() -> None:
    op.create_table(
        "unit_link",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("parent_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("offered_by_id", sa.Uuid(), nullable=False),
        sa.Column("unit_id", sa.Uuid(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("offered_at", INSTANT, nullable=False),
        sa.Column("answered_at", INSTANT, nullable=True),
        sa.CheckConstraint(
            "status IN ('offered', 'accepted', 'declined', 'withdrawn')", name=op.f("ck_unit_link_status")
        ),
        sa.CheckConstraint("(status = 'accepted') = (unit_id IS NOT NULL)", name=op.f("ck_unit_link_unit")),
        sa.ForeignKeyConstraint(["parent_id"], ["budget_unit.id"], name=op.f("fk_unit_link_parent_id")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_unit_link_organisation_id")),
        sa.ForeignKeyConstraint(["offered_by_id"], ["organisation.id"], name=op.f("fk_unit_link_offered_by_id")),
        sa.ForeignKeyConstraint(["unit_id"], ["budget_unit.id"], name=op.f("fk_unit_link_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unit_link")),
    )
    op.create_index(
        "ix_unit_link_open",
        "unit_link",
        ["parent_id", "organisation_id"],
        unique=True,
        postgresql_where=sa.text("status = 'offered'"),
    )
    op.create_index("ix_unit_link_organisation", "unit_link", ["organisation_id", "id"], unique=False)
    op.create_index(op.f("ix_unit_link_offered_by_id"), "unit_link", ["offered_by_id"], unique=False)
    op.create_table(
        "buying_mandate",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("unit_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("valid", postgresql.DATERANGE(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.CheckConstraint("kind IN ('caterer', 'union')", name=op.f("ck_buying_mandate_kind")),
        sa.CheckConstraint(
            "status IN ('proposed', 'active', 'declined', 'ended')", name=op.f("ck_buying_mandate_status")
        ),
        sa.CheckConstraint("NOT isempty(valid)", name=op.f("ck_buying_mandate_valid")),
        postgresql.ExcludeConstraint(
            (sa.column("unit_id"), "="),
            (sa.column("organisation_id"), "="),
            (sa.column("valid"), "&&"),
            where=sa.text("status IN ('proposed', 'active')"),
            using="gist",
            name="ex_buying_mandate_one_at_a_time",
        ),
        postgresql.ExcludeConstraint(
            (sa.column("organisation_id"), "="),
            (sa.column("valid"), "&&"),
            where=sa.text("kind = 'union' AND status IN ('proposed', 'active')"),
            using="gist",
            name="ex_buying_mandate_one_unit_of_a_union",
        ),
        sa.ForeignKeyConstraint(["unit_id"], ["budget_unit.id"], name=op.f("fk_buying_mandate_unit_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_buying_mandate_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_buying_mandate")),
    )
    op.create_index(op.f("ix_buying_mandate_unit_id"), "buying_mandate", ["unit_id"], unique=False)
    op.create_index("ix_buying_mandate_organisation", "buying_mandate", ["organisation_id", "id"], unique=False)


def quotas() -> None:
    rule = op.create_table(
        "quota_rule",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("rate_bp", sa.BigInteger(), nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("union_in_base", sa.Boolean(), nullable=False),
        sa.Column("valid", postgresql.DATERANGE(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.CheckConstraint("scope = 'national' OR scope ~ '^[1-9][0-9]0000$'", name=op.f("ck_quota_rule_scope")),
        sa.CheckConstraint("purpose IN ('canteen', 'union_welfare')", name=op.f("ck_quota_rule_purpose")),
        sa.CheckConstraint("rate_bp BETWEEN 0 AND 10000", name=op.f("ck_quota_rule_rate")),
        sa.CheckConstraint("NOT isempty(valid)", name=op.f("ck_quota_rule_valid")),
        postgresql.ExcludeConstraint(
            (sa.column("scope"), "="),
            (sa.column("purpose"), "="),
            (sa.column("valid"), "&&"),
            using="gist",
            name="ex_quota_rule_one_at_a_time",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quota_rule")),
    )
    for rule_id, scope, rate, union, valid, base, source in RULES:
        op.execute(
            sa.insert(rule).values(
                id=sa.cast(rule_id, sa.Uuid()),
                scope=scope,
                purpose="canteen",
                rate_bp=rate,
                base=base,
                union_in_base=union,
                valid=sa.cast(valid, postgresql.DATERANGE()),
                source=source,
            )
        )
    op.create_table(
        "quota_deadline",
        sa.Column("year", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("finance_level", sa.Text(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("year", "finance_level", name=op.f("pk_quota_deadline")),
    )
    op.create_table(
        "quota_relaxation",
        sa.Column("unit_id", sa.Uuid(), nullable=False),
        sa.Column("year", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("rate_bp", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("approved_by", sa.Uuid(), nullable=False),
        sa.Column("approved_at", INSTANT, nullable=False),
        sa.CheckConstraint("rate_bp BETWEEN 0 AND 10000", name=op.f("ck_quota_relaxation_rate")),
        sa.ForeignKeyConstraint(["unit_id"], ["budget_unit.id"], name=op.f("fk_quota_relaxation_unit_id")),
        sa.PrimaryKeyConstraint("unit_id", "year", name=op.f("pk_quota_relaxation")),
    )
    op.create_table(
        "quota_filing",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("unit_id", sa.Uuid(), nullable=False),
        sa.Column("year", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("has_canteen", sa.Boolean(), nullable=False),
        sa.Column("shared_with_id", sa.Uuid(), nullable=True),
        sa.Column("outsourced_to", sa.Text(), nullable=True),
        sa.Column("mandate_id", sa.Uuid(), nullable=True),
        sa.Column("canteen_fen", sa.BigInteger(), nullable=False),
        sa.Column("union_demand_fen", sa.BigInteger(), nullable=False),
        sa.Column("base_fen", sa.BigInteger(), nullable=False),
        sa.Column("minimum_fen", sa.BigInteger(), nullable=False),
        sa.Column("reserved_fen", sa.BigInteger(), nullable=False),
        sa.Column("rule_id", sa.Uuid(), nullable=False),
        sa.Column("late", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("filed_at", INSTANT, nullable=True),
        sa.Column("filed_by", sa.Uuid(), nullable=True),
        sa.Column("reviewed_at", INSTANT, nullable=True),
        sa.CheckConstraint(
            "status IN ('draft', 'filed', 'returned', 'accepted', 'amended')", name=op.f("ck_quota_filing_status")
        ),
        sa.CheckConstraint(
            "canteen_fen >= 0 AND union_demand_fen >= 0 AND reserved_fen >= 0", name=op.f("ck_quota_filing_amounts")
        ),
        sa.CheckConstraint("base_fen >= 0 AND minimum_fen >= 0", name=op.f("ck_quota_filing_computed")),
        sa.CheckConstraint("shared_with_id <> unit_id", name=op.f("ck_quota_filing_not_itself")),
        sa.CheckConstraint(
            "(has_canteen AND shared_with_id IS NULL) OR canteen_fen = 0", name=op.f("ck_quota_filing_counted_once")
        ),
        sa.ForeignKeyConstraint(["unit_id"], ["budget_unit.id"], name=op.f("fk_quota_filing_unit_id")),
        sa.ForeignKeyConstraint(["shared_with_id"], ["budget_unit.id"], name=op.f("fk_quota_filing_shared_with_id")),
        sa.ForeignKeyConstraint(["mandate_id"], ["buying_mandate.id"], name=op.f("fk_quota_filing_mandate_id")),
        sa.ForeignKeyConstraint(["rule_id"], ["quota_rule.id"], name=op.f("fk_quota_filing_rule_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quota_filing")),
        sa.UniqueConstraint("unit_id", "year", name=op.f("uq_quota_filing_unit_id_year")),
    )
    op.create_index("ix_quota_filing_shared_with", "quota_filing", ["shared_with_id", "year"], unique=False)
    op.create_index("ix_quota_filing_year", "quota_filing", ["year", "status"], unique=False)
    op.create_table(
        "quota_filing_history",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("filing_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("figures", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("by_user_id", sa.Uuid(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["filing_id"], ["quota_filing.id"], name=op.f("fk_quota_filing_history_filing_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quota_filing_history")),
    )
    op.create_index("ix_quota_filing_history_filing", "quota_filing_history", ["filing_id", "id"], unique=False)
    op.create_table(
        "quota_reminder",
        sa.Column("unit_id", sa.Uuid(), nullable=False),
        sa.Column("year", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("mark", sa.Text(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.CheckConstraint("mark IN ('days_30', 'days_7', 'overdue')", name=op.f("ck_quota_reminder_mark")),
        sa.ForeignKeyConstraint(["unit_id"], ["budget_unit.id"], name=op.f("fk_quota_reminder_unit_id")),
        sa.PrimaryKeyConstraint("unit_id", "year", "mark", name=op.f("pk_quota_reminder")),
    )


def imports() -> None:
    op.create_table(
        "bulk_import",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=True),
        sa.Column("effect_hash", sa.LargeBinary(), nullable=False),
        sa.Column("outcome", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("made_by", sa.Uuid(), nullable=False),
        sa.Column("made_at", INSTANT, nullable=False),
        sa.Column("recorded_at", INSTANT, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("applied_at", INSTANT, nullable=True),
        sa.CheckConstraint(
            "kind IN ('members', 'budget-units', 'addresses', 'quota-filings')", name=op.f("ck_bulk_import_kind")
        ),
        sa.CheckConstraint("status IN ('tried', 'applied')", name=op.f("ck_bulk_import_status")),
        sa.CheckConstraint("mode IN ('all', 'valid_rows')", name=op.f("ck_bulk_import_mode")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_bulk_import_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bulk_import")),
    )
    op.create_index(op.f("ix_bulk_import_organisation_id"), "bulk_import", ["organisation_id"], unique=False)
    op.create_index("ix_bulk_import_recorded_at", "bulk_import", ["recorded_at"], unique=False)


def policies() -> None:
    """Whose rows are whose. Rules and deadlines are for everybody, and so are units, in trees over organisations."""
    op.execute(
        """
        CREATE FUNCTION seen_units() RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
            WITH RECURSIVE seen AS (
                SELECT u.id FROM budget_unit u JOIN organisation o ON o.id = u.organisation_id
                WHERE o.id = (SELECT seen_organisation()) OR o.successor_id = (SELECT seen_organisation())
                UNION
                SELECT u.id FROM budget_unit u JOIN seen ON u.parent_id = seen.id OR u.successor_id = seen.id
            )
            SELECT id FROM seen
        $$
        """
    )
    for table in ("registration", "invoice_profile", "bulk_import"):
        guard(table, owned("organisation_id"))
    guard("unit_link", owned("organisation_id"), owned("offered_by_id"))
    guard("buying_mandate", owned("organisation_id"), OF_THE_UNIT)
    for table in ("quota_relaxation", "quota_filing", "quota_reminder"):
        guard(table, IN_SIGHT)
    guard("quota_filing_history", belongs("quota_filing_history", "filing_id", "quota_filing"))
    change_ways("address", owned("organisation_id"), ORDERED_TO, MAY_ORDER_TO)


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
