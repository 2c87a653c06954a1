"""Reads the text that stands on the pages of a PDF, by its own glyph tables, for the PDFs that this shop makes."""

import re
import zlib

_STREAM = re.compile(rb"(\d+) 0 obj\n(<<(?:(?!endobj).)*?>>)\nstream\n", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


def pages(pdf: bytes) -> list[str]:
    """The text of each page in drawing order, a line for each text object."""
    glyphs: dict[bytes, str] = {}
    contents = []
    for match in _STREAM.finditer(pdf):
        length = int(re.search(rb"/Length (\d+)", match[2])[1])
        if b"FlateDecode" not in match[2]:
            continue
        data = zlib.decompress(pdf[match.end() : match.end() + length])
        if b"beginbfchar" in data:
            assert not glyphs, "one font only"
            for code, text in re.findall(rb"<([0-9A-F]{4})> <([0-9A-F]+)>", data):
                glyphs[bytes.fromhex(code.decode())] = bytes.fromhex(text.decode()).decode("utf-16-be")
        elif b"BT " in data:
            contents.append(data)
    return [_text(content, glyphs) for content in contents]


def compact(pdf: bytes) -> str:
    """All the text without spaces and line ends, since a line is drawn in as many pieces as its scripts and styles."""
    return "".join("".join(pages(pdf)).replace("\u200b", "").split())


def _text(content: bytes, glyphs: dict[bytes, str]) -> str:
    shown = ""
    at = 0
    while at < len(content):
        if content[at : at + 1] == b"(":
            codes, at = _literal(content, at + 1)
            shown += "".join(glyphs[codes[place : place + 2]] for place in range(0, len(codes), 2))
        elif content[at : at + 3] == b"\nET":
            shown += "\n"
            at += 3
        else:
            at += 1
    return shown


def _literal(content: bytes, at: int) -> tuple[bytes, int]:
    """A string in brackets, which may hold brackets in pairs, and where it ends."""
    codes, depth = b"", 1
    while True:
        char = content[at : at + 1]
        at += 1
        if char == b"\\":
            octal = re.compile(rb"[0-7]{1,3}").match(content, at)
            escaped = octal[0] if octal else content[at : at + 1]
            codes += bytes([int(escaped, 8)]) if octal else _ESCAPED.get(escaped, escaped)
            at += len(escaped)
            continue
        depth += {b"(": 1, b")": -1}.get(char, 0)
        if not depth:
            return codes, at
        codes += char
