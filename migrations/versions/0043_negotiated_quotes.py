"""negotiated quotes: awarded prices, each for one line of one order, which names it"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_security import belongs, guard, owned

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None

INSTANT = postgresql.TIMESTAMP(timezone=True)


def refers(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=op.f(f"fk_{table}_{column}"))


def upgrade() -> None:
    op.create_table(
        "negotiated_quote",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("buyer_id", sa.Uuid(), nullable=False),
        sa.Column("cooperative_id", sa.Uuid(), nullable=False),
        sa.Column("listing_id", sa.Uuid(), nullable=False),
        sa.Column("pack_base_quantity", sa.BigInteger(), nullable=False),
        sa.Column("unit_fen", sa.BigInteger(), nullable=False),
        sa.Column("packs", sa.BigInteger(), nullable=False),
        sa.Column("valid", postgresql.DATERANGE(), nullable=False),
        sa.Column("made_at", INSTANT, nullable=False),
        sa.CheckConstraint(
            "unit_fen > 0 AND unit_fen <= 1000000000 AND packs > 0", name=op.f("ck_negotiated_quote_price")
        ),
        sa.CheckConstraint("pack_base_quantity > 0", name=op.f("ck_negotiated_quote_pack")),
        sa.CheckConstraint(
            "NOT isempty(valid) AND NOT lower_inf(valid) AND NOT upper_inf(valid)",
            name=op.f("ck_negotiated_quote_valid"),
        ),
        refers("negotiated_quote", "buyer_id", "organisation"),
        refers("negotiated_quote", "cooperative_id", "organisation"),
        refers("negotiated_quote", "listing_id", "listing"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_negotiated_quote")),
    )
    op.create_index("ix_negotiated_quote_buyer", "negotiated_quote", ["buyer_id", "listing_id"], unique=False)
    op.create_index("ix_negotiated_quote_cooperative", "negotiated_quote", ["cooperative_id", "id"], unique=False)
    op.create_table(
        "negotiated_quote_use",
        sa.Column("quote_id", sa.Uuid(), nullable=False),
        sa.Column("order_line_id", sa.Uuid(), nullable=False),
        sa.Column("packs", sa.BigInteger(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.CheckConstraint("packs > 0", name=op.f("ck_negotiated_quote_use_packs")),
        refers("negotiated_quote_use", "quote_id", "negotiated_quote"),
        sa.PrimaryKeyConstraint("quote_id", name=op.f("pk_negotiated_quote_use")),
        sa.UniqueConstraint("order_line_id", name=op.f("uq_negotiated_quote_use_order_line_id")),
    )
    guard("negotiated_quote", owned("buyer_id"), owned("cooperative_id"))
    guard("negotiated_quote_use", belongs("negotiated_quote_use", "quote_id", "negotiated_quote"))
    for table in ("negotiated_quote", "negotiated_quote_use"):
        op.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM shop_app")
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    op.add_column("order_line", sa.Column("quote_id", sa.Uuid(), nullable=True))
    for name, rule in (
        ("fk_order_line_quote_id", "FOREIGN KEY (quote_id) REFERENCES negotiated_quote (id)"),
        ("ck_order_line_one_basis", "CHECK (agreement_id IS NULL OR quote_id IS NULL)"),
    ):
        op.execute(f"ALTER TABLE order_line ADD CONSTRAINT {name} {rule} NOT VALID")
        op.execute(f"ALTER TABLE order_line VALIDATE CONSTRAINT {name}")


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
