"""What is due: each sweep does one batch in its unit of work and says how much it did; it is called until that is 0."""

import time
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from uuid import UUID

import structlog
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shop.accounts.service import agent_mandating, forgetting, granting, reminding
from shop.catalogue import cards as catalogue
from shop.catalogue.monitoring.service import watching
from shop.catalogue.service import reviewing
from shop.clock import business_day, business_now, machine_now
from shop.db import in_unit_of_work, unit_of_work
from shop.files import service as files
from shop.http import idempotency
from shop.ledger.service import PLATFORM_ID
from shop.logistics import service as logistics
from shop.orders.service import changing, choosing_supply, claiming, inspecting, passing_times
from shop.outbox import service as outbox
from shop.outbox.models import Numbering
from shop.payments.service import charging, gateway_work, lapsing
from shop.payments.service import forgetting as forgetting_payers
from shop.quotations.service import asking
from shop.reporting import rollup
from shop.requisitions.service import running
from shop.stock.service import offering
from shop.storefront import landing

log = structlog.get_logger()


def roll_up(session: Session) -> int:
    """Add newly numbered facts to the rollup."""
    return rollup.roll_up(session)


def cancel_unpaid(session: Session) -> int:
    """Cancel prepaid orders whose money did not come in time, and take back old notices of orders on terms."""
    now = business_now(session)
    return charging.cancel_unpaid(session, now=now) + charging.withdraw_old_notices(session, now=now)


def lapse_holds(session: Session) -> int:
    """Give back supply that was held for money which did not come in time."""
    return lapsing.lapse_holds(session, now=business_now(session))


def settle_supply_choices() -> None:
    """Fill what waits for supply, who paid first before who paid later, and give money back when the time is over.

    Each in a unit of work of its own; one that fails is logged and tried again at the next ring. What one waits for in
    vain is not given to who came after.
    """
    for part_id in in_unit_of_work(lambda session: choosing_supply.due(session, now=business_now(session))):
        settled(partial(give_up_one, part_id=part_id), part_id)
    blocked: set[UUID] = set()
    for part_id, listing_ids in in_unit_of_work(choosing_supply.waiting):
        if listing_ids & blocked or not settled(partial(fill_one, part_id=part_id), part_id):
            blocked |= listing_ids


def settled(work: Callable[[Session], bool], part_id: UUID) -> bool:
    try:
        return in_unit_of_work(work)
    except Exception as error:
        log.error("supply_choice_failed", part=part_id.hex, exc_info=error)
        return False


def give_up_one(session: Session, *, part_id: UUID) -> bool:
    return choosing_supply.give_up(session, supplier_order_id=part_id, now=business_now(session))


def fill_one(session: Session, *, part_id: UUID) -> bool:
    return choosing_supply.fill(session, supplier_order_id=part_id, now=business_now(session))


settle_supply_choices.calls_out = True  # type: ignore[attr-defined]  # one harvest may fill many


def tell_order_times(session: Session) -> int:
    """Remind whose turn it is with an order and tell both sides of what is late; end what nobody signed or answered."""
    now = business_now(session)
    return (
        passing_times.tell(session, now=now)
        + inspecting.lapse_signatures(session, now=now)
        + claiming.pass_defence(session, now=now)
        + changing.lapse(session, now=now)
    )


def pass_order_times() -> None:
    """Cancel and accept what nobody answered in time, each in a unit of work of its own.

    One that fails is logged and tried again at the next ring; the others have their turn.
    """
    after: passing_times.Place | None = None
    while batch := in_unit_of_work(partial(due_to_lapse, after=after)):
        for _, due_id in batch:
            try:
                in_unit_of_work(partial(lapse_one, due_id=due_id))
            except Exception as error:
                log.error("lapse_failed", due=due_id.hex, exc_info=error)
        after = batch[-1]


def due_to_lapse(session: Session, *, after: passing_times.Place | None) -> Sequence[passing_times.Place]:
    return passing_times.due_to_lapse(session, after=after, now=business_now(session))


def lapse_one(session: Session, *, due_id: UUID) -> bool:
    return passing_times.lapse(session, due_id=due_id, now=business_now(session))


