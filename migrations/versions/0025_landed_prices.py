"""landed prices: kept per listing and destination, and the dated rates of loss that they are made with"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

RATES = """
INSERT INTO loss_rate (id, storage, per_day, source, valid)
SELECT gen_random_uuid(), storage, per_day, 'assumed: none is published by day and class', daterange('2020-01-01', NULL)
FROM (VALUES ('ambient', 50), ('chilled', 80), ('frozen', 10)) AS r(storage, per_day)
"""


def upgrade() -> None:
    op.create_table(
        "loss_rate",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("storage", sa.Text(), nullable=False),
        sa.Column("per_day", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("valid", postgresql.DATERANGE(), nullable=False),
        sa.CheckConstraint("storage IN ('ambient', 'chilled', 'frozen')", name=op.f("ck_loss_rate_storage")),
        sa.CheckConstraint("per_day BETWEEN 0 AND 10000", name=op.f("ck_loss_rate_per_day")),
        postgresql.ExcludeConstraint(
            ("storage", "="), ("valid", "&&"), name="ex_loss_rate_one_at_a_time", using="gist"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loss_rate")),
    )
    op.create_table(
        "landed_destination",
        sa.Column("prefecture", sa.Text(), nullable=False),
        sa.Column("rates", sa.Text(), server_default="", nullable=False),
        sa.Column("doing", sa.Text(), server_default="", nullable=False),
        sa.Column("done_through", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("prefecture", name=op.f("pk_landed_destination")),
    )
    op.create_table(
        "landed_price",
        sa.Column("listing_id", sa.Uuid(), nullable=False),
        sa.Column("prefecture", sa.Text(), nullable=False),
        sa.Column("packs", sa.BigInteger(), nullable=False),
        sa.Column("goods_fen", sa.BigInteger(), nullable=False),
        sa.Column("freight_fen", sa.BigInteger(), nullable=True),
        sa.Column("loss_fen", sa.BigInteger(), nullable=True),
        sa.Column("days", sa.BigInteger(), nullable=True),
        sa.Column("per_kg_fen", sa.BigInteger(), nullable=True),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("(per_kg_fen IS NULL) = (freight_fen IS NULL)", name=op.f("ck_landed_price_whole")),
        sa.ForeignKeyConstraint(["listing_id"], ["listing.id"], name=op.f("fk_landed_price_listing_id")),
        sa.PrimaryKeyConstraint("listing_id", "prefecture", name=op.f("pk_landed_price")),
    )
    op.create_index("ix_landed_price_place", "landed_price", ["prefecture", "place", "listing_id"])
    op.execute(RATES)


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
