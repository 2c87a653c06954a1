"""What reader and writer agree on: the refusal, how titles are compared, and what keeps a cell from being a formula."""

import re
import unicodedata

from shop.errors import Refusal

_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {
    0x3000: " ",
    0x2212: "-",
    0xFFE5: "¥",
}
_BLANK = " \t\r\n\v\f\u00a0\u3000\u200b\u2060\ufeff"
_OPENS_A_FORMULA = re.compile(r"'*[\s\u200b\u2060\ufeff]*[=+\-@\t\r\n＝＋－＠]")


class SheetError(Refusal):
    """A file that cannot be taken as a spreadsheet at all; `reason` says why in one stable word."""

    code, status = "unreadable_sheet", 422
    title, title_zh = "This file cannot be read as a spreadsheet.", "无法读取该表格文件。"

    def __init__(self, reason: str, message: str, message_zh: str) -> None:
        super().__init__(message, reason=reason, detail_zh=message_zh)
        self.reason = reason
        self.message_zh = message_zh


def half_width(text: str) -> str:
    """`１２．５　公斤` as `12.5 公斤`: full-width letters, digits, signs and spaces in their usual form.

    Plain NFKC would do the same and also read `5²` as 52 and `①` as 1, which is wrong for an amount.
    """
    return text.translate(_FULL_WIDTH)


def trimmed(text: str) -> str:
    """The text in NFC without the spaces of any width around it."""
    text = text.strip(_BLANK)
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def folded(title: str) -> str:
    """A title as it is compared: width, case, spaces and the star of a required column do not matter."""
    return "".join(unicodedata.normalize("NFKC", title).casefold().split()).strip("*:")


def quoted(text: str) -> str:
    """The text with an apostrophe before it where a spreadsheet program would take it for a formula.

    Text that already looks quoted gets one more, so that `unquoted` gives back exactly what was written.
    """
    return "'" + text if _OPENS_A_FORMULA.match(text) else text


def unquoted(text: str) -> str:
    """The text as it was before `quoted`."""
    return text[1:] if text[:1] == "'" and _OPENS_A_FORMULA.match(text) else text
