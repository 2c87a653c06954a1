"""lot documents: the papers that lots of a category need, dated, and those that are there"""

from datetime import date

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_security import guard, owned
from shop.ids import new_id

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

PRODUCE = ("fruit", "vegetable", "mushroom", "tea", "nut", "herb", "grain_oil", "honey_egg", "aquatic")
LAW = "农产品质量安全法（2022年修订）第三十九条"
ANIMALS = "动物防疫法（2021年修订）第五十一条"
PIGS = "生猪屠宰管理条例（2021年修订）第十六条"
FOOD = "食品安全法（2021年修正）第三十五条、第五十二条"
RULES = [
    (category, "conformity_certificate", "承诺达标合格证", "Conformity certificate", False, LAW, date(2023, 1, 1), None)
    for category in PRODUCE
]
for since, until, blocking in ((date(2021, 8, 1), date(2026, 1, 1), False), (date(2026, 1, 1), None, True)):
    RULES += [
        ("meat", "quarantine_certificate", "动物检疫证明", "Quarantine certificate", blocking, ANIMALS, since, until),
        ("meat", "meat_inspection", "肉品品质检验合格证", "Meat inspection", blocking, PIGS, since, until),
    ]
RULES += [
    (category, kind, name, name_en, False, FOOD, date(2021, 4, 29), None)
    for category in ("processed", "dairy")
    for kind, name, name_en in (
        ("production_licence", "食品生产许可证", "Production licence"),
        ("batch_test", "出厂检验报告", "Batch test report"),
    )
]
"""What is shown as missing from when; meat is not packed without its papers since 2026, the platform's own rule."""


def upgrade() -> None:
    op.create_table(
        "lot_document_rule",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("blocking", sa.Boolean(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("valid", postgresql.DATERANGE(), nullable=False),
        postgresql.ExcludeConstraint(
            (sa.column("category"), "="),
            (sa.column("kind"), "="),
            (sa.column("valid"), "&&"),
            using="gist",
            name="ex_lot_document_rule_one_at_a_time",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lot_document_rule")),
    )
    op.create_table(
        "lot_document",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("lot_id", sa.Uuid(), nullable=False),
        sa.Column("cooperative_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("added_by", sa.Uuid(), nullable=False),
        sa.Column("added_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint("number <> ''", name=op.f("ck_lot_document_number")),
        sa.ForeignKeyConstraint(["cooperative_id"], ["organisation.id"], name=op.f("fk_lot_document_cooperative_id")),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_lot_document_file_id")),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name=op.f("fk_lot_document_lot_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lot_document")),
        sa.UniqueConstraint("lot_id", "kind", "file_id", name=op.f("uq_lot_document_lot_id_kind_file_id")),
    )
    guard("lot_document", owned("cooperative_id"))
    op.get_bind().execute(
        sa.text(
            "INSERT INTO lot_document_rule (id, category, kind, name, name_en, blocking, source, valid) VALUES"
            " (:id, :category, :kind, :name, :name_en, :blocking, :source,"
            " daterange(CAST(:since AS date), CAST(:until AS date)))"
        ),
        [
            {"id": new_id(), "category": category, "kind": kind, "name": name, "name_en": name_en,
             "blocking": blocking, "source": source, "since": since, "until": until}
            for category, kind, name, name_en, blocking, source, since, until in RULES
        ],
    )  # fmt: skip


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
