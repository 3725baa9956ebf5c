"""Core: numbers in header fields that are none."""

import pytest

from tests.tus.client import Tus, is_refused
from tests.tus.wire import Fields

STREAM = ("Content-Type", "application/offset+octet-stream")
NO_NUMBERS: dict[str, list[str | bytes]] = {
    "negative": ["-1"],
    "negative zero": ["-0"],
    "plus sign": ["+5"],
    "fraction": ["5.0"],
    "exponent": ["5e0"],
    "hexadecimal": ["0x5"],
    "underscore": ["0_5"],
    "comma": ["5,"],
    "space inside": ["0 5"],
    "empty": [""],
    "word": ["five"],
    "other digits": ["\u0665".encode()],
    "superscript": ["\u2075".encode()],
    "Latin-1": [b"\xb5"],
    "infinity": ["Infinity"],
    "two that differ": ["5", "6"],
}
"""Values of a field, each of a line of its own."""
ODD = pytest.mark.parametrize("values", NO_NUMBERS.values(), ids=NO_NUMBERS)


def fields(name: str, values: list[str | bytes]) -> Fields:
    """Return a field, on as many lines as it has values."""
    return [(name, value) for value in values]


@ODD
@pytest.mark.spec("Upload-Length", "It is a non-negative integer.")
def test_a_length_is_a_number(tus: Tus, values: list[str | bytes]) -> None:
    """An upload of a length that is none is not begun."""
    answer = tus.raw("POST", tus.url, fields("Upload-Length", values))

    assert is_refused(answer)
    assert "Location" not in answer.headers


@ODD
@pytest.mark.spec("Upload-Offset", "It is a non-negative integer.")
def test_an_offset_is_a_number(tus: Tus, values: list[str | bytes]) -> None:
    """Bytes at an offset that is none are refused, and change nothing, also where a number could be guessed."""
    url = tus.begin(10, b"01234")

    answer = tus.raw("PATCH", url, [STREAM, *fields("Upload-Offset", values)], b"56789")

    assert is_refused(answer)
    assert tus.offset(url) == 5


@pytest.mark.spec("Upload-Length", "It is a non-negative integer.")
@pytest.mark.parametrize("length", ["9" * 19, "9" * 30, "9" * 1000], ids=len)
def test_a_length_that_nobody_has_is_refused_or_known(tus: Tus, length: str) -> None:
    """A huge number is refused, or told again as it was sent: it is not cut off, rounded or an error of the server."""
    answer = tus.raw("POST", tus.url, [("Upload-Length", length)])

    assert is_refused(answer) or tus.head(tus.place(answer)).headers["Upload-Length"] == length


@pytest.mark.spec("Upload-Offset", "It is a non-negative integer.")
@pytest.mark.parametrize("offset", ["9" * 19, "9" * 30, "9" * 1000, str(2**64), str(2**32)], ids=len)
def test_an_offset_that_nobody_has_is_refused(tus: Tus, offset: str) -> None:
    """A huge number is another offset than the upload's, also for a server whose own numbers end somewhere."""
    url = tus.begin(10)

    answer = tus.raw("PATCH", url, [STREAM, ("Upload-Offset", offset)], b"01234")

    assert is_refused(answer)
    assert tus.offset(url) == 0


@pytest.mark.spec("Upload-Length", "It is a non-negative integer, on whose zeros in front nothing is said.")
def test_zeros_in_front_of_a_length_mean_nothing(tus: Tus) -> None:
    """A number with zeros in front is refused, or that number in decimal digits: never an octal one."""
    answer = tus.post({"Upload-Length": "0010"})

    assert is_refused(answer) or tus.head(tus.place(answer)).headers["Upload-Length"] == "10"


@pytest.mark.spec("Upload-Offset", "It is a non-negative integer, on whose zeros in front nothing is said.")
def test_zeros_in_front_of_an_offset_mean_nothing(tus: Tus) -> None:
    """A number with zeros in front is refused, or that number in decimal digits: never an octal one."""
    url = tus.begin(12, b"0123456789")

    answer = tus.patch(url, "0010", b"01")

    assert (tus.offset(url) == 10) if is_refused(answer) else (tus.offset(url) == 12)


@pytest.mark.spec("Upload-Length", "It is a field of HTTP, where space around a value is not part of it.")
@pytest.mark.parametrize("length", ["  5", "5  ", "\t5\t"], ids=["before", "behind", "tabs"])
def test_space_around_a_length_is_none_of_it(tus: Tus, length: str) -> None:
    """Spaces around the value are left out (RFC 9110, section 5.5)."""
    answer = tus.raw("POST", tus.url, [("Upload-Length", length)])

    assert tus.head(tus.place(answer)).headers["Upload-Length"] == "5"


@pytest.mark.spec("Upload-Length", "It is a field of HTTP, whose names have no case.")
@pytest.mark.parametrize("name", ["upload-length", "UPLOAD-LENGTH"])
def test_names_of_fields_have_no_case(tus: Tus, name: str) -> None:
    """Fields are known in small and in capital letters."""
    answer = tus.raw("POST", tus.url, [(name, "5")])

    assert tus.head(tus.place(answer)).headers["Upload-Length"] == "5"
