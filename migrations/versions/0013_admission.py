"""admission: applications, steps and documents as dated data, the right to sell, mandates, what lists are for

Sellers that are here already were admitted by hand: they keep the right to sell, without an end.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_security import belongs, change_ways, guard, owned
from shop.ids import new_id

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

APPEND_ONLY = ("application_review", "selling_history")
LIST_RULES = (  # use, indicator, list, from
    ("admits", "", "poverty_832", "2020-01-01"),
    ("admits", "", "key_160", "2021-08-27"),
    ("counts", "reserved_share", "poverty_832", "2021-01-01"),
    ("counts", "key_counties", "key_160", "2021-08-27"),
)
STEPS = (  # code, name, English name, who, position; the notice of December 2022 names the three
    ("agriculture", "县级农业农村部门推荐", "County agriculture office", "county_reviewer", 1),
    ("revitalisation", "县级乡村振兴部门推荐", "County rural revitalisation office", "county_reviewer", 2),
    ("platform", "平台审核", "Platform review", "operator", 3),
)
DOCUMENTS = (  # kind, name, English name, of whom
    ("licence", "营业执照", "Business licence", "everybody"),
    ("legal_person_id", "法定代表人身份证明", "Identity of the legal person", "everybody"),
    ("bank_permit", "开户许可证或基本存款账户信息", "Bank account permit", "everybody"),
    ("food_licence", "食品生产许可证或备案", "Food production licence or filing", "processors"),
    ("linkage_proof", "联农带农证明", "Proof of the benefit to farmers", "everybody"),
    ("source_statement", "产品来源说明", "Statement of where the products come from", "everybody"),
    ("commission", "代理销售委托书", "Commission to sell as an agent", "agents"),
)
RULES_SINCE = "1996-01-01"


def upgrade() -> None:
    op.create_table(
        "list_rule",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("use", sa.Text(), nullable=False),
        sa.Column("indicator", sa.Text(), server_default="", nullable=False),
        sa.Column("list", sa.Text(), nullable=False),
        sa.Column("valid", postgresql.DATERANGE(), nullable=False),
        postgresql.ExcludeConstraint(
            (sa.column("use"), "="),
            (sa.column("indicator"), "="),
            (sa.column("list"), "="),
            (sa.column("valid"), "&&"),
            using="gist",
            name="ex_list_rule_one_at_a_time",
        ),
        sa.CheckConstraint("(use = 'counts') = (indicator <> '')", name=op.f("ck_list_rule_indicator")),
        sa.CheckConstraint("list IN ('poverty_832', 'key_160')", name=op.f("ck_list_rule_list")),
        sa.CheckConstraint("use IN ('admits', 'counts')", name=op.f("ck_list_rule_use")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_list_rule")),
    )
    op.create_table(
        "admission_step_rule",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("valid", postgresql.DATERANGE(), nullable=False),
        postgresql.ExcludeConstraint(
            (sa.column("code"), "="),
            (sa.column("valid"), "&&"),
            using="gist",
            name="ex_admission_step_rule_one_at_a_time",
        ),
        postgresql.ExcludeConstraint(
            (sa.column("position"), "="),
            (sa.column("valid"), "&&"),
            using="gist",
            name="ex_admission_step_rule_one_in_a_place",
        ),
        sa.CheckConstraint(
            "decided_by IN ('county_reviewer', 'operator')", name=op.f("ck_admission_step_rule_decided_by")
        ),
        sa.CheckConstraint("position > 0", name=op.f("ck_admission_step_rule_position")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admission_step_rule")),
    )
    op.create_table(
        "admission_document_rule",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=False),
        sa.Column("needed_of", sa.Text(), nullable=False),
        sa.Column("valid", postgresql.DATERANGE(), nullable=False),
        postgresql.ExcludeConstraint(
            (sa.column("kind"), "="),
            (sa.column("valid"), "&&"),
            using="gist",
            name="ex_admission_document_rule_one_at_a_time",
        ),
        sa.CheckConstraint(
            "needed_of IN ('everybody', 'processors', 'agents')", name=op.f("ck_admission_document_rule_needed_of")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admission_document_rule")),
    )
    op.create_table(
        "admission_application",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("linkage", sa.Text(), nullable=False),
        sa.Column("round", sa.BigInteger(), nullable=False),
        sa.Column("steps", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("step", sa.Text(), nullable=True),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("submitted_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("decided_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint("(status = 'submitted') = (step IS NOT NULL)", name=op.f("ck_admission_application_step")),
        sa.CheckConstraint("purpose IN ('admission', 'renewal')", name=op.f("ck_admission_application_purpose")),
        sa.CheckConstraint(
            "status IN ('draft', 'submitted', 'returned', 'approved')", name=op.f("ck_admission_application_status")
        ),
        sa.CheckConstraint("round >= 0", name=op.f("ck_admission_application_round")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_admission_application_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admission_application")),
    )
    op.create_index(
        "ix_admission_application_open",
        "admission_application",
        ["organisation_id"],
        unique=True,
        postgresql_where=sa.text("status <> 'approved'"),
    )
    op.create_index(
        "ix_admission_application_organisation", "admission_application", ["organisation_id", "id"], unique=False
    )
    op.create_index("ix_admission_application_queue", "admission_application", ["status", "step", "id"], unique=False)
    op.create_table(
        "declared_capacity",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("product_name", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("area_mu_hundredths", sa.BigInteger(), nullable=True),
        sa.Column("heads", sa.BigInteger(), nullable=True),
        sa.Column("yield_grams", sa.BigInteger(), nullable=False),
        sa.Column("households", sa.BigInteger(), nullable=False),
        sa.Column("grams_per_year", sa.BigInteger(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("current", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.CheckConstraint(
            "(area_mu_hundredths IS NULL) <> (heads IS NULL)", name=op.f("ck_declared_capacity_measured")
        ),
        sa.CheckConstraint(
            "COALESCE(area_mu_hundredths, heads) > 0 AND yield_grams > 0", name=op.f("ck_declared_capacity_positive")
        ),
        sa.CheckConstraint(
            "grams_per_year = CASE WHEN heads IS NOT NULL THEN heads * yield_grams"
            " ELSE (2 * area_mu_hundredths * yield_grams + 100) / 200 END",
            name=op.f("ck_declared_capacity_multiplies"),
        ),
        sa.CheckConstraint("households >= 0", name=op.f("ck_declared_capacity_households")),
        sa.ForeignKeyConstraint(
            ["application_id"], ["admission_application.id"], name=op.f("fk_declared_capacity_application_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_declared_capacity_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_declared_capacity")),
        sa.UniqueConstraint(
            "application_id",
            "product_name",
            "category",
            name=op.f("uq_declared_capacity_application_id_product_name_category"),
        ),
    )
    op.create_index(
        "ix_declared_capacity_current",
        "declared_capacity",
        ["organisation_id", "product_name", "category"],
        unique=True,
        postgresql_where=sa.text("current"),
    )
    op.create_table(
        "application_document",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("added_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["application_id"], ["admission_application.id"], name=op.f("fk_application_document_application_id")
        ),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_application_document_file_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_application_document")),
        sa.UniqueConstraint(
            "application_id", "kind", "sha256", name=op.f("uq_application_document_application_id_kind_sha256")
        ),
    )
    op.create_table(
        "application_review",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("round", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("fields", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("officer_name", sa.Text(), nullable=False),
        sa.Column("office", sa.Text(), nullable=False),
        sa.Column("photo_file_ids", sa.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint("decision IN ('approve', 'return')", name=op.f("ck_application_review_decision")),
        sa.ForeignKeyConstraint(
            ["application_id"], ["admission_application.id"], name=op.f("fk_application_review_application_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_application_review")),
        sa.UniqueConstraint(
            "application_id", "round", "step", name=op.f("uq_application_review_application_id_round_step")
        ),
    )
    op.create_table(
        "selling_right",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("application_id", sa.Uuid(), nullable=True),
        sa.Column("valid", postgresql.DATERANGE(), nullable=False),
        sa.Column("granted_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("reminded_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("ended_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        postgresql.ExcludeConstraint(
            (sa.column("organisation_id"), "="),
            (sa.column("valid"), "&&"),
            using="gist",
            name="ex_selling_right_one_at_a_time",
        ),
        sa.ForeignKeyConstraint(
            ["application_id"], ["admission_application.id"], name=op.f("fk_selling_right_application_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_selling_right_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_selling_right")),
        sa.UniqueConstraint("application_id", name=op.f("uq_selling_right_application_id")),
        sa.UniqueConstraint("number", name=op.f("uq_selling_right_number")),
    )
    op.create_index(
        "ix_selling_right_end",
        "selling_right",
        [sa.literal_column("upper(valid)")],
        unique=False,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "selling_suspension",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("until", sa.Date(), nullable=True),
        sa.Column("began_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("ended_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_selling_suspension_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_selling_suspension")),
    )
    op.create_index(
        "ix_selling_suspension_open",
        "selling_suspension",
        ["organisation_id"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index(
        "ix_selling_suspension_until",
        "selling_suspension",
        ["until"],
        unique=False,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "selling_history",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("right_id", sa.Uuid(), nullable=True),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("until", sa.Date(), nullable=True),
        sa.Column("by_user_id", sa.Uuid(), nullable=False),
        sa.Column("at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.CheckConstraint(
            "what IN ('granted', 'renewed', 'suspended', 'reinstated', 'revoked', 'reminded', 'expired')",
            name=op.f("ck_selling_history_what"),
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_selling_history_organisation_id")
        ),
        sa.ForeignKeyConstraint(["right_id"], ["selling_right.id"], name=op.f("fk_selling_history_right_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_selling_history")),
    )
    op.create_index("ix_selling_history_organisation", "selling_history", ["organisation_id", "id"], unique=False)
    op.create_table(
        "agent_mandate",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=False),
        sa.Column("principal_id", sa.Uuid(), nullable=True),
        sa.Column("principal_name", sa.Text(), nullable=True),
        sa.Column("products", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("valid", postgresql.DATERANGE(), nullable=False),
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("confirmed_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("revoked_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(principal_id IS NULL) <> (principal_name IS NULL)", name=op.f("ck_agent_mandate_principal")
        ),
        sa.CheckConstraint(
            "NOT isempty(valid) AND cardinality(products) > 0", name=op.f("ck_agent_mandate_says_something")
        ),
        sa.CheckConstraint("principal_id <> agent_id", name=op.f("ck_agent_mandate_another")),
        sa.ForeignKeyConstraint(["agent_id"], ["organisation.id"], name=op.f("fk_agent_mandate_agent_id")),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_agent_mandate_file_id")),
        sa.ForeignKeyConstraint(["principal_id"], ["organisation.id"], name=op.f("fk_agent_mandate_principal_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agent_mandate")),
    )
    op.create_index("ix_agent_mandate_agent", "agent_mandate", ["agent_id", "id"], unique=False)
    op.create_index("ix_agent_mandate_principal", "agent_mandate", ["principal_id", "id"], unique=False)
    op.create_table(
        "assist_mandate",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("helper_user_id", sa.Uuid(), nullable=False),
        sa.Column("helper_organisation_id", sa.Uuid(), nullable=False),
        sa.Column("cooperative_id", sa.Uuid(), nullable=False),
        sa.Column("valid", postgresql.DATERANGE(), nullable=False),
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.Column("given_by_user_id", sa.Uuid(), nullable=False),
        sa.Column("given_by_organisation_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("revoked_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("revoked_by_user_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("NOT isempty(valid)", name=op.f("ck_assist_mandate_valid")),
        sa.CheckConstraint(
            "given_by_organisation_id = cooperative_id OR reason IS NOT NULL", name=op.f("ck_assist_mandate_reason")
        ),
        sa.ForeignKeyConstraint(["cooperative_id"], ["organisation.id"], name=op.f("fk_assist_mandate_cooperative_id")),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_assist_mandate_file_id")),
        sa.ForeignKeyConstraint(
            ["given_by_organisation_id"], ["organisation.id"], name=op.f("fk_assist_mandate_given_by_organisation_id")
        ),
        sa.ForeignKeyConstraint(
            ["helper_organisation_id"], ["organisation.id"], name=op.f("fk_assist_mandate_helper_organisation_id")
        ),
        sa.ForeignKeyConstraint(["helper_user_id"], ["person.id"], name=op.f("fk_assist_mandate_helper_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assist_mandate")),
    )
    op.create_index("ix_assist_mandate_cooperative", "assist_mandate", ["cooperative_id", "id"], unique=False)
    op.create_index("ix_assist_mandate_helper", "assist_mandate", ["helper_user_id", "id"], unique=False)
    op.add_column("organisation", sa.Column("selling_until", sa.Date(), nullable=True))
    op.execute(
        "UPDATE organisation SET selling_until = '9999-12-31' WHERE kind IN ('cooperative', 'family_farm', 'producer')"
    )
    op.execute("ALTER TABLE listing DROP CONSTRAINT ck_listing_status")
    op.execute(
        "ALTER TABLE listing ADD CONSTRAINT ck_listing_status"
        " CHECK (status IN ('draft', 'in_review', 'listed', 'paused', 'delisted'))"
    )
    op.add_column("product", sa.Column("mandate_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f("fk_product_mandate_id"), "product", "agent_mandate", ["mandate_id"], ["id"])
    op.add_column("api_token", sa.Column("assist_mandate_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f("fk_api_token_assist_mandate_id"), "api_token", "assist_mandate", ["assist_mandate_id"], ["id"]
    )
    op.add_column("audit_entry", sa.Column("home_organisation_id", sa.Uuid(), nullable=True))
    op.add_column("audit_entry", sa.Column("mandate_id", sa.Uuid(), nullable=True))
    let_nobody_rewrite()
    guard_rows()
    find_helpers()
    seed()


def let_nobody_rewrite() -> None:
    for table in APPEND_ONLY:
        op.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM shop_app")
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )


def guard_rows() -> None:
    """An applicant sees what is its own; rules, steps and kinds of documents are policy, which everybody reads.

    A helper's token is seen by the cooperative that it enters, too: it ends with its log-out.
    """
    for table in ("admission_application", "declared_capacity", "selling_right", "selling_suspension"):
        guard(table, owned("organisation_id"))
    guard("selling_history", owned("organisation_id"))
    for table in ("application_document", "application_review"):
        guard(table, belongs(table, "application_id", "admission_application"))
    guard("agent_mandate", owned("agent_id"), owned("principal_id"))
    guard("assist_mandate", owned("cooperative_id"))
    change_ways(
        "api_token",
        belongs("api_token", "membership_id", "membership"),
        belongs("api_token", "assist_mandate_id", "assist_mandate"),
    )


def find_helpers() -> None:
    """Make `find_actor` anew: as in 0011, but behind a helper's token of `POST /v1/auth/assist` stands the cooperative.

    Nothing that the helper holds at home goes along; which roles are lent, `authenticate` knows.
    """
    op.execute("DROP FUNCTION find_actor(bytea, interval)")
    op.execute(
        """
        CREATE FUNCTION find_actor(hashed bytea, note_use_every interval) RETURNS TABLE (
            user_id uuid, membership_id uuid, organisation_id uuid, kind text, roles text[], order_limit_fen bigint,
            regions text[], scopes text[], token_id uuid, now timestamptz, has_two_step boolean,
            mandate_id uuid, home_id uuid
        ) LANGUAGE plpgsql AS $$
        DECLARE
            unnoted boolean;
            mandated text[];
            lent boolean;
            helped_id uuid;
            helped_kind text;
        BEGIN
            PERFORM set_config('app.sees', 'all', true);
            SELECT u.id, m.id, o.id, o.kind, m.roles, m.order_limit_fen, m.regions, t.scopes, t.id,
                   clock_timestamp() + (SELECT offset_us FROM business_clock) * interval '1 microsecond',
                   EXISTS (SELECT 1 FROM two_step s WHERE s.user_id = u.id AND s.confirmed_at IS NOT NULL),
                   t.last_used_at IS NULL OR t.last_used_at < clock_timestamp() - note_use_every,
                   t.assist_mandate_id IS NOT NULL, a.id, c.id, c.kind
            INTO user_id, membership_id, organisation_id, kind, roles, order_limit_fen, regions, scopes, token_id,
                 now, has_two_step, unnoted, lent, mandate_id, helped_id, helped_kind
            FROM api_token t
            JOIN membership m ON m.id = t.membership_id
            JOIN person u ON u.id = m.user_id
            JOIN organisation o ON o.id = m.organisation_id
            LEFT JOIN assist_mandate a ON a.id = t.assist_mandate_id AND a.revoked_at IS NULL
                 AND 'helper' = ANY (m.roles)
                 AND a.valid @> (SELECT ((clock_timestamp() + offset_us * interval '1 microsecond')
                                         AT TIME ZONE 'Asia/Shanghai')::date FROM business_clock)
            LEFT JOIN organisation c ON c.id = a.cooperative_id AND c.status IN ('active', 'applying')
            WHERE t.token_hash = hashed AND t.revoked_at IS NULL AND t.expires_at > clock_timestamp()
              AND u.status = 'active' AND m.ended_at IS NULL AND o.status <> 'closed';
            IF NOT FOUND OR (lent AND helped_id IS NULL) THEN
                PERFORM set_config('app.sees', '', true);
                RETURN;
            END IF;
            IF lent THEN
                home_id := organisation_id;
                organisation_id := helped_id;
                kind := helped_kind;
                roles := '{}';
                order_limit_fen := NULL;
                regions := '{}';
            ELSIF 'auditor' = ANY (roles) THEN
                SELECT CASE WHEN bool_or(a.regions = '{}') THEN '{}' ELSE array_agg(DISTINCT r.code ORDER BY r.code) END
                INTO mandated
                FROM audit_mandate a LEFT JOIN LATERAL unnest(a.regions) r(code) ON true
                WHERE a.membership_id = find_actor.membership_id AND a.revoked_at IS NULL
                  AND a.valid @> (find_actor.now AT TIME ZONE 'Asia/Shanghai')::date
                HAVING count(*) > 0;
                IF mandated IS NULL THEN
                    roles := array_remove(roles, 'auditor');
                ELSE
                    regions := mandated;
                END IF;
            END IF;
            IF unnoted THEN
                UPDATE api_token SET last_used_at = clock_timestamp() WHERE id = token_id;
            END IF;
            IF kind NOT IN ('platform', 'county_reviewer') THEN
                PERFORM set_config('app.sees', organisation_id::text, true);
            END IF;
            RETURN NEXT;
        END $$
        """
    )


def seed() -> None:
    connection = op.get_bind()
    connection.execute(
        sa.text(
            "INSERT INTO list_rule (id, use, indicator, list, valid)"
            " VALUES (:id, :use, :indicator, :list, daterange(CAST(:since AS date), NULL))"
        ),
        [
            {"id": new_id(), "use": use, "indicator": indicator, "list": listed, "since": since}
            for use, indicator, listed, since in LIST_RULES
        ],
    )
    connection.execute(
        sa.text(
            "INSERT INTO admission_step_rule (id, code, name, name_en, decided_by, position, valid)"
            " VALUES (:id, :code, :name, :name_en, :who, :position, daterange(CAST(:since AS date), NULL))"
        ),
        [
            {"id": new_id(), "code": code, "name": name, "name_en": name_en, "who": who, "position": position,
             "since": RULES_SINCE}
            for code, name, name_en, who, position in STEPS
        ],
    )  # fmt: skip
    connection.execute(
        sa.text(
            "INSERT INTO admission_document_rule (id, kind, name, name_en, needed_of, valid)"
            " VALUES (:id, :kind, :name, :name_en, :needed_of, daterange(CAST(:since AS date), NULL))"
        ),
        [
            {"id": new_id(), "kind": kind, "name": name, "name_en": name_en, "needed_of": needed_of,
             "since": RULES_SINCE}
            for kind, name, name_en, needed_of in DOCUMENTS
        ],
    )  # fmt: skip


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
