"""The strict JSON parser."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop.errors import Invalid, Refusal
from shop.http.parsing import MAX_DEPTH, Malformed, parse_object


def pointers(data: bytes) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as refused:
        parse_object(data)
    return [(fault["pointer"], fault["code"]) for fault in refused.value.errors]


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        (b'{"lines":[{"quantity":NaN}]}', "/lines/0/quantity", "bad_number"),
        (b'{"a":Infinity}', "/a", "bad_number"),
        (b'{"a":-Infinity}', "/a", "bad_number"),
        (b'{"a":1e400}', "/a", "bad_number"),
        (b'{"a":1.5}', "/a", "bad_number"),
        (b'{"a":' + b"9" * 5000 + b"}", "/a", "bad_number"),
        (b'{"a":"x\\u0000y"}', "/a", "bad_text"),
        (b'{"a":["ok","\\ud800"]}', "/a/1", "bad_text"),
        (b'{"a/b~c":"\\udfff"}', "/a~1b~0c", "bad_text"),
        (b'{"a":1,"a":2}', "/a", "repeated_key"),
        (b'{"x":1,"deep":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "/deep/0/0", "too_deep"),
        (b'{"x":1,"deep":' + b'{"k":' * 100_000 + b"1" + b"}" * 100_001, "/deep/k/k", "too_deep"),
    ],
)
def test_what_is_no_value_of_ours_is_refused_by_name(body: bytes, pointer: str, code: str) -> None:
    assert pointers(body) == [(pointer, code)]


@pytest.mark.parametrize("body", [b"", b"[]", b"1", b'"x"', b"{", b"{'a':1}", b"\xff\xfe{}", b"null", b'{"a":01}'])
def test_what_is_no_json_object_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        parse_object(body)


def test_a_string_without_an_end_is_read_once_however_long_it_is() -> None:
    body = b'{"a":[' + b"{}," * 40 + b'"' + b'\\"' * 400_000
    began = time.process_time()
    with pytest.raises(Malformed):
        parse_object(body)
    assert time.process_time() - began < 2  # from each quote again it would be hours


def test_every_fault_is_listed_not_the_first() -> None:
    assert len(pointers(b'{"a":NaN,"b":[1.5,"\\u0000"]}')) == 3


def test_a_whole_number_written_with_a_point_is_that_number() -> None:
    parsed = parse_object(b'{"a":3.0}')
    assert parsed == {"a": 3}
    assert type(parsed["a"]) is int


def test_text_comes_back_composed() -> None:
    assert parse_object('{"a":"e\u0301"}'.encode()) == {"a": "é"}


def test_nesting_up_to_the_limit_is_read() -> None:
    depth = MAX_DEPTH - 1
    assert parse_object(b'{"a":' + b"[" * depth + b"]" * depth + b"}")


words = st.text(st.characters(codec="utf-8", exclude_characters="\x00"))
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text("abcdef", max_size=4), plain, max_size=5))
def test_what_json_writes_of_plain_values_is_read_back(tree: dict[str, object]) -> None:
    import unicodedata

    text = json.dumps(tree)
    normal = json.loads(unicodedata.normalize("NFC", json.dumps(tree, ensure_ascii=False)))
    assert parse_object(text.encode()) == normal


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_never_an_error(data: bytes) -> None:
    try:
        found: object = parse_object(data)
    except Refusal as refused:
        found = refused.status
    assert isinstance(found, dict) or found in (400, 422)
