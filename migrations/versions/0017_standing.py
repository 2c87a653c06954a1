"""standing: what a mandate's days bring about is noted

An agent sells what a mandate in force names; `agent_mandate_of` says so to an order too, which sees no mandates.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SELECT set_config('app.sees', 'all', true)")
    mandates_of_agents()
    find_more_actors()
    reject()
    hand_over()
    re_check()


def mandates_of_agents() -> None:
    """Those that began before today are said to have begun; those that ended are left to the next sweep."""
    for column in ("began_at", "ended_at"):
        op.add_column("agent_mandate", sa.Column(column, postgresql.TIMESTAMP(timezone=True), nullable=True))
    op.execute(
        "UPDATE agent_mandate SET began_at = created_at WHERE lower(valid) <= ("
        " SELECT ((clock_timestamp() + offset_us * interval '1 microsecond') AT TIME ZONE 'Asia/Shanghai')::date"
        " FROM business_clock)"
    )
    for name, bound, column in (
        ("ix_agent_mandate_begin", "lower(valid)", "began_at"),
        ("ix_agent_mandate_end", "upper(valid)", "ended_at"),
    ):
        op.create_index(
            name,
            "agent_mandate",
            [sa.literal_column(bound)],
            unique=False,
            postgresql_where=sa.text(f"{column} IS NULL AND revoked_at IS NULL"),
        )
    op.execute(
        """
        CREATE FUNCTION agent_mandate_of(agent uuid, named uuid, product text, day date) RETURNS uuid
        LANGUAGE plpgsql AS $$
        DECLARE
            saw text := current_setting('app.sees', true);
            found_id uuid;
        BEGIN
            PERFORM set_config('app.sees', 'all', true);
            SELECT m.id INTO found_id
            FROM agent_mandate m LEFT JOIN agent_mandate n ON n.id = named
            WHERE m.agent_id = agent AND m.revoked_at IS NULL AND m.valid @> day AND product = ANY (m.products)
              AND (m.principal_id IS NULL OR m.confirmed_at IS NOT NULL)
              AND (n.id IS NULL OR (m.principal_id IS NOT DISTINCT FROM n.principal_id
                                    AND m.principal_name IS NOT DISTINCT FROM n.principal_name))
            ORDER BY m.id = named DESC NULLS LAST, m.id LIMIT 1;
            PERFORM set_config('app.sees', COALESCE(saw, ''), true);
            RETURN found_id;
        END $$
        """
    )


def find_more_actors() -> None:
    """Make `find_actor` anew: as in 0013, but a helper works on for a cooperative that is suspended.

    And what a closed organisation has under way is ended by its successor's people, who are its members then.
    """
    op.execute(
        """
        CREATE OR REPLACE FUNCTION find_actor(hashed bytea, note_use_every interval) RETURNS TABLE (
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
            LEFT JOIN organisation c ON c.id = a.cooperative_id AND c.status <> 'closed'
            WHERE t.token_hash = hashed AND t.revoked_at IS NULL AND t.expires_at > clock_timestamp()
              AND u.status = 'active' AND m.ended_at IS NULL
              AND (o.status <> 'closed' OR o.successor_id IS NOT NULL);
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


def reject() -> None:
    """An application may be rejected; who was rejected or closed leaves its code to another organisation."""
    for table, name, condition in (
        ("organisation", "status", "status IN ('applying', 'rejected', 'active', 'suspended', 'closed')"),
        ("admission_application", "status", "status IN ('draft', 'submitted', 'returned', 'approved', 'rejected')"),
        ("application_review", "decision", "decision IN ('approve', 'return', 'reject')"),
    ):
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT ck_{table}_{name}")
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT ck_{table}_{name} CHECK ({condition})")
    op.drop_constraint(op.f("uq_organisation_uscc"), "organisation")
    op.create_index(
        "ix_organisation_uscc",
        "organisation",
        ["uscc"],
        unique=True,
        postgresql_where=sa.text("status NOT IN ('rejected', 'closed')"),
    )
    op.drop_index("ix_admission_application_open", "admission_application")
    op.create_index(
        "ix_admission_application_open",
        "admission_application",
        ["organisation_id"],
        unique=True,
        postgresql_where=sa.text("status NOT IN ('approved', 'rejected')"),
    )


def hand_over() -> None:
    """The members of closed organisations act for them no more; those of a successor will, from the next closing on."""
    op.execute(
        "UPDATE membership m SET ended_at = clock_timestamp() FROM organisation o"
        " WHERE o.id = m.organisation_id AND o.status = 'closed' AND m.ended_at IS NULL"
    )


def re_check() -> None:
    """Sellers from before there was admission have a year from today on to their first re-check, like all others."""
    op.execute(
        """
        CREATE TEMPORARY TABLE without_end ON COMMIT DROP AS
        SELECT o.id, row_number() OVER (ORDER BY o.id) AS place, day.today,
               (day.today + interval '12 months')::date AS ends
        FROM organisation o,
             (SELECT ((clock_timestamp() + offset_us * interval '1 microsecond') AT TIME ZONE 'Asia/Shanghai')::date
                     AS today FROM business_clock) day
        WHERE o.selling_until = '9999-12-31'
        """
    )
    op.execute(
        "UPDATE selling_right r SET valid = daterange(lower(r.valid), GREATEST(w.ends, lower(r.valid) + 1))"
        " FROM without_end w WHERE r.organisation_id = w.id AND r.ended_at IS NULL AND upper(r.valid) = '9999-12-31'"
    )
    op.execute(
        """
        INSERT INTO selling_right (id, number, organisation_id, valid, granted_at)
        SELECT gen_random_uuid(),
               'XS-' || to_char(w.today, 'YYYY') || '-' || lpad((COALESCE(c.last, 0) + w.place)::text, 6, '0'),
               w.id, daterange(w.today, w.ends), clock_timestamp()
        FROM without_end w
        LEFT JOIN document_counter c ON c.kind = 'XS' AND c.year = extract(year FROM w.today)::int
            AND c.organisation_id = (SELECT id FROM organisation WHERE kind = 'platform' ORDER BY id LIMIT 1)
        WHERE NOT EXISTS (SELECT FROM selling_right r WHERE r.organisation_id = w.id AND r.ended_at IS NULL)
        """
    )
    op.execute(
        """
        INSERT INTO document_counter (organisation_id, kind, year, last)
        SELECT (SELECT id FROM organisation WHERE kind = 'platform' ORDER BY id LIMIT 1), 'XS',
               extract(year FROM min(today))::int, max(place)
        FROM without_end HAVING count(*) > 0
        ON CONFLICT (organisation_id, kind, year) DO UPDATE SET last = document_counter.last + excluded.last
        """
    )
    op.execute("UPDATE organisation o SET selling_until = w.ends FROM without_end w WHERE o.id = w.id")


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
