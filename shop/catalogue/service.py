"""Submit, change, delist and review listings; each change is a revision, an audit entry, an event and a new card."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from shop.accounts.models import Organisation
from shop.accounts.service import selling
from shop.actor import SYSTEM, Actor
from shop.audit import service as audit
from shop.audit.models import AuditEntry
from shop.catalogue import queries
from shop.catalogue.cards import write_cards
from shop.catalogue.models import NEXT, Listing, ListingRevision, ListingStatus, Product, WrongListingStatus
from shop.catalogue.schemas import ChangeListing, NewListing, ProductIn, ReviewIn
from shop.clock import business_day
from shop.db import insert_rows
from shop.errors import Invalid, NotFound, Refusal, VersionConflict
from shop.ids import new_id
from shop.outbox import service as outbox
from shop.outbox.models import Event
from shop.regions.models import province_of
from shop.regions.service import is_county, lists_of

RISE_WITHOUT_REVIEW = 10
"""By how many per cent a price may rise above the reviewed one without another review; any cut may be made."""

REVIEWED_FACTS = ("name", "name_en", "category", "origin_code", "storage", "shelf_life_days", "grade", "spec")


class RevisionMissing(Refusal):
    code, status = "precondition_required", 428
    title, title_zh = "Send the revision you read as If-Match.", "请以 If-Match 提供所读取的版本号。"


def stays_listed(reviewed: Sequence[Sequence[int]], wanted: Sequence[Sequence[int]]) -> bool:
    """Whether new tiers may stand without a review: at every quantity at most 10 % dearer than the reviewed tiers.

    Compared with what was last reviewed, not with what was last shown, so that small rises do not add up unseen.
    """
    return all(
        100 * price_at(wanted, packs) <= (100 + RISE_WITHOUT_REVIEW) * price_at(reviewed, packs)
        for packs in {tier[0] for tier in (*reviewed, *wanted)}
    )


def price_at(tiers: Sequence[Sequence[int]], packs: int) -> int:
    return next((fen for minimum, fen in reversed(tiers) if minimum <= packs), tiers[0][1])


def submit(session: Session, *, by: Actor, wanted: NewListing, now: datetime) -> UUID:
    """Make a listing and hand it in for review; gives its id. NoSellingRight or MandateExpired for who may not list.

    A product that is described is made or brought up to date; one that is named stays as it is. A listing of which more
    may be ordered than its seller declared for a year carries that as a note to the reviewer.
    """
    today = business_day(now)
    described = wanted.product or own_product(session, by, wanted.product_id, today)
    stands = selling.standing(
        session, organisation_id=by.organisation_id, product=described.name, category=described.category, on=today
    )
    if wanted.product is not None:
        product = session.get_one(Product, enter_product(session, by=by, wanted=wanted.product, now=now))
    else:
        assert isinstance(described, Product)
        product = described
    product.mandate_id = stands.mandate_id
    measured = session.scalar(select(Listing.base_unit).where(Listing.product_id == product.id).limit(1))
    if measured not in (None, wanted.base_unit):
        # Lots and their movements belong to the product and are counted in one unit.
        raise Invalid(f"Other listings of this product are measured in {measured}.", pointer="/base_unit")
    listing = Listing(
        id=new_id(),
        product_id=product.id,
        cooperative_id=by.organisation_id,
        status=ListingStatus.IN_REVIEW,
        revision=1,
        pack_name=wanted.pack_name,
        base_unit=wanted.base_unit,
        pack_base_quantity=wanted.pack_base_quantity,
        pack_grams=wanted.pack_grams,
        min_packs=wanted.min_packs,
        step_packs=wanted.step_packs,
        max_packs=wanted.max_packs,
        price_fen=wanted.tiers[0].price_fen,
        tiers=[[tier.min_packs, tier.price_fen] for tier in wanted.tiers],
        season_from=wanted.season_from,
        season_to=wanted.season_to,
        category=product.category,
        storage=product.storage,
        origin_code=product.origin_code,
        province_code=province_of(product.origin_code),
        search_text="",
        grams=[],
        card="",
        review_note=note_beyond(stands, wanted.max_packs, wanted.pack_grams),
    )
    session.add(listing)
    session.flush()
    changed(session, [listing.id], "listing.submitted", by=by, now=now, today=today)
    return listing.id


def note_beyond(stands: selling.Standing, max_packs: int, pack_grams: int) -> str | None:
    """What a reviewer is told of a listing that goes beyond the declared capacity; None within it."""
    if not beyond(stands, max_packs, pack_grams):
        return None
    grams = stands.declared_grams
    return f"超出申报年产能（{grams} 克）。 Beyond the declared capacity of {grams} g a year."


def beyond(stands: selling.Standing, max_packs: int, pack_grams: int) -> bool:
    return stands.declared_grams is not None and max_packs * pack_grams > stands.declared_grams


def own_product(session: Session, by: Actor, product_id: UUID | None, today: date) -> Product:
    """The cooperative's product of this id, locked; NotFound for any other, Invalid when its county is no more."""
    product = session.scalars(
        select(Product)
        .where(Product.id == product_id, Product.cooperative_id == by.organisation_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).first()
    if product is None:
        raise NotFound("No such product of yours.")
    if not is_county(session, product.origin_code, today):
        raise Invalid("The product's origin is no county on this day.", pointer="/product_id")
    return product


def enter_product(session: Session, *, by: Actor, wanted: ProductIn, now: datetime) -> UUID:
    """The id of the cooperative's product of this code, made or brought up to date.

    What was reviewed as part of a listing cannot be changed behind the reviewer's back: when a fact of the product
    changes, its other listings that are on sale go back to review.
    """
    today = business_day(now)
    if not is_county(session, wanted.origin_code, today):
        raise Invalid("This code is no county on this day.", pointer="/product/origin_code")
    facts = {name: getattr(wanted, name) for name in REVIEWED_FACTS}
    facts["tags"] = lists_of(session, wanted.origin_code, today)
    made = session.execute(
        upsert(Product)
        .values(id=new_id(), cooperative_id=by.organisation_id, code=wanted.code, created_at=now, **facts)
        .on_conflict_do_nothing(index_elements=["cooperative_id", "code"])
        .returning(Product.id)
    ).scalar_one_or_none()
    if made is not None:
        return made
    product = session.scalars(
        select(Product)
        .where(Product.cooperative_id == by.organisation_id, Product.code == wanted.code)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    before = {name: getattr(product, name) for name in REVIEWED_FACTS if getattr(product, name) != facts[name]}
    for name, value in facts.items():
        setattr(product, name, value)
    session.flush()
    if before:
        audit.record(
            session, by=by, action="product.changed", kind="product", subject=product.id, now=now,
            before=before, after={name: facts[name] for name in before},
        )  # fmt: skip
        # An UPDATE locks in the order it finds; the rows are locked first, in primary-key order.
        others = session.execute(
            select(Listing.id, Listing.status)
            .where(Listing.product_id == product.id)
            .order_by(Listing.id)
            .with_for_update()
        ).all()
        shown = [key for key, status in others if status in (ListingStatus.LISTED, ListingStatus.PAUSED)]
        move(session, shown, to=ListingStatus.IN_REVIEW)
        changed(session, shown, "listing.submitted", by=by, now=now, today=today)
        write_cards(session, [listing_id for listing_id, _ in others], on=today)
    return product.id


def change(
    session: Session, *, listing_id: UUID, by: Actor, wanted: ChangeListing, revision: str | None, now: datetime
) -> None:
    """Change a listing that is still at `revision`, or refuse with VersionConflict.

    A listing on sale stays so when its price is cut or rises by at most 10 % above the reviewed one; otherwise, and
    when it was not on sale, or more may be ordered now and that is beyond the declared capacity, it goes to review.
    """
    if revision is None:
        raise RevisionMissing(pointer="/header/If-Match")
    listing, product = queries.listing(session, by, listing_id)
    if revision != str(listing.revision):
        raise VersionConflict(f"The listing is at revision {listing.revision} now.", revision=listing.revision)
    given: dict[str, Any] = wanted.model_dump(exclude_none=True, exclude={"tiers"})
    tiers = [[tier.min_packs, tier.price_fen] for tier in wanted.tiers] if wanted.tiers else listing.tiers
    least = given.get("min_packs", listing.min_packs)
    if given.get("max_packs", listing.max_packs) < least:
        raise Invalid("max_packs is below min_packs.", pointer="/max_packs")
    if tiers[0][0] > least:
        raise Invalid("The first tier begins at min_packs or below.", pointer="/tiers")
    reviewed = listing.reviewed_tiers or listing.tiers
    stays = listing.status == ListingStatus.LISTED and stays_listed(reviewed, tiers)
    most = given.get("max_packs", listing.max_packs)
    if not stays or most > listing.max_packs:
        stands = selling.standing(
            session,
            organisation_id=listing.cooperative_id,
            product=product.name,
            category=product.category,
            on=business_day(now),
        )
        stays = stays and not beyond(stands, most, listing.pack_grams)
        given["review_note"] = note_beyond(stands, most, listing.pack_grams) or listing.review_note
    status = ListingStatus.LISTED if stays else ListingStatus.IN_REVIEW
    # What was decided above holds for this revision only, so the UPDATE asks for it again.
    done = session.execute(
        update(Listing)
        .where(Listing.id == listing_id, Listing.revision == listing.revision)
        .values(**given, tiers=tiers, price_fen=tiers[0][1], status=status, revision=Listing.revision + 1)
        .execution_options(synchronize_session=False)
        .returning(Listing.id)
    ).first()
    if done is None:
        raise VersionConflict
    kind = "listing.changed" if stays else "listing.submitted"
    changed(session, [listing_id], kind, by=by, now=now, today=business_day(now))


def delist(session: Session, *, listing_id: UUID, by: Actor, now: datetime) -> None:
    """Take a listing off sale; what was ordered of it stays ordered."""
    queries.listing(session, by, listing_id)
    move(session, [listing_id], to=ListingStatus.DELISTED)
    changed(session, [listing_id], "listing.delisted", by=by, now=now, today=business_day(now))


def review(session: Session, *, listing_id: UUID, by: Actor, wanted: ReviewIn, now: datetime) -> None:
    """Publish a listing or return it to its cooperative with a note."""
    listing, product = queries.listing(session, by, listing_id)
    if wanted.revision is not None and wanted.revision != listing.revision:
        raise VersionConflict(f"The listing is at revision {listing.revision} now.", revision=listing.revision)
    values: dict[str, Any] = {"review_note": wanted.note or None}
    if wanted.decision == "approve":
        # The right may have ended since the listing was handed in.
        selling.standing(
            session,
            organisation_id=listing.cooperative_id,
            product=product.name,
            category=product.category,
            on=business_day(now),
        )
        to, kind = ListingStatus.LISTED, "listing.published"
        values |= {"listed_at": now, "reviewed_tiers": Listing.tiers}
    else:
        to, kind = ListingStatus.DRAFT, "listing.returned"
    move(session, [listing_id], to=to, revision=wanted.revision, **values)
    changed(session, [listing_id], kind, by=by, now=now, today=business_day(now), reason=wanted.note or None)


def follow_right(session: Session, *, cooperative_id: UUID, now: datetime) -> int:
    """Take a seller's listings off the shelves while it may not sell, and put them back when it may; gives how many.

    What the organisation's row says now decides, so that events which come twice or late do no harm; the row is locked,
    so that of two who follow it the later one sees what the earlier one did.
    """
    today = business_day(now)
    row = session.execute(
        select(Organisation.status, Organisation.selling_until)
        .where(Organisation.id == cooperative_id)
        .with_for_update(key_share=True)
    ).one()
    sells = row.status == "active" and row.selling_until is not None and row.selling_until > today
    before, after, kind = (
        (ListingStatus.PAUSED, ListingStatus.LISTED, "listing.resumed")
        if sells
        else (ListingStatus.LISTED, ListingStatus.PAUSED, "listing.paused")
    )
    found = session.scalars(
        select(Listing.id)
        .where(Listing.cooperative_id == cooperative_id, Listing.status == before)
        .order_by(Listing.id)
        .with_for_update()
    ).all()
    move(session, found, to=after)
    changed(session, found, kind, by=SYSTEM, now=now, today=today)
    return len(found)


def move(
    session: Session, listing_ids: Sequence[UUID], *, to: ListingStatus, revision: int | None = None, **values: Any
) -> None:
    """Give listings their next status and revision by one conditional UPDATE, or refuse with WrongListingStatus."""
    allowed_from = [status for status, following in NEXT.items() if to in following]
    wanted = update(Listing).where(Listing.id.in_(listing_ids), Listing.status.in_(allowed_from))
    if revision is not None:
        wanted = wanted.where(Listing.revision == revision)
    moved = session.execute(
        wanted.values(status=to, revision=Listing.revision + 1, **values)
        .execution_options(synchronize_session=False)
        .returning(Listing.id)
    ).all()
    if len(moved) < len(listing_ids):
        raise WrongListingStatus(f"This listing cannot become {to} now.", wanted=str(to))


def changed(
    session: Session,
    listing_ids: Sequence[UUID],
    kind: str,
    *,
    by: Actor,
    now: datetime,
    today: date,
    reason: str | None = None,
) -> None:
    """Keep what a change leaves behind for any number of listings: cards, revisions, audit entries and events."""
    write_cards(session, listing_ids, on=today)
    found = session.execute(
        select(Listing, Product)
        .join(Product, Product.id == Listing.product_id)
        .where(Listing.id.in_(listing_ids))
        .order_by(Listing.id)
        .execution_options(populate_existing=True)
    ).all()
    revisions, entries, events = [], [], []
    for listing, product in found:
        revisions.append(
            {
                "listing_id": listing.id, "revision": listing.revision, "content": content_of(listing, product),
                "at": now, "by_user_id": by.user_id,
            }
        )  # fmt: skip
        entries.append(
            audit.row_of(
                by=by, action=kind, kind="listing", subject=listing.id, now=now, reason=reason,
                revision=listing.revision, status=str(listing.status), price_fen=listing.price_fen,
            )
        )  # fmt: skip
        events.append(
            outbox.row_of(
                kind, now=now, seen_by=[listing.cooperative_id], listing_id=listing.id, revision=listing.revision
            )
        )
    insert_rows(session, (ListingRevision, revisions), (AuditEntry, entries), (Event, events))


REVISED = (
    "status", "pack_name", "base_unit", "pack_base_quantity", "pack_grams", "min_packs", "step_packs", "max_packs",
    "price_fen", "tiers", "season_from", "season_to", "review_note",
)  # fmt: skip


def content_of(listing: Listing, product: Product) -> dict[str, Any]:
    """Everything a revision says, as it stood."""
    return {name: getattr(listing, name) for name in REVISED} | {
        "product": {"code": product.code, "tags": product.tags} | {n: getattr(product, n) for n in REVIEWED_FACTS}
    }
