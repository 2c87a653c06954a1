"""The units that produce is measured and packed in, as exact ratios to the base units: grams and pieces.

Nothing here rounds. A ratio is a Fraction, and what comes to no whole number of base units is refused, never made to
fit. A box, a bag or a case (箱, 袋, 件) is as large as what is in it: it has no ratio of its own.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

Base = Literal["g", "piece"]
MOST = 100_000_000
"""More base units than this are in no pack."""
LONGEST = 24


class UnknownUnit(ValueError):
    """No unit has this name."""


class NotExact(ValueError):
    """A number that cannot be read, or an amount that is no whole, positive number of base units."""


@dataclass(frozen=True)
class Unit:
    """A unit by its usual name. `base` is None for a package, whose content has to be told."""

    name: str
    name_en: str
    base: Base | None
    factor: Fraction = Fraction(1)


@dataclass(frozen=True)
class Content:
    """So many of a unit; of a package with what is in each: 20 bags of 500 grams."""

    count: Fraction
    unit: Unit
    of: "Content | None" = None


@dataclass(frozen=True)
class Pack:
    """A pack as a sheet names it: its name, and what is in it."""

    name: str
    content: Content


MASSES = (  # name, English, grams, other spellings
    ("克", "gram", 1, ("g", "gram", "grams")),
    ("钱", "qian", 5, ("市钱",)),
    ("两", "liang", 50, ("市两",)),
    ("斤", "jin", 500, ("市斤", "jin")),
    ("公斤", "kilogram", 1_000, ("千克", "kg", "kilogram", "kilograms", "kilo")),
    ("担", "dan", 50_000, ("市担",)),
    ("公担", "quintal", 100_000, ()),
    ("吨", "tonne", 1_000_000, ("t", "公吨", "tonne", "tonnes")),
)
COUNTS = (  # name, English, pieces, other spellings
    ("个", "piece", 1, (*"枚只头条根棵颗粒朵株支块片尾羽匹", "piece", "pieces", "pcs")),
    ("对", "pair", 2, ("双", "pair")),
    ("打", "dozen", 12, ("dozen",)),
    ("百个", "hundred", 100, ("百枚",)),
)  # fmt: skip
PACKAGES = (  # name, English, other spellings
    ("箱", "box", ("纸箱", "泡沫箱", "box", "carton")),
    ("件", "case", ("case",)),
    ("袋", "bag", ("网袋", "编织袋", "bag")),
    ("盒", "small box", ("礼盒",)),
    ("包", "packet", ("packet",)),
    ("筐", "basket", ("篮", "basket")),
    ("瓶", "bottle", ("bottle",)),
    ("罐", "jar", ("jar", "tin")),
    ("桶", "drum", ("drum",)),
    ("捆", "bundle", ("把", "扎", "bundle")),
    ("提", "carrier", ()),
    ("托", "pallet", ("托盘", "pallet")),
)


def table() -> Mapping[str, Unit]:
    found: dict[str, Unit] = {}
    for base, rows in (("g", MASSES), ("piece", COUNTS)):
        for name, name_en, factor, others in rows:
            unit = Unit(name, name_en, base, Fraction(factor))  # type: ignore[arg-type]
            found |= dict.fromkeys((name, *others), unit)
    for name, name_en, others in PACKAGES:
        found |= dict.fromkeys((name, *others), Unit(name, name_en, None))
    return found


UNITS = table()
"""Every spelling of every unit."""
LONGEST_FIRST = "|".join(sorted(map(re.escape, UNITS), key=len, reverse=True))
NUMBER = r"[0-9]+(?:\.[0-9]+)?(?:/[0-9]+)?"
PART = re.compile(rf"({NUMBER})({LONGEST_FIRST})?")
PACK = re.compile(rf"(?P<parts>{NUMBER}(?:{LONGEST_FIRST})?(?:[*×x]{NUMBER}(?:{LONGEST_FIRST})?)*)/?(?P<name>\D*)")
DECIMAL = re.compile(r"([0-9]+)(?:\.([0-9]+))?(?:/([0-9]+))?")


def folded(text: str) -> str:
    """Text as units are looked up: full-width forms made narrow, lower case, without spaces."""
    return "".join(unicodedata.normalize("NFKC", text).lower().split())


def unit_of(word: str) -> Unit:
    """The unit of this name or spelling, or UnknownUnit."""
    try:
        return UNITS[folded(word)]
    except KeyError:
        raise UnknownUnit(f"{word[:20]!r} is no unit that goods are sold by") from None


def number_of(text: str) -> Fraction:
    """The exact number that `12`, `2.5` or `1/3` stands for; NotExact for anything else, and for zero."""
    found = DECIMAL.fullmatch(folded(text)) if len(text) <= LONGEST else None
    if found is None:
        raise NotExact(f"{text[:30]!r} is not a number such as 12, 2.5 or 1/3")
    head, decimals, below = found.groups()
    if below is not None and int(below) == 0:
        raise NotExact(f"{text!r} divides by zero")
    number = Fraction(f"{head}.{decimals or 0}") / int(below or 1)
    if number == 0:
        raise NotExact(f"{text!r} is nothing")
    return number


def amount_of(content: Content) -> tuple[Base, Fraction]:
    """What is in it, in base units; NotExact for a package whose content nobody told, or a measure that holds one."""
    if content.of is not None:
        if content.unit.base is not None:
            raise NotExact(f"{content.unit.name} is a measure: nothing is packed in it")
        base, inside = amount_of(content.of)
        return base, content.count * inside
    if content.unit.base is None:
        raise NotExact(f"{content.unit.name} is a package: say what is in it")
    return content.unit.base, content.count * content.unit.factor


def base_quantity(content: Content) -> tuple[Base, int]:
    """What is in it as a whole number of base units, or NotExact."""
    base, amount = amount_of(content)
    if amount.denominator != 1:
        raise NotExact(f"it comes to {amount} of the base unit {base}, which is no whole number")
    if amount > MOST:
        raise NotExact(f"it comes to {amount} of the base unit {base}, which is more than any pack holds")
    return base, int(amount)


def read_pack(text: str) -> Pack:
    """A pack as people write it in one cell: `10斤箱`, `500g×20袋/箱`, `30枚/盒`; UnknownUnit or NotExact."""
    found = PACK.fullmatch(folded(text)) if len(text) <= 50 else None
    if found is None:
        raise NotExact(f"{text[:50]!r} is not a pack such as 10斤箱 or 500g×20袋/箱")
    (count, word), *more = PART.findall(found["parts"])
    if not word:
        raise UnknownUnit(f"{text!r} names no unit behind {count}")
    content = Content(number_of(count), unit_of(word))
    for often, packed in more:
        package = unit_of(packed) if packed else UNITS["件"]
        if package.base is not None:
            raise NotExact(f"{packed} is a measure: nothing is packed in it")
        content = Content(number_of(often), package, content)
    if found["name"]:
        if unit_of(found["name"]).base is not None:
            raise UnknownUnit(f"{found['name']!r} is not the name of a package")
    elif not more:
        return Pack(content.unit.name if content.count == 1 else text.strip(), content)
    return Pack(text.strip(), content)
