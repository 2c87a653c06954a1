"""the first schema"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_entry",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column(
            "recorded_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject_kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("change", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entry")),
    )
    op.create_index("ix_audit_entry_subject", "audit_entry", ["subject_kind", "subject_id", "id"], unique=False)
    op.create_table(
        "business_clock",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("offset_us", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_business_clock_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_business_clock")),
    )
    op.create_table(
        "division",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("parent_code", sa.Text(), nullable=True),
        sa.Column("successor_code", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("code", "valid_from", name=op.f("pk_division")),
    )
    op.create_table(
        "document_counter",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("year", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organisation_id", "kind", "year", name=op.f("pk_document_counter")),
    )
    op.create_table(
        "eligibility_member",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("list", sa.Text(), nullable=False),
        sa.Column("county_code", sa.Text(), nullable=False),
        sa.Column("name_as_designated", sa.Text(), nullable=False),
        sa.Column("valid", postgresql.DATERANGE(), nullable=False),
        sa.CheckConstraint("list IN ('poverty_832', 'key_160')", name=op.f("ck_eligibility_member_list")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_eligibility_member")),
    )
    op.create_index("ix_eligibility_member_county_code", "eligibility_member", ["county_code"], unique=False)
    op.create_table(
        "event",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("seen_by", postgresql.ARRAY(sa.UUID()), nullable=False),
        sa.Column("at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column(
            "recorded_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("posted_no", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
        sa.UniqueConstraint("posted_no", name=op.f("uq_event_posted_no")),
    )
    op.create_index("ix_event_seen_by", "event", ["seen_by"], unique=False, postgresql_using="gin")
    op.create_index("ix_event_unnumbered", "event", ["id"], unique=False, postgresql_where=sa.text("posted_no IS NULL"))
    op.create_table(
        "fact",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("measure", sa.Text(), nullable=False),
        sa.Column("class", sa.Text(), nullable=False),
        sa.Column("grade", sa.Text(), nullable=False),
        sa.Column("occurred_on", sa.Date(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column(
            "recorded_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("posted_no", sa.BigInteger(), nullable=True),
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("goods_fen", sa.BigInteger(), nullable=False),
        sa.Column("freight_fen", sa.BigInteger(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("packs", sa.BigInteger(), nullable=False),
        sa.Column("grams", sa.BigInteger(), nullable=False),
        sa.Column("scheme", sa.Text(), nullable=False),
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("pairing_id", sa.Uuid(), nullable=True),
        sa.Column("east_province", sa.Text(), nullable=False),
        sa.Column("west_province", sa.Text(), nullable=False),
        sa.Column("funding_code", sa.Text(), nullable=False),
        sa.Column("origin_code", sa.Text(), nullable=False),
        sa.Column("buyer_id", sa.Uuid(), nullable=False),
        sa.Column("budget_unit_id", sa.Uuid(), nullable=False),
        sa.Column("cooperative_id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("supplier_order_id", sa.Uuid(), nullable=False),
        sa.Column("line_id", sa.Uuid(), nullable=False),
        sa.CheckConstraint("class IN ('procured', 'helped')", name=op.f("ck_fact_class")),
        sa.CheckConstraint("grade IN ('A', 'B', 'C')", name=op.f("ck_fact_grade")),
        sa.CheckConstraint("month = date_trunc('month', occurred_on)::date", name=op.f("ck_fact_month")),
        sa.CheckConstraint("amount_fen = goods_fen + freight_fen", name=op.f("ck_fact_amount")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fact")),
        sa.UniqueConstraint("measure", "source_id", name=op.f("uq_fact_measure_source_id")),
        sa.UniqueConstraint("posted_no", name=op.f("uq_fact_posted_no")),
    )
    op.create_index(
        "ix_fact_buyer", "fact", ["buyer_id", "month"], unique=False, postgresql_where=sa.text("posted_no IS NOT NULL")
    )
    op.create_index(
        "ix_fact_cooperative",
        "fact",
        ["cooperative_id", "month"],
        unique=False,
        postgresql_where=sa.text("posted_no IS NOT NULL"),
    )
    op.create_index(
        "ix_fact_drill",
        "fact",
        ["measure", "month", "east_province", "west_province", "category", "posted_no"],
        unique=False,
        postgresql_where=sa.text("posted_no IS NOT NULL"),
    )
    op.create_index(
        "ix_fact_funding",
        "fact",
        ["funding_code", "month"],
        unique=False,
        postgresql_where=sa.text("posted_no IS NOT NULL"),
    )
    op.create_index(op.f("ix_fact_order_id"), "fact", ["order_id"], unique=False)
    op.create_index(
        "ix_fact_origin",
        "fact",
        ["origin_code", "month"],
        unique=False,
        postgresql_where=sa.text("posted_no IS NOT NULL"),
    )
    op.create_index("ix_fact_unnumbered", "fact", ["id"], unique=False, postgresql_where=sa.text("posted_no IS NULL"))
    op.create_table(
        "hub",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("division_code", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hub")),
        sa.UniqueConstraint("code", name=op.f("uq_hub_code")),
    )
    op.create_table(
        "idempotency_key",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.BigInteger(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column(
            "at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("organisation_id", "operation", "key", name=op.f("pk_idempotency_key")),
    )
    op.create_index(op.f("ix_idempotency_key_at"), "idempotency_key", ["at"], unique=False)
    op.create_table(
        "lane",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("from_code", sa.Text(), nullable=False),
        sa.Column("to_code", sa.Text(), nullable=False),
        sa.Column("storage", sa.Text(), nullable=False),
        sa.Column("distance_km", sa.BigInteger(), nullable=False),
        sa.Column("days", sa.BigInteger(), nullable=False),
        sa.Column("rate_fen_per_tonne", sa.BigInteger(), nullable=False),
        sa.Column("minimum_fen", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("valid", postgresql.DATERANGE(), nullable=False),
        postgresql.ExcludeConstraint(
            (sa.column("from_code"), "="),
            (sa.column("to_code"), "="),
            (sa.column("storage"), "="),
            (sa.column("valid"), "&&"),
            using="gist",
            name="ex_lane_one_at_a_time",
        ),
        sa.CheckConstraint("rate_fen_per_tonne >= 0 AND minimum_fen >= 0 AND days > 0", name=op.f("ck_lane_sane")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lane")),
    )
    op.create_table(
        "ledger_transaction",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=True),
        sa.Column("at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column(
            "recorded_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_transaction")),
        sa.UniqueConstraint("kind", "source_id", name=op.f("uq_ledger_transaction_kind_source_id")),
    )
    op.create_index(op.f("ix_ledger_transaction_order_id"), "ledger_transaction", ["order_id"], unique=False)
    op.create_table(
        "login_failure",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_hash", sa.LargeBinary(), nullable=False),
        sa.Column(
            "at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_login_failure")),
    )
    op.create_index("ix_login_failure_account", "login_failure", ["account_hash", "at"], unique=False)
    op.create_table(
        "numbering",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_numbering")),
    )
    op.create_table(
        "organisation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("uscc", sa.Text(), nullable=True),
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column("division_code", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint("status IN ('active', 'suspended', 'closed')", name=op.f("ck_organisation_status")),
        sa.CheckConstraint(
            "uscc IS NOT NULL OR parent_id IS NOT NULL OR kind IN ('platform', 'county_reviewer')",
            name=op.f("ck_organisation_has_code_or_parent"),
        ),
        sa.ForeignKeyConstraint(["parent_id"], ["organisation.id"], name=op.f("fk_organisation_parent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organisation")),
        sa.UniqueConstraint("uscc", name=op.f("uq_organisation_uscc")),
    )
    op.create_table(
        "pairing",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("scheme", sa.Text(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("round", sa.Text(), nullable=False),
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column("east_code", sa.Text(), nullable=False),
        sa.Column("west_code", sa.Text(), nullable=False),
        sa.Column("valid", postgresql.DATERANGE(), nullable=False),
        sa.Column("shared", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        postgresql.ExcludeConstraint(
            (sa.column("scheme"), "="),
            (sa.column("east_code"), "="),
            (sa.column("west_code"), "="),
            (sa.column("valid"), "&&"),
            using="gist",
            name="ex_pairing_one_at_a_time",
        ),
        sa.ForeignKeyConstraint(["parent_id"], ["pairing.id"], name=op.f("fk_pairing_parent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pairing")),
    )
    op.create_index("ix_pairing_west_code", "pairing", ["west_code"], unique=False)
    op.create_table(
        "person",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person")),
        sa.UniqueConstraint("email", name=op.f("uq_person_email")),
    )
    op.create_table(
        "report_run",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("question", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("upto_no", sa.BigInteger(), nullable=False),
        sa.Column("total_fen", sa.BigInteger(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("by_user_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column(
            "recorded_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_run")),
    )
    op.create_index(op.f("ix_report_run_organisation_id"), "report_run", ["organisation_id"], unique=False)
    op.create_table(
        "rollup",
        sa.Column("grain", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("measure", sa.Text(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("scheme", sa.Text(), nullable=False),
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("east_province", sa.Text(), nullable=False),
        sa.Column("west_province", sa.Text(), nullable=False),
        sa.Column("pairing_key", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("goods_fen", sa.BigInteger(), nullable=False),
        sa.Column("freight_fen", sa.BigInteger(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("packs", sa.BigInteger(), nullable=False),
        sa.Column("grams", sa.BigInteger(), nullable=False),
        sa.Column("facts", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "grain",
            "measure",
            "month",
            "scheme",
            "bucket",
            "east_province",
            "west_province",
            "pairing_key",
            "category",
            "purpose",
            name=op.f("pk_rollup"),
        ),
        postgresql_with={"fillfactor": 50},
    )
    op.create_index("ix_rollup_month", "rollup", ["grain", "measure", "month"], unique=False)
    op.create_table(
        "rollup_mark",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("upto_no", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_rollup_mark")),
    )
    op.create_table(
        "webhook_event",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column(
            "recorded_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("asked_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("asked", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("applied_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_event")),
    )
    op.create_index(
        "ix_webhook_event_open",
        "webhook_event",
        ["recorded_at"],
        unique=False,
        postgresql_where=sa.text("applied_at IS NULL"),
    )
    op.create_table(
        "address",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("division_code", sa.Text(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("contact", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_address_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_address")),
    )
    op.create_index(op.f("ix_address_organisation_id"), "address", ["organisation_id"], unique=False)
    op.create_table(
        "budget_unit",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("finance_level", sa.Text(), nullable=False),
        sa.Column("funding_code", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_budget_unit_organisation_id")),
        sa.ForeignKeyConstraint(["parent_id"], ["budget_unit.id"], name=op.f("fk_budget_unit_parent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budget_unit")),
    )
    op.create_index(op.f("ix_budget_unit_organisation_id"), "budget_unit", ["organisation_id"], unique=False)
    op.create_table(
        "credit_limit",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("limit_fen", sa.BigInteger(), nullable=False),
        sa.Column("used_fen", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("used_fen >= 0 AND used_fen <= limit_fen", name=op.f("ck_credit_limit_within")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_credit_limit_organisation_id")),
        sa.PrimaryKeyConstraint("organisation_id", name=op.f("pk_credit_limit")),
    )
    op.create_table(
        "delivery",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column(
            "due_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("done_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('waiting', 'sent', 'claimed', 'done', 'parked')", name=op.f("ck_delivery_status")
        ),
        sa.ForeignKeyConstraint(["event_id"], ["event.id"], name=op.f("fk_delivery_event_id")),
        sa.PrimaryKeyConstraint("event_id", "consumer", name=op.f("pk_delivery")),
    )
    op.create_index(
        "ix_delivery_due",
        "delivery",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("status IN ('waiting', 'sent', 'claimed')"),
    )
    op.create_index(
        "ix_delivery_parked", "delivery", ["event_id"], unique=False, postgresql_where=sa.text("status = 'parked'")
    )
    op.create_index(
        "ix_delivery_webhook",
        "delivery",
        ["consumer", "event_id"],
        unique=False,
        postgresql_where=sa.text("consumer LIKE 'webhook:%%'"),
    )
    op.create_table(
        "ledger_account",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_ledger_account_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_account")),
        sa.UniqueConstraint("organisation_id", "kind", name=op.f("uq_ledger_account_organisation_id_kind")),
    )
    op.create_table(
        "membership",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("roles", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("regions", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("order_limit_fen", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_membership_organisation_id")),
        sa.ForeignKeyConstraint(["user_id"], ["person.id"], name=op.f("fk_membership_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_membership")),
    )
    op.create_index(op.f("ix_membership_organisation_id"), "membership", ["organisation_id"], unique=False)
    op.create_index("ix_membership_user_organisation", "membership", ["user_id", "organisation_id"], unique=True)
    op.create_table(
        "notice",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("text_en", sa.Text(), nullable=False),
        sa.Column("at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column(
            "recorded_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("read_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_notice_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
        sa.UniqueConstraint("organisation_id", "source_id", name=op.f("uq_notice_organisation_id_source_id")),
    )
    op.create_index("ix_notice_organisation", "notice", ["organisation_id", "id"], unique=False)
    op.create_table(
        "pairing_member",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("pairing_id", sa.Uuid(), nullable=False),
        sa.Column("county_code", sa.Text(), nullable=False),
        sa.Column("valid", postgresql.DATERANGE(), nullable=False),
        postgresql.ExcludeConstraint(
            (sa.column("pairing_id"), "="),
            (sa.column("county_code"), "="),
            (sa.column("valid"), "&&"),
            using="gist",
            name="ex_pairing_member_one_at_a_time",
        ),
        sa.ForeignKeyConstraint(["pairing_id"], ["pairing.id"], name=op.f("fk_pairing_member_pairing_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pairing_member")),
    )
    op.create_index(op.f("ix_pairing_member_pairing_id"), "pairing_member", ["pairing_id"], unique=False)
    op.create_table(
        "product",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("cooperative_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("origin_code", sa.Text(), nullable=False),
        sa.Column("storage", sa.Text(), nullable=False),
        sa.Column("shelf_life_days", sa.BigInteger(), nullable=False),
        sa.Column("grade", sa.Text(), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("tags", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint("storage IN ('ambient', 'chilled', 'frozen')", name=op.f("ck_product_storage")),
        sa.CheckConstraint("shelf_life_days > 0", name=op.f("ck_product_shelf_life")),
        sa.ForeignKeyConstraint(["cooperative_id"], ["organisation.id"], name=op.f("fk_product_cooperative_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_product")),
        sa.UniqueConstraint("cooperative_id", "code", name=op.f("uq_product_cooperative_id_code")),
    )
    op.create_table(
        "stored_file",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column(
            "recorded_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("expires_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_stored_file_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stored_file")),
    )
    op.create_index(
        "ix_stored_file_expires_at",
        "stored_file",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("expires_at IS NOT NULL"),
    )
    op.create_index(op.f("ix_stored_file_organisation_id"), "stored_file", ["organisation_id"], unique=False)
    op.create_table(
        "webhook_endpoint",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("kinds", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("is_private", sa.Boolean(), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("rest_until", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint("status IN ('active', 'disabled')", name=op.f("ck_webhook_endpoint_status")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_webhook_endpoint_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_endpoint")),
        sa.UniqueConstraint("organisation_id", "url", name=op.f("uq_webhook_endpoint_organisation_id_url")),
    )
    op.create_index(
        "ix_webhook_endpoint_active",
        "webhook_endpoint",
        ["organisation_id"],
        unique=False,
        postgresql_where=sa.text("status = 'active'"),
    )
    op.create_table(
        "api_token",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("membership_id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("expires_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("revoked_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["membership_id"], ["membership.id"], name=op.f("fk_api_token_membership_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_token")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_api_token_token_hash")),
    )
    op.create_index(op.f("ix_api_token_membership_id"), "api_token", ["membership_id"], unique=False)
    op.create_table(
        "certificate",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("expires_on", sa.Date(), nullable=False),
        sa.CheckConstraint("kind IN ('organic', 'green', 'gi')", name=op.f("ck_certificate_kind")),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("fk_certificate_product_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certificate")),
    )
    op.create_index(op.f("ix_certificate_product_id"), "certificate", ["product_id"], unique=False)
    op.create_table(
        "job",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("asked", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("progress", sa.BigInteger(), nullable=False),
        sa.Column("file_id", sa.Uuid(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column(
            "recorded_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("ended_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint("file_id IS NULL OR status = 'done'", name=op.f("ck_job_result_of_done")),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'done', 'failed', 'cancelled')", name=op.f("ck_job_status")
        ),
        sa.CheckConstraint("progress BETWEEN 0 AND 100", name=op.f("ck_job_progress")),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_job_file_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_job_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
    )
    op.create_index("ix_job_file_id", "job", ["file_id"], unique=False, postgresql_where=sa.text("file_id IS NOT NULL"))
    op.create_index(op.f("ix_job_organisation_id"), "job", ["organisation_id"], unique=False)
    op.create_table(
        "ledger_balance",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("shard", sa.BigInteger(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["ledger_account.id"], name=op.f("fk_ledger_balance_account_id")),
        sa.PrimaryKeyConstraint("account_id", "shard", name=op.f("pk_ledger_balance")),
    )
    op.create_table(
        "ledger_entry",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("transaction_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount_fen <> 0", name=op.f("ck_ledger_entry_not_zero")),
        sa.ForeignKeyConstraint(["account_id"], ["ledger_account.id"], name=op.f("fk_ledger_entry_account_id")),
        sa.ForeignKeyConstraint(
            ["transaction_id"], ["ledger_transaction.id"], name=op.f("fk_ledger_entry_transaction_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_entry")),
    )
    op.create_index("ix_ledger_entry_account", "ledger_entry", ["account_id", "id"], unique=False)
    op.create_index(op.f("ix_ledger_entry_transaction_id"), "ledger_entry", ["transaction_id"], unique=False)
    op.create_table(
        "listing",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("cooperative_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("pack_name", sa.Text(), nullable=False),
        sa.Column("base_unit", sa.Text(), nullable=False),
        sa.Column("pack_base_quantity", sa.BigInteger(), nullable=False),
        sa.Column("pack_grams", sa.BigInteger(), nullable=False),
        sa.Column("min_packs", sa.BigInteger(), nullable=False),
        sa.Column("step_packs", sa.BigInteger(), nullable=False),
        sa.Column("max_packs", sa.BigInteger(), nullable=False),
        sa.Column("price_fen", sa.BigInteger(), nullable=False),
        sa.Column("tiers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("season_from", sa.BigInteger(), nullable=False),
        sa.Column("season_to", sa.BigInteger(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("storage", sa.Text(), nullable=False),
        sa.Column("origin_code", sa.Text(), nullable=False),
        sa.Column("province_code", sa.Text(), nullable=False),
        sa.Column("search_text", sa.Text(), nullable=False),
        sa.Column("grams", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("card", sa.Text(), nullable=False),
        sa.Column("listed_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("review_note", sa.Text(), nullable=True),
        sa.Column("reviewed_tiers", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("card_until", sa.Date(), nullable=True),
        sa.CheckConstraint("base_unit IN ('g', 'piece') AND pack_base_quantity > 0", name=op.f("ck_listing_pack")),
        sa.CheckConstraint("status IN ('draft', 'in_review', 'listed', 'delisted')", name=op.f("ck_listing_status")),
        sa.CheckConstraint(
            "min_packs > 0 AND step_packs > 0 AND max_packs >= min_packs", name=op.f("ck_listing_packs")
        ),
        sa.CheckConstraint("price_fen > 0 AND price_fen <= 1000000000", name=op.f("ck_listing_price")),
        sa.CheckConstraint(
            "season_from BETWEEN 1 AND 12 AND season_to BETWEEN 1 AND 12", name=op.f("ck_listing_season")
        ),
        sa.ForeignKeyConstraint(["cooperative_id"], ["organisation.id"], name=op.f("fk_listing_cooperative_id")),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("fk_listing_product_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_listing")),
    )
    op.create_index(
        "ix_listing_card_until",
        "listing",
        ["card_until"],
        unique=False,
        postgresql_where=sa.text("card_until IS NOT NULL"),
    )
    op.create_index(
        "ix_listing_category_newest",
        "listing",
        ["category", "listed_at", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'listed'"),
    )
    op.create_index(
        "ix_listing_category_price",
        "listing",
        ["category", "price_fen", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'listed'"),
    )
    op.create_index("ix_listing_cooperative", "listing", ["cooperative_id", "id"], unique=False)
    op.create_index("ix_listing_grams", "listing", ["grams"], unique=False, postgresql_using="gin")
    op.create_index(
        "ix_listing_newest", "listing", ["listed_at", "id"], unique=False, postgresql_where=sa.text("status = 'listed'")
    )
    op.create_index(
        "ix_listing_origin_newest",
        "listing",
        ["origin_code", "listed_at", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'listed'"),
    )
    op.create_index(
        "ix_listing_origin_price",
        "listing",
        ["origin_code", "price_fen", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'listed'"),
    )
    op.create_index(
        "ix_listing_price", "listing", ["price_fen", "id"], unique=False, postgresql_where=sa.text("status = 'listed'")
    )
    op.create_index(op.f("ix_listing_product_id"), "listing", ["product_id"], unique=False)
    op.create_index(
        "ix_listing_province_newest",
        "listing",
        ["province_code", "listed_at", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'listed'"),
    )
    op.create_index(
        "ix_listing_province_price",
        "listing",
        ["province_code", "price_fen", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'listed'"),
    )
    op.create_index(
        "ix_listing_review", "listing", ["id"], unique=False, postgresql_where=sa.text("status = 'in_review'")
    )
    op.create_index(
        "ix_listing_storage_newest",
        "listing",
        ["storage", "listed_at", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'listed'"),
    )
    op.create_index(
        "ix_listing_storage_price",
        "listing",
        ["storage", "price_fen", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'listed'"),
    )
    op.create_table(
        "lot",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("cooperative_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("harvested_on", sa.Date(), nullable=False),
        sa.Column("best_before", sa.Date(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("in_store", sa.BigInteger(), nullable=False),
        sa.Column("bound", sa.BigInteger(), nullable=False),
        sa.Column("shipped", sa.BigInteger(), nullable=False),
        sa.Column("lost", sa.BigInteger(), nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint(
            "in_store >= 0 AND bound >= 0 AND shipped >= 0 AND lost >= 0", name=op.f("ck_lot_not_negative")
        ),
        sa.CheckConstraint("received = in_store + bound + shipped + lost", name=op.f("ck_lot_adds_up")),
        sa.ForeignKeyConstraint(["cooperative_id"], ["organisation.id"], name=op.f("fk_lot_cooperative_id")),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("fk_lot_product_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lot")),
        sa.UniqueConstraint("cooperative_id", "code", name=op.f("uq_lot_cooperative_id_code")),
    )
    op.create_index("ix_lot_cooperative", "lot", ["cooperative_id", "id"], unique=False)
    op.create_index(
        "ix_lot_fefo",
        "lot",
        ["product_id", "best_before", "id"],
        unique=False,
        postgresql_where=sa.text("in_store > 0"),
    )
    op.create_table(
        "purchase_order",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("buyer_id", sa.Uuid(), nullable=False),
        sa.Column("budget_unit_id", sa.Uuid(), nullable=False),
        sa.Column("address_id", sa.Uuid(), nullable=False),
        sa.Column("delivery_code", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.Column("goods_fen", sa.BigInteger(), nullable=False),
        sa.Column("freight_fen", sa.BigInteger(), nullable=False),
        sa.Column("total_fen", sa.BigInteger(), nullable=False),
        sa.Column("placed_by", sa.Uuid(), nullable=False),
        sa.Column("placed_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column(
            "recorded_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint("purpose IN ('canteen', 'union_welfare', 'other')", name=op.f("ck_purchase_order_purpose")),
        sa.CheckConstraint("terms IN ('prepaid', 'on_terms')", name=op.f("ck_purchase_order_terms")),
        sa.CheckConstraint("total_fen >= 0", name=op.f("ck_purchase_order_total")),
        sa.ForeignKeyConstraint(["budget_unit_id"], ["budget_unit.id"], name=op.f("fk_purchase_order_budget_unit_id")),
        sa.ForeignKeyConstraint(["buyer_id"], ["organisation.id"], name=op.f("fk_purchase_order_buyer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_purchase_order")),
        sa.UniqueConstraint("buyer_id", "number", name=op.f("uq_purchase_order_buyer_id_number")),
    )
    op.create_index("ix_purchase_order_unit", "purchase_order", ["budget_unit_id", "id"], unique=False)
    op.create_table(
        "charge",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("buyer_id", sa.Uuid(), nullable=False),
        sa.Column("parts", sa.ARRAY(sa.UUID()), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("refunded_fen", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("gateway_id", sa.Text(), nullable=True),
        sa.Column("payment_method", sa.Text(), nullable=True),
        sa.Column("action_url", sa.Text(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column(
            "recorded_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("asked_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("asked", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("paid_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint("method IN ('bank_transfer', 'stripe')", name=op.f("ck_charge_method")),
        sa.CheckConstraint(
            "status IN ('pending', 'unknown', 'succeeded', 'failed', 'cancelled')", name=op.f("ck_charge_status")
        ),
        sa.CheckConstraint("amount_fen > 0", name=op.f("ck_charge_amount")),
        sa.CheckConstraint("refunded_fen BETWEEN 0 AND amount_fen", name=op.f("ck_charge_refunded")),
        sa.ForeignKeyConstraint(["order_id"], ["purchase_order.id"], name=op.f("fk_charge_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_charge")),
        sa.UniqueConstraint("gateway_id", name=op.f("uq_charge_gateway_id")),
        sa.UniqueConstraint("reference", name=op.f("uq_charge_reference")),
    )
    op.create_index(
        "ix_charge_open",
        "charge",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("status IN ('pending', 'unknown')"),
    )
    op.create_index("ix_charge_order", "charge", ["order_id"], unique=False)
    op.create_index(
        "uq_charge_one_open",
        "charge",
        ["order_id"],
        unique=True,
        postgresql_where=sa.text("status IN ('pending', 'unknown')"),
    )
    op.create_table(
        "listing_revision",
        sa.Column("listing_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("content", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("by_user_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["listing_id"], ["listing.id"], name=op.f("fk_listing_revision_listing_id")),
        sa.PrimaryKeyConstraint("listing_id", "revision", name=op.f("pk_listing_revision")),
    )
    op.create_table(
        "movement",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("lot_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("line_id", sa.Uuid(), nullable=True),
        sa.Column("buyer_id", sa.Uuid(), nullable=True),
        sa.Column("at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('received', 'bound', 'unbound', 'shipped', 'lost')", name=op.f("ck_movement_kind")
        ),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_movement_quantity")),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name=op.f("fk_movement_lot_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_movement")),
    )
    op.create_index("ix_movement_line", "movement", ["line_id"], unique=False)
    op.create_index("ix_movement_lot", "movement", ["lot_id", "id"], unique=False)
    op.create_table(
        "supplier_order",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("buyer_id", sa.Uuid(), nullable=False),
        sa.Column("cooperative_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("goods_fen", sa.BigInteger(), nullable=False),
        sa.Column("freight_fen", sa.BigInteger(), nullable=False),
        sa.Column("pay_before", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("accepted_goods_fen", sa.BigInteger(), nullable=True),
        sa.Column("accepted_freight_fen", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "status IN ('placed', 'confirmed', 'accepted', 'packed', 'shipped', 'delivered', 'inspected', 'settled', 'cancelled', 'disputed')",
            name=op.f("ck_supplier_order_status"),
        ),
        sa.ForeignKeyConstraint(["cooperative_id"], ["organisation.id"], name=op.f("fk_supplier_order_cooperative_id")),
        sa.ForeignKeyConstraint(["order_id"], ["purchase_order.id"], name=op.f("fk_supplier_order_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_supplier_order")),
        sa.UniqueConstraint("order_id", "cooperative_id", name=op.f("uq_supplier_order_order_id_cooperative_id")),
    )
    op.create_index("ix_supplier_order_cooperative", "supplier_order", ["cooperative_id", "id"], unique=False)
    op.create_index(
        "ix_supplier_order_cooperative_status", "supplier_order", ["cooperative_id", "status", "id"], unique=False
    )
    op.create_index(
        "ix_supplier_order_placed",
        "supplier_order",
        ["pay_before"],
        unique=False,
        postgresql_where=sa.text("status = 'placed'"),
    )
    op.create_table(
        "supply",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("listing_id", sa.Uuid(), nullable=False),
        sa.Column("cooperative_id", sa.Uuid(), nullable=False),
        sa.Column("ready_from", sa.Date(), nullable=False),
        sa.Column("ready_to", sa.Date(), nullable=False),
        sa.Column("promised", sa.BigInteger(), nullable=False),
        sa.Column("open", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.Column("bound", sa.BigInteger(), nullable=False),
        sa.Column("withdrawn", sa.BigInteger(), nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint(
            "open >= 0 AND held >= 0 AND bound >= 0 AND withdrawn >= 0", name=op.f("ck_supply_not_negative")
        ),
        sa.CheckConstraint("promised = open + held + bound + withdrawn", name=op.f("ck_supply_adds_up")),
        sa.CheckConstraint("ready_to > ready_from", name=op.f("ck_supply_window")),
        sa.ForeignKeyConstraint(["cooperative_id"], ["organisation.id"], name=op.f("fk_supply_cooperative_id")),
        sa.ForeignKeyConstraint(["listing_id"], ["listing.id"], name=op.f("fk_supply_listing_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_supply")),
    )
    op.create_index("ix_supply_cooperative", "supply", ["cooperative_id", "id"], unique=False)
    op.create_index(
        "ix_supply_open",
        "supply",
        ["listing_id", "ready_to"],
        unique=False,
        postgresql_include=["open"],
        postgresql_where=sa.text("NOT closed"),
    )
    op.create_index("ix_supply_ready_to", "supply", ["ready_to"], unique=False, postgresql_where=sa.text("NOT closed"))
    op.create_table(
        "acceptance",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("supplier_order_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("by_user_id", sa.Uuid(), nullable=False),
        sa.Column("at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("goods_fen", sa.BigInteger(), nullable=False),
        sa.Column("freight_fen", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["supplier_order_id"], ["supplier_order.id"], name=op.f("fk_acceptance_supplier_order_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_acceptance")),
        sa.UniqueConstraint("supplier_order_id", name=op.f("uq_acceptance_supplier_order_id")),
    )
    op.create_table(
        "hold",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("supply_id", sa.Uuid(), nullable=False),
        sa.Column("line_id", sa.Uuid(), nullable=False),
        sa.Column("buyer_id", sa.Uuid(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint("status IN ('active', 'bound', 'released')", name=op.f("ck_hold_status")),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_hold_quantity")),
        sa.ForeignKeyConstraint(["supply_id"], ["supply.id"], name=op.f("fk_hold_supply_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hold")),
    )
    op.create_index("ix_hold_line", "hold", ["line_id"], unique=False)
    op.create_index(
        "ix_hold_supply_active", "hold", ["supply_id"], unique=False, postgresql_where=sa.text("status = 'active'")
    )
    op.create_table(
        "order_history",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("supplier_order_id", sa.Uuid(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("was", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("by_user_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column(
            "recorded_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["supplier_order_id"], ["supplier_order.id"], name=op.f("fk_order_history_supplier_order_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_history")),
        sa.UniqueConstraint("supplier_order_id", "step", name=op.f("uq_order_history_supplier_order_id_step")),
    )
    op.create_table(
        "order_line",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("supplier_order_id", sa.Uuid(), nullable=False),
        sa.Column("listing_id", sa.Uuid(), nullable=False),
        sa.Column("listing_revision", sa.BigInteger(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("packs", sa.BigInteger(), nullable=False),
        sa.Column("pack_base_quantity", sa.BigInteger(), nullable=False),
        sa.Column("pack_grams", sa.BigInteger(), nullable=False),
        sa.Column("unit_fen", sa.BigInteger(), nullable=False),
        sa.Column("goods_fen", sa.BigInteger(), nullable=False),
        sa.Column("freight_fen", sa.BigInteger(), nullable=False),
        sa.Column("snapshot", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("dimensions", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint(
            "packs > 0 AND unit_fen > 0 AND goods_fen = packs * unit_fen", name=op.f("ck_order_line_amount")
        ),
        sa.ForeignKeyConstraint(["listing_id"], ["listing.id"], name=op.f("fk_order_line_listing_id")),
        sa.ForeignKeyConstraint(
            ["supplier_order_id"], ["supplier_order.id"], name=op.f("fk_order_line_supplier_order_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_line")),
    )
    op.create_index("ix_order_line_supplier_order", "order_line", ["supplier_order_id"], unique=False)
    op.create_table(
        "refund",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("charge_id", sa.Uuid(), nullable=False),
        sa.Column("supplier_order_id", sa.Uuid(), nullable=False),
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("gateway_id", sa.Text(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column(
            "recorded_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("asked_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("asked", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("done_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint("reason IN ('cancelled', 'not accepted', 'paid twice')", name=op.f("ck_refund_reason")),
        sa.CheckConstraint("status IN ('pending', 'succeeded', 'failed')", name=op.f("ck_refund_status")),
        sa.CheckConstraint("amount_fen > 0", name=op.f("ck_refund_amount")),
        sa.ForeignKeyConstraint(["charge_id"], ["charge.id"], name=op.f("fk_refund_charge_id")),
        sa.ForeignKeyConstraint(["supplier_order_id"], ["supplier_order.id"], name=op.f("fk_refund_supplier_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund")),
        sa.UniqueConstraint("charge_id", "source_id", name=op.f("uq_refund_charge_id_source_id")),
        sa.UniqueConstraint("gateway_id", name=op.f("uq_refund_gateway_id")),
    )
    op.create_index(
        "ix_refund_open", "refund", ["created_at"], unique=False, postgresql_where=sa.text("status = 'pending'")
    )
    op.create_table(
        "shipment",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("supplier_order_id", sa.Uuid(), nullable=False),
        sa.Column("cooperative_id", sa.Uuid(), nullable=False),
        sa.Column("carrier", sa.Text(), nullable=False),
        sa.Column("waybill", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("grams", sa.BigInteger(), nullable=False),
        sa.Column("freight_fen", sa.BigInteger(), nullable=False),
        sa.Column("shipped_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("due_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("delivered_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("plan", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("next_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint("(status = 'delivered') = (delivered_at IS NOT NULL)", name=op.f("ck_shipment_delivered")),
        sa.CheckConstraint("status IN ('in_transit', 'delivered')", name=op.f("ck_shipment_status")),
        sa.ForeignKeyConstraint(["cooperative_id"], ["organisation.id"], name=op.f("fk_shipment_cooperative_id")),
        sa.ForeignKeyConstraint(
            ["supplier_order_id"], ["supplier_order.id"], name=op.f("fk_shipment_supplier_order_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shipment")),
        sa.UniqueConstraint(
            "cooperative_id", "carrier", "waybill", name=op.f("uq_shipment_cooperative_id_carrier_waybill")
        ),
        sa.UniqueConstraint("supplier_order_id", name=op.f("uq_shipment_supplier_order_id")),
    )
    op.create_index(
        "ix_shipment_due",
        "shipment",
        ["next_at"],
        unique=False,
        postgresql_where=sa.text("status = 'in_transit' AND next_at IS NOT NULL"),
    )
    op.create_table(
        "acceptance_line",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("acceptance_id", sa.Uuid(), nullable=False),
        sa.Column("line_id", sa.Uuid(), nullable=False),
        sa.Column("lot_id", sa.Uuid(), nullable=False),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
        sa.Column("rejected", sa.BigInteger(), nullable=False),
        sa.Column("short", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("goods_fen", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "accepted >= 0 AND rejected >= 0 AND short >= 0", name=op.f("ck_acceptance_line_not_negative")
        ),
        sa.ForeignKeyConstraint(["acceptance_id"], ["acceptance.id"], name=op.f("fk_acceptance_line_acceptance_id")),
        sa.ForeignKeyConstraint(["line_id"], ["order_line.id"], name=op.f("fk_acceptance_line_line_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_acceptance_line")),
        sa.UniqueConstraint("line_id", "lot_id", name=op.f("uq_acceptance_line_line_id_lot_id")),
    )
    op.create_index(op.f("ix_acceptance_line_acceptance_id"), "acceptance_line", ["acceptance_id"], unique=False)
    op.create_table(
        "tracking_event",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("shipment_id", sa.Uuid(), nullable=False),
        sa.Column("carrier_ref", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column(
            "recorded_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "kind IN ('picked_up', 'at_hub', 'delayed', 'out_for_delivery', 'delivered')",
            name=op.f("ck_tracking_event_kind"),
        ),
        sa.ForeignKeyConstraint(["shipment_id"], ["shipment.id"], name=op.f("fk_tracking_event_shipment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tracking_event")),
        sa.UniqueConstraint("shipment_id", "carrier_ref", name=op.f("uq_tracking_event_shipment_id_carrier_ref")),
    )


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
