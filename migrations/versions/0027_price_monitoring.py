"""price monitoring: dated rules, which reference fits a good, alerts with their evidence, buyers' reports"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_security import guard, owned
from shop.ids import new_id

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

INSTANT = postgresql.TIMESTAMP(timezone=True)
UNSETTLED = "status IN ('reported', 'open', 'explained', 'lowering')"
RULES_SINCE = "1996-01-01"
RULE = {  # what the platform begins with; 519 hundredths of the deviation are a modified z-score of 3.5
    "reference_max_age_days": 30, "above_reference_percent": 50, "above_peers_percent": 30,
    "above_history_percent": 30, "minimum_peers": 5, "mad_hundredths": 519, "history_days": 90,
    "minimum_history_days": 14, "response_days": 7, "tolerated_days": 90,
}  # fmt: skip


def upgrade() -> None:
    op.execute(
        """
        CREATE FUNCTION word_key(words text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
            SELECT regexp_replace(lower(normalize(words, NFKC)), '[[:space:][:cntrl:]]', '', 'g')
        $$
        """
    )
    op.create_index(
        "ix_product_words", "product", ["category", sa.text("word_key(name)"), sa.text("word_key(spec)")], unique=False
    )
    op.create_table(
        "price_rule",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("category", sa.Text(), server_default="", nullable=False),
        sa.Column("valid", postgresql.DATERANGE(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in RULE),
        postgresql.ExcludeConstraint(
            (sa.column("category"), "="), (sa.column("valid"), "&&"), using="gist", name="ex_price_rule_one_at_a_time"
        ),
        sa.CheckConstraint(
            "reference_max_age_days > 0 AND above_reference_percent > 0 AND above_peers_percent > 0"
            " AND above_history_percent > 0 AND minimum_peers >= 3 AND mad_hundredths > 0 AND history_days > 0"
            " AND minimum_history_days > 0 AND response_days > 0 AND tolerated_days > 0",
            name=op.f("ck_price_rule_positive"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price_rule")),
    )
    op.create_table(
        "reference_mapping",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("grade", sa.Text(), nullable=False),
        sa.Column("market", sa.Text(), nullable=False),
        sa.Column("reference_kind", sa.Text(), nullable=False),
        sa.Column("reference_name", sa.Text(), nullable=False),
        sa.Column("reference_grade", sa.Text(), nullable=False),
        sa.Column("valid", postgresql.DATERANGE(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("approved_by_user_id", sa.Uuid(), nullable=False),
        sa.Column("approved_at", INSTANT, nullable=False),
        postgresql.ExcludeConstraint(
            *((sa.column(name), "=") for name in ("category", "name", "spec", "grade", "market")),
            (sa.column("valid"), "&&"),
            using="gist",
            name="ex_reference_mapping_one_at_a_time",
        ),
        sa.CheckConstraint("name <> '' AND NOT isempty(valid)", name=op.f("ck_reference_mapping_says_something")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reference_mapping")),
    )
    make_alerts()
    make_reports()
    guard("price_alert", owned("cooperative_id"))
    guard("price_report", owned("buyer_id"))
    op.get_bind().execute(
        sa.text(
            f"INSERT INTO price_rule (id, category, valid, {', '.join(RULE)})"  # noqa: S608 - names that stand above
            f" VALUES (:id, '', daterange(CAST(:since AS date), NULL), {', '.join(f':{name}' for name in RULE)})"
        ),
        {"id": new_id(), "since": RULES_SINCE, **RULE},
    )


def make_alerts() -> None:
    op.create_table(
        "price_alert",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("listing_id", sa.Uuid(), nullable=False),
        sa.Column("cooperative_id", sa.Uuid(), nullable=False),
        sa.Column("origin_code", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("opened_by", sa.Text(), nullable=False),
        sa.Column("opened_at", INSTANT, nullable=False),
        sa.Column("price_fen", sa.BigInteger(), nullable=False),
        sa.Column("score", sa.BigInteger(), nullable=True),
        sa.Column("evidence", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("ceiling_fen", sa.BigInteger(), nullable=True),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("overdue_at", INSTANT, nullable=True),
        sa.Column("explanation", sa.Text(), nullable=True),
        sa.Column("explanation_file_id", sa.Uuid(), nullable=True),
        sa.Column("explained_at", INSTANT, nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("decided_at", INSTANT, nullable=True),
        sa.Column("closed_at", INSTANT, nullable=True),
        sa.Column("tolerated_fen", sa.BigInteger(), nullable=True),
        sa.Column("tolerated_until", sa.Date(), nullable=True),
        sa.CheckConstraint(
            "status IN ('reported', 'open', 'explained', 'lowering', 'accepted', 'lowered', 'delisted', 'dismissed')",
            name=op.f("ck_price_alert_status"),
        ),
        sa.CheckConstraint("opened_by IN ('check', 'report')", name=op.f("ck_price_alert_opened_by")),
        sa.CheckConstraint("status <> 'explained' OR explanation IS NOT NULL", name=op.f("ck_price_alert_explanation")),
        sa.CheckConstraint("status NOT IN ('open', 'lowering') OR due_on IS NOT NULL", name=op.f("ck_price_alert_due")),
        sa.CheckConstraint("status <> 'lowering' OR ceiling_fen IS NOT NULL", name=op.f("ck_price_alert_ceiling")),
        sa.CheckConstraint(f"({UNSETTLED}) = (closed_at IS NULL)", name=op.f("ck_price_alert_closed")),
        sa.CheckConstraint(
            "(tolerated_fen IS NULL) = (tolerated_until IS NULL)", name=op.f("ck_price_alert_tolerated")
        ),
        sa.ForeignKeyConstraint(["listing_id"], ["listing.id"], name=op.f("fk_price_alert_listing_id")),
        sa.ForeignKeyConstraint(["cooperative_id"], ["organisation.id"], name=op.f("fk_price_alert_cooperative_id")),
        sa.ForeignKeyConstraint(
            ["explanation_file_id"], ["stored_file.id"], name=op.f("fk_price_alert_explanation_file_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price_alert")),
    )
    op.create_index(
        "ix_price_alert_unsettled", "price_alert", ["listing_id"], unique=True, postgresql_where=sa.text(UNSETTLED)
    )
    op.create_index(
        "ix_price_alert_tolerated",
        "price_alert",
        ["listing_id", "tolerated_until"],
        unique=False,
        postgresql_where=sa.text("tolerated_until IS NOT NULL"),
    )
    op.create_index("ix_price_alert_cooperative", "price_alert", ["cooperative_id", "id"], unique=False)
    op.create_index("ix_price_alert_status", "price_alert", ["status", "id"], unique=False)
    op.create_index(
        "ix_price_alert_due",
        "price_alert",
        ["due_on"],
        unique=False,
        postgresql_where=sa.text("status IN ('open', 'lowering') AND overdue_at IS NULL"),
    )


def make_reports() -> None:
    op.create_table(
        "price_report",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.Column("listing_id", sa.Uuid(), nullable=False),
        sa.Column("buyer_id", sa.Uuid(), nullable=False),
        sa.Column("reported_by_user_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("price_fen", sa.BigInteger(), nullable=False),
        sa.Column("seen_fen", sa.BigInteger(), nullable=False),
        sa.Column("seen_quantity", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("seen_on", sa.Date(), nullable=False),
        sa.Column("link", sa.Text(), nullable=True),
        sa.Column("file_id", sa.Uuid(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("received_at", INSTANT, nullable=False),
        sa.Column("review_at", INSTANT, nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("decided_at", INSTANT, nullable=True),
        sa.CheckConstraint(
            "status IN ('received', 'under_review', 'upheld', 'rejected')", name=op.f("ck_price_report_status")
        ),
        sa.CheckConstraint(
            "(status IN ('upheld', 'rejected')) = (answer IS NOT NULL)", name=op.f("ck_price_report_answer")
        ),
        sa.CheckConstraint("seen_fen > 0 AND seen_quantity > 0", name=op.f("ck_price_report_seen")),
        sa.CheckConstraint("link IS NOT NULL OR file_id IS NOT NULL", name=op.f("ck_price_report_evidence")),
        sa.ForeignKeyConstraint(["alert_id"], ["price_alert.id"], name=op.f("fk_price_report_alert_id")),
        sa.ForeignKeyConstraint(["listing_id"], ["listing.id"], name=op.f("fk_price_report_listing_id")),
        sa.ForeignKeyConstraint(["buyer_id"], ["organisation.id"], name=op.f("fk_price_report_buyer_id")),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_price_report_file_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price_report")),
    )
    op.create_index(
        "ix_price_report_open",
        "price_report",
        ["buyer_id", "listing_id"],
        unique=True,
        postgresql_where=sa.text("status IN ('received', 'under_review')"),
    )
    op.create_index("ix_price_report_buyer", "price_report", ["buyer_id", "id"], unique=False)
    op.create_index("ix_price_report_alert", "price_report", ["alert_id", "id"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
