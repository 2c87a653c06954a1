"""row level security: the second line behind the queries that start from what an actor may see

Each transaction says whose rows it may see: `app.sees` is an organisation's id, `all` for work that is done for
everybody, or nothing. A request begins with nothing; `find_actor` finds the actor behind its credential and lets the
transaction see that organisation's rows, all in one round trip. Rows are written by use cases for both sides of a
trade, so the policies bind what is read, changed and deleted, and let rows be added. Public facts (catalogue, supply,
regions, organisations' names) are not under it.
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

OWN = "{column} = (SELECT seen_organisation())"
THROUGH = "EXISTS (SELECT 1 FROM {table} parent WHERE parent.id = {own}.{column})"

OWNED = {  # a table and the columns that name the organisations whose business its rows are
    "address": ("organisation_id",),
    "audit_entry": ("organisation_id",),
    "charge": ("buyer_id",),
    "credit_limit": ("organisation_id",),
    "document_counter": ("organisation_id",),
    "fact": ("buyer_id", "cooperative_id"),
    "hold": ("buyer_id",),
    "idempotency_key": ("organisation_id",),
    "job": ("organisation_id",),
    "ledger_account": ("organisation_id",),
    "membership": ("organisation_id",),
    "movement": ("buyer_id",),
    "notice": ("organisation_id",),
    "purchase_order": ("buyer_id",),
    "report_run": ("organisation_id",),
    "shipment": ("cooperative_id",),
    "stored_file": ("organisation_id",),
    "supplier_order": ("buyer_id", "cooperative_id"),
    "webhook_endpoint": ("organisation_id",),
}
BELONGS = {  # a table whose rows are seen with the row that they belong to, which is under these policies itself
    "acceptance": ("supplier_order_id", "supplier_order"),
    "acceptance_line": ("acceptance_id", "acceptance"),
    "api_token": ("membership_id", "membership"),
    "audit_acknowledgement": ("entry_id", "audit_entry"),
    "audit_mandate": ("membership_id", "membership"),
    "delivery": ("event_id", "event"),
    "ledger_balance": ("account_id", "ledger_account"),
    "ledger_entry": ("account_id", "ledger_account"),
    "order_history": ("supplier_order_id", "supplier_order"),
    "order_line": ("supplier_order_id", "supplier_order"),
    "refund": ("charge_id", "charge"),
    "shipment": ("supplier_order_id", "supplier_order"),
    "tracking_event": ("shipment_id", "shipment"),
}
ALSO = {  # what else lets a row be seen
    "address": "EXISTS (SELECT 1 FROM purchase_order o WHERE o.address_id = address.id)",
    "event": "seen_by @> ARRAY[(SELECT seen_organisation())]",
    "hold": "EXISTS (SELECT 1 FROM supply s WHERE s.id = hold.supply_id"
    " AND s.cooperative_id = (SELECT seen_organisation()))",
    "ledger_transaction": "EXISTS (SELECT 1 FROM ledger_entry e WHERE e.transaction_id = ledger_transaction.id)",
    "movement": "EXISTS (SELECT 1 FROM lot l WHERE l.id = movement.lot_id"
    " AND l.cooperative_id = (SELECT seen_organisation()))",
    "purchase_order": "EXISTS (SELECT 1 FROM supplier_order s WHERE s.order_id = purchase_order.id"
    " AND s.cooperative_id = (SELECT seen_organisation()))",
    "refund": "EXISTS (SELECT 1 FROM supplier_order s WHERE s.id = refund.supplier_order_id)",
}


def condition(table: str) -> str:
    """When a row of the table may be seen."""
    ways = ["(SELECT current_setting('app.sees', true)) = 'all'"]
    ways += [OWN.format(column=column) for column in OWNED.get(table, ())]
    if table in BELONGS:
        column, parent = BELONGS[table]
        ways.append(THROUGH.format(table=parent, own=table, column=column))
    if table in ALSO:
        ways.append(ALSO[table])
    return " OR ".join(ways)


def upgrade() -> None:
    op.create_index("ix_purchase_order_address", "purchase_order", ["address_id"], unique=False)
    op.execute(
        """
        CREATE FUNCTION seen_organisation() RETURNS uuid LANGUAGE sql STABLE AS $$
            SELECT NULLIF(NULLIF(current_setting('app.sees', true), 'all'), '')::uuid
        $$
        """
    )
    op.execute(
        """
        CREATE FUNCTION find_actor(hashed bytea, note_use_every interval) RETURNS TABLE (
            user_id uuid, membership_id uuid, organisation_id uuid, kind text, roles text[], order_limit_fen bigint,
            regions text[], scopes text[], token_id uuid, now timestamptz
        ) LANGUAGE plpgsql AS $$
        DECLARE
            unnoted boolean;
            mandated text[];
        BEGIN
            PERFORM set_config('app.sees', 'all', true);
            SELECT u.id, m.id, o.id, o.kind, m.roles, m.order_limit_fen, m.regions, t.scopes, t.id,
                   clock_timestamp() + (SELECT offset_us FROM business_clock) * interval '1 microsecond',
                   t.last_used_at IS NULL OR t.last_used_at < clock_timestamp() - note_use_every
            INTO user_id, membership_id, organisation_id, kind, roles, order_limit_fen, regions, scopes, token_id,
                 now, unnoted
            FROM api_token t
            JOIN membership m ON m.id = t.membership_id
            JOIN person u ON u.id = m.user_id
            JOIN organisation o ON o.id = m.organisation_id
            WHERE t.token_hash = hashed AND t.revoked_at IS NULL AND t.expires_at > clock_timestamp()
              AND u.status = 'active' AND o.status <> 'closed';
            IF NOT FOUND THEN
                PERFORM set_config('app.sees', '', true);
                RETURN;
            END IF;
            IF 'auditor' = ANY (roles) THEN
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
    # A rule of the books is judged on all of them, whoever's transaction it is. (SET on it wants a superuser.)
    op.execute(
        """
        CREATE OR REPLACE FUNCTION entries_sum_to_zero() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            before text := COALESCE(current_setting('app.sees', true), '');
        BEGIN
            PERFORM set_config('app.sees', 'all', true);
            IF (SELECT sum(amount_fen) FROM ledger_entry WHERE transaction_id = NEW.transaction_id) <> 0 THEN
                RAISE EXCEPTION 'the entries of transaction % do not sum to zero', NEW.transaction_id
                    USING ERRCODE = 'check_violation';
            END IF;
            PERFORM set_config('app.sees', before, true);
            RETURN NULL;
        END $$
        """
    )
    for table in sorted({*OWNED, *BELONGS, *ALSO}):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        for deed in ("SELECT", "UPDATE", "DELETE"):
            op.execute(f"CREATE POLICY {deed.lower()}_seen ON {table} FOR {deed} USING ({condition(table)})")
        op.execute(f"CREATE POLICY add ON {table} FOR INSERT WITH CHECK (true)")


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
