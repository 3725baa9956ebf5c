"""The shape of JSON as its bytes tell it, beside what a parser makes of them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_filestore import InvalidFieldsError
from fastapi_filestore.intake.forms.limits import FormLimits, check_shape

TEXTS = st.text(alphabet='"\\,:[]{}a\u00fc', max_size=8)
VALUES = st.recursive(
    st.none() | st.integers() | TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=20
)


def depth(value: Any) -> int:
    """Return how deep lists and objects are nested."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


def values(value: Any) -> int:
    """Return how many members lists and objects have, and one for each that has none."""
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else max(len(inner), 1) + sum(map(values, inner))


def limits(most: int, deepest: int) -> FormLimits:
    """Return limits of JSON."""
    return FormLimits(1, 1, 1, json_values=most, json_depth=deepest)


@given(VALUES, st.booleans())
def test_json_at_its_limits_is_accepted(value: Any, ascii_only: bool) -> None:
    """Brackets, commas, quotes and backslashes in texts count for nothing."""
    check_shape(json.dumps(value, ensure_ascii=ascii_only).encode(), limits(values(value), depth(value)))


@given(VALUES.filter(lambda value: isinstance(value, list | dict)), st.booleans())
def test_json_past_its_limits_is_refused(value: Any, ascii_only: bool) -> None:
    """One value more, or one level more, is refused."""
    text = json.dumps(value, ensure_ascii=ascii_only).encode()
    with pytest.raises(InvalidFieldsError, match="values"):
        check_shape(text, limits(values(value) - 1, 100))
    with pytest.raises(InvalidFieldsError, match="deep"):
        check_shape(text, limits(1000, depth(value) - 1))


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 1000,
        b'{"a":' * 1000,
        b"[[]," * 1000,
        b'["\\"]", ' + b"[" * 1000,
        b'["\\\\",' + b"[" * 1000,
        b"\xff[" * 1000,
    ],
)
def test_what_is_no_json_is_counted_too(text: bytes) -> None:
    """As far as a parser would read it."""
    with pytest.raises(InvalidFieldsError):
        check_shape(text, limits(500, 64))
