"""What is due: each sweep does one batch in its unit of work and says how much it did; it is called until that is 0."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from shop.accounts.service import granting, reminding
from shop.catalogue import cards as catalogue
from shop.clock import business_day, business_now, machine_now
from shop.files import service as files
from shop.http import idempotency
from shop.logistics import service as logistics
from shop.payments.service import charging, gateway_work
from shop.reporting import rollup
from shop.stock.service import offering


def roll_up(session: Session) -> int:
    """Add newly numbered facts to the rollup."""
    return rollup.roll_up(session)


def cancel_unpaid(session: Session) -> int:
    """Cancel prepaid orders whose money did not come in time."""
    return charging.cancel_unpaid(session, now=business_now(session))


def move_shipments(session: Session) -> int:
    """Let the simulated carrier report what is due."""
    return logistics.move_shipments(session, now=business_now(session))


def close_supply_windows(session: Session) -> int:
    """Withdraw what was not sold when its window is over."""
    return offering.close_windows(session, now=business_now(session))


def rewrite_lapsed(session: Session) -> int:
    """Take certificates that have lapsed off the cards of their listings."""
    return catalogue.rewrite_lapsed(session, on=business_day(business_now(session)))


def remind_of_quotas(session: Session) -> int:
    """Remind units that have not filed their quota, before its deadline and after it."""
    return reminding.remind(session, now=business_now(session))


def pass_selling_time(session: Session) -> int:
    """Lift suspensions that are over, remind of rights to sell that end soon, and end those that have."""
    return granting.pass_time(session, now=business_now(session))


def ask_stripe() -> None:
    """Ask the gateway about what it left open."""
    gateway_work.ask_again()


ask_stripe.calls_out = True  # type: ignore[attr-defined]

RETENTION = (
    ("delivery", "status = 'done' AND done_at < clock_timestamp() - interval '30 days'"),
    ("delivery", "status = 'parked' AND consumer LIKE 'webhook:%' AND due_at < clock_timestamp() - interval '30 days'"),
    ("job", "ended_at < clock_timestamp() - interval '90 days'"),
    ("notice", "recorded_at < clock_timestamp() - interval '2 years'"),
    ("bulk_import", "recorded_at < clock_timestamp() - interval '30 days'"),
    ("api_token", "expires_at < clock_timestamp() - interval '30 days'"),
    ("api_token", "revoked_at < clock_timestamp() - interval '30 days'"),
    ("login_failure", "at < clock_timestamp() - interval '1 day'"),
    ("confirmation", "expires_at < clock_timestamp() - interval '1 day'"),
    ("invitation", "expires_at < clock_timestamp() - interval '7 days'"),
    ("recovery_code", "used_at < clock_timestamp() - interval '30 days'"),
    (
        "person",  # who never accepted an invitation
        "status = 'invited' AND NOT EXISTS (SELECT FROM invitation WHERE invitation.user_id = person.id)",
    ),
)
"""Written periods after which working rows are dropped; what proves something (events, facts, ledger) is never here."""


def forget_old(session: Session) -> int:
    """Drop working rows past their written period."""
    dropped = idempotency.forget_old(session, now=machine_now(session))
    for table, old in RETENTION:
        dropped += session.execute(
            text(f"DELETE FROM {table} WHERE ctid IN (SELECT ctid FROM {table} WHERE {old} LIMIT 10000)")  # noqa: S608
        ).rowcount  # type: ignore[attr-defined]
    return dropped


def drop_files() -> None:
    """Drop files past their written period, such as the results of jobs after seven days: the bytes and the rows."""
    while files.drop_expired():
        pass


drop_files.calls_out = True  # type: ignore[attr-defined]


def check() -> None:
    """Prove the invariants and say so in the log; a finding is an error there, for the alarm."""
    import structlog

    from shop.db import checker_engine
    from shop.reporting.checks import run_checks

    with checker_engine().connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        findings = run_checks(connection)
    log = structlog.get_logger()
    for finding in findings:
        log.error("invariant_broken", check=finding.name, rows=finding.rows, sample=finding.sample)
    log.info("invariants_checked", broken=len(findings))


check.calls_out = True  # type: ignore[attr-defined]
