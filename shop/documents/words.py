"""Amounts of money in the formal Chinese figures that papers of payment carry."""

_FIGURES = "零壹贰叁肆伍陆柒捌玖"
_PLACES = ("", "拾", "佰", "仟")
_GROUPS = ("", "万", "亿", "万亿")


def in_words(fen: int) -> str:
    """1234500 fen as 壹万贰仟叁佰肆拾伍元整, up to ten trillion yuan."""
    if abs(fen) >= 10**18:
        raise ValueError("the amount is too large to be written")
    yuan, rest = divmod(abs(fen), 100)
    jiao, cent = divmod(rest, 10)
    words = _whole(yuan) + "元" if yuan else ""
    if jiao:
        words += _FIGURES[jiao] + "角"
    elif yuan and cent:
        words += "零"
    words += _FIGURES[cent] + "分" if cent else "整"
    return ("负" if fen < 0 else "") + (words if fen else "零元整")


def _whole(number: int) -> str:
    groups = []
    while number:
        number, group = divmod(number, 10_000)
        groups.append(group)
    words = ""
    gap = False
    for place in reversed(range(len(groups))):
        group = groups[place]
        if not group:
            gap = True
            continue
        if words and (gap or group < 1_000):
            words += "零"
        words += _group(group) + _GROUPS[place]
        gap = False
    return words


def _group(number: int) -> str:
    words = ""
    gap = False
    for place in (3, 2, 1, 0):
        figure = number // 10**place % 10
        if not figure:
            gap = bool(words)
            continue
        words += ("零" if gap else "") + _FIGURES[figure] + _PLACES[place]
        gap = False
    return words
