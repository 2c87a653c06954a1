"""Check prices: a constant number of statements for any number of listings, and every number that was used is told."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy.orm import Session

from shop.catalogue.monitoring import queries
from shop.catalogue.monitoring.models import PriceRule
from shop.catalogue.monitoring.schemas import (
    HistoryOut,
    PeersOut,
    PriceCheckOut,
    PublicReferencesOut,
    ReferenceOut,
    SpanOut,
    last_day_of,
    price_rule_out,
)
from shop.catalogue.monitoring.scoring import (
    THOUSAND_PIECES,
    TONNE,
    Measure,
    Others,
    Pack,
    Peers,
    measure,
    weighted_middle,
)
from shop.clock import business_day
from shop.errors import NotFound

Verdict = Literal["above", "within", "not_scored"]
WHY = {
    "stale": ("参考价已过期", "the reference is too old"),
    "no_quote": ("对应行情尚无报价", "the series has no quote yet"),
    "other_measure": ("计量方式不同，无法比较", "the reference is for another measure"),
    "no_mapping": ("尚无经批准的参考对应", "no reference was approved for this good"),
}
NAMES = {
    "reference": ("市场参考价", "market reference"),
    "peers": ("同规格供应商", "peers"),
    "own_history": ("自身历史价", "own history"),
}


def pack_of(row: Any) -> Pack:
    return Pack(row.price_fen, row.base_unit, row.pack_base_quantity, row.pack_grams)


def unit_of(pack: Pack) -> int:
    unit = pack.unit_fen(TONNE)
    assert unit is not None  # every pack has a weight
    return unit


def check(session: Session, listing_ids: Sequence[UUID], *, now: datetime) -> dict[UUID, PriceCheckOut]:
    """What a check of these listings says today, whatever their status; five statements, however many there are."""
    today = business_day(now)
    rules = queries.rules_on(session, today)
    goods = queries.goods(session, listing_ids)
    since = now - timedelta(days=max((rule.history_days for rule in rules.values()), default=0))
    peers = peers_by_kind(queries.peers(session, ((good.category, good.name, good.spec) for good in goods)))
    mapped = queries.references(session, ((good.category, good.name) for good in goods), today)
    revisions: dict[UUID, list[Any]] = defaultdict(list)
    for revision in queries.history(session, listing_ids, since):
        revisions[revision.listing_id].append(revision)
    found = {}
    for good in goods:
        rule = rules.get(good.category) or rules[""]
        kind = peers.get((good.category, good.name, good.spec))
        found[good.id] = judged(
            good,
            rule,
            references=references_of(good, mapped, rule.reference_max_age_days, rule.above_reference_percent, today),
            others=kind.without(good.cooperative_id) if kind else None,
            revisions=revisions[good.id],
            now=now,
        )
    return found


def peers_by_kind(rows: Sequence[Any]) -> dict[tuple[str, str, str], Peers]:
    """The prices on sale of each good, by category, name and spec."""
    prices: dict[tuple[str, str, str], dict[UUID, list[int]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        prices[row.category, row.name, row.spec][row.cooperative_id].append(unit_of(pack_of(row)))
    return {kind: Peers(of) for kind, of in prices.items()}


def references_of(good: Any, mapped: Sequence[Any], max_age: int, percent: int, today: date) -> list[ReferenceOut]:
    """The series that fit a good, one a market: of several that fit, the one that names the spec, then the grade."""
    fitting: dict[str, Any] = {}
    for row in mapped:
        fits = (
            (row.category, row.name) == (good.category, good.name)
            and row.spec in ("", good.spec)
            and row.grade in ("", good.grade)
        )
        if fits:
            best = fitting.get(row.market)
            if best is None or (row.spec != "", row.grade != "") > (best.spec != "", best.grade != ""):
                fitting[row.market] = row
    return [reference_out(pack_of(good), fitting[market], max_age, percent, today) for market in sorted(fitting)]


def reference_out(pack: Pack, row: Any, max_age: int, percent: int, today: date) -> ReferenceOut:
    age = None if row.month is None else max(0, (today - last_day_of(row.month)).days)
    unit = None if row.per is None else pack.unit_fen(row.per)
    why: Literal["scored", "stale", "no_quote", "other_measure"] = "scored"
    held: Measure | None = None
    if age is None:
        why = "no_quote"
    elif unit is None:
        why = "other_measure"
    elif age > max_age:
        why = "stale"
    else:
        held = measure(pack, row.per, base_fen=row.mean_fen, limit_hundredths=row.mean_fen * (100 + percent))
    return ReferenceOut(
        mapping_id=row.mapping_id, market=row.market, place_code=row.place_code, place=row.place,
        kind=row.reference_kind, name=row.reference_name, grade=row.reference_grade,
        month=None if row.month is None else f"{row.month:%Y-%m}", age_days=age, per=row.per, low_fen=row.low_fen,
        mean_fen=row.mean_fen, high_fen=row.high_fen, quotes=row.quotes, scored=held is not None, why=why,
        unit_fen=unit, **fields(held),
    )  # fmt: skip


def fields(held: Measure | None) -> dict[str, Any]:
    return dict.fromkeys(Measure._fields) if held is None else held._asdict()


def peers_out(pack: Pack, others: Others | None, rule: PriceRule) -> PeersOut:
    """Above the median by the rule's per cent, and by so many deviations: whichever of the two limits is higher."""
    count = others.count if others else 0
    if others is None or count < rule.minimum_peers:
        return PeersOut(
            count=count, minimum=rule.minimum_peers, scored=False, why="too_few", median_fen=None, mad_fen=None,
            prices=others.closest if others else [], **fields(None),
        )  # fmt: skip
    limit = max(
        others.median_fen * (100 + rule.above_peers_percent),
        100 * others.median_fen + rule.mad_hundredths * others.mad_fen,
    )
    held = measure(pack, TONNE, base_fen=others.median_fen, limit_hundredths=limit)
    return PeersOut(
        count=count, minimum=rule.minimum_peers, scored=True, why="scored", median_fen=others.median_fen,
        mad_fen=others.mad_fen, prices=others.closest, **fields(held),
    )  # fmt: skip


