"""requests for quotation, sealed quotes, who read them, awards and what they rest on

A quote is nobody's to read but its cooperative's before the deadline: the policy of its table asks the business clock.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_security import belongs, guard, owned

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None

INSTANT = postgresql.TIMESTAMP(timezone=True)
SEEN = "(SELECT seen_organisation())"
BUSINESS_TIME = "(SELECT clock_timestamp() + offset_us * interval '1 microsecond' FROM business_clock)"
ASKED = (
    "EXISTS (SELECT 1 FROM quotation_invitation i WHERE i.request_id = quotation_request.id"  # noqa: S608 - our own
    f" AND i.cooperative_id = {SEEN})"
)
OPENED = f"(buyer_id = {SEEN} AND opens_at <= {BUSINESS_TIME})"


def refers(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=op.f(f"fk_{table}_{column}"))


def upgrade() -> None:
    op.create_table(
        "quotation_request",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("buyer_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("address_id", sa.Uuid(), nullable=False),
        sa.Column("delivery_code", sa.Text(), nullable=False),
        sa.Column("deadline", INSTANT, nullable=False),
        sa.Column("valid_days", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Uuid(), nullable=False),
        sa.Column("made_at", INSTANT, nullable=False),
        sa.Column("opened_at", INSTANT, nullable=True),
        sa.Column("closed_by", sa.Uuid(), nullable=True),
        sa.Column("closed_at", INSTANT, nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint("status IN ('open', 'awarded', 'cancelled')", name=op.f("ck_quotation_request_status")),
        sa.CheckConstraint("deadline > made_at", name=op.f("ck_quotation_request_deadline")),
        sa.CheckConstraint("valid_days BETWEEN 1 AND 366", name=op.f("ck_quotation_request_valid_days")),
        sa.CheckConstraint("(status = 'open') = (closed_at IS NULL)", name=op.f("ck_quotation_request_closed")),
        refers("quotation_request", "buyer_id", "organisation"),
        refers("quotation_request", "address_id", "address"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quotation_request")),
        sa.UniqueConstraint("buyer_id", "number", name=op.f("uq_quotation_request_buyer_id_number")),
    )
    op.create_index("ix_quotation_request_buyer", "quotation_request", ["buyer_id", "id"], unique=False)
    op.create_index(
        "ix_quotation_request_sealed", "quotation_request", ["deadline"], unique=False,
        postgresql_where=sa.text("status = 'open' AND opened_at IS NULL"),
    )  # fmt: skip
    op.create_table(
        "quotation_request_line",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("base_unit", sa.Text(), nullable=False),
        sa.Column("pack_base_quantity", sa.BigInteger(), nullable=False),
        sa.Column("packs", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("base_unit IN ('g', 'piece')", name=op.f("ck_quotation_request_line_base_unit")),
        sa.CheckConstraint("pack_base_quantity > 0 AND packs > 0", name=op.f("ck_quotation_request_line_quantity")),
        refers("quotation_request_line", "request_id", "quotation_request"),
        sa.PrimaryKeyConstraint("request_id", "place", name=op.f("pk_quotation_request_line")),
    )
    op.create_table(
        "quotation_invitation",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("cooperative_id", sa.Uuid(), nullable=False),
        sa.Column("buyer_id", sa.Uuid(), nullable=False),
        refers("quotation_invitation", "request_id", "quotation_request"),
        refers("quotation_invitation", "cooperative_id", "organisation"),
        sa.PrimaryKeyConstraint("request_id", "cooperative_id", name=op.f("pk_quotation_invitation")),
    )
    op.create_index(
        "ix_quotation_invitation_cooperative", "quotation_invitation", ["cooperative_id", "request_id"], unique=False
    )
    op.create_table(
        "quotation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("buyer_id", sa.Uuid(), nullable=False),
        sa.Column("cooperative_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("opens_at", INSTANT, nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("by_user_id", sa.Uuid(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.CheckConstraint("version > 0 AND at < opens_at", name=op.f("ck_quotation_in_time")),
        refers("quotation", "request_id", "quotation_request"),
        refers("quotation", "cooperative_id", "organisation"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quotation")),
        sa.UniqueConstraint(
            "request_id", "cooperative_id", "version", name=op.f("uq_quotation_request_id_cooperative_id_version")
        ),
    )
    op.create_table(
        "quotation_line",
        sa.Column("quotation_id", sa.Uuid(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("listing_id", sa.Uuid(), nullable=False),
        sa.Column("listing_revision", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("grade", sa.Text(), nullable=False),
        sa.Column("pack_name", sa.Text(), nullable=False),
        sa.Column("base_unit", sa.Text(), nullable=False),
        sa.Column("pack_base_quantity", sa.BigInteger(), nullable=False),
        sa.Column("pack_grams", sa.BigInteger(), nullable=False),
        sa.Column("origin_code", sa.Text(), nullable=False),
        sa.Column("storage", sa.Text(), nullable=False),
        sa.Column("packs", sa.BigInteger(), nullable=False),
        sa.Column("unit_fen", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("unit_fen > 0 AND unit_fen <= 1000000000", name=op.f("ck_quotation_line_price")),
        sa.CheckConstraint(
            "packs > 0 AND pack_base_quantity > 0 AND pack_grams > 0", name=op.f("ck_quotation_line_packs")
        ),
        refers("quotation_line", "quotation_id", "quotation"),
        refers("quotation_line", "listing_id", "listing"),
        sa.ForeignKeyConstraint(
            ["request_id", "place"],
            ["quotation_request_line.request_id", "quotation_request_line.place"],
            name="fk_quotation_line_request_line",
        ),
        sa.PrimaryKeyConstraint("quotation_id", "place", name=op.f("pk_quotation_line")),
    )
    op.create_table(
        "quotation_view",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("buyer_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.CheckConstraint("what IN ('request', 'quotes', 'evidence')", name=op.f("ck_quotation_view_what")),
        refers("quotation_view", "request_id", "quotation_request"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quotation_view")),
    )
    op.create_index("ix_quotation_view_request", "quotation_view", ["request_id", "id"], unique=False)
    op.create_table(
        "quotation_award",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("quotation_id", sa.Uuid(), nullable=False),
        sa.Column("buyer_id", sa.Uuid(), nullable=False),
        sa.Column("cooperative_id", sa.Uuid(), nullable=False),
        sa.Column("cheapest", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("by_user_id", sa.Uuid(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.CheckConstraint("cheapest OR reason IS NOT NULL", name=op.f("ck_quotation_award_reason")),
        refers("quotation_award", "request_id", "quotation_request"),
        sa.ForeignKeyConstraint(
            ["quotation_id", "place"],
            ["quotation_line.quotation_id", "quotation_line.place"],
            name="fk_quotation_award_quotation_line",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quotation_award")),
        sa.UniqueConstraint("request_id", "place", name=op.f("uq_quotation_award_request_id_place")),
    )
    op.create_table(
        "quotation_evidence",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("buyer_id", sa.Uuid(), nullable=False),
        sa.Column("content", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        refers("quotation_evidence", "request_id", "quotation_request"),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_quotation_evidence")),
    )
    guard("quotation_invitation", owned("buyer_id"), owned("cooperative_id"))
    guard("quotation_request", owned("buyer_id"), ASKED)
    guard("quotation_request_line", belongs("quotation_request_line", "request_id", "quotation_request"))
    guard("quotation", owned("cooperative_id"), OPENED)
    guard("quotation_line", belongs("quotation_line", "quotation_id", "quotation"))
    guard("quotation_view", owned("buyer_id"), owned("organisation_id"))
    guard("quotation_award", owned("buyer_id"), owned("cooperative_id"))
    guard("quotation_evidence", owned("buyer_id"))
    op.execute("REVOKE UPDATE, DELETE, TRUNCATE ON quotation_request FROM shop_app")
    op.execute("GRANT UPDATE (status, opened_at, closed_by, closed_at, reason) ON quotation_request TO shop_app")
    for name in ("request_line", "invitation", "line", "view", "award", "evidence", ""):
        table = f"quotation_{name}".rstrip("_")
        op.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM shop_app")
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
