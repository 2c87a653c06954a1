"""inspections: second signatures and who may not sign, drafts of devices, photos of what arrived"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_security import belongs, guard, owned
from shop.ids import new_id

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

INSTANT = postgresql.TIMESTAMP(timezone=True)
RULES_SINCE = "1996-01-01"
SIGNATURE_HOURS = 24


def refers(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=op.f(f"fk_{table}_{column}"))


def upgrade() -> None:
    op.add_column("acceptance", sa.Column("second_user_id", sa.Uuid(), nullable=True))
    op.add_column("acceptance", sa.Column("draft_id", sa.Uuid(), nullable=True))
    op.add_column(
        "acceptance_line",
        sa.Column("photo_ids", sa.ARRAY(sa.Uuid()), server_default=sa.text("'{}'"), nullable=False),
    )
    rule_of_signatures()
    op.create_table(
        "inspection_setting",
        sa.Column("budget_unit_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("two_signatures", sa.Boolean(), nullable=False),
        sa.Column("not_by_requester", sa.Boolean(), nullable=False),
        refers("inspection_setting", "budget_unit_id", "budget_unit"),
        refers("inspection_setting", "organisation_id", "organisation"),
        sa.PrimaryKeyConstraint("budget_unit_id", name=op.f("pk_inspection_setting")),
    )
    op.create_index(
        op.f("ix_inspection_setting_organisation_id"), "inspection_setting", ["organisation_id"], unique=False
    )
    op.create_table(
        "inspection_signing",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("supplier_order_id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=True),
        sa.Column("content", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("first_user_id", sa.Uuid(), nullable=False),
        sa.Column("signed_at", INSTANT, nullable=False),
        sa.Column("lapses_at", INSTANT, nullable=True),
        sa.Column("second_user_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.CheckConstraint(
            "status IN ('waiting', 'signed', 'returned', 'lapsed')", name=op.f("ck_inspection_signing_status")
        ),
        sa.CheckConstraint("(status = 'waiting') = (ended_at IS NULL)", name=op.f("ck_inspection_signing_ended")),
        sa.CheckConstraint("second_user_id <> first_user_id", name=op.f("ck_inspection_signing_two_people")),
        refers("inspection_signing", "supplier_order_id", "supplier_order"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inspection_signing")),
    )
    waiting = sa.text("status = 'waiting'")
    op.create_index(
        "ix_inspection_signing_waiting", "inspection_signing", ["supplier_order_id"], unique=True,
        postgresql_where=waiting,
    )  # fmt: skip
    op.create_index("ix_inspection_signing_order", "inspection_signing", ["supplier_order_id", "id"], unique=False)
    op.create_index(
        "ix_inspection_signing_lapse", "inspection_signing", ["lapses_at"], unique=False, postgresql_where=waiting
    )
    op.create_table(
        "inspection_draft",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("supplier_order_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("content", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("saved_by", sa.Uuid(), nullable=False),
        sa.Column("saved_at", INSTANT, nullable=False),
        sa.Column("recorded_at", INSTANT, server_default=sa.text("clock_timestamp()"), nullable=False),
        refers("inspection_draft", "supplier_order_id", "supplier_order"),
        refers("inspection_draft", "organisation_id", "organisation"),
        sa.PrimaryKeyConstraint("id", "supplier_order_id", name=op.f("pk_inspection_draft")),
    )
    op.create_index("ix_inspection_draft_order", "inspection_draft", ["supplier_order_id", "id"], unique=False)
    op.create_index("ix_inspection_draft_recorded_at", "inspection_draft", ["recorded_at"], unique=False)
    op.create_table(
        "order_photo",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("supplier_order_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("file_id", sa.Uuid(), nullable=True),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("uploaded_by", sa.Uuid(), nullable=False),
        sa.Column("uploaded_at", INSTANT, nullable=False),
        sa.CheckConstraint("status IN ('waiting', 'ready', 'refused')", name=op.f("ck_order_photo_status")),
        sa.CheckConstraint("(status = 'refused') = (file_id IS NULL)", name=op.f("ck_order_photo_file")),
        refers("order_photo", "supplier_order_id", "supplier_order"),
        refers("order_photo", "organisation_id", "organisation"),
        refers("order_photo", "file_id", "stored_file"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_photo")),
        sa.UniqueConstraint(
            "supplier_order_id", "organisation_id", "sha256",
            name=op.f("uq_order_photo_supplier_order_id_organisation_id_sha256"),
        ),
    )  # fmt: skip
    guard("inspection_setting", owned("organisation_id"))
    guard("inspection_signing", belongs("inspection_signing", "supplier_order_id", "supplier_order"))
    guard("inspection_draft", owned("organisation_id"))
    guard("order_photo", owned("organisation_id"))
    op.execute("REVOKE DELETE, TRUNCATE ON inspection_signing FROM shop_app")


def rule_of_signatures() -> None:
    """The hours of a second signature are a rule beside the others."""
    waits = "waits_for IN ('confirmation', 'shipment', 'acceptance', 'signature')"
    for name, said in (
        ("ck_order_time_rule_waits_for", waits),
        ("ck_order_time_rule_shipment", "waits_for NOT IN ('shipment', 'signature') OR lapse_hours IS NULL"),
    ):
        op.drop_constraint(op.f(name), "order_time_rule", type_="check")
        op.create_check_constraint(op.f(name), "order_time_rule", said)
    op.get_bind().execute(
        sa.text(
            "INSERT INTO order_time_rule (id, waits_for, storage, hours, source, valid)"
            " VALUES (:id, 'signature', '', :hours, '平台规则', daterange(CAST(:since AS date), NULL))"
        ),
        {"id": new_id(), "hours": SIGNATURE_HOURS, "since": RULES_SINCE},
    )


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
