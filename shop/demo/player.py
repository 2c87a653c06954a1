"""Play a year of procurement through HTTP and the workers, moving the business clock: never by inserting rows.

The year runs from October 2020 to September 2021, so that the re-pairing of 1 April 2021 falls into it. Everything is
drawn from one seed and every call carries a key of its own, so that a demo that was interrupted goes on where it was.
"""

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from shop import clock
from shop.db import in_unit_of_work
from shop.demo.client import Client, Refused
from shop.demo.parties import ADMINS, email_of, token_of
from shop.factfile import rows
from shop.logistics import service as logistics
from shop.orders.service.judging import in_season
from shop.outbox import service as outbox
from shop.outbox.models import Event

THREADS = 6
SEED = 19960708
BEGIN = datetime(2020, 10, 9, 9, 0, tzinfo=clock.BEIJING)
STEPS = 24
STEP = timedelta(days=15)
ORDERS_A_STEP = 13
WORKERS_MAY_TAKE = 60.0  # seconds for one step's events before the demo says that something stands still
REASONS = ("运输挤压破损", "规格低于约定", "到货温度超标", "数量短缺")

Say = Callable[[str], None]


class Stuck(Exception):
    """The workers did not do in time what they should have."""


@dataclass
class Party:
    """Somebody of the demo, logged in."""

    row: dict[str, str]
    client: Client
    me: dict[str, Any] = field(default_factory=dict)


