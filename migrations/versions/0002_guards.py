"""guards: what the application's role may not do, and what no role may do by mistake

Three roles: the owner migrates, `shop_app` serves and works, `shop_checker` reads all. Append-only tables take no
UPDATE, DELETE or TRUNCATE from anybody but a migration that drops the trigger first; a supplier order makes only
the moves of the table of moves; the entries of a ledger transaction sum to zero when it commits.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

APPEND_ONLY = (
    "ledger_transaction", "ledger_entry", "audit_entry", "order_history", "listing_revision", "movement",
    "tracking_event", "acceptance", "acceptance_line",
)  # fmt: skip
NUMBERED = ("event", "fact")
MOVES = (
    ("placed", "confirmed"), ("placed", "cancelled"), ("confirmed", "accepted"), ("confirmed", "cancelled"),
    ("accepted", "packed"), ("accepted", "cancelled"), ("packed", "shipped"), ("shipped", "delivered"),
    ("delivered", "inspected"), ("delivered", "disputed"), ("inspected", "settled"), ("inspected", "disputed"),
    ("disputed", "inspected"), ("disputed", "settled"),
)  # fmt: skip


def upgrade() -> None:
    for role in ("shop_app", "shop_checker"):
        op.execute(
            f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN"
            f" CREATE ROLE {role} LOGIN; END IF; END $$"
        )
    op.execute("GRANT USAGE ON SCHEMA public TO shop_app, shop_checker")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO shop_app")
    op.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO shop_checker")
    op.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO shop_app")
    op.execute("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO shop_app")
    op.execute("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO shop_checker")
    op.execute("REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM shop_app")
    op.execute(
        """
        CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
        END $$
        """
    )
    op.execute(
        """
        CREATE FUNCTION number_once() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF OLD.posted_no IS NOT NULL OR NEW.posted_no IS NULL
               OR (to_jsonb(NEW) - 'posted_no') IS DISTINCT FROM (to_jsonb(OLD) - 'posted_no') THEN
                RAISE EXCEPTION '% is append-only: a row is numbered once, nothing else', TG_TABLE_NAME
                    USING ERRCODE = 'restrict_violation';
            END IF;
            RETURN NEW;
        END $$
        """
    )
    for table in APPEND_ONLY + NUMBERED:
        op.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM shop_app")
        changes = "DELETE" if table in NUMBERED else "UPDATE OR DELETE"
        op.execute(
            f"CREATE TRIGGER append_only BEFORE {changes} ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    for table in NUMBERED:
        op.execute(f"GRANT UPDATE (posted_no) ON {table} TO shop_app")
        op.execute(f"CREATE TRIGGER number_once BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION number_once()")
    moves = ", ".join(f"('{start}', '{end}')" for start, end in MOVES)
    op.execute(
        f"""
        CREATE FUNCTION supplier_order_moves() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'INSERT' THEN
                IF NEW.status <> 'placed' THEN
                    RAISE EXCEPTION 'a supplier order begins as placed' USING ERRCODE = 'restrict_violation';
                END IF;
            ELSIF NEW.status <> OLD.status AND (OLD.status, NEW.status) NOT IN ({moves}) THEN
                RAISE EXCEPTION 'a supplier order cannot go from % to %', OLD.status, NEW.status
                    USING ERRCODE = 'restrict_violation';
            END IF;
            RETURN NEW;
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER moves BEFORE INSERT OR UPDATE OF status ON supplier_order"
        " FOR EACH ROW EXECUTE FUNCTION supplier_order_moves()"
    )
    op.execute(
        """
        CREATE FUNCTION entries_sum_to_zero() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF (SELECT sum(amount_fen) FROM ledger_entry WHERE transaction_id = NEW.transaction_id) <> 0 THEN
                RAISE EXCEPTION 'the entries of transaction % do not sum to zero', NEW.transaction_id
                    USING ERRCODE = 'check_violation';
            END IF;
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        "CREATE CONSTRAINT TRIGGER sum_to_zero AFTER INSERT ON ledger_entry DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION entries_sum_to_zero()"
    )
    op.execute("INSERT INTO business_clock (id, offset_us) VALUES (1, 0)")


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
