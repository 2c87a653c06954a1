"""Phones and e-mails as the shop keeps them: one spelling each, so that one person has one log-in."""

import re
import unicodedata

MAX = 200
EMAIL = re.compile(r"[^\s@\x00-\x1f\x7f,;<>\"]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W\d_][\w-]{1,62}")
CHINESE_MOBILE = re.compile(r"1[3-9]\d{9}")
E164 = re.compile(r"\+[1-9]\d{7,14}")


def phone_of(text: str) -> str | None:
    """A phone in E.164 (`+8613800000000`), from that or from the 11 digits of a Chinese mobile; None for no phone.

    A Chinese number must be a mobile: the others take no text message.
    """
    digits = re.sub(r"[\s().-]", "", unicodedata.normalize("NFKC", text))
    digits = "+" + digits[2:] if digits.startswith("00") else digits
    if CHINESE_MOBILE.fullmatch(digits):
        return f"+86{digits}"
    if not digits.isascii() or not E164.fullmatch(digits):
        return None
    return digits if not digits.startswith("+86") or CHINESE_MOBILE.fullmatch(digits[3:]) else None


def email_of(text: str) -> str | None:
    """An e-mail in lower case; None for what is none."""
    found = text.strip().lower()
    return found if len(found) <= MAX and EMAIL.fullmatch(found) else None


def contact_of(text: str) -> str | None:
    """A phone or an e-mail in its one spelling; None for what is neither."""
    return email_of(text) if "@" in text else phone_of(text)


def login_of(text: str) -> str:
    """A log-in in its one spelling, whether or not anybody has it."""
    found = text.strip().lower()
    return found if "@" in found else phone_of(found) or found


def is_phone(contact: str) -> bool:
    return contact.startswith("+")


def masked(contact: str | None) -> str | None:
    """A contact that whoever knows it recognises, and nobody else: `+86138****0000`, `z***@example.com`."""
    if contact is None:
        return None
    name, at, domain = contact.partition("@")
    return f"{name[0]}***{at}{domain}" if at else f"{contact[:-8]}****{contact[-4:]}"
