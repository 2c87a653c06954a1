"""claims: returns and disputes, their evidence and answers, corrections, and what is to be got back of a settlement"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_security import belongs, guard, owned
from shop.ids import new_id

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None

INSTANT = postgresql.TIMESTAMP(timezone=True)
UNCLOSED = "status IN ('open', 'contested', 'undefended')"
RULES_SINCE = "1996-01-01"
RULES = (  # hours to claim after the acceptance, and to answer
    ("claim", "ambient", 168),
    ("claim", "chilled", 48),
    ("claim", "frozen", 48),
    ("defence", "", 72),
)
IDS = sa.text("'{}'")


def refers(table: str, column: str, to: str, key: str = "id") -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.{key}"], name=op.f(f"fk_{table}_{column}"))


def uuid(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.Uuid(), nullable=nullable)


def words(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def number(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def instant(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, INSTANT, nullable=nullable)


def ids(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.ARRAY(sa.Uuid()), server_default=IDS, nullable=False)


def check(table: str, name: str, said: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(said, name=op.f(f"ck_{table}_{name}"))


def upgrade() -> None:
    make_claims()
    make_corrections()
    rules()
    refunds_and_budgets()
    for table in ("claim_line", "claim_file", "correction", "correction_line", "recovery"):
        op.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM shop_app")
    for table in ("claim_line", "correction", "correction_line", "recovery"):
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    for table in ("claim", "receivable"):
        op.execute(f"REVOKE DELETE, TRUNCATE ON {table} FROM shop_app")
    guard("claim", owned("buyer_id"), owned("cooperative_id"))
    guard("claim_line", belongs("claim_line", "claim_id", "claim"))
    guard("claim_file", belongs("claim_file", "claim_id", "claim"))
    guard("correction", belongs("correction", "supplier_order_id", "supplier_order"))
    guard("correction_line", belongs("correction_line", "correction_id", "correction"))
    guard("receivable", owned("cooperative_id"))
    guard("recovery", "EXISTS (SELECT 1 FROM receivable parent WHERE parent.correction_id = recovery.correction_id)")


def make_claims() -> None:
    op.create_table(
        "claim",
        uuid("id"), words("number"), words("kind"), words("status"), uuid("supplier_order_id"), uuid("buyer_id"),
        uuid("cooperative_id"), words("statement"), uuid("raised_by"), instant("raised_at"),
        instant("defend_until", nullable=True), words("answer", nullable=True), uuid("answered_by", nullable=True),
        instant("answered_at", nullable=True), ids("answer_photo_ids"), words("decision", nullable=True),
        uuid("decided_by", nullable=True), instant("closed_at", nullable=True),
        check("claim", "kind", "kind IN ('return', 'dispute')"),
        check("claim", "status", "status IN ('open', 'contested', 'undefended', 'agreed', 'decided', 'withdrawn')"),
        check("claim", "closed", f"({UNCLOSED}) = (closed_at IS NULL)"),
        check("claim", "decision", "(status = 'decided') = (decision IS NOT NULL)"),
        refers("claim", "supplier_order_id", "supplier_order"),
        refers("claim", "buyer_id", "organisation"),
        refers("claim", "cooperative_id", "organisation"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_claim")),
    )  # fmt: skip
    op.create_index(
        "ix_claim_unclosed", "claim", ["supplier_order_id"], unique=True, postgresql_where=sa.text(UNCLOSED)
    )
    op.create_index("ix_claim_order", "claim", ["supplier_order_id", "id"], unique=False)
    op.create_index("ix_claim_buyer", "claim", ["buyer_id", "id"], unique=False)
    op.create_index("ix_claim_cooperative", "claim", ["cooperative_id", "id"], unique=False)
    op.create_index("ix_claim_status", "claim", ["status", "id"], unique=False)
    op.create_index(
        "ix_claim_defence", "claim", ["defend_until"], unique=False, postgresql_where=sa.text("status = 'open'")
    )
    op.create_table(
        "claim_line",
        uuid("id"), uuid("claim_id"), uuid("line_id"), uuid("lot_id"), number("packs"), words("reason"),
        ids("photo_ids"),
        check("claim_line", "packs", "packs > 0"),
        refers("claim_line", "claim_id", "claim"),
        refers("claim_line", "line_id", "order_line"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_claim_line")),
        sa.UniqueConstraint("claim_id", "line_id", "lot_id", name=op.f("uq_claim_line_claim_id_line_id_lot_id")),
    )  # fmt: skip
    op.create_table(
        "claim_file",
        uuid("claim_id"), uuid("file_id"), words("side"),
        check("claim_file", "side", "side IN ('buyer', 'cooperative')"),
        refers("claim_file", "claim_id", "claim"),
        refers("claim_file", "file_id", "stored_file"),
        sa.PrimaryKeyConstraint("claim_id", "file_id", name=op.f("pk_claim_file")),
    )  # fmt: skip


def make_corrections() -> None:
    op.create_table(
        "correction",
        uuid("id"), uuid("claim_id"), uuid("supplier_order_id"), words("number"), uuid("by_user_id"), instant("at"),
        number("goods_fen"), number("freight_fen"),
        check("correction", "not_negative", "goods_fen >= 0 AND freight_fen >= 0"),
        refers("correction", "claim_id", "claim"),
        refers("correction", "supplier_order_id", "supplier_order"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_correction")),
        sa.UniqueConstraint("claim_id", name=op.f("uq_correction_claim_id")),
    )  # fmt: skip
    op.create_index("ix_correction_order", "correction", ["supplier_order_id", "id"], unique=False)
    op.create_table(
        "correction_line",
        uuid("id"), uuid("correction_id"), uuid("line_id"), uuid("lot_id"), number("packs"), number("goods_fen"),
        check("correction_line", "taken_back", "packs > 0 AND goods_fen >= 0"),
        refers("correction_line", "correction_id", "correction"),
        refers("correction_line", "line_id", "order_line"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_correction_line")),
        sa.UniqueConstraint(
            "correction_id", "line_id", "lot_id", name=op.f("uq_correction_line_correction_id_line_id_lot_id")
        ),
    )  # fmt: skip
    op.create_index(op.f("ix_correction_line_line_id"), "correction_line", ["line_id"], unique=False)
    op.create_table(
        "receivable",
        uuid("correction_id"), uuid("supplier_order_id"), uuid("order_id"), uuid("cooperative_id"),
        number("amount_fen"),
        sa.Column("recovered_fen", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        check("receivable", "recovered", "amount_fen > 0 AND recovered_fen BETWEEN 0 AND amount_fen"),
        refers("receivable", "correction_id", "correction"),
        refers("receivable", "supplier_order_id", "supplier_order"),
        refers("receivable", "order_id", "purchase_order"),
        refers("receivable", "cooperative_id", "organisation"),
        sa.PrimaryKeyConstraint("correction_id", name=op.f("pk_receivable")),
    )  # fmt: skip
    op.create_index(
        "ix_receivable_open", "receivable", ["cooperative_id", "correction_id"], unique=False,
        postgresql_where=sa.text("recovered_fen < amount_fen"),
    )  # fmt: skip
    op.create_index("ix_receivable_part", "receivable", ["supplier_order_id"], unique=False)
    op.create_index(op.f("ix_receivable_order_id"), "receivable", ["order_id"], unique=False)
    op.create_table(
        "recovery",
        uuid("id"), uuid("correction_id"), uuid("supplier_order_id"), number("amount_fen"), instant("at"),
        check("recovery", "amount", "amount_fen > 0"),
        refers("recovery", "correction_id", "receivable", "correction_id"),
        refers("recovery", "supplier_order_id", "supplier_order"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery")),
        sa.UniqueConstraint(
            "correction_id", "supplier_order_id", name=op.f("uq_recovery_correction_id_supplier_order_id")
        ),
    )  # fmt: skip


def rules() -> None:
    """The hours to claim and to answer are rules beside the others."""
    kinds = "'confirmation', 'shipment', 'acceptance', 'signature', 'claim', 'defence'"
    for name in ("waits_for", "shipment"):
        op.drop_constraint(op.f(f"ck_order_time_rule_{name}"), "order_time_rule", type_="check")
    for name, said in (
        ("waits_for", f"waits_for IN ({kinds})"),
        ("lapses", "waits_for IN ('confirmation', 'acceptance') OR lapse_hours IS NULL"),
    ):
        op.create_check_constraint(op.f(f"ck_order_time_rule_{name}"), "order_time_rule", said)
    for waits_for, storage, hours in RULES:
        op.get_bind().execute(
            sa.text(
                "INSERT INTO order_time_rule (id, waits_for, storage, hours, source, valid) VALUES"
                " (:id, :waits_for, :storage, :hours, '平台规则', daterange(CAST(:since AS date), NULL))"
            ),
            {"id": new_id(), "waits_for": waits_for, "storage": storage, "hours": hours, "since": RULES_SINCE},
        )


def refunds_and_budgets() -> None:
    """A correction is one more reason to give money and budget back, each as often as there are corrections."""
    op.drop_constraint(op.f("ck_refund_reason"), "refund", type_="check")
    op.create_check_constraint(
        op.f("ck_refund_reason"), "refund", "reason IN ('cancelled', 'not accepted', 'paid twice', 'corrected')"
    )
    op.add_column("budget_entry", sa.Column("correction_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f("fk_budget_entry_correction_id"), "budget_entry", "correction", ["correction_id"], ["id"]
    )
    op.drop_constraint(op.f("ck_budget_entry_kind"), "budget_entry", type_="check")
    for name, said in (
        ("kind", "kind IN ('placed', 'cancelled', 'not_accepted', 'corrected')"),
        ("correction", "(kind = 'corrected') = (correction_id IS NOT NULL)"),
    ):
        op.create_check_constraint(op.f(f"ck_budget_entry_{name}"), "budget_entry", said)
    op.drop_index("ix_budget_entry_part", table_name="budget_entry")
    op.create_index(
        "ix_budget_entry_part", "budget_entry", ["supplier_order_id", "kind"], unique=True,
        postgresql_where=sa.text("correction_id IS NULL"),
    )  # fmt: skip
    op.create_index("ix_budget_entry_correction", "budget_entry", ["correction_id"], unique=True)


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
