"""Unified social credit codes."""

import pytest

from shop.accounts.uscc import check_character, is_valid


@pytest.mark.parametrize("code", ["91350100M000100Y43", "91110000600037341L"])
def test_a_published_code_is_valid(code: str) -> None:
    assert is_valid(code)


@pytest.mark.parametrize(
    "code", ["91350100M000100Y44", "91350100M000100Y4", "9135O100M000100Y43", "", "91350100m000100y43"]
)
def test_a_wrong_check_character_length_or_letter_is_refused(code: str) -> None:
    assert not is_valid(code)


def test_swapping_two_neighbours_is_noticed() -> None:
    body = "91350100M000100Y4"
    swapped = body[:8] + body[9] + body[8] + body[10:]
    assert check_character(body) != check_character(swapped)
