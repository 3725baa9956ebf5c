"""Conditional requests, as RFC 9110, section 13, has them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_filestore.web.serving.conditions import Outcome, Validators, evaluate, range_applies

NOW = Validators('"abc"', datetime(2026, 11, 22, 12, 0, 0, 500_000, tzinfo=UTC))
SAME, BEFORE, AFTER = (f"Sun, 22 Nov 2026 {hour}:00:00 GMT" for hour in ("12", "11", "13"))

GO, NOT_MODIFIED, FAILED = Outcome.PROCEED, Outcome.NOT_MODIFIED, Outcome.PRECONDITION_FAILED
TABLE: list[tuple[dict[str, str], Outcome]] = [
    ({}, GO),
    ({"if-match": '"abc"'}, GO),
    ({"if-match": '"x", "abc"'}, GO),
    ({"if-match": "*"}, GO),
    ({"if-match": '"x"'}, FAILED),
    ({"if-match": 'W/"abc"'}, FAILED),  # strong comparison
    ({"if-match": '"x"', "if-none-match": '"abc"'}, FAILED),  # If-Match comes first
    ({"if-none-match": '"abc"'}, NOT_MODIFIED),
    ({"if-none-match": 'W/"abc"'}, NOT_MODIFIED),  # weak comparison
    ({"if-none-match": '"x", W/"y", "abc"'}, NOT_MODIFIED),
    ({"if-none-match": "*"}, NOT_MODIFIED),
    ({"if-none-match": '"x"'}, GO),
    ({"if-none-match": '"a,b", "abc"'}, NOT_MODIFIED),
    ({"if-none-match": "abc"}, GO),  # no entity tag at all
    ({"if-modified-since": SAME}, NOT_MODIFIED),
    ({"if-modified-since": AFTER}, NOT_MODIFIED),
    ({"if-modified-since": BEFORE}, GO),
    ({"if-modified-since": "yesterday"}, GO),
    ({"if-none-match": '"x"', "if-modified-since": AFTER}, GO),  # the tag decides alone
    ({"if-unmodified-since": SAME}, GO),
    ({"if-unmodified-since": AFTER}, GO),
    ({"if-unmodified-since": BEFORE}, FAILED),
    ({"if-unmodified-since": "never"}, GO),
    ({"if-match": '"abc"', "if-unmodified-since": BEFORE}, GO),  # the tag decides alone
]


@pytest.mark.parametrize(("headers", "outcome"), TABLE)
def test_conditions_of_a_read(headers: dict[str, str], outcome: Outcome) -> None:
    """Each condition of a GET comes to what the RFC says, in its order of precedence."""
    assert evaluate(headers, NOW) is outcome


def test_a_write_never_answers_not_modified() -> None:
    """If-None-Match of an unsafe method fails instead."""
    assert evaluate({"if-none-match": "*"}, NOW, safe=False) is FAILED
    assert evaluate({"if-modified-since": SAME}, NOW, safe=False) is GO


def test_without_validators_conditions_on_them_are_no_obstacle() -> None:
    """A representation without a date is neither modified nor unmodified since any."""
    assert evaluate({"if-modified-since": AFTER, "if-unmodified-since": BEFORE}, Validators()) is GO


@pytest.mark.parametrize(
    ("condition", "applies"),
    [
        (None, True), ('"abc"', True), (' "abc" ', True), ('W/"abc"', False), ('"x"', False), ("nonsense", False),
        (SAME, False), (BEFORE, False), (AFTER, False),
    ],
)  # fmt: skip
def test_a_range_is_honoured_for_the_same_state_only(condition: str | None, applies: bool) -> None:
    """If-Range compares strongly: a changed file is sent whole, never as a part of another.

    No date is strong: a file may change twice in a second.
    """
    assert range_applies({} if condition is None else {"if-range": condition}, NOW) is applies


@pytest.mark.parametrize("year_and_time", ["{0} 00:00:00 GMT", "2030 {0}:00:00 GMT", "2030 00:00:00 +{0}"])
@pytest.mark.parametrize("digits", ["9" * 11, "9" * 20])
def test_a_date_beyond_every_calendar_is_none(year_and_time: str, digits: str) -> None:
    """A number that no date can hold is ignored as any other text that is no date."""
    header = f"Mon, 01 Jan {year_and_time.format(digits)}"

    assert evaluate({"if-unmodified-since": header, "if-modified-since": header}, NOW) is GO


HEADERS = ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range"]


@given(st.dictionaries(st.sampled_from(HEADERS), st.text(max_size=40)))
def test_any_header_comes_to_something(headers: dict[str, str]) -> None:
    """No text in a condition is an error."""
    assert evaluate(headers, NOW) in Outcome
    assert range_applies(headers, NOW) in {True, False}
