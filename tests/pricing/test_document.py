"""The pricing document (`shop.pricing`): each of its worked examples, by its letter."""

import re
from collections import Counter
from uuid import UUID

import pytest

import shop.pricing
from shop.money import split
from shop.pricing.service import Basis, Choice, Offer, choose

TIERS = [[1, 4_000], [100, 3_800]]
PACK = 5_000


def agreement(unit_fen: int, number: int = 1, **more: int) -> Offer:
    fields = {"pack": PACK} | more
    return Offer(Basis.AGREEMENT, UUID(int=number), UUID(int=100 + number), unit_fen, **fields)


def quote(unit_fen: int, packs: int) -> Offer:
    return Offer(Basis.QUOTE, UUID(int=9), UUID(int=109), unit_fen, PACK, packs_left=packs)


QUOTED = [agreement(3_750), quote(3_950, 10)]
EXAMPLES: dict[str, tuple[list[Offer], int, int, str]] = {
    "A": ([], 99, 4_000, "tier"),
    "B": ([], 100, 3_800, "tier"),
    "C": ([agreement(3_750)], 10, 3_750, "agreement"),
    "D": ([agreement(3_900)], 100, 3_900, "agreement"),
    "E": ([agreement(3_750, packs_left=9)], 10, 4_000, "tier"),
    "F": ([agreement(3_750, fen_left=37_500)], 10, 3_750, "agreement"),
    "G": ([agreement(3_750, fen_left=37_499)], 10, 4_000, "tier"),
    "I": (QUOTED, 10, 3_950, "quote"),
    "J": (QUOTED, 11, 3_750, "agreement"),
    "K": ([agreement(3_750), agreement(3_700, 2)], 10, 3_700, "agreement"),
    "L": ([agreement(3_750, pack=PACK + 1)], 10, 4_000, "tier"),
}


def row_of(letter: str) -> list[str]:
    """The cells of an example in the document."""
    (line,) = re.findall(rf"^\| {letter} \|.*$", shop.pricing.__doc__ or "", re.MULTILINE)
    return [cell.strip() for cell in line.strip("|").split("|")]


def yuan(fen: int) -> str:
    return f"{fen / 100:,.2f}"


@pytest.mark.parametrize("letter", EXAMPLES)
def test_a_line_costs_what_the_document_says(letter: str) -> None:
    offers, packs, unit_fen, basis = EXAMPLES[letter]
    chosen = choose(TIERS, packs, offers, pack=PACK)
    assert (chosen.unit_fen, chosen.basis) == (unit_fen, basis)
    assert row_of(letter)[2:] == [str(packs), f"{yuan(unit_fen)}, {basis}", yuan(packs * unit_fen)]


def test_lines_of_one_order_draw_on_one_ceiling_in_turn() -> None:
    spent: Counter[UUID] = Counter()
    found: list[Choice] = []
    for _ in range(2):
        found.append(choose(TIERS, 10, [agreement(3_750, fen_left=40_000)], pack=PACK, spent=spent))
        if found[-1].offer is not None:
            spent[found[-1].offer.under] += 10 * found[-1].unit_fen
    assert [one.unit_fen for one in found] == [3_750, 4_000]
    assert row_of("H")[3] == " and ".join(yuan(one.unit_fen) for one in found)


def test_freight_is_dealt_by_weight_and_sums_to_itself() -> None:
    shares = split(1_000, [1_000, 1_000, 1_000])
    assert sum(shares) == 1_000
    assert row_of("M")[4] == "{}, {} and {}".format(*map(yuan, shares))


def test_every_example_of_the_document_is_shown_here() -> None:
    letters = set(re.findall(r"^\| ([A-Z]) \|", shop.pricing.__doc__ or "", re.MULTILINE))
    assert letters == {*EXAMPLES, "H", "M"}


def test_of_equal_prices_the_older_agreement_counts() -> None:
    older, newer = agreement(3_750, 1), agreement(3_750, 2)
    assert choose(TIERS, 10, [newer, older], pack=PACK).offer == older
