"""Byte ranges of RFC 9110, section 14: a header and a size in, the ranges to send out. Nothing here knows of files."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi_filestore.errors import RangeNotSatisfiableError

MAX_RANGES = 16
"""Ranges answered at once. A request for more is answered whole, as section 14.2 allows: every range costs a part's
headers and a request to the store, which a client gets for a few characters (CVE-2011-3192)."""

MAX_HEADER = 4096
"""Characters of the header that asks for them; one that is longer is ignored, too."""

_SPEC = re.compile(r"(\d*)-(\d*)")


@dataclass(frozen=True, slots=True, order=True)
class ByteRange:
    """The bytes from `start` up to but without `end`."""

    start: int
    end: int

    @property
    def size(self) -> int:
        """How many bytes they are."""
        return self.end - self.start

    def content_range(self, size: int) -> str:
        """Return the Content-Range of these bytes of a representation of `size` bytes."""
        return f"bytes {self.start}-{self.end - 1}/{size}"


def requested_ranges(header: str | None, size: int) -> Sequence[ByteRange]:
    """Return the ranges that a Range header asks of a representation, in the order asked; none to send it whole.

    A header that is malformed, too long, of another unit, or of too many ranges is ignored, as the RFC wants. Ranges
    that overlap or touch are sent as one.

    Raises:
        RangeNotSatisfiableError: Every range begins after the end.
    """
    specs = _specs(header or "")
    if not specs or size == 0:
        return ()
    ranges: list[ByteRange] = []
    for first, last in specs:
        if first is None and last:  # the last bytes
            ranges.append(ByteRange(max(size - last, 0), size))
        elif first is not None and first < size:
            ranges.append(ByteRange(first, size if last is None else min(last + 1, size)))
    if not ranges:
        raise RangeNotSatisfiableError("Every range begins after the end.", size=size)
    merged: list[ByteRange] = []
    for byte_range in sorted(ranges):
        if merged and byte_range.start <= merged[-1].end:
            merged[-1] = ByteRange(merged[-1].start, max(merged[-1].end, byte_range.end))
        else:
            merged.append(byte_range)
    # The order asked for is kept where nothing was merged (section 15.3.7.2).
    return ranges if len(merged) == len(ranges) else merged


def _specs(header: str) -> list[tuple[int | None, int | None]]:
    """Return the first and the last byte of each range as they are written; none if the header is to be ignored."""
    unit, _, listed = header.partition("=")
    if len(header) > MAX_HEADER or unit.strip().lower() != "bytes" or not listed.isascii():
        return []
    specs: list[tuple[int | None, int | None]] = []
    for text in listed.split(","):
        element = text.strip(" \t")
        if not element:
            continue
        match = _SPEC.fullmatch(element)
        if match is None or element == "-":
            return []
        first, last = _number(match[1]), _number(match[2])
        if first is not None and last is not None and first > last:
            return []
        specs.append((first, last))
    return specs if len(specs) <= MAX_RANGES else []


def _number(digits: str) -> int | None:
    # More digits than any size has mean "beyond the end"; int() would take its time over a million of them.
    return None if not digits else int(digits.lstrip("0")[:20] or "0")
