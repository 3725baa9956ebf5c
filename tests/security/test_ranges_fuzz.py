"""Ranges and conditions against the RFC's words, written down a second time without any haste."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from fastapi_filestore.errors import RangeNotSatisfiableError
from fastapi_filestore.web.serving.conditions import Outcome, Validators, evaluate, range_applies
from fastapi_filestore.web.serving.ranges import MAX_RANGES, requested_ranges

NUMBERS = st.one_of(
    st.integers(0, 30).map(str),
    st.integers(0, 9).map(lambda number: f"{number:030}"),
    st.sampled_from(["", "9" * 30, "9" * 5000, "+1", "1.0", "\u0663", "a"]),
)
SPECS = st.one_of(st.builds("{}-{}".format, NUMBERS, NUMBERS), st.sampled_from(["", " ", "-", "1-2-3", "0 - 1", "x"]))
SEPARATORS = st.sampled_from([",", ", ", " ,\t", ",,"])
UNITS = st.sampled_from(["bytes=", "Bytes=", "bytes =", "bytes= ", "items=", "bytes", ""])


@st.composite
def range_headers(draw: st.DrawFn) -> str:
    """Draw a Range header that is mostly in order."""
    return draw(UNITS) + draw(SEPARATORS).join(draw(st.lists(SPECS, max_size=MAX_RANGES + 2)))


def asked_for(header: str, size: int) -> list[set[int]] | None:
    """Return the bytes that each range names (RFC 9110, section 14.1); None for a header to ignore."""
    unit, equals, listed = header.partition("=")
    elements = [element.strip(" \t") for element in listed.split(",") if element.strip(" \t")]
    if not equals or unit.strip().lower() != "bytes" or not 0 < len(elements) <= MAX_RANGES:
        return None
    named = [bytes_of(element, size) for element in elements]
    return None if None in named else [each for each in named if each]


def bytes_of(element: str, size: int) -> set[int] | None:
    """Return the bytes that one range names; None if it is none."""
    first, dash, last = element.partition("-")
    if not dash or not first + last or not set(first + last) <= set("0123456789"):
        return None
    if not first:
        return set(range(size)[-length:]) if (length := small(last)) else set()
    if last and small(first) > small(last):
        return None
    return set(range(size)[small(first) : small(last) + 1 if last else size])


def small(digits: str) -> int:
    """Return a number, or any that is beyond every size."""
    return int(digits.lstrip("0")[:10] or "0")


@settings(deadline=None)
@given(range_headers(), st.integers(0, 25))
def test_ranges_are_the_bytes_asked_for(header: str, size: int) -> None:
    """Each byte asked for is sent once and no other; in the order asked, where nothing overlaps or touches."""
    asked = asked_for(header, size)
    try:
        sent = [set(range(each.start, each.end)) for each in requested_ranges(header, size)]
    except RangeNotSatisfiableError:
        sent = None

    if sent is None:
        assert asked == []
    elif asked is None or size == 0:
        assert sent == []
    else:
        assert set().union(*sent) == set().union(*asked)
        assert sum(map(len, sent)) == len(set().union(*asked))
        assert sent == asked or len(sent) < len(asked) or touching(asked)


def touching(ranges: Sequence[set[int]]) -> bool:
    """Tell whether two ranges have a byte in common or are neighbours."""
    return len(ranges) > 1 and any(
        one & {byte + step for byte in other for step in (-1, 0, 1)}
        for number, one in enumerate(ranges)
        for other in ranges[:number]
    )


# -- conditions ----------------------------------------------------------------------------------------

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
Tags = Sequence[tuple[bool, str]] | Literal["*"]
TAGS: st.SearchStrategy[Tags] = st.one_of(
    st.just("*"), st.lists(st.tuples(st.booleans(), st.sampled_from(["a", "b", "a,b", "", "\xe9"])))
)
SECONDS = st.integers(-2, 2)


@dataclass(frozen=True, slots=True)
class Request:
    """The conditions of a request, None for each that is not there."""

    match: Tags | None
    none_match: Tags | None
    modified: int | None
    unmodified: int | None

    def headers(self) -> dict[str, str]:
        """Return them as they are sent."""
        tags = {"if-match": self.match, "if-none-match": self.none_match}
        dates = {"if-modified-since": self.modified, "if-unmodified-since": self.unmodified}
        return {name: spelled(each) for name, each in tags.items() if each is not None} | {
            name: format_datetime(NOON + timedelta(seconds=each), usegmt=True)
            for name, each in dates.items()
            if each is not None
        }

    def expected(self, tag: str, *, safe: bool) -> Outcome:
        """Return what section 13.2.2 says, step by step; the file was changed at noon."""
        if self.match is not None and not strongly(self.match, tag):
            return Outcome.PRECONDITION_FAILED
        if self.match is None and self.unmodified is not None and self.unmodified < 0:
            return Outcome.PRECONDITION_FAILED
        if self.none_match is not None and weakly(self.none_match, tag):
            return Outcome.NOT_MODIFIED if safe else Outcome.PRECONDITION_FAILED
        if safe and self.none_match is None and self.modified is not None and self.modified >= 0:
            return Outcome.NOT_MODIFIED
        return Outcome.PROCEED


def spelled(tags: Tags) -> str:
    """Write a list of entity tags."""
    return tags if isinstance(tags, str) else ", ".join(f'{"W/" if weak else ""}"{tag}"' for weak, tag in tags)


def strongly(tags: Tags, tag: str) -> bool:
    """Compare as section 8.8.3.2 does for If-Match."""
    return tags == "*" or (False, tag) in tags


def weakly(tags: Tags, tag: str) -> bool:
    """Compare as section 8.8.3.2 does for If-None-Match."""
    return tags == "*" or (False, tag) in tags or (True, tag) in tags


REQUESTS = st.builds(Request, st.none() | TAGS, st.none() | TAGS, st.none() | SECONDS, st.none() | SECONDS)


@settings(deadline=None)
@given(REQUESTS, st.sampled_from(["a", "b", "a,b", ""]), st.booleans())
def test_conditions_come_to_what_the_rfc_says(request: Request, tag: str, safe: bool) -> None:
    """Any combination of conditions, for reads and for writes."""
    state = Validators(f'"{tag}"', NOON + timedelta(milliseconds=700))

    assert evaluate(request.headers(), state, safe=safe) is request.expected(tag, safe=safe)


@settings(deadline=None)
@given(st.booleans(), st.sampled_from(["a", "b"]), SECONDS, st.booleans())
def test_if_range_is_strong(weak: bool, tag: str, seconds: int, by_tag: bool) -> None:
    """Only the same strong tag lets a range through, and no date, the same second included."""
    condition = spelled([(weak, tag)]) if by_tag else format_datetime(NOON + timedelta(seconds=seconds), usegmt=True)
    applies = by_tag and not weak and tag == "a"

    assert range_applies({"if-range": condition}, Validators('"a"', NOON)) is applies


PARTS = st.one_of(st.integers(0, 100).map(str), st.integers(0).map(str), st.sampled_from(["", "9" * 20, "9" * 5000]))
DATES = st.builds(
    "{}, {} {} {} {}:{}:{} {}".format,
    st.sampled_from(["Mon", "Sunday", ""]),
    PARTS,
    st.sampled_from(["Jan", "Feb", "Dec", "Foo"]),
    PARTS,
    PARTS,
    PARTS,
    PARTS,
    st.one_of(st.sampled_from(["GMT", "UTC", "-0000", ""]), st.builds("{}{}".format, st.sampled_from("+-"), PARTS)),
)


@settings(deadline=None)
@given(DATES, st.sampled_from(["if-modified-since", "if-unmodified-since", "if-range"]), st.booleans())
def test_any_date_is_one_or_ignored(date: str, name: str, safe: bool) -> None:
    """However large its numbers are, a date comes to an outcome and to no error."""
    state = Validators('"a"', NOON)

    assert evaluate({name: date}, state, safe=safe) in Outcome
    assert range_applies({name: date}, state) is (name != "if-range")
