"""Units: exact ratios to grams and pieces, and packs as people write them."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop.catalogue.units import UNITS, Content, NotExact, UnknownUnit, base_quantity, number_of, read_pack, unit_of


def of(count: str, word: str, inside: Content | None = None) -> Content:
    return Content(number_of(count), unit_of(word), inside)


@pytest.mark.parametrize(
    ("count", "word", "found"),
    [
        ("10", "斤", ("g", 5_000)), ("2.5", "公斤", ("g", 2_500)), ("0.5", "吨", ("g", 500_000)),
        ("3", "两", ("g", 150)), ("1", "担", ("g", 50_000)), ("1.2", "t", ("g", 1_200_000)),
        ("5", "KG", ("g", 5_000)), ("１０", "市斤", ("g", 5_000)), ("30", "枚", ("piece", 30)),
        ("2", "打", ("piece", 24)), ("2/5", "斤", ("g", 200)), ("0.001", "公斤", ("g", 1)),
    ],
)  # fmt: skip
def test_an_amount_is_a_whole_number_of_grams_or_pieces(count: str, word: str, found: tuple[str, int]) -> None:
    assert base_quantity(of(count, word)) == found


def test_a_box_is_as_large_as_what_is_in_it() -> None:
    assert base_quantity(of("20", "袋", of("500", "克"))) == ("g", 10_000)
    assert base_quantity(of("3", "盒", of("1/3", "公斤"))) == ("g", 1_000)  # each is no whole number of grams
    assert base_quantity(of("12", "件", of("2", "打"))) == ("piece", 288)


@pytest.mark.parametrize(
    "content", [of("1", "箱"), of("1/3", "公斤"), of("0.5", "个"), of("2", "斤", of("3", "个")), of("101", "吨")]
)
def test_what_is_no_whole_amount_is_refused_and_not_rounded(content: Content) -> None:
    with pytest.raises(NotExact):
        base_quantity(content)


@pytest.mark.parametrize("text", ["", "0", "-1", "1e3", "1.5.2", "1/0", "½斤", "一", "9" * 40, "nan"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(NotExact):
        number_of(text)


@pytest.mark.parametrize("word", ["升", "", "毫升", "kgs!", "箱箱"])
def test_what_is_no_unit_is_refused(word: str) -> None:
    with pytest.raises(UnknownUnit):
        unit_of(word)


@given(st.sampled_from(sorted(UNITS)), st.integers(1, 10**6), st.integers(1, 10**4))
def test_every_ratio_is_exact(word: str, above: int, below: int) -> None:
    unit = UNITS[word]
    inside = None if unit.base else of("7", "克")
    once = 7 if inside else unit.factor
    content = Content(Fraction(above, below), unit, inside)
    try:
        _, amount = base_quantity(content)
    except NotExact:
        exact = Fraction(above, below) * once
        assert exact.denominator != 1 or exact > 100_000_000
    else:
        assert amount * below == above * once


@pytest.mark.parametrize(
    ("text", "name", "found"),
    [
        ("10斤箱", "10斤箱", ("g", 5_000)), ("10斤/箱", "10斤/箱", ("g", 5_000)), ("5kg袋", "5kg袋", ("g", 5_000)),
        ("500g×20袋/箱", "500g×20袋/箱", ("g", 10_000)), ("２．５公斤／袋", "２．５公斤／袋", ("g", 2_500)),
        ("30枚/盒", "30枚/盒", ("piece", 30)), ("斤", None, None), ("1斤", "斤", ("g", 500)),
        ("5 kg x 4", "5 kg x 4", ("g", 20_000)),
        ("10/箱", None, None), ("10斤个", None, None), ("500g×20个", None, None), ("10斤神秘", None, None),
    ],
)  # fmt: skip
def test_a_pack_is_read_as_people_write_it(text: str, name: str | None, found: tuple[str, int] | None) -> None:
    if name is None:
        with pytest.raises(ValueError, match=r"\S"):
            base_quantity(read_pack(text).content)
    else:
        pack = read_pack(text)
        assert (pack.name, base_quantity(pack.content)) == (name, found)
