"""Logging in."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, insert, update
from sqlalchemy.orm import Session

from shop.accounts.models import Kind, LoginFailure, Organisation
from shop.accounts.service import guessing, logging_in, passwords, registering
from shop.actor import SYSTEM, Audience, Role
from shop.errors import Invalid, Refusal, TooMany
from shop.ids import new_id

NOW = datetime(2024, 5, 1, tzinfo=UTC)


@pytest.fixture
def school(session: Session) -> Organisation:
    return registering.register(
        session,
        kind=Kind.BUDGET_UNIT,
        name="演示中学",
        name_en="Demo School",
        division_code="310104",
        uscc="91350100M000100Y43",
        parent_id=None,
        by=SYSTEM,
        now=NOW,
    )


@pytest.fixture
def clerk(session: Session, school: Organisation) -> str:
    registering.register_user(
        session,
        organisation=school,
        email="Clerk@example.com",
        name="王",
        password="correct horse",
        roles=[Role.REQUESTER],
        order_limit_fen=5_000_000,
    )
    return "clerk@example.com"


def check(session: Session, email: str, password: str) -> logging_in.LoggedIn | Refusal:
    claim = logging_in.look_up(session, login=email)
    right = passwords.matches(claim.password_hash, password)
    return logging_in.decide(session, claim, right=right)


def test_the_right_password_gives_a_token_that_names_its_actor(
    session: Session, school: Organisation, clerk: str
) -> None:
    done = check(session, clerk, "correct horse")
    assert isinstance(done, logging_in.LoggedIn)
    found = logging_in.authenticate(session, done.token)
    assert found is not None
    actor, _ = found
    assert (actor.organisation_id, actor.audience, actor.roles) == (school.id, Audience.BUYER, {Role.REQUESTER})


def test_a_token_that_was_logged_out_is_nobody(session: Session, clerk: str) -> None:
    done = check(session, clerk, "correct horse")
    assert isinstance(done, logging_in.LoggedIn)
    logging_in.log_out(session, done.token)
    assert logging_in.authenticate(session, done.token) is None


def test_after_five_wrong_guesses_even_the_right_password_waits(session: Session, clerk: str) -> None:
    for _ in range(guessing.GUESSES_A_MINUTE):
        assert isinstance(check(session, clerk, "guess"), logging_in.WrongCredentials)
    with pytest.raises(TooMany):
        check(session, clerk, "correct horse")


def test_one_code_belongs_to_one_organisation(session: Session, school: Organisation) -> None:
    with pytest.raises(Invalid) as refused:
        registering.register(
            session,
            kind=Kind.ENTERPRISE,
            name="另一家",
            name_en="Other",
            division_code="310104",
            uscc=school.uscc,
            parent_id=None,
            by=SYSTEM,
            now=NOW,
        )
    assert refused.value.errors[0]["pointer"] == "/uscc"


def test_a_buyer_gets_no_role_of_a_cooperative(session: Session, school: Organisation) -> None:
    with pytest.raises(Invalid):
        registering.register_user(
            session, organisation=school, email="x@example.com", name="李", password="p", roles=[Role.LISTER]
        )


@pytest.mark.parametrize(("failures", "minutes", "waits"), [(20, 30, True), (19, 30, False), (20, 61, False)])
def test_twenty_wrong_guesses_within_an_hour_make_the_account_wait_too(
    session: Session, clerk: str, failures: int, minutes: int, waits: bool
) -> None:
    account = logging_in.look_up(session, login=clerk).account
    long_ago = func.clock_timestamp() - timedelta(minutes=minutes)
    session.execute(insert(LoginFailure), [{"id": new_id(), "account_hash": account} for _ in range(failures)])
    session.execute(update(LoginFailure).values(at=long_ago))
    if waits:
        with pytest.raises(TooMany):
            check(session, clerk, "correct horse")
    else:
        assert isinstance(check(session, clerk, "correct horse"), logging_in.LoggedIn)