pass_order_times.calls_out = True  # type: ignore[attr-defined]  # a morning has many, and other work does not wait


def move_shipments(session: Session) -> int:
    """Let the simulated carrier report what is due."""
    return logistics.move_shipments(session, now=business_now(session))


def close_supply_windows(session: Session) -> int:
    """Withdraw what was not sold when its window is over."""
    return offering.close_windows(session, now=business_now(session))


def rewrite_lapsed(session: Session) -> int:
    """Take certificates that have lapsed off the cards of their listings."""
    return catalogue.rewrite_lapsed(session, on=business_day(business_now(session)))


def lapse_prices(session: Session) -> int:
    """Take listings whose price has run out off the shelves."""
    return reviewing.lapse_prices(session, now=business_now(session))


def keep_landed_prices(session: Session) -> int:
    """Make landed prices for destinations that are new, and anew where rates are others now."""
    return landing.catch_up(session, on=business_day(business_now(session)))


def write_unposted(session: Session) -> int:
    """Write anew what listings are found by where a migration filled it in."""
    return catalogue.write_unposted(session, on=business_day(business_now(session)))


def remind_of_quotas(session: Session) -> int:
    """Remind units that have not filed their quota, before its deadline and after it."""
    return reminding.remind(session, now=business_now(session))


def pass_price_deadlines(session: Session) -> int:
    """Note price alerts that nobody answered in time, and prices that were not lowered by their day."""
    return watching.pass_deadlines(session, now=business_now(session))


def run_standing_orders() -> None:
    """Run the standing orders that are due, each in a unit of work of its own."""
    while in_unit_of_work(lambda session: running.run_next(session, now=business_now(session))):
        pass


run_standing_orders.calls_out = True  # type: ignore[attr-defined]  # a morning has many, and other work does not wait


def open_quotes(session: Session) -> int:
    """Tell buyers that the deadline of a request for quotation has passed."""
    return asking.open_due(session, now=business_now(session))


def watch_prices(session: Session) -> int:
    """Have all prices on sale checked once a business day: what others ask now may have moved a verdict."""
    now = business_now(session)
    if note_day(session, "prices_watched", business_day(now)):
        outbox.announce(session, "prices.day_began", now=now, seen_by=[PLATFORM_ID])
    return 0


def pass_selling_time(session: Session) -> int:
    """Lift suspensions that are over, remind of rights to sell that end soon, and end those that have.

    And tell of the mandates of agents that begin or have run out.
    """
    now = business_now(session)
    return granting.pass_time(session, now=now) + agent_mandating.pass_time(session, now=now)


def forget_personal(session: Session) -> int:
    """Forget names and papers past their written period, in rows that stay."""
    now = business_now(session)
    return forgetting.forget(session, now=now) + forgetting_payers.forget(session, now=now)


def ask_stripe() -> None:
    """Ask the gateway about what it left open."""
    gateway_work.ask_again()


ask_stripe.calls_out = True  # type: ignore[attr-defined]

RETENTION = (
    ("delivery", "status = 'done' AND done_at < now() - interval '30 days'"),
    ("delivery", "status = 'parked' AND consumer LIKE 'webhook:%' AND due_at < now() - interval '30 days'"),
    ("job", "ended_at < now() - interval '90 days'"),
    ("notice", "recorded_at < now() - interval '2 years'"),
    ("inspection_draft", "recorded_at < now() - interval '90 days'"),
    ("bulk_import", "recorded_at < now() - interval '30 days'"),
    (
        "listing_import_row",
        "import_id IN (SELECT id FROM listing_import WHERE recorded_at < now() - interval '30 days')",
    ),
    (
        "listing_import",
        "recorded_at < now() - interval '30 days'"
        " AND NOT EXISTS (SELECT FROM listing_import_row r WHERE r.import_id = listing_import.id)",
    ),
    ("api_token", "expires_at < now() - interval '30 days'"),
    ("api_token", "revoked_at < now() - interval '30 days'"),
    ("login_failure", "at < now() - interval '1 day'"),
    ("confirmation", "expires_at < now() - interval '1 day'"),
    ("invitation", "expires_at < now() - interval '7 days'"),
    ("recovery_code", "used_at < now() - interval '30 days'"),
    (
        "person",  # who never accepted an invitation
        "status = 'invited' AND NOT EXISTS (SELECT FROM invitation WHERE invitation.user_id = person.id)",
    ),
)
"""Written periods after which working rows are dropped; what proves something (events, facts, ledger) is never here.

`now()`, which stands still within a statement: an index serves no comparison with `clock_timestamp()`.
"""


