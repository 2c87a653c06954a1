"""Words of names and of questions, cut alike: so that what is asked for is found exactly where a name holds it."""

import unicodedata
from collections.abc import Iterable


def normalised(text: str) -> str:
    """Text as it is compared: NFKC, lower case, without spaces and control characters."""
    folded = unicodedata.normalize("NFKC", text).lower()
    return "".join(c for c in folded if not c.isspace() and unicodedata.category(c)[0] != "C")


def question_words(text: str) -> list[str]:
    """The words of a question, normalised, each once; all of them must stand in a name."""
    return list(dict.fromkeys(word for word in map(normalised, text.split()) if word))


def search_text(names: Iterable[str]) -> str:
    """The names as one text, a line each, so that no word is found across two of them."""
    return "\n".join(normalised(name) for name in names)


def grams_of_names(names: Iterable[str]) -> list[str]:
    """Every one- and two-character piece of the names."""
    found: set[str] = set()
    for name in map(normalised, names):
        found.update(name)
        found.update(name[place : place + 2] for place in range(len(name) - 1))
    return sorted(found)


def grams_of_words(words: Iterable[str]) -> list[str]:
    """The pieces that a name which holds all these words must have: pairs, or the one character of a short word."""
    found: set[str] = set()
    for word in words:
        found.update([word] if len(word) == 1 else (word[place : place + 2] for place in range(len(word) - 1)))
    return sorted(found)
