"""Byte ranges, as the tables of RFC 9110 have them."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_filestore import RangeNotSatisfiableError
from fastapi_filestore.web.serving.ranges import MAX_RANGES, ByteRange, requested_ranges

SIZE = 10_000

# RFC 9110, section 14.1.2, with the examples' own representation of 10,000 bytes.
EXAMPLES = {
    "bytes=0-499": [(0, 500)],
    "bytes=500-999": [(500, 1000)],
    "bytes=-500": [(9500, 10000)],
    "bytes=9500-": [(9500, 10000)],
    "bytes=0-0,-1": [(0, 1), (9999, 10000)],
    "bytes= 0-999, 4500-5499, -1000": [(0, 1000), (4500, 5500), (9000, 10000)],
    "bytes=500-700,601-999": [(500, 1000)],
    "bytes=500-600,601-999": [(500, 1000)],
    "bytes=0-": [(0, 10000)],
    "bytes=0-99999": [(0, 10000)],
    "bytes=-99999": [(0, 10000)],
    "bytes=9999-9999": [(9999, 10000)],
    "bytes=-1,0-0": [(9999, 10000), (0, 1)],
    "BYTES=0-0": [(0, 1)],
    "bytes=,0-0,, ,": [(0, 1)],
    "bytes=20000-,5-6": [(5, 7)],
    "bytes=0-99999999999999999999999999999": [(0, 10000)],
}

IGNORED = [
    None, "", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=1-0", "bytes=0-1;2-3", "bytes=0-1-2", "items=0-1",
    "bytes=0-1,5-4", "bytes=-1-2", "bytes=+1-2", "bytes=1.0-2", "bytes=\u0660-\u0661", "bytes=0 - 1", "bytes==0-1",
    "bytes=" + ",".join(f"{n * 10}-{n * 10}" for n in range(MAX_RANGES + 1)),
]  # fmt: skip


@pytest.mark.parametrize("header", EXAMPLES)
def test_ranges_of_the_rfc(header: str) -> None:
    """Each example of the RFC yields the bytes that its text says."""
    assert [(each.start, each.end) for each in requested_ranges(header, SIZE)] == EXAMPLES[header]


@pytest.mark.parametrize("header", IGNORED)
def test_what_is_no_range_of_bytes_is_ignored(header: str | None) -> None:
    """A header that is malformed, of another unit, or greedy is answered with the whole."""
    assert list(requested_ranges(header, SIZE)) == []


@pytest.mark.parametrize(
    "header", ["bytes=10000-", "bytes=10000-10001,20000-", "bytes=-0", "bytes=99999999999999999999-"]
)
def test_ranges_after_the_end_can_t_be_satisfied(header: str) -> None:
    """A request for nothing but bytes after the end is told the size."""
    with pytest.raises(RangeNotSatisfiableError) as caught:
        requested_ranges(header, SIZE)

    assert caught.value.size == SIZE


def test_an_empty_representation_has_no_ranges() -> None:
    """Of nothing, nothing can be a part: it is sent whole."""
    assert list(requested_ranges("bytes=0-", 0)) == []


@given(header=st.text(alphabet="bytes=0123456789-, ", max_size=60), size=st.integers(0, 50))
def test_any_header_yields_ranges_within_the_representation(header: str, size: int) -> None:
    """Whatever is asked, the answer is disjoint ranges inside, or a refusal that names the size."""
    try:
        ranges = requested_ranges(header, size)
    except RangeNotSatisfiableError as refused:
        assert refused.size == size
    else:
        assert_disjoint(ranges, size)


def assert_disjoint(ranges: Sequence[ByteRange], size: int) -> None:
    """Assert that ranges lie inside, apart from each other, and are few."""
    assert len(ranges) <= MAX_RANGES
    assert all(0 <= each.start < each.end <= size for each in ranges)
    ordered = sorted(ranges)
    assert all(left.end < right.start for left, right in pairwise(ordered))


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)).map(sorted), min_size=1, max_size=MAX_RANGES))
def test_the_ranges_cover_exactly_the_bytes_asked_for(asked: list[list[int]]) -> None:
    """However ranges overlap, each byte asked for is sent once, and no other."""
    header = "bytes=" + ",".join(f"{first}-{last}" for first, last in asked)
    sent = [byte for each in requested_ranges(header, 100) for byte in range(each.start, each.end)]

    assert sorted(sent) == sorted({byte for first, last in asked for byte in range(first, last + 1)})


def test_content_range_is_spelled_with_the_last_byte() -> None:
    """The header names the last byte, not the one after it."""
    assert ByteRange(0, 500).content_range(1000) == "bytes 0-499/1000"
