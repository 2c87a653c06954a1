"""The second line: whatever a query forgets, PostgreSQL shows a request the rows of its own organisation alone."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from shop.db import edge_engine, in_unit_of_work, seeing_all, sees, unit_of_work
from shop.errors import NotFound
from shop.models import metadata
from tests.walk.sides import Sides, organisations_of

PUBLIC = {  # tables that name an organisation and are for everybody to read
    "organisation": "who trades",
    "budget_unit": "whose budget a purchase counts for, in trees over several organisations",
    "product": "the catalogue",
    "listing": "the catalogue",
    "supply": "what can be ordered",
    "lot": "what can be traced",
    "location": "where what can be traced lies",
}
NAMING = {
    "organisation_id", "buyer_id", "cooperative_id", "seen_by", "supplier_order_id", "membership_id", "unit_id",
    "filing_id", "agent_id", "agreement_id", "request_id", "quotation_id", "quote_id", "principal_id", "application_id",
}  # fmt: skip


@pytest.fixture
def sides(committed: str) -> Sides:
    return Sides()


@pytest.fixture
def edge(committed: str) -> Iterator[Session]:
    with unit_of_work(at_edge=True) as session:
        yield session


def guarded(session: Session) -> set[str]:
    return set(
        session.scalars(
            text("SELECT relname FROM pg_class WHERE relkind = 'r' AND relrowsecurity AND relforcerowsecurity")
        )
    )


def counts(session: Session) -> dict[str, int]:
    return {name: session.scalar(text(f"SELECT count(*) FROM {name}")) or 0 for name in sorted(guarded(session))}


def test_every_table_that_names_an_organisation_is_guarded_or_is_written_down_as_public(session):
    naming = {table.name for table in metadata.sorted_tables if NAMING & set(table.columns.keys())}
    assert naming - guarded(session) - set(PUBLIC) == set()


def test_the_applications_role_owns_nothing_and_bypasses_nothing(edge):
    row = edge.execute(
        text("SELECT rolsuper, rolbypassrls, rolcreaterole FROM pg_roles WHERE rolname = current_user")
    ).one()
    assert tuple(row) == (False, False, False)
    owned = text("SELECT count(*) FROM pg_class WHERE relowner = current_user::regrole")
    assert edge.scalar(owned) == 0


def test_without_a_credential_no_row_is_seen(sides, edge):
    with unit_of_work() as everybody:
        there = counts(everybody)
    assert there["order_line"] == 20
    assert set(counts(edge).values()) == {0}


def test_each_organisation_sees_its_own_rows_and_only_those(sides):
    with unit_of_work(at_edge=True) as session:
        for mine, theirs in (sides.sides, sides.sides[::-1]):
            others = {UUID(hex=named[-32:]) for named in theirs.ids.values()}
            for organisation in organisations_of(mine):
                sees(session, organisation)
                for table, column in (
                    ("purchase_order", "buyer_id"), ("supplier_order", "buyer_id"), ("fact", "buyer_id"),
                    ("supplier_order", "cooperative_id"), ("shipment", "cooperative_id"), ("fact", "cooperative_id"),
                    ("address", "organisation_id"), ("membership", "organisation_id"),
                    ("ledger_account", "organisation_id"), ("charge", "buyer_id"), ("job", "organisation_id"),
                    ("registration", "organisation_id"), ("invoice_profile", "organisation_id"),
                    ("bulk_import", "organisation_id"), ("listing_import", "organisation_id"),
                    ("unit_link", "organisation_id"),
                    ("unit_link", "offered_by_id"), ("quota_filing", "unit_id"), ("buying_mandate", "unit_id"),
                    ("admission_application", "organisation_id"), ("declared_capacity", "organisation_id"),
                    ("selling_right", "organisation_id"), ("selling_history", "organisation_id"),
                    ("agent_mandate", "principal_id"), ("assist_mandate", "cooperative_id"),
                    ("bank_receipt", "buyer_id"), ("framework_agreement", "buyer_id"),
                    ("framework_agreement", "cooperative_id"), ("negotiated_quote", "buyer_id"),
                    ("quotation_request", "buyer_id"),
                    ("quotation", "buyer_id"), ("quotation_award", "cooperative_id"), ("quotation_view", "buyer_id"),
                    ("quotation_evidence", "buyer_id"), ("quotation_invitation", "cooperative_id"),
                    ("price_alert", "cooperative_id"), ("price_report", "buyer_id"),
                ):  # fmt: skip
                    seen = set(session.scalars(text(f"SELECT {column} FROM {table}")))
                    assert not seen & others, table
                people = (
                    "SELECT count(*) FROM person p WHERE NOT EXISTS (SELECT FROM membership m WHERE m.user_id = p.id"
                )
                people += " AND m.organisation_id = :o) AND p.status <> 'invited'"
                assert session.scalar(text(people), {"o": organisation}) == 0
                for table, rows in (("order_line", 10), ("hold", 10), ("tracking_event", 2), ("acceptance", 1)):
                    assert session.scalar(text(f"SELECT count(*) FROM {table}")) == rows, table


def test_what_an_organisation_cannot_see_it_cannot_change_or_delete(sides):
    ours, theirs = (organisations_of(side) for side in sides.sides)
    with unit_of_work(at_edge=True) as session:
        sees(session, min(ours))
        for statement in (
            "UPDATE address SET line = 'x' WHERE organisation_id = :other",
            "DELETE FROM address WHERE organisation_id = :other",
            "UPDATE credit_limit SET limit_fen = 10^15 WHERE organisation_id = :other",
            "UPDATE supplier_order SET goods_fen = 0 WHERE buyer_id = :other",
        ):
            for other in theirs:
                assert session.execute(text(statement), {"other": other}).rowcount == 0


def test_a_thousand_requests_in_turn_over_one_connection_never_mix(sides):
    engine = edge_engine()
    wanted: dict[UUID, str] = {}
    with engine.connect() as connection:
        for turn in range(1000):
            side = sides.sides[turn % 2]
            organisation = sorted(organisations_of(side))[turn // 2 % 2]
            with connection.begin():
                if turn % 5:
                    connection.execute(text("SELECT set_config('app.sees', :o, true)"), {"o": str(organisation)})
                seen = connection.scalar(
                    text("SELECT COALESCE(string_agg(id::text, ' ' ORDER BY id), '') FROM supplier_order")
                )
            assert seen == (wanted.setdefault(organisation, seen) if turn % 5 else "")
    assert len(wanted) == 4


def test_seeing_all_ends_with_its_block_however_it_ends(sides):
    organisation = min(organisations_of(sides.sides[0]))

    def use_case(session: Session) -> None:
        sees(session, organisation)
        few = session.scalar(text("SELECT count(*) FROM supplier_order"))
        with seeing_all(session):
            assert session.scalar(text("SELECT count(*) FROM supplier_order")) > few
        assert session.scalar(text("SELECT count(*) FROM supplier_order")) == few
        with pytest.raises(NotFound), seeing_all(session):
            raise NotFound
        assert session.scalar(text("SELECT count(*) FROM supplier_order")) == few

    in_unit_of_work(use_case, at_edge=True)
