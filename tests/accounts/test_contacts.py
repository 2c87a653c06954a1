"""Phones, e-mails and passwords in their one spelling."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shop.accounts import contacts
from shop.accounts.devices import device_words
from shop.accounts.service import passwords


@pytest.mark.parametrize(
    "written",
    ["13800138000", "138 0013 8000", "138-0013-8000", "+86 138 0013 8000", "008613800138000", "１３８００１３８０００"],
)
def test_a_chinese_mobile_has_one_spelling(written: str) -> None:
    assert contacts.phone_of(written) == "+8613800138000"


@pytest.mark.parametrize(
    "written", ["", "12345", "12800138000", "+861012345678", "+86138001380001", "+0123456789", "a"]
)
def test_what_takes_no_text_message_is_no_phone(written: str) -> None:
    assert contacts.phone_of(written) is None


def test_a_foreign_number_is_a_phone_with_its_country() -> None:
    assert contacts.phone_of("+44 20 7946 0958") == "+442079460958"


@pytest.mark.parametrize("written", ["a@b.cn", "Zhang.San@Mail.Example.COM", "zhang@例子.中国"])
def test_an_e_mail_is_kept_in_lower_case(written: str) -> None:
    assert contacts.email_of(f" {written} ") == written.lower()


@pytest.mark.parametrize(
    "written",
    ["", "a", "a@b", "a b@c.cn", "a@b@c.cn", "a@-b.cn", "a@b.cn\nBcc: x@y.cn", "a,b@c.cn", "x" * 65 + "@b"],
)
def test_what_is_no_address_is_no_e_mail(written: str) -> None:
    assert contacts.email_of(written) is None


@settings(max_examples=60)
@given(st.text(max_size=40))
def test_a_log_in_is_spelt_the_same_the_second_time(written: str) -> None:
    once = contacts.login_of(written)
    assert contacts.login_of(once) == once


def test_a_masked_contact_tells_only_who_knows_it() -> None:
    assert contacts.masked("+8613800138000") == "+86138****8000"
    assert contacts.masked("zhang@example.com") == "z***@example.com"
    assert contacts.masked(None) is None


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "x" * 257,
        "password123",
        "PassWord123",
        "woaini1314",
        "zhang@example.com",
        "13800138000",
        "+8613800138000",
    ],
)
def test_a_password_that_many_would_guess_is_refused(password: str) -> None:
    with pytest.raises(passwords.WeakPassword):
        passwords.check(password, "zhang@example.com", "+8613800138000", pointer="/password")


@pytest.mark.parametrize("password", ["aaaa bbbb cccc", "x" * 256, "一个很长的中文口令啊", "nodigitsorcapitals"])
def test_there_are_no_rules_of_composition(password: str) -> None:
    passwords.check(password, "zhang@example.com", None, pointer="/password")


def test_every_common_password_is_long_enough_to_matter() -> None:
    assert all(len(word) >= passwords.SHORTEST and word == word.casefold() for word in passwords.COMMONEST)


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox, Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Safari/604.1 MicroMessenger/8.0", "WeChat, iPhone"),
        ("Mozilla/5.0 (X11; Linux x86_64) Chrome/126.0 Safari/537.36 Edg/126.0", "Edge, Linux"),
        ("curl/8.5.0", "curl"),
        ("", ""),
    ],
)
def test_a_browser_is_told_in_a_few_words(user_agent: str, words: str) -> None:
    assert device_words(user_agent) == words
