"""Unified social credit codes, as GB 32100-2015 defines them: 17 characters and one check character."""

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
WEIGHTS = tuple(pow(3, place, 31) for place in range(17))


def check_character(body: str) -> str:
    """The 18th character for 17 given ones; ValueError when one of them is not of the alphabet."""
    if len(body) != 17:
        raise ValueError("a unified social credit code has 17 characters before its check character")
    total = sum(ALPHABET.index(character) * weight for character, weight in zip(body, WEIGHTS, strict=True))
    return ALPHABET[(31 - total % 31) % 31]


def is_valid(code: str) -> bool:
    """Whether the code has the form and the check character that the standard asks for."""
    return (
        len(code) == 18
        and all(character in ALPHABET for character in code)
        and code[2:8].isdigit()
        and check_character(code[:17]) == code[17]
    )