def history_out(pack: Pack, revisions: Sequence[Any], rule: PriceRule, now: datetime) -> HistoryOut:
    """What the listing cost on sale, in the days of the rule, until it began to cost what it costs now."""
    since = now - timedelta(days=rule.history_days)
    before = list(revisions)
    while before and unit_of(pack_of(before[-1])) == unit_of(pack):
        before.pop()
    spans = [
        (revision, max(revision.at, since), min(revision.until or now, now))
        for revision in before
        if revision.status == "listed"
    ]
    spans = [span for span in spans if span[1] < span[2]]
    weighted = [(unit_of(pack_of(row)), (end - start) // timedelta(microseconds=1)) for row, start, end in spans]
    spent = sum((end - start for _, start, end in spans), timedelta())
    median = weighted_middle(weighted) if spent >= timedelta(days=rule.minimum_history_days) else None
    held = None
    if median is not None:
        held = measure(pack, TONNE, base_fen=median, limit_hundredths=median * (100 + rule.above_history_percent))
    return HistoryOut(
        days=rule.history_days, minimum_days=rule.minimum_history_days, on_sale_days=spent.days,
        scored=held is not None, why="too_short" if held is None else "scored", median_fen=median,
        prices=[
            SpanOut(price_fen=row.price_fen, start=start.isoformat(), end=end.isoformat()) for row, start, end in spans
        ],
        **fields(held),
    )  # fmt: skip


def judged(
    good: Any,
    rule: PriceRule,
    *,
    references: list[ReferenceOut],
    others: Others | None,
    revisions: Sequence[Any],
    now: datetime,
) -> PriceCheckOut:
    """Put the measures together: above when any that could be scored is above.

    Of several fresh references the dearest counts, so that no market is picked against the seller.
    """
    pack = pack_of(good)
    fresh = [reference for reference in references if reference.scored]
    dearest = max(fresh, key=lambda reference: reference.limit_fen or 0, default=None)
    peers, history = peers_out(pack, others, rule), history_out(pack, revisions, rule, now)
    percents = {
        "reference": (dearest, rule.above_reference_percent),
        "peers": (peers, rule.above_peers_percent),
        "own_history": (history, rule.above_history_percent),
    }
    scored: dict[Any, Any] = {name: held for name, (held, _) in percents.items() if held is not None and held.scored}
    passed = {name: held for name, held in scored.items() if held.above}
    verdict: Verdict = "above" if passed else "within" if scored else "not_scored"
    says, says_en = told(verdict, references, scored, passed)
    return PriceCheckOut(
        listing_id=good.id, revision=good.revision, checked_on=business_day(now).isoformat(),
        price_fen=good.price_fen, base_unit=good.base_unit, pack_base_quantity=good.pack_base_quantity,
        pack_grams=good.pack_grams, per_tonne_fen=unit_of(pack),
        per_thousand_pieces_fen=pack.unit_fen(THOUSAND_PIECES), rule=price_rule_out(rule), verdict=verdict,
        score=max((held.percent_above - percents[name][1] for name, held in scored.items()), default=None),
        ceiling_fen=min((held.limit_fen for held in passed.values()), default=None), rests_on=list(scored),
        references=references, peers=peers, own_history=history, says=says, says_en=says_en,
    )  # fmt: skip


def told(
    verdict: Verdict, references: Sequence[ReferenceOut], scored: Mapping[str, Any], passed: Mapping[str, Any]
) -> tuple[str, str]:
    """The verdict and what it rests on, in a sentence of each language."""
    parts, parts_en = [], []
    if "reference" not in scored:
        why: set[str] = {reference.why for reference in references} or {"no_mapping"}
        reasons = [WHY[word] for word in sorted(why)]
        parts.append(f"无有效参考价（{'；'.join(zh for zh, _ in reasons)}）")
        parts_en.append(f"No fresh reference ({'; '.join(en for _, en in reasons)})")
    if not scored:
        parts.append("同规格供应商不足，自身历史价不足，未评分。")
        parts_en.append("too few peers and too short a history: not scored.")
        return "；".join(parts), "; ".join(parts_en)
    named = "、".join(NAMES[name][0] for name in scored)
    named_en = ", ".join(NAMES[name][1] for name in scored)
    parts.append(f"依据：{named}")
    parts_en.append(f"rests on {named_en}" if parts_en else f"Rests on {named_en}")
    if verdict == "above":
        parts.append(f"价格高于{'、'.join(NAMES[name][0] for name in passed)}的允许范围。")
        parts_en.append(f"the price is above what is allowed by {', '.join(NAMES[name][1] for name in passed)}.")
    else:
        parts.append("价格在允许范围内。")
        parts_en.append("the price is within the rule.")
    return "；".join(parts), "; ".join(parts_en)


def public_references(session: Session, listing_id: UUID, *, now: datetime) -> PublicReferencesOut:
    """The newest references of a listing on sale, beside its price; NotFound for any other."""
    today = business_day(now)
    (good,) = queries.goods(session, [listing_id]) or (None,)
    if good is None or good.status != "listed":
        raise NotFound("No such listing on sale.")
    rules = queries.rules_on(session, today)
    rule = rules.get(good.category) or rules[""]
    mapped = queries.references(session, [(good.category, good.name)], today)
    pack = pack_of(good)
    return PublicReferencesOut(
        listing_id=good.id,
        price_fen=good.price_fen,
        per_tonne_fen=unit_of(pack),
        per_thousand_pieces_fen=pack.unit_fen(THOUSAND_PIECES),
        max_age_days=rule.reference_max_age_days,
        items=references_of(good, mapped, rule.reference_max_age_days, rule.above_reference_percent, today),
    )
