"""Who carries: every carrier behind one small interface.

A carrier takes a trip and answers with its waybill, the day it promises, and what it will report by itself and when. A
carrier that speaks for itself (a cooperative's own) plans nothing; its words come in by `service.report`.
"""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, Protocol
from uuid import UUID

from config.settings import settings
from shop.clock import business_day, day_start
from shop.errors import Invalid
from shop.logistics.models import TrackingKind

DELAYED_ONE_IN = 25


class WrongCarrier(Invalid):
    """The carrier and the waybill do not go together; the field at fault is named."""

    code = "wrong_carrier"
    title, title_zh = "This carrier cannot take the shipment so.", "承运方式与运单号不匹配。"


@dataclass(frozen=True)
class Trip:
    """What is to be carried: by when (`days` of the lane) and between which places, named for people."""

    shipment_id: UUID
    shipped_at: datetime
    days: int
    origin: str
    origin_hub: str
    destination_hub: str
    destination: str


@dataclass(frozen=True)
class Planned:
    """Something the carrier will report at an instant; `ref` is its own number for it."""

    ref: str
    kind: TrackingKind
    place: str
    note: str | None
    at: datetime

    def row(self) -> dict[str, Any]:
        return asdict(self) | {"at": self.at.isoformat()}


@dataclass(frozen=True)
class Taken:
    """A shipment that a carrier took: its waybill, when it is due, and what it will report."""

    waybill: str
    due_at: datetime
    plan: tuple[Planned, ...] = ()


class Carrier(Protocol):
    """What the shop asks of a carrier."""

    name: str

    def take(self, trip: Trip, waybill: str | None) -> Taken:
        """Take a trip; WrongCarrier when the waybill given, or not given, is not right for this carrier."""


def due(trip: Trip) -> datetime:
    """The end of the working day (18:00 in China) so many days after the day of shipping."""
    return day_start(business_day(trip.shipped_at) + timedelta(days=trip.days)) + timedelta(hours=18)


class OwnCarrier:
    """The cooperative carries, or hired somebody itself: it brings the waybill and reports what happens."""

    name = "own"

    def take(self, trip: Trip, waybill: str | None) -> Taken:
        if waybill is None:
            raise WrongCarrier("A carrier of your own needs its waybill.", pointer="/waybill")
        return Taken(waybill, due(trip))


class SimulatedCarrier:
    """A carrier that exists only here, for demo and tests.

    All it will report follows from the shipment's id, the time of shipping and the days of the lane, so the same
    shipment always travels alike. One in 25 comes one to three days late. It delivers between 9:00 and 17:00 in China.
    """

    name = "simulated"

    def take(self, trip: Trip, waybill: str | None) -> Taken:
        if waybill is not None:
            raise WrongCarrier("This carrier makes its own waybills.", pointer="/waybill")
        if settings().env == "production":
            raise WrongCarrier("The simulated carrier carries no real goods.", pointer="/carrier")
        number = f"SIM{trip.shipment_id.int % 2**62:019d}"
        return Taken(number, due(trip), plan(trip, number))


def plan(trip: Trip, waybill: str) -> tuple[Planned, ...]:
    """The words of the simulated carrier, first to last."""
    dice = blake2b(trip.shipment_id.bytes, digest_size=16).digest()
    late_days = 1 + dice[4] % 3 if int.from_bytes(dice[:4]) % DELAYED_ONE_IN == 0 else 0
    arrival = day_start(business_day(trip.shipped_at) + timedelta(days=max(trip.days, 1) + late_days))
    delivered_at = arrival + timedelta(hours=9, minutes=int.from_bytes(dice[5:7]) % (8 * 60))
    travel = delivered_at - trip.shipped_at

    def after(percent: int) -> datetime:
        return (trip.shipped_at + travel * percent / 100).replace(microsecond=0)

    words: list[tuple[TrackingKind, str, str | None, datetime]] = [
        (TrackingKind.PICKED_UP, trip.origin, None, after(3 + dice[7] % 8)),
        (TrackingKind.AT_HUB, trip.origin_hub, None, after(20 + dice[8] % 10)),
        (TrackingKind.AT_HUB, trip.destination_hub, None, after(60 + dice[9] % 10)),
        (TrackingKind.OUT_FOR_DELIVERY, trip.destination, None, after(93 + dice[10] % 4)),
        (TrackingKind.DELIVERED, trip.destination, None, delivered_at),
    ]
    if late_days:
        note = f"late by {late_days} day{'s' if late_days > 1 else ''}"
        words.insert(3, (TrackingKind.DELAYED, trip.destination_hub, note, after(75)))
    return tuple(Planned(f"{waybill}-{number}", *word) for number, word in enumerate(words, start=1))


CARRIERS: dict[str, Carrier] = {carrier.name: carrier for carrier in (SimulatedCarrier(), OwnCarrier())}
"""The carriers that a cooperative may choose from, by name."""
