"""listings by spreadsheet: uploads, their rows, and how each cooperative names its columns"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_security import belongs, guard, owned

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

INSTANT = postgresql.TIMESTAMP(timezone=True)
JSON = postgresql.JSONB(astext_type=sa.Text())


def upgrade() -> None:
    op.create_table(
        "listing_import",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("file_id", sa.Uuid(), nullable=True),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=True),
        sa.Column("header", JSON, nullable=False),
        sa.Column("mapping", JSON, nullable=False),
        sa.Column("errors", JSON, nullable=False),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in ("rows", "added", "changed", "unchanged", "wrong", "to_review", "applied", "refused")
        ),
        sa.Column("applied_to", sa.Text(), nullable=False),
        sa.Column("made_at", INSTANT, nullable=False),
        sa.Column("tried_at", INSTANT, nullable=True),
        sa.Column("applied_at", INSTANT, nullable=True),
        sa.Column("recorded_at", INSTANT, server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("mode IN ('all', 'valid_rows')", name=op.f("ck_listing_import_mode")),
        sa.CheckConstraint(
            "status IN ('reading', 'tried', 'applying', 'applied', 'failed')", name=op.f("ck_listing_import_status")
        ),
        sa.ForeignKeyConstraint(
            ["file_id"], ["stored_file.id"], name=op.f("fk_listing_import_file_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_listing_import_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_listing_import")),
    )
    op.create_index(op.f("ix_listing_import_file_id"), "listing_import", ["file_id"], unique=False)
    op.create_index("ix_listing_import_organisation", "listing_import", ["organisation_id", "id"], unique=False)
    op.create_index("ix_listing_import_recorded_at", "listing_import", ["recorded_at"], unique=False)
    op.create_table(
        "listing_import_row",
        sa.Column("import_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("pack_name", sa.Text(), nullable=False),
        sa.Column("listing_id", sa.Uuid(), nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=True),
        sa.Column("reviewed", sa.Boolean(), nullable=False),
        sa.Column("wanted", JSON, nullable=True),
        sa.Column("changes", JSON, nullable=True),
        sa.Column("errors", JSON, nullable=True),
        sa.Column("cells", JSON, nullable=False),
        sa.CheckConstraint("kind IN ('new', 'changed', 'unchanged', 'error')", name=op.f("ck_listing_import_row_kind")),
        sa.ForeignKeyConstraint(["import_id"], ["listing_import.id"], name=op.f("fk_listing_import_row_import_id")),
        sa.PrimaryKeyConstraint("import_id", "number", name=op.f("pk_listing_import_row")),
    )
    op.create_index("ix_listing_import_row_code", "listing_import_row", ["import_id", "code", "number"], unique=False)
    op.create_table(
        "listing_columns",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("mapping", JSON, nullable=False),
        sa.Column("changed_at", INSTANT, nullable=False),
        sa.Column("changed_by", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_listing_columns_organisation_id")
        ),
        sa.PrimaryKeyConstraint("organisation_id", name=op.f("pk_listing_columns")),
    )
    guard("listing_import", owned("organisation_id"))
    guard("listing_import_row", belongs("listing_import_row", "import_id", "listing_import"))
    guard("listing_columns", owned("organisation_id"))


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