BATCH = 5_000


def forget_old() -> None:
    """Drop working rows past their written period, batch after batch, each a unit of work of its own.

    A table that fails does not keep the others from being cleared.
    """
    batches: list[tuple[str, Callable[[Session], int]]] = [("idempotency_key", forget_keys)]
    batches += [(table, partial(forget_batch, table=table, old=old)) for table, old in RETENTION]
    for table, batch in batches:
        try:
            while in_unit_of_work(batch) >= BATCH:
                pass
        except Exception as error:
            log.error("retention_failed", table=table, exc_info=error)


def forget_keys(session: Session) -> int:
    return idempotency.forget_old(session, now=machine_now(session), limit=BATCH)


def forget_batch(session: Session, *, table: str, old: str) -> int:
    """Drop the rows of one batch; one that somebody has in hand is left for the next time."""
    statement = (
        f"DELETE FROM {table} WHERE ctid = ANY (ARRAY("  # noqa: S608 - both stand above
        f"SELECT ctid FROM {table} WHERE {old} LIMIT :batch FOR UPDATE SKIP LOCKED))"
    )
    return session.execute(text(statement), {"batch": BATCH}).rowcount  # type: ignore[attr-defined, no-any-return]


forget_old.calls_out = True  # type: ignore[attr-defined]  # it opens its own units of work, and it may take its time


def drop_files() -> None:
    """Drop files past their written period, such as the results of jobs after seven days: `file.dropped` says which."""
    while files.drop_expired():
        pass


drop_files.calls_out = True  # type: ignore[attr-defined]


RECENTLY = timedelta(days=1)
NIGHT = timedelta(hours=2)  # the full checks begin at two in the morning


def check() -> None:
    """Prove the invariants of what was made within a day, whose cost does not grow with history."""
    with unit_of_work() as session:
        since = first_id(machine_now(session) - RECENTLY)
    prove(since)


check.calls_out = True  # type: ignore[attr-defined]


def check_all() -> None:
    """Prove every invariant of everything, once a night; a night that was missed is made up for at the next ring."""
    with unit_of_work() as session:
        night = business_day(machine_now(session) - NIGHT)
        if (session.scalar(select(Numbering.last).where(Numbering.name == "checked_night")) or 0) >= night.toordinal():
            return
    prove()
    with unit_of_work() as session:
        note_day(session, "checked_night", night)


check_all.calls_out = True  # type: ignore[attr-defined]


def note_day(session: Session, name: str, day: date) -> bool:
    """Note that something is done for a day; False when it was done for that day or a later one."""
    noted = insert(Numbering).values(name=name, last=day.toordinal())
    done = noted.on_conflict_do_update(
        index_elements=["name"], set_={"last": noted.excluded.last}, where=Numbering.last < noted.excluded.last
    )
    return session.execute(done.returning(Numbering.last)).first() is not None


def prove(since: UUID | None = None) -> None:
    """Run the checks and say so in the log; a finding is an error there, for the alarm."""
    from shop.db import checker_engine
    from shop.reporting.checks import run_checks

    began = time.monotonic()
    with checker_engine().connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        findings = run_checks(connection, since=since)
    for finding in findings:
        log.error("invariant_broken", check=finding.name, rows=finding.rows, sample=finding.sample)
    log.info("invariants_checked", all=since is None, broken=len(findings), seconds=round(time.monotonic() - began, 2))


def first_id(at: datetime) -> UUID:
    """The smallest UUIDv7 that can have been made at an instant."""
    return UUID(int=int(at.timestamp() * 1000) << 80)
