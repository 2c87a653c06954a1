"""What somebody may have meant who finds nothing, and how a word may go on that is being typed.

Both look at terms: the different names, varieties, counties and English words of what was ever on sale, which are far
fewer than the listings.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from shop.catalogue.models import CATEGORIES
from shop.catalogue.spelling import distance, initials, letters, syllables
from shop.catalogue.words import PIECE
from shop.storefront.queries import escaped

LOOKED_AT = 100
SOUNDS_LIKE = text(
    """
    SELECT text FROM search_term WHERE letters LIKE :holds OR initials LIKE :holds
    ORDER BY length(text), text LIMIT :most
    """
)
LOOKS_LIKE = text(
    """
    SELECT text FROM search_term WHERE letters %> :spelt
    ORDER BY word_similarity(:spelt, letters) DESC, length(text), text LIMIT :most
    """
)
NEAR_ENOUGH = text("SELECT set_config('pg_trgm.word_similarity_threshold', '0.4', true)")
FREQUENT = text(
    """
    SELECT w.word, (
        SELECT count(*) FROM search_posting p
        LEFT JOIN search_entry e ON length(w.word) > length(w.piece) AND e.listing_id = p.listing_id
        WHERE p.word = w.piece
          AND (length(w.word) = length(w.piece) OR e.search_text LIKE w.holds OR e.search_words LIKE w.begins)
    ) AS n
    FROM unnest(CAST(:words AS text[]), CAST(:pieces AS text[]), CAST(:holds AS text[]), CAST(:begins AS text[]))
        AS w(word, piece, holds, begins)
    """
)


def meant(session: Session, words: Sequence[str]) -> list[str] | None:
    """The nearest words to these that something on sale holds, or None where all of them do or one has none near.

    What is spelt or sounds alike comes first; then what is one slip of the fingers away, two in long words.
    """
    frequent = found_with(session, words)
    nearest = [word if frequent[word] else near(session, word) for word in words]
    if None in nearest or nearest == list(words):
        return None
    return list(dict.fromkeys(word for word in nearest if word))


def found_with(session: Session, words: Sequence[str]) -> dict[str, int]:
    """How many listings each word finds."""
    given = {
        "words": list(words),
        "pieces": [word[:PIECE] for word in words],
        "holds": [f"%{escaped(word)}%" for word in words],
        "begins": [f"%\t{escaped(word)}%" for word in words],
    }
    return {row.word: row.n for row in session.execute(FREQUENT, given)}


def near(session: Session, word: str) -> str | None:
    """The word of a term that is nearest to this one and finds something; the more frequent of equally near ones."""
    spelt = letters(word)
    if len(spelt) < 2:
        return None
    asked = {"holds": f"%{escaped(spelt)}%", "spelt": spelt, "most": LOOKED_AT}
    alike = {part: 0 for term in session.scalars(SOUNDS_LIKE, asked) for part in alike_in(term, word, spelt)}
    if not alike:
        session.execute(NEAR_ENOUGH)
        for term in session.scalars(LOOKS_LIKE, asked):
            for part, far in slips_in(term, word, spelt):
                alike[part] = min(far, alike.get(part, far))
    frequent = found_with(session, list(alike))
    found = [part for part in alike if frequent[part]]

    def rank(part: str) -> tuple[int, int, int, str]:
        return alike[part], abs(len(letters(part)) - len(spelt)), -frequent[part], part

    return min(found, key=rank, default=None)


def alike_in(term: str, word: str, spelt: str) -> Iterator[str]:
    """The parts of a term that are spelt like a word; or begin with its letters, where those are all it is."""
    sounds = syllables(term)
    for start in range(len(term)):
        for end in range(start + 1, len(term) + 1):
            if "".join(sounds[start:end]) == spelt:
                yield term[start:end]
    if word == spelt and len(word) > 1:
        first = initials(term)
        for start in range(len(term) - len(word) + 1):
            if first[start : start + len(word)] == word and term[start : start + len(word)] != word:
                yield term[start : start + len(word)]


def slips_in(term: str, word: str, spelt: str) -> Iterator[tuple[str, int]]:
    """The parts of a term that are a slip or two away from a word, by its characters or by its letters."""
    allowed = 1 if len(spelt) < 8 else 2
    sounds = syllables(term)
    lengths = range(1, len(term) + 1) if word == spelt else range(max(len(word) - 1, 1), len(word) + 2)
    for length in lengths:
        for start in range(len(term) - length + 1):
            part = term[start : start + length]
            sound = "".join(sounds[start : start + length])
            if abs(len(sound) - len(spelt)) > allowed and word == spelt:
                continue
            far = distance(spelt, sound) if len(spelt) > 3 else allowed + 1
            if len(word) > 2 and word != spelt:
                far = min(far, distance(word, part))
            if far <= allowed:
                yield part, far


BEGINNING = text(
    """
    SELECT t.text, t.kind, (SELECT count(*) FROM search_posting p WHERE p.word = t.text) AS n
    FROM search_term t
    WHERE t.kind <> 'english' AND (t.text LIKE :begins OR t.letters LIKE :begins OR t.initials LIKE :begins)
      AND EXISTS (SELECT FROM search_posting p WHERE p.word = t.text)
    ORDER BY t.text NOT LIKE :begins, length(t.text), t.text, t.kind LIMIT :most
    """
)
OF_CATEGORIES = text(
    "SELECT category, count(*) AS n FROM search_entry WHERE shown AND category = ANY(:codes) GROUP BY category"
)


def suggestions(session: Session, beginning: str, limit: int) -> list[dict[str, Any]]:
    """Categories, then names, varieties and counties that begin so, in Chinese or in letters, with how many listings
    each leads to; nothing that leads to none."""
    codes = [
        code
        for code, (name, name_en) in CATEGORIES.items()
        if any(form.startswith(beginning) for form in (name, name_en.lower(), letters(name), initials(name)))
    ]
    counted = {row.category: row.n for row in session.execute(OF_CATEGORIES, {"codes": codes})} if codes else {}
    found = [
        {"kind": "category", "text": CATEGORIES[code][0], "category": code, "count": counted[code]}
        for code in codes
        if code in counted
    ][:limit]
    rows = session.execute(BEGINNING, {"begins": f"{escaped(beginning)}%", "most": limit - len(found)})
    found += [{"kind": row.kind, "text": row.text, "category": None, "count": row.n} for row in rows]
    return found
