"""people: periods after which names and papers go from rows that stay, and long codes for an account that many ask for

Who signed a step of an application may be forgotten, and nothing else of it changes. Codes that are open while this
runs are short ones, as they were sent.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shop.ids import new_id

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

INDEXES = (
    ("ix_application_review_named", "application_review", "at", "officer_name <> ''"),
    ("ix_application_document_file", "application_document", "kind", "file_id IS NOT NULL"),
    ("ix_address_retired_contact", "address", "retired_at", "contact <> ''"),
    ("ix_bank_receipt_named", "bank_receipt", "booked_at", "payer_name IS NOT NULL"),
)
SINCE = "1996-01-01"
PERIODS = (  # what, months, on what the period rests
    ("officer_name", 60, "《个人信息保护法》第十九条：实现处理目的所必要的最短时间"),
    ("identity_paper", 36, "《个人信息保护法》第十九条；《电子商务法》第三十一条：不少于三年"),
    ("address_contact", 36, "《电子商务法》第三十一条：自交易完成之日起不少于三年"),
    ("payer_name", 120, "《会计档案管理办法》：银行对账单保管十年"),
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")  # a build waits for old transactions, and nobody waits for the build
        for name, table, column, only in INDEXES:
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.create_index(
                name, table, [column], unique=False, postgresql_where=sa.text(only), postgresql_concurrently=True
            )
        op.execute("SET lock_timeout = '1s'")
    op.add_column("confirmation", sa.Column("letters", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column(
        "admission_document_rule", sa.Column("personal", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.execute("UPDATE admission_document_rule SET personal = true WHERE kind = 'legal_person_id'")
    op.alter_column("application_document", "file_id", nullable=True)
    periods()
    let_officers_be_forgotten()


def periods() -> None:
    op.create_table(
        "retention_rule",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("months", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("valid", postgresql.DATERANGE(), nullable=False),
        sa.CheckConstraint("months BETWEEN 1 AND 600", name=op.f("ck_retention_rule_months")),
        sa.CheckConstraint(
            "what IN ('officer_name', 'identity_paper', 'address_contact', 'payer_name')",
            name=op.f("ck_retention_rule_what"),
        ),
        postgresql.ExcludeConstraint(
            (sa.column("what"), "="),
            (sa.column("valid"), "&&"),
            using="gist",
            name="ex_retention_rule_one_at_a_time",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retention_rule")),
    )
    op.get_bind().execute(
        sa.text(
            "INSERT INTO retention_rule (id, what, months, source, valid)"
            " VALUES (:id, :what, :months, :source, daterange(CAST(:since AS date), NULL))"
        ),
        [
            {"id": new_id(), "what": what, "months": months, "source": source, "since": SINCE}
            for what, months, source in PERIODS
        ],
    )


def let_officers_be_forgotten() -> None:
    op.execute(
        """
        CREATE FUNCTION forget_officer() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.officer_name <> ''
               OR (to_jsonb(NEW) - 'officer_name') IS DISTINCT FROM (to_jsonb(OLD) - 'officer_name') THEN
                RAISE EXCEPTION '% is append-only: who signed may be forgotten, nothing else', TG_TABLE_NAME
                    USING ERRCODE = 'restrict_violation';
            END IF;
            RETURN NEW;
        END $$
        """
    )
    op.execute("DROP TRIGGER append_only ON application_review")
    op.execute(
        "CREATE TRIGGER append_only BEFORE DELETE ON application_review FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER forget_officer BEFORE UPDATE ON application_review"
        " FOR EACH ROW EXECUTE FUNCTION forget_officer()"
    )
    op.execute("GRANT UPDATE (officer_name) ON application_review TO shop_app")


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
