"""listings: packs in the seller's units that weigh what is in them; where goods may come from; prices that run out;
standards and acceptance sheets; what a reviewer wants corrected; photos; certificates that are reviewed

A listing whose pack was said to weigh less than its net content is given that content as its weight.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_security import guard, owned

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

INSTANT = postgresql.TIMESTAMP(timezone=True)


def upgrade() -> None:
    op.add_column("listing", sa.Column("pack_told", postgresql.JSONB(none_as_null=True), nullable=True))
    op.execute(
        "UPDATE listing SET pack_grams = pack_base_quantity WHERE base_unit = 'g' AND pack_grams < pack_base_quantity"
    )
    op.create_check_constraint(
        op.f("ck_listing_gross"), "listing", "base_unit <> 'g' OR pack_grams >= pack_base_quantity"
    )
    op.add_column("product", sa.Column("standard", postgresql.JSONB(none_as_null=True), nullable=True))
    for table, column in (("product", "acceptance"), ("product", "photos"), ("listing", "review_fields")):
        op.add_column(
            table, sa.Column(column, postgresql.JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False)
        )
    for column in ("price_from", "price_to"):
        op.add_column("listing", sa.Column(column, sa.Date(), nullable=True))
    op.create_check_constraint(op.f("ck_listing_price_days"), "listing", "price_from < price_to")
    op.drop_constraint(op.f("ck_listing_status"), "listing", type_="check")
    op.create_check_constraint(
        op.f("ck_listing_status"),
        "listing",
        "status IN ('draft', 'in_review', 'listed', 'paused', 'lapsed', 'delisted')",
    )
    op.create_index(
        "ix_listing_price_to",
        "listing",
        ["price_to"],
        unique=False,
        postgresql_where=sa.text("status IN ('listed', 'paused')"),
    )
    op.create_table(
        "origin_grant",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("county_code", sa.Text(), nullable=False),
        sa.Column("valid", postgresql.DATERANGE(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("granted_by", sa.Uuid(), nullable=False),
        sa.Column("granted_at", INSTANT, nullable=False),
        postgresql.ExcludeConstraint(
            (sa.column("organisation_id"), "="),
            (sa.column("county_code"), "="),
            (sa.column("valid"), "&&"),
            using="gist",
            name="ex_origin_grant_one_at_a_time",
        ),
        sa.CheckConstraint("NOT isempty(valid)", name=op.f("ck_origin_grant_valid")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_origin_grant_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_origin_grant")),
    )
    guard("origin_grant", owned("organisation_id"))
    op.create_table(
        "product_photo",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("cooperative_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("file_id", sa.Uuid(), nullable=True),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("uploaded_by", sa.Uuid(), nullable=False),
        sa.Column("uploaded_at", INSTANT, nullable=False),
        sa.CheckConstraint("status IN ('waiting', 'ready', 'refused')", name=op.f("ck_product_photo_status")),
        sa.CheckConstraint("(status = 'waiting') = (file_id IS NOT NULL)", name=op.f("ck_product_photo_file")),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("fk_product_photo_product_id")),
        sa.ForeignKeyConstraint(["cooperative_id"], ["organisation.id"], name=op.f("fk_product_photo_cooperative_id")),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_product_photo_file_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_product_photo")),
        sa.UniqueConstraint("product_id", "sha256", name=op.f("uq_product_photo_product_id_sha256")),
    )
    op.create_index("ix_product_photo_cooperative_id", "product_photo", ["cooperative_id"], unique=False)
    guard("product_photo", owned("cooperative_id"))
    extend_certificates()


def extend_certificates() -> None:
    """Those that are there already were entered by the platform and are shown."""
    op.add_column("certificate", sa.Column("status", sa.Text(), server_default="approved", nullable=False))
    op.alter_column("certificate", "status", server_default=None)
    for column, kind in (
        ("file_id", sa.Uuid()),
        ("replaces_id", sa.Uuid()),
        ("review_note", sa.Text()),
        ("entered_at", INSTANT),
        ("decided_at", INSTANT),
    ):
        op.add_column("certificate", sa.Column(column, kind, nullable=True))
    op.create_foreign_key(op.f("fk_certificate_file_id"), "certificate", "stored_file", ["file_id"], ["id"])
    op.create_foreign_key(op.f("fk_certificate_replaces_id"), "certificate", "certificate", ["replaces_id"], ["id"])
    op.create_check_constraint(
        op.f("ck_certificate_status"),
        "certificate",
        "status IN ('in_review', 'approved', 'returned', 'replaced', 'withdrawn')",
    )
    op.create_index(
        "ix_certificate_live",
        "certificate",
        ["product_id", "kind", "number"],
        unique=True,
        postgresql_where=sa.text("status IN ('in_review', 'approved', 'returned')"),
    )
    op.create_index("ix_certificate_queue", "certificate", ["status", "id"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