@dataclass
class Stage:
    """Everybody and everything the year is played with."""

    url: str
    dice: random.Random
    pool: ThreadPoolExecutor
    operator: Client
    sellers: dict[str, dict[str, str]]
    buyers: list[Party]
    goods: list[dict[str, Any]] = field(default_factory=list)
    open_orders: list[dict[str, Any]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    entered: dict[str, Client] = field(default_factory=dict)
    partners: list[dict[str, str]] = field(default_factory=list)

    def seller(self, code: str) -> Client:
        """The client of a cooperative, which is let in without a password: hundreds of hashes take half a minute."""
        if code not in self.entered:
            self.entered[code] = Client(self.url, token_of(email_of(self.sellers[code])))
        return self.entered[code]

    def paired_with(self, buyer: Party, today: datetime) -> set[str]:
        """The western provinces that the province of a buyer's budget is paired with on a day."""
        east, day = buyer.row["funding_code"][:2], f"{today:%Y-%m-%d}"
        return {
            row["west_code"][:2]
            for row in self.partners
            if row["east_code"][:2] == east and row["valid_from"] <= day < (row["valid_to"] or "9999")
        }

    def count(self, what: str, by: int = 1) -> None:
        self.counts[what] = self.counts.get(what, 0) + by

    def all(self, work: Callable[[Any], Any], items: list[Any]) -> list[Any]:
        """Do something for every item, several at a time, and give the answers in order."""
        futures: list[Future[Any]] = [self.pool.submit(work, item) for item in items]
        return [future.result() for future in futures]


def played() -> bool:
    return in_unit_of_work(
        lambda session: (
            session.scalars(select(Event.id).where(Event.kind == "demo.played").limit(1)).first() is not None
        )
    )


def play(url: str, logins: list[dict[str, Any]], *, say: Say, steps: int = STEPS, products: int | None = None) -> None:
    """Play the year, or its first steps with the first products alone, unless it was played before on this data."""
    if played():
        say("The demo year was played before; its data is kept.")
        return
    began = time.monotonic()
    with ThreadPoolExecutor(THREADS) as pool:
        stage = set_up(url, logins[0]["password"], pool)
        say(f"{len(stage.buyers)} buyers are logged in; {len(stage.sellers)} cooperatives list their goods.")
        move_clock(BEGIN)
        list_goods(stage, products)
        say(f"{len(stage.goods)} products of western counties are listed and reviewed.")
        for step in range(steps):
            today = BEGIN + STEP * step
            move_clock(today)
            play_step(stage, step, today)
            placed, inspected = stage.counts.get("orders", 0), stage.counts.get("inspected", 0)
            say(f"{today:%Y-%m-%d}: {placed} orders placed, {inspected} deliveries inspected")
        finish(stage, BEGIN + STEP * steps)
        polled("The end of the workers' work", nothing_waits)
        while send_refunds(stage):
            polled("The end of the workers' work", nothing_waits)
    in_unit_of_work(mark_played)
    told = ", ".join(f"{number} {what}" for what, number in sorted(stage.counts.items()))
    say(f"The demo year is played in {time.monotonic() - began:.0f} s: {told}.")


def nothing_waits() -> bool:
    """Whether every event is numbered and every delivery worked off."""
    waiting = in_unit_of_work(outbox.backlog)
    return not waiting["unnumbered"] and not waiting["open"]


def mark_played(session: Session) -> None:
    outbox.announce(session, "demo.played", now=clock.business_now(session))


def move_clock(to: datetime) -> None:
    """Move business time forward to an instant; back only the first time, from today into the past that is played."""

    def move(session: Session) -> None:
        if not clock.clock_is_moved(session) or clock.business_now(session) < to:
            clock.move_to(session, to)

    in_unit_of_work(move)


def set_up(url: str, password: str, pool: ThreadPoolExecutor) -> Stage:
    anyone = Client(url)

    def enter(row: dict[str, str]) -> Party:
        client = anyone.log_in(email_of(row), password)
        return Party(row, client, client.get("/v1/me"))

    return Stage(
        url=url,
        dice=random.Random(SEED),  # noqa: S311 - a play, not a secret
        pool=pool,
        operator=anyone.log_in(ADMINS[0][1], password),
        sellers={row["code"]: row for row in rows("shop.demo", "cooperatives.csv")},
        buyers=list(pool.map(enter, rows("shop.demo", "buyers.csv"))),
        partners=rows("shop.regions", "pairings.csv"),
    )


def tiers_of(row: dict[str, str]) -> list[dict[str, int]]:
    tiers = [{"min_packs": int(row["min_packs"]), "price_fen": int(row["price_fen"])}]
    tiers += [
        {"min_packs": int(row[f"{name}_min_packs"]), "price_fen": int(row[f"{name}_price_fen"])}
        for name in ("tier2", "tier3")
        if row[f"{name}_min_packs"]
    ]
    return tiers


def list_goods(stage: Stage, at_most: int | None) -> None:
    """Every cooperative lists its products, the operator reviews them, supply for the year is offered."""

    def list_one(row: dict[str, str]) -> dict[str, Any]:
        seller = stage.seller(row["cooperative"])
        key = f"demo-{row['code']}-{row['cooperative']}"
        pack = int(row["pack_base_quantity"])
        listing = seller.post(
            "/v1/cooperative/listings",
            {
                "product": {
                    "code": row["code"],
                    "name": row["name"],
                    "name_en": row["name_en"],
                    "category": row["category"],
                    "origin_code": row["county_code"],
                    "storage": row["storage"],
                    "shelf_life_days": int(row["shelf_life_days"]),
                    "grade": row["grade"],
                    "spec": row["spec"],
                },
                "pack_name": row["pack_name"],
                "base_unit": row["base_unit"],
                "pack_base_quantity": pack,
                "pack_grams": int(row["pack_grams"]),
                "min_packs": int(row["min_packs"]),
                "step_packs": int(row["step_packs"]),
                "max_packs": 20_000,
                "tiers": tiers_of(row),
                "season_from": int(row["season_from_month"]),
                "season_to": int(row["season_to_month"]),
            },
            key=f"{key}-list",
        )
        stage.operator.post(
            f"/v1/admin/listings/{listing['id']}/review",
            {"decision": "approve", "note": "演示审核"},
            key=f"{key}-review",
        )
        seller.post(
            "/v1/cooperative/supplies",
            {
                "listing_id": listing["id"],
                "ready_from": f"{BEGIN:%Y-%m-%d}",
                "ready_to": f"{BEGIN + timedelta(days=500):%Y-%m-%d}",
                "packs": 50_000,
            },
            key=f"{key}-supply",
        )
        return row | {"listing_id": listing["id"], "province": row["county_code"][:2] + "0000"}

    begin = f"{BEGIN:%Y-%m-%d}"
    counties = {  # a county that was made or renamed later sells nothing under its new code yet
        row["code"]
        for row in rows("shop.regions", "divisions.csv")
        if row["valid_from"] <= begin < (row["valid_to"] or "9999")
    }
    products = [row for row in rows("shop.demo", "products.csv") if row["county_code"] in counties]
    stage.goods = stage.all(list_one, products[:at_most])


def play_step(stage: Stage, step: int, today: datetime) -> None:
    """Half a month: order, pay, cancel one, fill the orders, and inspect what arrived of the half month before."""
    drafts = [draft for draft in (draw_order(stage, step, place, today) for place in range(ORDERS_A_STEP)) if draft]
    orders = stage.all(lambda draft: place_and_pay(stage, draft), drafts)
    stage.count("orders", len(orders))
    inspect_arrivals(stage)
    wait_for(orders)
    send_refunds(stage)
    if step % 6 == 2:
        first = orders[0]
        first["buyer"].client.post(
            f"/v1/buyer/orders/{first['id']}/cancel", {"reason": "会议取消，不再需要"}, key=f"demo-{step}-cancel"
        )
        stage.count("cancelled")
        orders = orders[1:]
    parts = [part for order in orders for part in order["supplier_orders"]]
    stage.all(lambda part: fulfil(stage, today, part), parts)
    stage.open_orders += orders


def draw_order(stage: Stage, step: int, place: int, today: datetime) -> dict[str, Any] | None:
    """One order by the dice: a buyer, one to three cooperatives, one or two products of each, within its limit."""
    dice = stage.dice
    buyer = stage.buyers[(step * ORDERS_A_STEP + place) % len(stage.buyers)]
    season = [
        good
        for good in stage.goods
        if in_season(int(good["season_from_month"]), int(good["season_to_month"]), today.month)
    ]
    paired = stage.paired_with(buyer, today)
    near = sorted({good["cooperative"] for good in season if good["county_code"][:2] in paired})
    sellers = dice.sample(sorted({good["cooperative"] for good in season}), k=dice.randint(1, 3))
    if near:  # most of what is bought follows the pairing
        sellers = sorted({dice.choice(near) if dice.random() < 0.75 else seller for seller in sellers})
    lines, worth = [], 0
    for seller in sellers:
        offered = [good for good in season if good["cooperative"] == seller]
        for good in dice.sample(offered, k=min(len(offered), dice.randint(1, 2))):
            least, step_packs, price = int(good["min_packs"]), int(good["step_packs"]), int(good["price_fen"])
            wished = max(least, dice.randint(60_000, 900_000) // price)
            packs = least + (wished - least) // step_packs * step_packs
            if worth + packs * price < 3_800_000:
                worth += packs * price
                lines.append({"listing_id": good["listing_id"], "quantity": packs})
    if not lines:
        return None
    return {"buyer": buyer, "lines": lines, "key": f"demo-{step}-{place}", "pays": buyer.row["pays"]}


def place_and_pay(stage: Stage, draft: dict[str, Any]) -> dict[str, Any]:
    buyer: Party = draft["buyer"]
    order: dict[str, Any] = buyer.client.post(
        "/v1/buyer/orders",
        {
            "lines": draft["lines"],
            "delivery_address_id": buyer.me["delivery_addresses"][0]["id"],
            "budget_unit_id": buyer.me["budget_units"][0]["id"],
            "purpose": buyer.row["purpose"],
            "payment_terms": draft["pays"],
        },
        key=draft["key"],
    )
    order |= {"buyer": buyer, "key": draft["key"]}
    if draft["pays"] == "prepaid":
        pay(stage, order, by_card=draft["key"].endswith(("1", "4", "7")))
    return order


def pay(stage: Stage, order: dict[str, Any], *, by_card: bool) -> None:
    """Pay an order: by card through the gateway, or by bank transfer that the operator finds on the statement."""
    body = {"method": "stripe", "payment_method": "pm_card_visa"} if by_card else {"method": "bank_transfer"}
    charge = order["buyer"].client.post(f"/v1/buyer/orders/{order['id']}/payments", body, key=f"{order['key']}-pay")
    if not by_card:
        stage.operator.post(
            "/v1/admin/bank-receipts",
            {
                "reference": charge["reference"],
                "amount_fen": charge["amount_fen"],
                "payer_name": order["buyer"].row["name"],
            },
            key=f"{order['key']}-receipt",
        )
    stage.count("paid by card" if by_card else "paid by bank transfer")


def send_refunds(stage: Stage) -> int:
    """The operator sends back by bank transfer what came by one, and books it; gives how many refunds that were."""
    found = stage.operator.get("/v1/admin/refunds?status=pending&method=bank_transfer&limit=200")["items"]
    now = in_unit_of_work(clock.business_now)
    # the clock of a demo that was interrupted may stand before what was asked for then
    waiting = [refund for refund in found if datetime.fromisoformat(refund["created_at"]) <= now]

    def send(refund: dict[str, Any]) -> None:
        stage.operator.post(
            f"/v1/admin/refunds/{refund['id']}/sent",
            {"bank_reference": f"DEMO-{refund['id'][4:]}", "sent_on": f"{clock.business_day(now):%Y-%m-%d}"},
            key=f"demo-{refund['id']}-sent",
        )

    stage.all(send, waiting)
    stage.count("refunds by bank transfer", len(waiting))
    return len(waiting)


def polled(what: str, ask: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WORKERS_MAY_TAKE
    pause = 0.05
    while not ask():
        if time.monotonic() > deadline:
            raise Stuck(f"{what} did not happen within {WORKERS_MAY_TAKE:.0f} s; look into var/log.")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.4)


def wait_for(orders: list[dict[str, Any]]) -> None:
    """Until the workers have confirmed every one of these orders."""
    waiting = list(orders)

    def ask() -> bool:
        while waiting and status_of(waiting[0]) != "placed":
            waiting.pop(0)
        return not waiting

    polled("The confirmation of new orders", ask)


def status_of(order: dict[str, Any]) -> str:
    return str(order["buyer"].client.get(f"/v1/buyer/orders/{order['id']}")["status"])


def fulfil(stage: Stage, today: datetime, part: dict[str, Any]) -> None:
    """The cooperative's side: accept, bring the harvest in, pack, ship."""
    by_listing = {good["listing_id"]: good for good in stage.goods}
    first = by_listing[part["lines"][0]["listing_id"]]
    seller = stage.seller(first["cooperative"])
    path, key = f"/v1/cooperative/supplier-orders/{part['id']}", f"demo-{part['id']}"
    seller.post(f"{path}/accept", key=f"{key}-accept")
    for line in part["lines"]:
        good = by_listing[line["listing_id"]]
        seller.post(
            "/v1/cooperative/lots",
            {
                "listing_id": line["listing_id"],
                "code": f"{good['code']}-{line['id'][-6:]}",
                "harvested_on": f"{today - timedelta(days=1):%Y-%m-%d}",
                "best_before": f"{today + timedelta(days=int(good['shelf_life_days'])):%Y-%m-%d}",
                "packs": line["quantity"],
            },
            key=f"{key}-{line['id'][-6:]}-lot",
        )
    seller.post(f"{path}/pack", key=f"{key}-pack")
    seller.post(f"{path}/ship", {"carrier": "simulated"}, key=f"{key}-ship")
    stage.count("shipments")


def carrier_is_quiet() -> bool:
    """Whether the carrier has said all that it has to say by now; what is delayed is delivered when the clock moves."""
    return not in_unit_of_work(lambda session: logistics.has_word_due(session, now=clock.business_now(session)))


def inspect_arrivals(stage: Stage) -> None:
    """Buyers inspect what was delivered: mostly all good, now and then a part rejected with its reason.

    All of it, before the clock moves on: what nobody inspects in time would count as accepted.
    """
    polled("The delivery of what was shipped", carrier_is_quiet)
    stage.all(note_states, stage.open_orders)
    waiting = [(order, part) for order in stage.open_orders for part in order["supplier_orders"]]
    due = [(order, part) for order, part in waiting if part["status"] == "delivered"]
    stage.all(lambda item: inspect(stage, *item), due)
    done = {part["id"] for _, part in due}
    still = []
    for order in stage.open_orders:
        if any(part["status"] == "shipped" for part in order["supplier_orders"]):
            still.append(order)
        elif order["buyer"].row["pays"] == "on_terms" and any(p["id"] in done for p in order["supplier_orders"]):
            try:
                pay(stage, order, by_card=False)
            except Refused as refused:
                if refused.problem.get("code") != "nothing_to_pay":
                    raise
    stage.open_orders = still


def note_states(order: dict[str, Any]) -> set[str]:
    """The states of an order's parts as they are now, noted on them."""
    found = order["buyer"].client.get(f"/v1/buyer/orders/{order['id']}")["supplier_orders"]
    state = {part["id"]: part["status"] for part in found}
    for part in order["supplier_orders"]:
        part["status"] = state[part["id"]]
    return set(state.values())


def inspect(stage: Stage, order: dict[str, Any], part: dict[str, Any]) -> None:
    client = order["buyer"].client
    path = f"/v1/buyer/supplier-orders/{part['id']}"
    dice = random.Random(f"{SEED}{part['lines'][0]['quantity']}{order['key']}")  # noqa: S311
    if dice.random() > 0.12:
        client.post(f"{path}/inspection", {"accept_all": True}, key=f"demo-{part['id']}-inspect")
    else:
        lines = []
        for item in shipped_lines(client, part):
            bad = dice.randint(1, max(1, item["packs"] // 5))
            kind = dice.choice(("rejected", "short"))
            lines.append(
                {
                    "line_id": item["line_id"],
                    "lot_id": item["lot_id"],
                    "accepted": item["packs"] - bad,
                    "rejected": bad if kind == "rejected" else 0,
                    "short": bad if kind == "short" else 0,
                    "reason": dice.choice(REASONS),
                }
            )
        client.post(f"{path}/inspection", {"lines": lines}, key=f"demo-{part['id']}-inspect")
        stage.count("partial rejections")
    stage.count("inspected")


def shipped_lines(client: Client, part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What was shipped, per line and lot, as the buyer sees it."""
    yield from client.get(f"/v1/buyer/supplier-orders/{part['id']}/tracking")["shipped"]


def finish(stage: Stage, end: datetime) -> None:
    """Let the last shipments arrive and be inspected."""
    for extra in range(1, 4):
        move_clock(end + timedelta(days=12 * extra))
        inspect_arrivals(stage)
        if not stage.open_orders:
            return
