"""Generated and checked object keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_filestore.errors import InvalidKeyError
from fastapi_filestore.storage.paths import check_path, generate_path
from tests.storage.stores import BAD_KEYS


def test_generated_keys() -> None:
    """A generated key is opaque, unique and sharded, and passes its own check."""
    keys = [generate_path() for _ in range(1000)]

    assert len(set(keys)) == 1000
    assert all(check_path(key) == key and key.isascii() for key in keys)
    assert all(key[2] == "/" and key[3:].startswith(key[:2]) and len(key) == 35 for key in keys)


@pytest.mark.parametrize("key", BAD_KEYS, ids=ascii)
def test_bad_keys(key: str) -> None:
    """A bad key is refused with words that can be printed anywhere."""
    with pytest.raises(InvalidKeyError) as caught:
        check_path(key)

    assert caught.value.path == key
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()


@given(key=st.text(st.characters(), max_size=30))
def test_any_key(key: str) -> None:
    """A key that passes has only parts that name something, and nothing that a store rewrites."""
    try:
        assert check_path(key) == key
    except InvalidKeyError as refused:
        assert refused.path == key
    else:
        assert all(part not in {"", ".", ".."} for part in key.split("/"))
        assert "\\" not in key
        assert 0 < len(key.encode()) <= 1024


def test_longest_key() -> None:
    """The limit is 1,024 bytes, not characters."""
    assert check_path("é" * 512)
    with pytest.raises(InvalidKeyError, match="1,026"):
        check_path("é" * 513)
