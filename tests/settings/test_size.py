"""Sizes as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.settings import format_size, parse_size

SIZES = {
    "0": 0,
    "1048576": 1024**2,
    "1 B": 1,
    "2 GiB": 2 * 1024**3,
    "2GiB": 2 * 1024**3,
    "50MB": 50_000_000,
    "50 mb": 50_000_000,
    " 64 KiB ": 64 * 1024,
    "1.5 KiB": 1536,
    "0.1 KiB": 102,
    "1 TB": 10**12,
    "3 PiB": 3 * 1024**5,
}
NO_SIZES = ["", " ", "GiB", "2 G", "50m", "-1", "1e6", "1,5 MB", "1_000", "0x10", "2 GiB left", "nan", "inf", "٣ MB"]


@pytest.mark.parametrize(("text", "size"), SIZES.items())
def test_reads_numbers_and_units(text: str, size: int) -> None:
    """A size is bytes, or a number with a decimal or binary unit."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", NO_SIZES)
def test_refuses_what_is_no_size(text: str) -> None:
    """Anything else, an ambiguous `50m` among it, is refused with the remedy."""
    with pytest.raises(ConfigurationError, match=r"is not a size: use a number of bytes, .* 50 MB"):
        parse_size(text)


@pytest.mark.parametrize("number", [True, -1])
def test_refuses_numbers_that_are_no_size(number: int) -> None:
    """A truth value and a negative number are no sizes, though Python calls both integers."""
    with pytest.raises(ConfigurationError, match="is not a size"):
        parse_size(number)


@given(st.integers(min_value=0, max_value=10**18))
def test_a_number_is_its_own_size(number: int) -> None:
    """A number of bytes stays what it is, as an integer and as text."""
    assert parse_size(number) == parse_size(str(number)) == number


@given(st.integers(min_value=0, max_value=10**18))
def test_reads_what_it_writes(size: int) -> None:
    """A formatted size reads as the same number of bytes."""
    assert parse_size(format_size(size)) == size


@given(st.text())
def test_any_text_is_a_size_or_an_error(text: str) -> None:
    """No text is anything but a size that is not negative, or our error."""
    try:
        size = parse_size(text)
    except ConfigurationError as refused:
        assert repr(text) in str(refused)
    else:
        assert size >= 0


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (1000, "1000 B"), (1536, "1536 B"), (65536, "64 KiB")])
def test_writes_the_largest_exact_unit(size: int, text: str) -> None:
    """A size is written in the largest unit that says it exactly."""
    assert format_size(size) == text
