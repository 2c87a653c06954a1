"""framework agreements: prices agreed between a buyer and a cooperative, and what orders drew on them"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_security import belongs, guard, owned

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

INSTANT = postgresql.TIMESTAMP(timezone=True)


def refers(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=op.f(f"fk_{table}_{column}"))


def upgrade() -> None:
    op.create_table(
        "framework_agreement",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("buyer_id", sa.Uuid(), nullable=False),
        sa.Column("cooperative_id", sa.Uuid(), nullable=False),
        sa.Column("proposed_by", sa.Uuid(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("valid", postgresql.DATERANGE(), nullable=False),
        sa.Column("ceiling_fen", sa.BigInteger(), nullable=True),
        sa.Column("drawn_fen", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("proposed_by_user_id", sa.Uuid(), nullable=False),
        sa.Column("proposed_at", INSTANT, nullable=False),
        sa.Column("answered_by_user_id", sa.Uuid(), nullable=True),
        sa.Column("answered_at", INSTANT, nullable=True),
        sa.Column("ended_by_user_id", sa.Uuid(), nullable=True),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "status IN ('proposed', 'accepted', 'declined', 'withdrawn', 'ended')",
            name=op.f("ck_framework_agreement_status"),
        ),
        sa.CheckConstraint(
            "proposed_by IN (buyer_id, cooperative_id)", name=op.f("ck_framework_agreement_proposed_by")
        ),
        sa.CheckConstraint(
            "NOT isempty(valid) AND NOT lower_inf(valid) AND NOT upper_inf(valid)",
            name=op.f("ck_framework_agreement_valid"),
        ),
        sa.CheckConstraint(
            "drawn_fen >= 0 AND (ceiling_fen IS NULL OR drawn_fen <= ceiling_fen)",
            name=op.f("ck_framework_agreement_drawn"),
        ),
        sa.CheckConstraint(
            "status NOT IN ('accepted', 'ended') OR answered_at IS NOT NULL",
            name=op.f("ck_framework_agreement_answered"),
        ),
        refers("framework_agreement", "buyer_id", "organisation"),
        refers("framework_agreement", "cooperative_id", "organisation"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_framework_agreement")),
    )
    op.create_index("ix_framework_agreement_buyer", "framework_agreement", ["buyer_id", "id"], unique=False)
    op.create_index("ix_framework_agreement_cooperative", "framework_agreement", ["cooperative_id", "id"], unique=False)
    op.create_index(
        "ix_framework_agreement_accepted", "framework_agreement", ["buyer_id"], unique=False,
        postgresql_where=sa.text("status = 'accepted'"),
    )  # fmt: skip
    op.create_table(
        "agreement_line",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agreement_id", sa.Uuid(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("listing_id", sa.Uuid(), nullable=False),
        sa.Column("listing_revision", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("pack_name", sa.Text(), nullable=False),
        sa.Column("pack_base_quantity", sa.BigInteger(), nullable=False),
        sa.Column("unit_fen", sa.BigInteger(), nullable=False),
        sa.Column("ceiling_packs", sa.BigInteger(), nullable=True),
        sa.Column("drawn_packs", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("unit_fen > 0 AND unit_fen <= 1000000000", name=op.f("ck_agreement_line_price")),
        sa.CheckConstraint(
            "drawn_packs >= 0 AND (ceiling_packs IS NULL OR drawn_packs <= ceiling_packs)",
            name=op.f("ck_agreement_line_drawn"),
        ),
        sa.CheckConstraint("pack_base_quantity > 0", name=op.f("ck_agreement_line_pack")),
        refers("agreement_line", "agreement_id", "framework_agreement"),
        refers("agreement_line", "listing_id", "listing"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agreement_line")),
        sa.UniqueConstraint("agreement_id", "listing_id", name=op.f("uq_agreement_line_agreement_id_listing_id")),
    )
    op.create_table(
        "agreement_drawing",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agreement_id", sa.Uuid(), nullable=False),
        sa.Column("agreement_line_id", sa.Uuid(), nullable=False),
        sa.Column("order_line_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("packs", sa.BigInteger(), nullable=False),
        sa.Column("fen", sa.BigInteger(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.CheckConstraint("kind IN ('placed', 'cancelled', 'not_accepted')", name=op.f("ck_agreement_drawing_kind")),
        sa.CheckConstraint(
            "(kind = 'placed') = (packs > 0) AND packs <> 0 AND sign(packs) = sign(fen)",
            name=op.f("ck_agreement_drawing_sign"),
        ),
        refers("agreement_drawing", "agreement_id", "framework_agreement"),
        refers("agreement_drawing", "agreement_line_id", "agreement_line"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agreement_drawing")),
        sa.UniqueConstraint("order_line_id", "kind", name=op.f("uq_agreement_drawing_order_line_id_kind")),
    )
    op.create_index("ix_agreement_drawing_agreement", "agreement_drawing", ["agreement_id", "id"], unique=False)
    op.create_index("ix_agreement_drawing_line", "agreement_drawing", ["agreement_line_id"], unique=False)
    guard("framework_agreement", owned("buyer_id"), owned("cooperative_id"))
    guard("agreement_line", belongs("agreement_line", "agreement_id", "framework_agreement"))
    guard("agreement_drawing", belongs("agreement_drawing", "agreement_id", "framework_agreement"))
    for table, may_change in (  # terms that were proposed stay as they are
        (
            "framework_agreement",
            "status, drawn_fen, answered_by_user_id, answered_at, ended_by_user_id, ended_at, reason",
        ),
        ("agreement_line", "drawn_packs"),
        ("agreement_drawing", None),
    ):
        op.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM shop_app")
        if may_change:
            op.execute(f"GRANT UPDATE ({may_change}) ON {table} TO shop_app")
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON agreement_drawing"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER no_truncate BEFORE TRUNCATE ON agreement_drawing"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
