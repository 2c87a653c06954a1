"""What a pack holds, read exactly from how cooperatives write it: `10斤箱`, `箱(10斤)`, `500g×12袋`, `30枚/箱`."""

import re
from decimal import Decimal
from functools import lru_cache

from shop.sheets.mapping import GRAMS
from shop.sheets.text import folded

PIECES = ("枚", "个", "只", "颗", "粒", "头", "条", "尾", "株", "朵", "支", "片", "pcs", "pc")
MOST = 100_000_000
_UNITS = "|".join(sorted((*GRAMS, *PIECES), key=len, reverse=True))
_AMOUNT = re.compile(
    rf"(?<![0-9.~\-—至])(?:([0-9]{{1,6}})[×x*])?([0-9]{{1,9}}(?:\.[0-9]{{1,6}})?)({_UNITS})(?![a-z])(?:[×x*]([0-9]{{1,6}}))?"
)
_SOME = re.compile(rf"[0-9](?:{_UNITS})(?![a-z])")
_PER = re.compile(rf"(?:元|yuan|rmb|cny)/({'|'.join(sorted(GRAMS, key=len, reverse=True))})(?![a-z])")


class Unclear(ValueError):
    """What a text says of a pack cannot be taken; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@lru_cache(maxsize=4096)
def content_of(text: str) -> tuple[str, int] | None:
    """Base unit (`g` or `piece`) and how many of it, or None where the text names no amount; Unclear where it names
    several, a range, a part of a gram or of a piece, or too many."""
    found = list(_AMOUNT.finditer(folded(text)))
    if not found:
        if _SOME.search(folded(text)):
            raise Unclear(code="pack_unclear")
        return None
    weighed = [one for one in found if one[3] in GRAMS]
    chosen = weighed or found
    if len(chosen) > 1:
        raise Unclear(code="pack_unclear")
    times, number, unit, each = chosen[0].groups()
    amount = Decimal(number) * int(times or 1) * int(each or 1) * GRAMS.get(unit, 1)
    if amount != amount.to_integral_value():
        raise Unclear(code="not_whole_grams" if weighed else "not_whole")
    if not 1 <= amount <= MOST:
        raise Unclear(code="pack_unclear")
    return ("g" if weighed else "piece"), int(amount)


@lru_cache(maxsize=256)
def grams_priced(title: str) -> int | None:
    """For how many grams the prices below a title are: 500 for `单价(元/斤)`, None where they are for a pack."""
    found = _PER.search(folded(title))
    return int(GRAMS[found[1]]) if found else None


def price_of_pack(fen: int, per_grams: int, pack_grams: int) -> int:
    """The price of a pack of so many grams; Unclear where it is no whole number of fen."""
    whole, rest = divmod(fen * pack_grams, per_grams)
    if rest:
        raise Unclear(code="price_not_whole")
    return whole
