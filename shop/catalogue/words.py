"""Words of names and of questions, cut alike: so that what is asked for is found exactly where a name holds it.

A listing is found by every piece of one to four characters of its name, its variety and its county, and by the
beginnings of the words of its English name. Each piece says how well it fits; a word longer than a piece is looked for
by its first four characters and then as it stands.
"""

import re
import unicodedata
from collections.abc import Iterable
from datetime import datetime
from enum import IntEnum
from functools import lru_cache

PIECE = 4
"""Characters of the longest piece."""


class Fit(IntEnum):
    """How well a piece fits a listing, best first; what a search is sorted by before anything else."""

    NAME = 0
    BEGINS_NAME = 1
    IN_NAME = 2
    IN_VARIETY = 3
    IN_COUNTY = 4


@lru_cache(maxsize=4096)
def normalised(text: str) -> str:
    """Text as it is compared: NFKC, lower case, without spaces and control characters."""
    folded = unicodedata.normalize("NFKC", text).lower()
    return "".join(c for c in folded if not c.isspace() and unicodedata.category(c)[0] != "C")


def question_words(text: str) -> list[str]:
    """The words of a question, normalised, each once; a listing must hold all of them."""
    return list(dict.fromkeys(word for word in map(normalised, text.split()) if word))


def leading(words: list[str]) -> str:
    """The word that a search follows: the longest, of equally long ones the first. It is the one that says most."""
    return max(words, key=len)


@lru_cache(maxsize=1024)
def tails(text: str) -> tuple[str, ...]:
    """What stands in a text of spaced words from each beginning of a word, or mark, to the next space."""
    found: dict[str, None] = {}
    for word in filter(None, map(normalised, unicodedata.normalize("NFKC", text).split())):
        for beginning in re.finditer(r"(?<![^\W_])\w|[^\w]|_", word):
            found[word[beginning.start() :]] = None
    return tuple(found)


def search_text(fields: Iterable[str]) -> str:
    """Names that a word is looked for anywhere in, a line each, so that no word is found across two of them."""
    return "\n".join(filter(None, map(normalised, fields)))


def search_words(text: str) -> str:
    """A spaced text in which a word is looked for where one begins: behind a tab."""
    return "".join(f"\t{tail}" for tail in tails(text))


def pieces(*, name: str, name_en: str, variety: str, county: str) -> dict[str, Fit]:
    """Every piece that a listing is found by, with the best fit it has; and each name, variety and
    county whole."""
    found: dict[str, Fit] = {}
    whole = normalised(name)
    for text, fit in ((normalised(county), Fit.IN_COUNTY), (normalised(variety), Fit.IN_VARIETY), (whole, Fit.IN_NAME)):
        for start in range(len(text)):
            for end in range(start + 1, min(start + PIECE, len(text)) + 1):
                found[text[start:end]] = fit
        if text:
            found[text] = fit  # and each of them whole
    for tail in tails(name_en):
        for end in range(1, min(PIECE, len(tail)) + 1):
            found[tail[:end]] = Fit.IN_NAME
    for end in range(1, min(PIECE, len(whole)) + 1):
        found[whole[:end]] = Fit.BEGINS_NAME
    if whole:
        found[whole] = Fit.NAME
    return found


# A place is a whole number that sorts what a search finds: the fit, then how much was sold, then what is newest.
SECONDS = 2**40
FITS = 2**45
MOST = 31


def place_below_fit(sold_grams: int, listed_at: datetime) -> int:
    """Where a listing stands among those of equal fit.

    What was sold counts in doublings of a kilogram, so that a listing moves a few times in its life and not with
    every order.
    """
    return (MOST - doublings(sold_grams)) * SECONDS + SECONDS - 1 - int(listed_at.timestamp())


def doublings(sold_grams: int) -> int:
    """How often a kilogram doubled to what was sold."""
    return min((max(sold_grams, 0) // 1000).bit_length(), MOST)


def place_of(fit: Fit, below: int) -> int:
    return fit * FITS + below


def terms(*, name: str, name_en: str, variety: str, county: str) -> set[tuple[str, str]]:
    """The texts, and of which kind each is, that somebody who looks for a listing may begin to type."""
    found = {(normalised(name), "name"), (normalised(variety), "variety"), (normalised(county), "county")}
    found |= {(word, "english") for word in re.findall(r"[a-z]{3,}", name_en.lower())}
    return {(text, kind) for text, kind in found if text}
