"""How Chinese is spelt in letters, for who types pinyin, the wrong character of a sound, or a letter too few."""

from functools import lru_cache


@lru_cache(4096)
def syllables(text: str) -> tuple[str, ...]:
    """The pinyin of each character without tones, as it reads in this text; any other character is itself."""
    from pypinyin import lazy_pinyin  # its dictionaries take 20 MB, in the processes that need them

    return tuple(lazy_pinyin(text, errors=list))  # type: ignore[arg-type]  # a list is taken as one entry for each


def letters(text: str) -> str:
    return "".join(syllables(text))


def initials(text: str) -> str:
    return "".join(syllable[:1] for syllable in syllables(text))


def distance(one: str, other: str) -> int:
    """How many characters must be put in, left out, changed, or swapped with the next, to make one text the other."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for place, char in enumerate(one, 1):
        earlier, before, row = before, row, [place]
        for at, with_char in enumerate(other, 1):
            cost = min(before[at] + 1, row[at - 1] + 1, before[at - 1] + (char != with_char))
            if place > 1 and at > 1 and (char, one[place - 2]) == (other[at - 2], with_char):
                cost = min(cost, earlier[at - 2] + 1)
            row.append(cost)
    return row[-1]
