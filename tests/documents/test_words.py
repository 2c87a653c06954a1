import pytest

from shop.documents.words import in_words


@pytest.mark.parametrize(
    ("fen", "words"),
    [
        (0, "零元整"),
        (5, "伍分"),
        (50, "伍角整"),
        (100, "壹元整"),
        (105, "壹元零伍分"),
        (150, "壹元伍角整"),
        (1_000, "壹拾元整"),
        (10_500, "壹佰零伍元整"),
        (140_950, "壹仟肆佰零玖元伍角整"),
        (600_714, "陆仟零柒元壹角肆分"),
        (1_000_000, "壹万元整"),
        (1_000_500, "壹万零伍元整"),
        (32_504, "叁佰贰拾伍元零肆分"),
        (1_640_902, "壹万陆仟肆佰零玖元零贰分"),
        (10_705_032, "壹拾万柒仟零伍拾元叁角贰分"),
        (1_234_500, "壹万贰仟叁佰肆拾伍元整"),
        (1_000_000_000_000, "壹佰亿元整"),
        (10_000_000_100, "壹亿零壹元整"),
        (10_001_000_000_00, "壹佰亿零壹佰万元整"),
        (-8_40, "负捌元肆角整"),
    ],
)
def test_an_amount_is_written_as_banks_write_it(fen, words):
    assert in_words(fen) == words


def test_an_amount_that_no_word_reaches_is_a_mistake():
    with pytest.raises(ValueError):
        in_words(10**18)
