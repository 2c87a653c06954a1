"""row security: what a policy looks up elsewhere is a function, so that a statement which needs no look-up does not
prepare for one

A sub-select of a policy is set up at every start of the statement, with the policies of the tables that it reads and
the sub-selects in those, although the words before it decide nearly always. A function of PL/pgSQL costs nothing until
it is called. The tables of orders keep theirs: they are read by many rows at once.
"""

from alembic import op

from migrations.row_security import change_ways, owned

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None

FUNCTIONS = {
    "sees_person(sought uuid)": """
        EXISTS (SELECT FROM membership WHERE user_id = sought) OR EXISTS (SELECT FROM invitation WHERE user_id = sought)
    """,
    "sees_token(of_membership uuid, of_mandate uuid)": """
        EXISTS (SELECT FROM membership WHERE id = of_membership)
        OR EXISTS (SELECT FROM assist_mandate WHERE id = of_mandate)
    """,
    "sees_person_row(sought uuid)": "EXISTS (SELECT FROM person WHERE id = sought)",
    "sees_address(sought uuid, of_organisation uuid)": """
        EXISTS (SELECT FROM purchase_order WHERE address_id = sought)
        OR EXISTS (SELECT FROM buying_mandate m JOIN budget_unit u ON u.id = m.unit_id
                   WHERE u.organisation_id = of_organisation AND m.status = 'active'
                     AND m.organisation_id = seen_organisation())
    """,
    "buys_for_unit(sought uuid)": """
        EXISTS (SELECT FROM buying_mandate m WHERE m.unit_id = sought AND m.status = 'active'
                  AND m.organisation_id = seen_organisation())
    """,
    "has_unit(sought uuid)": """
        EXISTS (SELECT FROM budget_unit u WHERE u.id = sought AND u.organisation_id = seen_organisation())
    """,
}


def upgrade() -> None:
    for signature, condition in FUNCTIONS.items():
        op.execute(
            f"CREATE FUNCTION {signature} RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL SAFE AS"
            f" $$ BEGIN RETURN {condition}; END $$"
        )
    change_ways("person", "sees_person(id)")
    change_ways("api_token", "sees_token(membership_id, assist_mandate_id)")
    change_ways("two_step", "sees_person_row(user_id)")
    change_ways("address", owned("organisation_id"), "sees_address(id, organisation_id)")
    change_ways("budget", owned("organisation_id"), "buys_for_unit(budget_unit_id)")
    change_ways("buying_mandate", owned("organisation_id"), "has_unit(unit_id)")


def downgrade() -> None:
    raise NotImplementedError("This shop goes forward: restore a backup instead.")
